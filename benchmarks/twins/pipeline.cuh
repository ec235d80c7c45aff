// What the hand-written twins share: mbarriers, bulk copies, vectors, reductions over a warp, in plain inline PTX.
//
// The same instructions as the Rust runtime's (kernels/), written as one would by hand: no executor, no futures, no look at
// a cancel word. A ring is two mbarriers per stage: `full` completes when its copies have landed, `empty` when every reader warp has
// let go. Nothing here needs a header, so nvcc and NVRTC both take it.

#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

struct half_t { u16 bits; };

#define DEVICE __device__ __forceinline__
#ifndef INFINITY
#define INFINITY __int_as_float(0x7f800000)
#endif

DEVICE u32 lane() { return threadIdx.x % 32; }
DEVICE u32 warp() { return threadIdx.x / 32; }
DEVICE u32 ceil_div(u32 a, u32 b) { return (a + b - 1) / b; }
template <typename T> DEVICE T least(T a, T b) { return a < b ? a : b; }
template <typename T> DEVICE T most(T a, T b) { return a > b ? a : b; }

DEVICE u32 shared_base() {
    extern __shared__ __align__(128) u8 shared_memory[];
    return static_cast<u32>(__cvta_generic_to_shared(shared_memory));
}

// ---- mbarriers (PTX ISA 9.7.13.15)

DEVICE void barrier_init(u32 barrier, u32 arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

DEVICE void publish_barriers() { asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory"); }

DEVICE void arrive(u32 barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

DEVICE void arrive_expecting(u32 barrier, u32 bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

DEVICE void wait(u32 barrier, u32 parity) {
    asm volatile(
        "{ .reg .pred done;\n"
        "AGAIN: mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
        "@!done bra AGAIN; }" ::"r"(barrier), "r"(parity) : "memory");
}

DEVICE void bulk_copy(u32 to, const void *from, u32 bytes, u32 barrier) {
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(to),
                 "l"(__cvta_generic_to_global(from)), "r"(bytes), "r"(barrier) : "memory");
}

DEVICE void bulk_store(void *to, u32 from, u32 bytes) {
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;\n"
                 "cp.async.bulk.commit_group;" ::"l"(__cvta_generic_to_global(to)), "r"(from), "r"(bytes) : "memory");
}

// Until at most the last LATER stores of this thread still read shared memory.
template <u32 LATER> DEVICE void wait_for_reads() {
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(LATER) : "memory");
}

// ---- a ring of stages

template <u32 STAGES, u32 BYTES> struct Ring {
    static constexpr u32 SHARED_BYTES = STAGES * (BYTES + 16);
    u32 base, stage, parity;

    // Every thread calls it; `fillers` arrivals fill a stage, `readers` free it.
    DEVICE Ring(u32 fillers, u32 readers) : base(shared_base()), stage(0), parity(0) {
        if (threadIdx.x == 0) {
            for (u32 s = 0; s < STAGES; ++s) {
                barrier_init(base + STAGES * BYTES + s * 8, fillers);
                barrier_init(base + STAGES * (BYTES + 8) + s * 8, readers);
            }
            publish_barriers();
        }
        __syncthreads();
    }

    DEVICE u32 address() const { return base + stage * BYTES; }
    DEVICE u32 full() const { return base + STAGES * BYTES + stage * 8; }
    DEVICE u32 empty() const { return base + STAGES * (BYTES + 8) + stage * 8; }
    DEVICE void wait_empty() const { wait(empty(), parity ^ 1); }
    DEVICE void wait_full() const { wait(full(), parity); }

    DEVICE Ring ahead(u32 by) const {
        Ring there = *this;
        there.stage += by;
        if (there.stage >= STAGES) {
            there.stage -= STAGES;
            there.parity ^= 1;
        }
        return there;
    }

    DEVICE void advance() { *this = ahead(1); }

    // A reader warp gives its next stages back, 32 at most.
    DEVICE void release(u32 count = 1) {
        __syncwarp();
        if (lane() < count) arrive(ahead(lane()).empty());
        *this = ahead(count);
    }
};

// ---- vectors of 16 bytes

DEVICE uint4 load_shared(u32 from) {
    uint4 v;
    asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "r"(from));
    return v;
}

DEVICE void store_shared(u32 to, uint4 v) {
    asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(to), "r"(v.x), "r"(v.y), "r"(v.z), "r"(v.w) : "memory");
}

DEVICE u32 load_shared_word(u32 from) {
    u32 v;
    asm volatile("ld.shared.b32 %0, [%1];" : "=r"(v) : "r"(from));
    return v;
}

DEVICE void store_shared_word(u32 to, u32 value) {
    asm volatile("st.shared.b32 [%0], %1;" ::"r"(to), "r"(value) : "memory");
}

// ---- elements: arithmetic in float32, rounded once

DEVICE float widen(u16 bits) {
    float value;
    asm("cvt.f32.f16 %0, %1;" : "=f"(value) : "h"(bits));
    return value;
}

DEVICE u32 narrow2(float low, float high) {
    u32 packed;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
    return packed;
}

template <typename T> struct Vector;

template <> struct Vector<float> {
    static constexpr u32 COUNT = 4;
    float at[4];
    DEVICE explicit Vector(uint4 v)
        : at{__uint_as_float(v.x), __uint_as_float(v.y), __uint_as_float(v.z), __uint_as_float(v.w)} {}
    DEVICE uint4 pack() const {
        return make_uint4(__float_as_uint(at[0]), __float_as_uint(at[1]), __float_as_uint(at[2]), __float_as_uint(at[3]));
    }
    // Nothing but -inf.
    DEVICE static uint4 lowest() { return make_uint4(0xff800000u, 0xff800000u, 0xff800000u, 0xff800000u); }
};

template <> struct Vector<half_t> {
    static constexpr u32 COUNT = 8;
    float at[8];
    DEVICE explicit Vector(uint4 v)
        : at{widen(v.x), widen(v.x >> 16), widen(v.y), widen(v.y >> 16), widen(v.z), widen(v.z >> 16), widen(v.w), widen(v.w >> 16)} {}
    DEVICE uint4 pack() const {
        return make_uint4(narrow2(at[0], at[1]), narrow2(at[2], at[3]), narrow2(at[4], at[5]), narrow2(at[6], at[7]));
    }
    DEVICE static uint4 lowest() { return make_uint4(0xfc00fc00u, 0xfc00fc00u, 0xfc00fc00u, 0xfc00fc00u); }
};

DEVICE float load_element(const float *from) { return *from; }
DEVICE float load_element(const half_t *from) { return widen(from->bits); }
DEVICE void store_element(float *to, float value) { *to = value; }
DEVICE void store_element(half_t *to, float value) { to->bits = static_cast<u16>(narrow2(value, 0.0f)); }

// ---- a warp's lanes together

DEVICE float lanes_sum(float value) {
    for (u32 distance = 16; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
    return value;
}

DEVICE float lanes_max(float value) {
    for (u32 distance = 16; distance > 0; distance /= 2) value = fmaxf(value, __shfl_xor_sync(~0u, value, distance));
    return value;
}
