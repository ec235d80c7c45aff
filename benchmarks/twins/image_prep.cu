// uint8 images to normalised planes by hand: the twin of kernels/src/image_prep.rs, and the same without roles.
//
// Twin: one warp copies the rows of a crop's band into two stages, a lane per row, with a note of where they go; four warps look each
// value up in a table of results (computed once per block, in float64, while the first rows are on their way) and store planes, four
// pixels per thread. Blocks of 160 threads take three tiles that follow each other (the grid's size makes it three), and end. One role: every
// thread reads its twelve bytes from global memory. Crops are a multiple of 4 and at most 2048 wide, and the batch is a multiple of 16 bytes.

#include "pipeline.cuh"

constexpr u32 ROWS_BYTES = 8192, STAGE = ROWS_BYTES + 128, STAGES = 2, COMPUTE_WARPS = 4, CHANNELS = 3, VALUES = 256;

struct Job {
    const u8 *x;
    const int2 *offsets;
    const u8 *mirror;
    u16 *y;
    u32 n, height, width, out_height, out_width, band;

    DEVICE u32 bands() const { return ceil_div(out_height, band); }
    DEVICE u32 pitch() const { return (out_width * CHANNELS + 30) & ~15u; }
};

// Some rows of one crop, from where to where.
struct Tile {
    const u8 *first;
    u64 target;
    u32 rows;
    bool mirrored;

    DEVICE Tile() {}
    DEVICE Tile(const Job &job, u32 tile) {
        const u32 image = tile / job.bands(), row = (tile - image * job.bands()) * job.band;
        rows = least(job.out_height - row, job.band);
        mirrored = job.mirror != nullptr && __ldg(job.mirror + image) != 0;
        int2 corner = job.offsets != nullptr ? __ldg(job.offsets + image) : make_int2(0, 0);
        corner.x = least(most(corner.x, 0), int(job.height - job.out_height));
        corner.y = least(most(corner.y, 0), int(job.width - job.out_width));
        const u64 pixel = (u64(image) * job.height + corner.x + row) * job.width + corner.y;
        first = job.x + pixel * CHANNELS;
        target = (u64(image) * CHANNELS * job.out_height + row) * job.out_width;
    }
};

// Quotients from a reciprocal, mended by the remainder: rounded once, as a division is, where all is finite.
struct Divisor {
    double number, reciprocal;
    DEVICE explicit Divisor(double n) : number(n), reciprocal(1.0 / n) {}
    DEVICE double divide(double dividend) const {
        const double near = dividend * reciprocal, remainder = fma(-near, number, dividend);
        return isfinite(remainder) ? fma(remainder, reciprocal, near) : dividend / number;
    }
};

DEVICE void fill_table(u32 table, float3 mean, float3 std, u32 thread, u32 threads) {
    const Divisor by_255(255.0);
    for (u32 channel = 0; channel < CHANNELS; ++channel) {
        const float m = channel == 0 ? mean.x : channel == 1 ? mean.y : mean.z, s = channel == 0 ? std.x : channel == 1 ? std.y : std.z;
        const Divisor by_std(s);
        for (u32 value = thread; value < VALUES; value += threads) {
            u16 bits;
            asm("cvt.rn.f16.f64 %0, %1;" : "=h"(bits) : "d"(by_std.divide(by_255.divide(value) - m)));
            store_shared_word(table + (channel * VALUES + value) * 4, bits);
        }
    }
}

DEVICE u32 look_up(u32 table, u32 channel, u32 value) { return load_shared_word(table + (channel * VALUES + value) * 4); }

struct Pixels { u32 a, b, c; };

// The same four pixels from right to left.
DEVICE Pixels mirrored(Pixels p) {
    return {__byte_perm(p.c, p.b, 0x6321), __byte_perm(__byte_perm(p.b, p.c, 0x0043), __byte_perm(p.a, p.b, 0x0043), 0x5410),
            __byte_perm(p.a, p.b, 0x2105)};
}

// Four pixels to three planes.
DEVICE void store_planes(u16 *to, u64 plane, Pixels p, u32 table) {
    const u32 words[3] = {p.a, p.b, p.c};
    for (u32 channel = 0; channel < CHANNELS; ++channel) {
        u32 result[4];
        for (u32 pixel = 0; pixel < 4; ++pixel) {
            const u32 byte = pixel * CHANNELS + channel;
            result[pixel] = look_up(table, channel, words[byte / 4] >> (byte % 4 * 8) & 0xff);
        }
        *reinterpret_cast<uint2 *>(to + plane * channel) = make_uint2(result[0] | result[1] << 16, result[2] | result[3] << 16);
    }
}

DEVICE Pixels shifted(u32 a, u32 b, u32 c, u32 d, u32 bits) {
    return {__funnelshift_r(a, b, bits), __funnelshift_r(b, c, bits), __funnelshift_r(c, d, bits)};
}

