// y = a*x + b by hand: the twin of kernels/src/scale.rs, and the same without roles.
//
// Twin: one warp copies tiles of 8 KiB into four stages, four warps compute and store; blocks of 160 threads take a tile each, or more that follow
// each other where there are many (the grid's size says how many), and end.
// One role: every thread loads one vector, computes, stores; as many blocks as it takes. x and y are at multiples of 16.

#include "pipeline.cuh"

constexpr u32 TILE = 8192, STAGE = TILE + 128, STAGES = 4, COMPUTE_WARPS = 4;

template <typename T> DEVICE uint4 scaled(uint4 packed, float a, float b) {
    Vector<T> v(packed);
    for (u32 i = 0; i < Vector<T>::COUNT; ++i) v.at[i] = fmaf(a, v.at[i], b);
    return v.pack();
}

// The elements behind the last whole vector of the array.
template <typename T> DEVICE void scale_rest(const T *x, T *y, u64 n, float a, float b, u32 thread) {
    u64 i = n / Vector<T>::COUNT * Vector<T>::COUNT + thread;
    if (i < n) store_element(y + i, fmaf(a, load_element(x + i), b));
}

template <typename T> DEVICE void scale_twin(const T *x, T *y, u64 n, float a, float b) {
    const u64 bytes = n * sizeof(T) / 16 * 16;
    const u32 tiles = (bytes + TILE - 1) / TILE, each = ceil_div(tiles, gridDim.x);
    const u32 first = least(tiles, blockIdx.x * each), end = least(tiles, first + each);
    Ring<STAGES, STAGE> ring(1, COMPUTE_WARPS);
    if (warp() == 0) {
        if (lane() != 0) return;
        for (u32 tile = first; tile < end; ++tile) {
            const u64 offset = u64(tile) * TILE;
            const u32 part = least<u64>(bytes - offset, TILE);
            ring.wait_empty();
            arrive_expecting(ring.full(), part);
            bulk_copy(ring.address(), reinterpret_cast<const u8 *>(x) + offset, part, ring.full());
            ring.advance();
        }
        return;
    }
    const u32 thread = threadIdx.x - 32, step = COMPUTE_WARPS * 32;
    for (u32 tile = first; tile < end; ++tile) {
        const u64 offset = u64(tile) * TILE;
        const u32 vectors = least<u64>(bytes - offset, TILE) / 16;
        uint4 *to = reinterpret_cast<uint4 *>(reinterpret_cast<u8 *>(y) + offset);
        ring.wait_full();
        const u32 from = ring.address();
        u32 i = thread;
        for (; i + 3 * step < vectors; i += 4 * step) {
            const uint4 p = load_shared(from + i * 16), q = load_shared(from + (i + step) * 16);
            const uint4 r = load_shared(from + (i + 2 * step) * 16), s = load_shared(from + (i + 3 * step) * 16);
            to[i] = scaled<T>(p, a, b);
            to[i + step] = scaled<T>(q, a, b);
            to[i + 2 * step] = scaled<T>(r, a, b);
            to[i + 3 * step] = scaled<T>(s, a, b);
        }
        for (; i < vectors; i += step) to[i] = scaled<T>(load_shared(from + i * 16), a, b);
        ring.release();
    }
    if (blockIdx.x == 0) scale_rest(x, y, n, a, b, thread);
}

template <typename T> DEVICE void scale_plain(const T *x, T *y, u64 n, float a, float b) {
    const u64 vectors = n / Vector<T>::COUNT;
    const uint4 *from = reinterpret_cast<const uint4 *>(x);
    uint4 *to = reinterpret_cast<uint4 *>(y);
    const u64 i = u64(blockIdx.x) * blockDim.x + threadIdx.x;
    if (i < vectors) to[i] = scaled<T>(__ldg(from + i), a, b);
    if (blockIdx.x == 0) scale_rest(x, y, n, a, b, threadIdx.x);
}

#define ENTRIES(NAME, T)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(160) scale_##NAME##_twin(const T *x, T *y, u64 n, float a, float b) {            \
        scale_twin(x, y, n, a, b);                                                                                                \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(256) scale_##NAME##_plain(const T *x, T *y, u64 n, float a, float b) {           \
        scale_plain(x, y, n, a, b);                                                                                               \
    }

ENTRIES(f32, float)
ENTRIES(f16, half_t)
