// y[i, :] = src[idx[i], :] by hand: the twin of kernels/src/gather_rows.rs (scale 1), and the same without roles.
//
// Twin: one warp looks rows up, a tile ahead, and copies them into six stages of 16 KiB, a lane per row; eight warps store. Two blocks of
// 288 threads per multiprocessor. One role: a power of two threads per row, up to a warp, four vectors under way each.
// Rows are multiples of 16 bytes at multiples of 16.

#include "pipeline.cuh"

constexpr u32 STAGE = 16384 + 128, STAGES = 6, COMPUTE_WARPS = 8;

struct Job {
    const u8 *src;
    const long long *idx;
    u8 *y;
    u64 rows, row_bytes;
    u32 count, band, piece, pieces;

    // A number outside is row 0: the Rust kernel reports it besides.
    DEVICE u64 number(u32 row) const {
        const u64 found = __ldg(idx + row);
        return found < rows ? found : 0;
    }
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

DEVICE u64 first_number(const Job &job, u32 tile, u32 tiles) {
    if (tile >= tiles) return 0;
    const Tile t(job, tile);
    return lane() < t.rows ? job.number(t.first + lane()) : 0;
}

DEVICE void gather_twin(const Job &job) {
    const u32 tiles = ceil_div(job.count, job.band) * job.pieces;
    const u32 pitch = (job.piece + 30) & ~15u;
    Ring<STAGES, STAGE> ring(32, COMPUTE_WARPS);
    if (warp() == 0) {
        u64 next = first_number(job, blockIdx.x, tiles);
        for (u32 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
            u64 number = next;
            next = first_number(job, tile + gridDim.x, tiles);
            const Tile t(job, tile);
            const u32 mine = t.rows > lane() ? (t.rows - lane() + 31) / 32 : 0;
            ring.wait_empty();
            arrive_expecting(ring.full(), mine * t.bytes);
            for (u32 row = lane(); row < t.rows; row += 32) {
                if (row >= 32) number = job.number(t.first + row);
                bulk_copy(ring.address() + row * pitch, job.src + number * job.row_bytes + t.offset, t.bytes, ring.full());
            }
            ring.advance();
        }
        return;
    }
    const u32 thread = threadIdx.x - 32, threads = COMPUTE_WARPS * 32;
    for (u32 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        const Tile t(job, tile);
        const u32 vectors = t.bytes / 16;
        const u32 shift = vectors >= threads ? 8 : 32 - __clz(vectors - 1);
        ring.wait_full();
        for (u32 row = thread >> shift; row < t.rows; row += threads >> shift) {
            const u32 from = ring.address() + row * pitch;
            uint4 *to = reinterpret_cast<uint4 *>(job.y + u64(t.first + row) * job.row_bytes + t.offset);
            for (u32 i = thread & ((1u << shift) - 1); i < vectors; i += 1u << shift) to[i] = load_shared(from + i * 16);
        }
        ring.release();
    }
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

extern "C" __global__ void __launch_bounds__(288) gather_rows_twin(const u8 *src, const long long *idx, u8 *y, u64 rows, u32 count,
                                                                   u64 row_bytes, u32 band, u32 piece, u32 pieces) {
    gather_twin(Job{src, idx, y, rows, row_bytes, count, band, piece, pieces});
}

extern "C" __global__ void __launch_bounds__(256) gather_rows_plain(const u8 *src, const long long *idx, u8 *y, u64 rows, u32 count,
                                                                    u64 row_bytes, u32 shift) {
    gather_plain(Job{src, idx, y, rows, row_bytes, count, 0, 0, 0}, shift);
}
