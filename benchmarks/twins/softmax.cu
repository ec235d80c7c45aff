// Softmax of rows by hand: the twin of kernels/src/softmax.rs and runtime/row_kernel.rs, and the same without roles.
//
// Twin: one warp copies rows in pieces of 8 KiB into the stages that the launch has room for; the others form as many teams as rows
// fit the ring. A piece is one warp's; a team finds maximum and sum of its row in one go, agrees on them by shared memory, and maps the
// row while it is still there. A row that does not fit goes by twice. A block takes some rows that follow each other, and ends. One role:
// a block has its row in registers, or reads it twice. Rows are multiples of 16 bytes, and short ones (several to a stage) have no twin here.

#include "pipeline.cuh"

constexpr u32 TILE = 8192, STAGE = TILE + 128, WARPS = 16;
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

// A ring of as many stages as the launch gives; a place is a stage in one of two rounds that take turns.
struct Stages {
    u32 base, stages;

    DEVICE u32 stage(u32 place) const { return place >= stages ? place - stages : place; }
    DEVICE u32 address(u32 place) const { return base + stage(place) * STAGE; }
    DEVICE u32 full(u32 place) const { return base + stages * STAGE + stage(place) * 8; }
    DEVICE u32 empty(u32 place) const { return base + stages * (STAGE + 8) + stage(place) * 8; }
    DEVICE u32 behind(u32 place, u32 by) const { return place + by >= 2 * stages ? place + by - 2 * stages : place + by; }
    DEVICE void wait_empty(u32 place) const { wait(empty(place), place < stages); }
    DEVICE void wait_full(u32 place) const { wait(full(place), place >= stages); }
};

// A team's warps bring a value each together.
struct Team {
    u32 slots, barrier, parity, size, rank;

    DEVICE float exchange(float value, float missing) {
        const u32 set = slots + parity * WARPS * 4;
        if (lane() == 0) store_shared_word(set + rank * 4, __float_as_uint(value));
        arrive(barrier);
        wait(barrier, parity);
        parity ^= 1;
        return lane() < size ? __uint_as_float(load_shared_word(set + lane() * 4)) : missing;
    }
};

// Goes over this warp's pieces of a row: f(address of the piece's first byte, its offset in the row, the offset behind it).
template <typename F> DEVICE u32 over_pieces(Stages ring, const Team &team, u32 place, u32 row_bytes, u32 pieces, bool leaves, F f) {
    for (u32 piece = team.rank; piece < pieces + team.rank;) {
        if (piece < pieces) {
            ring.wait_empty(place); // other warps' last round: parity tells two rounds apart and no more
            ring.wait_full(place);
            f(ring.address(place), piece * TILE, least(row_bytes, (piece + 1) * TILE));
            if (leaves) arrive(ring.empty(place));
        }
        const u32 step = least(team.size, pieces + team.rank - piece);
        piece += step;
        place = ring.behind(place, step);
    }
    return place;
}

template <typename T> DEVICE void softmax_twin(const T *x, T *y, u32 rows, u32 columns, u32 stages) {
    const u32 row_bytes = columns * sizeof(T), pieces = ceil_div(row_bytes, TILE), readers = blockDim.x / 32 - 1;
    const bool is_long = pieces > stages;
    const u32 teams = most(1u, least(stages / pieces, readers)), size = least(readers / teams, is_long ? (stages + 1) / 2 : pieces);
    const Stages ring{shared_base(), stages};
    const u32 extra = ring.base + stages * (STAGE + 16);
    if (threadIdx.x == 0) {
        for (u32 s = 0; s < stages; ++s) {
            barrier_init(ring.full(s), 1);
            barrier_init(ring.empty(s), 32);
        }
        for (u32 t = 0; t < teams; ++t) barrier_init(extra + t * 8, size * 32);
        publish_barriers();
    }
    __syncthreads();
    const u32 each = ceil_div(rows, gridDim.x), begin = blockIdx.x * each, end = least(rows, begin + each);
    u32 place = 0;
    if (warp() == 0) {
        if (lane() != 0) return;
        for (u32 row = begin; row < end; ++row) {
            const u8 *from = reinterpret_cast<const u8 *>(x) + u64(row) * row_bytes;
            for (u32 pass = 0; pass < (is_long ? 2 : 1); ++pass)
                for (u32 at = 0; at < row_bytes; at += TILE) {
                    const u32 bytes = least(row_bytes - at, TILE);
                    ring.wait_empty(place);
                    arrive_expecting(ring.full(place), bytes);
                    bulk_copy(ring.address(place), from + at, bytes, ring.full(place));
                    place = ring.behind(place, 1);
                }
        }
        return;
    }
    const u32 number = (warp() - 1) / size;
    if (number >= teams) return;
    Team team{extra + WARPS * 8 + number * size * 4, extra + number * 8, 0, size, (warp() - 1) % size};
    constexpr u32 STEP = 32 * 16;
    place = ring.behind(0, number * pieces + team.rank);
    for (u32 row = begin + number; row < end; row += teams) {
        Partial seen;
        u32 next = over_pieces(ring, team, place, row_bytes, pieces, is_long, [&](u32 from, u32 first, u32 last) {
            u32 at = first + lane() * 16;
            if (sizeof(T) == 4)
                for (; at + STEP < last; at += 2 * STEP) {
                    const uint4 two[2] = {load_shared(from + at - first), load_shared(from + at + STEP - first)};
                    seen.add<T>(two);
                }
            for (; at < last; at += STEP) {
                const uint4 one[1] = {load_shared(from + at - first)};
                seen.add<T>(one);
            }
        });
        if (is_long) place = next;
        float max = lanes_max(seen.max);
        if (size > 1) max = lanes_max(team.exchange(max, -INFINITY));
        float sum = lanes_sum(seen.raised(max));
        if (size > 1) sum = lanes_sum(team.exchange(sum, 0.0f));
        const float base = base_of(max), factor = 1.0f / sum;
        u8 *to = reinterpret_cast<u8 *>(y) + u64(row) * row_bytes;
        next = over_pieces(ring, team, place, row_bytes, pieces, true, [&](u32 from, u32 first, u32 last) {
            for (u32 at = first + lane() * 16; at < last; at += STEP)
                *reinterpret_cast<uint4 *>(to + at) = mapped<T>(load_shared(from + at - first), base, factor);
        });
        place = is_long ? next : ring.behind(place, teams * pieces);
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
    extern "C" __global__ void __launch_bounds__(1024) softmax_##NAME##_twin(const T *x, T *y, u32 rows, u32 columns, u32 stages) { \
        softmax_twin(x, y, rows, columns, stages);                                                                                \
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
