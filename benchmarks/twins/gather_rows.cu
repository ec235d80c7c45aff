// y[i, :] = src[idx[i], :] by hand: the twin of kernels/src/gather_rows.rs (scale 1), and the same without roles.
//
// Twin: one warp looks rows up, four tiles ahead (ours one; with one this takes 0.4 % longer at 256 bytes, no longer above), and copies them into
// four stages of 8 KiB, a lane per row; a lane of a second warp stores each stage by one bulk copy. Blocks of 96 threads, the last 32 of which ours
// has for rows that it scales, each with four tiles that follow each other.
// One role: a power of two threads per row, up to a warp, four vectors under way each. Rows are multiples of 16 bytes at multiples of 16.

#include "pipeline.cuh"

constexpr u32 STAGE = 8192 + 512, STAGES = 4, LATER = 1;

struct Job {
    const u8 *src;
    const long long *idx;
    u8 *y;
    u64 rows, row_bytes;
    u32 count, band, piece, pieces;

    // A number outside is row 0: the Rust kernel reports it besides.
    DEVICE u64 row(u64 found) const { return found < rows ? found : 0; }
    DEVICE u64 number(u32 row_of_y) const { return row(__ldg(idx + row_of_y)); }
};

struct Tile {
    u32 first, rows, bytes;
    u64 offset;
    DEVICE Tile(const Job &job, u32 tile) {
        const u32 number = tile / job.pieces;
        first = number * job.band;
        rows = least(job.count - first, job.band);
        offset = u64(tile - number * job.pieces) * job.piece;
        bytes = least<u64>(job.row_bytes - offset, job.piece);
    }
};

// The numbers for this lane's first two rows of a tile, as they are in idx: nothing here looks at them, so nothing waits.
struct Numbers {
    u64 at[2];
    DEVICE Numbers(const Job &job, u32 tile, u32 end) : at{0, 0} {
        if (tile >= end) return;
        const Tile t(job, tile);
        for (u32 k = 0; k < 2; ++k)
            if (lane() + 32 * k < t.rows) at[k] = __ldg(job.idx + t.first + lane() + 32 * k);
    }
};

DEVICE void gather_twin(const Job &job) {
    const u32 tiles = ceil_div(job.count, job.band) * job.pieces, each = ceil_div(tiles, gridDim.x);
    const u32 begin = least(blockIdx.x * each, tiles), end = least(begin + each, tiles);
    const u32 looked_up = warp() == 0 ? end : begin;
    Numbers first(job, begin, looked_up), second(job, begin + 1, looked_up), third(job, begin + 2, looked_up), fourth(job, begin + 3, looked_up);
    Ring<STAGES, STAGE> ring(32, 1);
    if (warp() == 0) {
        for (u32 tile = begin; tile < end; ++tile) {
            const Numbers numbers = first;
            first = second;
            second = third;
            third = fourth;
            fourth = Numbers(job, tile + 4, end);
            const Tile t(job, tile);
            const u32 mine = t.rows > lane() ? (t.rows - lane() + 31) / 32 : 0;
            ring.wait_empty();
            arrive_expecting(ring.full(), mine * t.bytes);
            for (u32 row = lane(); row < t.rows; row += 32) {
                const u64 number = row < 32 ? job.row(numbers.at[0]) : row < 64 ? job.row(numbers.at[1]) : job.number(t.first + row);
                bulk_copy(ring.address() + row * job.piece, job.src + number * job.row_bytes + t.offset, t.bytes, ring.full());
            }
            ring.advance();
        }
        return;
    }
    if (threadIdx.x != 32) return;
    for (u32 tile = begin, held = 0; tile < end; ++tile) {
        const Tile t(job, tile);
        const Ring<STAGES, STAGE> there = ring.ahead(held);
        there.wait_full();
        bulk_store(job.y + t.first * job.row_bytes + t.offset, there.address(), t.rows * t.bytes);
        if (++held > LATER) {
            wait_for_reads<LATER>();
            arrive(ring.empty());
            ring.advance();
            --held;
        }
    }
    wait_for_reads<0>();
}

// `shift`: log2 of the threads per row, at most 5.
DEVICE void gather_plain(const Job &job, u32 shift) {
    const u32 vectors = job.row_bytes / 16, step = 1u << shift;
    const u32 row = (blockIdx.x * blockDim.x + threadIdx.x) >> shift;
    if (row >= job.count) return;
    const uint4 *from = reinterpret_cast<const uint4 *>(job.src + job.number(row) * job.row_bytes);
    uint4 *to = reinterpret_cast<uint4 *>(job.y + u64(row) * job.row_bytes);
    u32 i = threadIdx.x & (step - 1);
    for (; i + 3 * step < vectors; i += 4 * step) {
        const uint4 p = __ldg(from + i), q = __ldg(from + i + step), r = __ldg(from + i + 2 * step), s = __ldg(from + i + 3 * step);
        to[i] = p;
        to[i + step] = q;
        to[i + 2 * step] = r;
        to[i + 3 * step] = s;
    }
    for (; i < vectors; i += step) to[i] = __ldg(from + i);
}

extern "C" __global__ void __launch_bounds__(96) gather_rows_twin(const u8 *src, const long long *idx, u8 *y, u64 rows, u32 count,
                                                                   u64 row_bytes, u32 band, u32 piece, u32 pieces) {
    gather_twin(Job{src, idx, y, rows, row_bytes, count, band, piece, pieces});
}

extern "C" __global__ void __launch_bounds__(256) gather_rows_plain(const u8 *src, const long long *idx, u8 *y, u64 rows, u32 count,
                                                                    u64 row_bytes, u32 shift) {
    gather_plain(Job{src, idx, y, rows, row_bytes, count, 0, 0, 0}, shift);
}
