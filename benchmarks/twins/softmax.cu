// Softmax of rows by hand: the twin of kernels/src/softmax.rs and runtime/row_kernel.rs, and the same without roles.
//
// Twin: one warp copies rows in pieces of 8 KiB into 24 stages; 15 warps form as many teams as rows fit the ring, and a team finds
// maximum and sum of its row in one go, agrees on them by shared memory, and maps the row while it is still there. A row that does
// not fit goes by twice. One role: a block has its row in registers, or reads it twice. Rows are multiples of 16 bytes, and short
// ones (several to a stage) have no twin here.

#include "pipeline.cuh"

constexpr u32 TILE = 8192, STAGE = TILE + 128, STAGES = 24, WARPS = 15;
constexpr float LOG2E = 1.4426950408889634f;

DEVICE float exponential(float x) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * LOG2E));
    return result;
}

// What to subtract: a row of nothing but -inf has no maximum.
DEVICE float base_of(float max) { return max == -INFINITY ? 0.0f : max; }

// Maximum of the values seen, and the sum of their exponentials relative to it.
struct Partial {
    float max = -INFINITY, sum = 0.0f;

    template <typename T, u32 COUNT> DEVICE void add(const uint4 (&packed)[COUNT]) {
        float now = max;
        for (u32 i = 0; i < COUNT; ++i) {
            const Vector<T> v(packed[i]);
            for (u32 j = 0; j < Vector<T>::COUNT; ++j) now = fmaxf(now, v.at[j]);
        }
        const float base = base_of(now);
        sum *= exponential(max - base);
        max = now;
        for (u32 i = 0; i < COUNT; ++i) {
            const Vector<T> v(packed[i]);
            for (u32 j = 0; j < Vector<T>::COUNT; ++j) sum += exponential(v.at[j] - base);
        }
    }

    DEVICE float raised(float to) const { return sum * exponential(max - base_of(to)); }
};

template <typename T> DEVICE uint4 mapped(uint4 packed, float base, float factor) {
    Vector<T> v(packed);
    for (u32 i = 0; i < Vector<T>::COUNT; ++i) v.at[i] = exponential(v.at[i] - base) * factor;
    return v.pack();
}

// ---- the twin

using RowRing = Ring<STAGES, STAGE>;

DEVICE u32 place(u32 base, u32 first, u32 offset) {
    u32 stage = first + offset / TILE;
    if (stage >= STAGES) stage -= STAGES;
    return base + stage * STAGE + offset % TILE;
}

// A team's warps bring a value each together.
struct Team {
    u32 slots, barrier, parity, size;

    DEVICE float exchange(float value, float missing, u32 warp_in_team) {
        const u32 set = slots + parity * WARPS * 4;
        if (lane() == 0) {
            store_shared_word(set + warp_in_team * 4, __float_as_uint(value));
            arrive(barrier);
        }
        wait(barrier, parity);
        parity ^= 1;
        return lane() < size ? __uint_as_float(load_shared_word(set + lane() * 4)) : missing;
    }
};