DEVICE void prep_twin(const Job &job, float3 mean, float3 std) {
    const u32 ready = shared_base() + Ring<STAGES, STAGE>::SHARED_BYTES, table = ready + 16, pitch = job.pitch();
    const u32 tiles = job.n * job.bands(), each = ceil_div(tiles, gridDim.x);
    const u32 begin = least(tiles, blockIdx.x * each), end = least(tiles, begin + each);
    if (threadIdx.x == 0) barrier_init(ready, COMPUTE_WARPS);
    Ring<STAGES, STAGE> ring(32, COMPUTE_WARPS);
    if (warp() == 0) {
        for (u32 number = begin; number < end; ++number) {
            const Tile tile(job, number);
            ring.wait_empty();
            if (lane() == 0) {
                store_shared_word(ring.address() + ROWS_BYTES, u32(tile.target));
                store_shared_word(ring.address() + ROWS_BYTES + 4, u32(tile.target >> 32));
                store_shared_word(ring.address() + ROWS_BYTES + 8, tile.rows | u32(tile.mirrored) << 16);
                store_shared_word(ring.address() + ROWS_BYTES + 12, u32(reinterpret_cast<u64>(tile.first)));
            }
            // At most 32 rows per tile: (3 * 168 + 30) & ~15 is 528 bytes, so crops have at least 172 columns here.
            const u64 row = reinterpret_cast<u64>(tile.first) + u64(lane()) * job.width * CHANNELS;
            const u64 window = row & ~15ull, behind = (row + job.out_width * CHANNELS + 15) & ~15ull;
            if (lane() < tile.rows) {
                arrive_expecting(ring.full(), u32(behind - window));
                bulk_copy(ring.address() + lane() * pitch, reinterpret_cast<const void *>(window), u32(behind - window), ring.full());
            } else {
                arrive(ring.full());
            }
            ring.advance();
        }
        return;
    }
    const u32 thread = threadIdx.x - 32, threads = COMPUTE_WARPS * 32, quads = job.out_width / 4;
    const u32 first_row = thread / quads, first_quad = thread % quads, row_step = threads / quads, quad_step = threads % quads;
    const u64 plane = u64(job.out_height) * job.out_width;
    fill_table(table, mean, std, thread, threads);
    __syncwarp();
    if (lane() == 0) arrive(ready);
    wait(ready, 0);
    for (u32 number = begin; number < end; ++number) {
        ring.wait_full();
        const uint4 note = load_shared(ring.address() + ROWS_BYTES);
        const u64 target = u64(note.y) << 32 | note.x;
        const u32 rows = note.z & 0xffff;
        const bool flip = note.z >> 16;
        u32 row = first_row, quad = first_quad;
        while (row < rows) {
            const u32 column = flip ? job.out_width - 4 - quad * 4 : quad * 4;
            const u32 from = ring.address() + row * pitch + (note.w + row * job.width * CHANNELS) % 16 + column * CHANNELS;
            const u32 word = from & ~3u, bits = from % 4 * 8;
            Pixels p = shifted(load_shared_word(word), load_shared_word(word + 4), load_shared_word(word + 8),
                               bits == 0 ? 0 : load_shared_word(word + 12), bits);
            if (flip) p = mirrored(p);
            store_planes(job.y + target + u64(row) * job.out_width + quad * 4, plane, p, table);
            row += row_step;
            quad += quad_step;
            if (quad >= quads) {
                quad -= quads;
                row += 1;
            }
        }
        ring.release();
    }
}

DEVICE void prep_plain(const Job &job, float3 mean, float3 std) {
    const u32 table = shared_base(), quads = job.out_width / 4;
    fill_table(table, mean, std, threadIdx.x, blockDim.x);
    __syncthreads();
    const u64 plane = u64(job.out_height) * job.out_width;
    for (u32 number = blockIdx.x; number < job.n * job.bands(); number += gridDim.x) {
        const Tile tile(job, number);
        for (u32 i = threadIdx.x; i < tile.rows * quads; i += blockDim.x) {
            const u32 row = i / quads, quad = i % quads;
            const u32 column = tile.mirrored ? job.out_width - 4 - quad * 4 : quad * 4;
            const u64 from = reinterpret_cast<u64>(tile.first) + (u64(row) * job.width + column) * CHANNELS;
            const u32 *word = reinterpret_cast<const u32 *>(from & ~3ull), bits = u32(from) % 4 * 8;
            Pixels p = shifted(__ldg(word), __ldg(word + 1), __ldg(word + 2), bits == 0 ? 0 : __ldg(word + 3), bits);
            if (tile.mirrored) p = mirrored(p);
            store_planes(job.y + tile.target + u64(row) * job.out_width + quad * 4, plane, p, table);
        }
    }
}

#define PARAMETERS                                                                                                                \
    const u8 *x, const int2 *offsets, const u8 *mirror, u16 *y, u32 n, u32 height, u32 width, u32 out_height, u32 out_width,      \
        u32 band, float mean0, float mean1, float mean2, float std0, float std1, float std2
#define ARGUMENTS                                                                                                                 \
    Job{x, offsets, mirror, y, n, height, width, out_height, out_width, band}, make_float3(mean0, mean1, mean2),                  \
        make_float3(std0, std1, std2)

extern "C" __global__ void __launch_bounds__(160) image_prep_f16_twin(PARAMETERS) { prep_twin(ARGUMENTS); }
extern "C" __global__ void __launch_bounds__(256) image_prep_f16_plain(PARAMETERS) { prep_plain(ARGUMENTS); }