template <typename T> DEVICE void softmax_twin(const T *x, T *y, u32 rows, u32 columns) {
    const u32 row_bytes = columns * sizeof(T), stages = ceil_div(row_bytes, TILE);
    const bool is_long = stages > STAGES;
    const u32 teams = most(1u, least(STAGES / stages, WARPS)), size = WARPS / teams;
    const u32 extra = shared_base() + RowRing::SHARED_BYTES;
    if (threadIdx.x == 0)
        for (u32 t = 0; t < teams; ++t) barrier_init(extra + t * 8, size);
    RowRing ring(1, size);
    if (warp() == 0) {
        if (lane() != 0) return;
        for (u32 row = blockIdx.x; row < rows; row += gridDim.x) {
            const u8 *from = reinterpret_cast<const u8 *>(x) + u64(row) * row_bytes;
            for (u32 pass = 0; pass < (is_long ? 2 : 1); ++pass)
                for (u32 at = 0; at < row_bytes; at += TILE) {
                    const u32 bytes = least(row_bytes - at, TILE);
                    ring.wait_empty();
                    arrive_expecting(ring.full(), bytes);
                    bulk_copy(ring.address(), from + at, bytes, ring.full());
                    ring.advance();
                }
        }
        return;
    }
    const u32 number = (warp() - 1) / size, in_team = (warp() - 1) % size;
    if (number >= teams) return;
    Team team{extra + WARPS * 8 + number * size * 4, extra + number * 8, 0, size};
    const u32 thread = in_team * 32 + lane(), step = size * 32 * 16, batch = ceil_div(size, 4);
    ring = ring.ahead(number * stages % STAGES);
    for (u32 row = blockIdx.x + number * gridDim.x; row < rows; row += teams * gridDim.x) {
        Partial seen;
        for (u32 first = 0; first < stages; first += batch) {
            const u32 count = least(stages - first, batch), end = least(row_bytes, (first + count) * TILE);
            const u32 here = is_long ? 0 : first;
            for (u32 i = 0; i < count; ++i) {
                const RowRing there = ring.ahead(here + i);
                there.wait_empty(); // other teams' last round: parity tells two rounds apart and no more
                there.wait_full();
            }
            const u32 origin = is_long ? first * TILE : 0;
            u32 at = first * TILE + thread * 16;
            for (; at + 3 * step < end; at += 4 * step) {
                const uint4 four[4] = {load_shared(place(ring.base, ring.stage, at - origin)),
                                       load_shared(place(ring.base, ring.stage, at + step - origin)),
                                       load_shared(place(ring.base, ring.stage, at + 2 * step - origin)),
                                       load_shared(place(ring.base, ring.stage, at + 3 * step - origin))};
                seen.add<T>(four);
            }
            for (; at < end; at += step) {
                const uint4 one[1] = {load_shared(place(ring.base, ring.stage, at - origin))};
                seen.add<T>(one);
            }
            if (is_long) ring.release(count);
        }
        float max = lanes_max(seen.max);
        if (size > 1) max = lanes_max(team.exchange(max, -INFINITY, in_team));
        float sum = lanes_sum(seen.raised(max));
        if (size > 1) sum = lanes_sum(team.exchange(sum, 0.0f, in_team));
        const float base = base_of(max), factor = 1.0f / sum;
        u8 *to = reinterpret_cast<u8 *>(y) + u64(row) * row_bytes;
        for (u32 first = 0; first < stages; first += batch) {
            const u32 count = least(stages - first, batch), end = least(row_bytes, (first + count) * TILE);
            for (u32 i = 0; i < count; ++i) {
                const RowRing there = ring.ahead(i);
                there.wait_full();
            }
            const u32 origin = first * TILE;
            u32 at = first * TILE + thread * 16;
            for (; at + step < end; at += 2 * step) {
                const uint4 p = load_shared(place(ring.base, ring.stage, at - origin));
                const uint4 q = load_shared(place(ring.base, ring.stage, at + step - origin));
                *reinterpret_cast<uint4 *>(to + at) = mapped<T>(p, base, factor);
                *reinterpret_cast<uint4 *>(to + at + step) = mapped<T>(q, base, factor);
            }
            for (; at < end; at += step)
                *reinterpret_cast<uint4 *>(to + at) = mapped<T>(load_shared(place(ring.base, ring.stage, at - origin)), base, factor);
            ring.release(count);
        }
        ring = ring.ahead((teams - 1) * stages);
    }
}

// ---- one role

// A value per warp to one for the block; called by every thread.
template <typename F> DEVICE float block_reduce(float value, float missing, F lanes_reduce) {
    __shared__ float slots[32];
    value = lanes_reduce(value);
    __syncthreads();
    if (lane() == 0) slots[warp()] = value;
    __syncthreads();
    return lanes_reduce(lane() < blockDim.x / 32 ? slots[lane()] : missing);
}

// A row of up to DEPTH vectors per thread, kept in registers.
template <typename T, u32 DEPTH> DEVICE void softmax_registers(const T *x, T *y, u32 columns) {
    const u32 vectors = columns / Vector<T>::COUNT;
    const uint4 *from = reinterpret_cast<const uint4 *>(x + u64(blockIdx.x) * columns);
    uint4 *to = reinterpret_cast<uint4 *>(y + u64(blockIdx.x) * columns);
    uint4 row[DEPTH];
    for (u32 i = 0; i < DEPTH; ++i) {
        const u32 at = threadIdx.x + i * blockDim.x;
        row[i] = at < vectors ? __ldg(from + at) : Vector<T>::lowest();
    }
    Partial seen;
    seen.add<T>(row);
    const float max = block_reduce(seen.max, -INFINITY, [](float v) { return lanes_max(v); });
    const float sum = block_reduce(seen.raised(max), 0.0f, [](float v) { return lanes_sum(v); });
    const float base = base_of(max), factor = 1.0f / sum;
    for (u32 i = 0; i < DEPTH; ++i) {
        const u32 at = threadIdx.x + i * blockDim.x;
        if (at < vectors) to[at] = mapped<T>(row[i], base, factor);
    }
}

// A row of any length, read twice.
template <typename T> DEVICE void softmax_twice(const T *x, T *y, u32 columns) {
    const u32 vectors = columns / Vector<T>::COUNT, step = blockDim.x;
    const uint4 *from = reinterpret_cast<const uint4 *>(x + u64(blockIdx.x) * columns);
    uint4 *to = reinterpret_cast<uint4 *>(y + u64(blockIdx.x) * columns);
    Partial seen;
    u32 at = threadIdx.x;
    for (; at + 3 * step < vectors; at += 4 * step) {
        const uint4 four[4] = {__ldg(from + at), __ldg(from + at + step), __ldg(from + at + 2 * step), __ldg(from + at + 3 * step)};
        seen.add<T>(four);
    }
    for (; at < vectors; at += step) {
        const uint4 one[1] = {__ldg(from + at)};
        seen.add<T>(one);
    }
    const float max = block_reduce(seen.max, -INFINITY, [](float v) { return lanes_max(v); });
    const float sum = block_reduce(seen.raised(max), 0.0f, [](float v) { return lanes_sum(v); });
    const float base = base_of(max), factor = 1.0f / sum;
    for (at = threadIdx.x; at + step < vectors; at += 2 * step) {
        const uint4 p = __ldg(from + at), q = __ldg(from + at + step);
        to[at] = mapped<T>(p, base, factor);
        to[at + step] = mapped<T>(q, base, factor);
    }
    for (; at < vectors; at += step) to[at] = mapped<T>(__ldg(from + at), base, factor);
}

#define ENTRIES(NAME, T)                                                                                                          \
    extern "C" __global__ void __launch_bounds__(512) softmax_##NAME##_twin(const T *x, T *y, u32 rows, u32 columns) {            \
        softmax_twin(x, y, rows, columns);                                                                                        \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(256) softmax_##NAME##_plain4(const T *x, T *y, u32 columns) {                    \
        softmax_registers<T, 4>(x, y, columns);                                                                                   \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(1024) softmax_##NAME##_plain8(const T *x, T *y, u32 columns) {                   \
        softmax_registers<T, 8>(x, y, columns);                                                                                   \
    }                                                                                                                             \
    extern "C" __global__ void __launch_bounds__(1024) softmax_##NAME##_plain_twice(const T *x, T *y, u32 columns) {              \
        softmax_twice(x, y, columns);                                                                                             \
    }

ENTRIES(f32, float)
ENTRIES(f16, half_t)
