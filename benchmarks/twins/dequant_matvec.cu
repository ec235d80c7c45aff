// int4 weights times up to eight float16 vectors by hand: the twin of kernels/src/dequant_matvec.rs, and the same without roles.
//
// Twin: one warp copies 16 rows of w, 1 KiB of each at a time, with their scales into four stages; eight warps share a stage along k,
// turn integers into exact float16 and multiply on tensor cores; per 16 rows their sums meet in shared memory. One block of 288
// threads per multiprocessor, x in shared memory. One role: each warp reads its weights from global memory itself. Symmetric
// weights (no zeros), groups of 128 or more, k a multiple of 128, rows of 16.

#include "pipeline.cuh"

constexpr u32 CHUNK = 1024, PITCH = CHUNK + 16, ROWS = 16, COLUMNS = 8, STAGES = 4, COMPUTE_WARPS = 8;
constexpr u32 STEP_BYTES = 16, CHUNK_STEPS = CHUNK / STEP_BYTES, UNIT = 4; // a step is 32 numbers of a row
constexpr u32 SCALES_AT = ROWS * (CHUNK + 32), SCALES_PITCH = 144, STAGE = SCALES_AT + ROWS * (144 + 80);
constexpr u32 SET_BYTES = COMPUTE_WARPS * ROWS * COLUMNS * 4;

struct Job {
    const u8 *w;
    const half_t *scales, *x;
    half_t *y;
    u32 rows, steps, groups, group_shift, batch;
};

struct Four { u32 at[4]; };
struct Sums { float at[4]; };

// Integers of four bits, less 8, as float16: 1024 and more, less 1032; those at the upper half-bytes come multiplied by 16.
DEVICE Four widened(u32 word) {
    const auto near = [](u32 v) {
        u32 r;
        asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"((v & 0x000f000f) | 0x64006400), "r"(0x64086408));
        return r;
    };
    const auto far = [](u32 v) {
        u32 r;
        asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"((v & 0x00f000f0) | 0x64006400), "r"(0x2c002c00), "r"(0xd480d480));
        return r;
    };
    return {near(word), far(word), near(word >> 8), far(word >> 8)};
}

DEVICE void multiply_add(Sums &s, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(s.at[0]), "+f"(s.at[1]), "+f"(s.at[2]), "+f"(s.at[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// 16 rows by 32 numbers.
DEVICE void add_step(Sums &a, Sums &b, u32 low, u32 high, uint4 x) {
    const Four l = widened(low), h = widened(high);
    multiply_add(a, l.at[0], h.at[0], l.at[1], h.at[1], x.x, x.y);
    multiply_add(b, l.at[2], h.at[2], l.at[3], h.at[3], x.z, x.w);
}

// Adds a group's sums, times the scale of the row in either half.
DEVICE void add_group(Sums &sums, const Sums &a, const Sums &b, float low, float high) {
    sums.at[0] = fmaf(a.at[0] + b.at[0], low, sums.at[0]);
    sums.at[1] = fmaf(a.at[1] + b.at[1], low, sums.at[1]);
    sums.at[2] = fmaf(a.at[2] + b.at[2], high, sums.at[2]);
    sums.at[3] = fmaf(a.at[3] + b.at[3], high, sums.at[3]);
}

// x to shared memory, in the order of `widened`: pairs four apart.
DEVICE void bring_x(const Job &job, u32 place, u32 thread, u32 threads) {
    for (u32 quarter = thread; quarter < job.steps * job.batch * 4; quarter += threads) {
        const u32 step = quarter / 4 / job.batch, column = quarter / 4 - step * job.batch;
        const uint4 v = __ldg(reinterpret_cast<const uint4 *>(job.x) + (u64(column) * job.steps + step) * 4 + quarter % 4);
        const u32 to = place + quarter * 16;
        store_shared_word(to, __byte_perm(v.x, v.z, 0x5410));
        store_shared_word(to + 4, __byte_perm(v.x, v.z, 0x7632));
        store_shared_word(to + 8, __byte_perm(v.y, v.w, 0x5410));
        store_shared_word(to + 12, __byte_perm(v.y, v.w, 0x7632));
    }
}

DEVICE u32 x_at(const Job &job, u32 place, u32 step, u32 quarter) {
    return place + (step * job.batch + least(lane() / 4, job.batch - 1)) * 64 + quarter * 16;
}

// This lane's sums go to the warp's part of the set, by row and column.
DEVICE void leave(const Sums &sums, u32 set, u32 warp_in_team) {
    const u32 at = set + warp_in_team * ROWS * COLUMNS * 4 + (lane() / 4 * COLUMNS + lane() % 4 * 2) * 4;
    store_shared_word(at, __float_as_uint(sums.at[0]));
    store_shared_word(at + 4, __float_as_uint(sums.at[1]));
    store_shared_word(at + 8 * COLUMNS * 4, __float_as_uint(sums.at[2]));
    store_shared_word(at + 8 * COLUMNS * 4 + 4, __float_as_uint(sums.at[3]));
}

// The warps' sums together, and out.
DEVICE void finish(const Job &job, u32 set, u32 first_row, u32 thread) {
    const u32 row = thread % ROWS, column = thread / ROWS;
    if (column >= job.batch) return;
    float sum = 0.0f;
    for (u32 w = 0; w < COMPUTE_WARPS; ++w)
        sum += __uint_as_float(load_shared_word(set + ((w * ROWS + row) * COLUMNS + column) * 4));
    store_element(job.y + u64(column) * job.rows + first_row + row, sum);
}

DEVICE float scale_of(u16 bits) { return widen(bits); }

DEVICE u16 load_shared_half(u32 from) {
    u16 v;
    asm volatile("ld.shared.b16 %0, [%1];" : "=h"(v) : "r"(from));
    return v;
}

// ---- the twin

struct Meeting {
    u32 base, parity;
    DEVICE u32 set() const { return base + 16 + parity * SET_BYTES; }
    DEVICE void meet() {
        __syncwarp();
        if (lane() == 0) arrive(base);
        wait(base, parity);
        parity ^= 1;
    }
};

DEVICE void load_stage(const Job &job, u32 stage, u32 full, u32 first_row, u32 first_step, u32 steps) {
    // Lanes 0 to 15 bring weights, the others scales, with the bytes around them that make units of 16.
    const u32 row = lane() % ROWS, first_group = first_step >> job.group_shift;
    u64 from, end;
    u32 to;
    if (lane() < ROWS) {
        from = reinterpret_cast<u64>(job.w) + (u64(first_row + row) * job.steps + first_step) * STEP_BYTES;
        end = from + steps * STEP_BYTES;
        to = stage + row * PITCH;
    } else {
        const u32 groups = ((first_step + steps - 1) >> job.group_shift) - first_group + 1;
        const u64 first = reinterpret_cast<u64>(job.scales) + (u64(first_row + row) * job.groups + first_group) * 2;
        from = first & ~15ull;
        end = (first + groups * 2 + 15) & ~15ull;
        to = stage + SCALES_AT + row * SCALES_PITCH;
    }
    arrive_expecting(full, u32(end - from));
    bulk_copy(to, reinterpret_cast<const void *>(from), u32(end - from), full);
}

DEVICE void multiply_unit(const Job &job, u32 stage, u32 place, u32 first_row, u32 first_step, u32 unit, Sums &sums) {
    const u32 row = lane() / 4, quarter = lane() % 4;
    u32 low[UNIT], high[UNIT];
    uint4 x[UNIT];
    for (u32 i = 0; i < UNIT; ++i) {
        const u32 at = stage + row * PITCH + (unit * UNIT + i) * STEP_BYTES + quarter * 4;
        low[i] = load_shared_word(at);
        high[i] = load_shared_word(at + 8 * PITCH);
        x[i] = load_shared(x_at(job, place, first_step + unit * UNIT + i, quarter));
    }
    Sums a = {}, b = {};
    for (u32 i = 0; i < UNIT; ++i) add_step(a, b, low[i], high[i], x[i]);
    const u32 first_group = first_step >> job.group_shift, group = (first_step + unit * UNIT) >> job.group_shift;
    const auto scale = [&](u32 r) {
        const u32 skew = u32(reinterpret_cast<u64>(job.scales) + (u64(first_row + r) * job.groups + first_group) * 2) % 16;
        return scale_of(load_shared_half(stage + SCALES_AT + r * SCALES_PITCH + skew + (group - first_group) * 2));
    };
    add_group(sums, a, b, scale(row), scale(row + 8));
}

DEVICE void matvec_twin(const Job &job) {
    const u32 extra = shared_base() + Ring<STAGES, STAGE>::SHARED_BYTES, place = extra + 16 + 2 * SET_BYTES;
    Meeting meeting{extra, 0};
    if (threadIdx.x == 0) barrier_init(extra, COMPUTE_WARPS);
    Ring<STAGES, STAGE> ring(32, COMPUTE_WARPS);
    const u32 blocks = job.rows / ROWS;
    if (warp() == 0) {
        for (u32 block = blockIdx.x; block < blocks; block += gridDim.x)
            for (u32 first = 0; first < job.steps; first += CHUNK_STEPS) {
                ring.wait_empty();
                load_stage(job, ring.address(), ring.full(), block * ROWS, first, least(job.steps - first, CHUNK_STEPS));
                ring.advance();
            }
        return;
    }
    const u32 thread = threadIdx.x - 32, in_team = warp() - 1;
    bring_x(job, place, thread, COMPUTE_WARPS * 32);
    meeting.meet();
    for (u32 block = blockIdx.x; block < blocks; block += gridDim.x) {
        Sums sums = {};
        for (u32 first = 0; first < job.steps; first += CHUNK_STEPS) {
            const u32 units = least(job.steps - first, CHUNK_STEPS) / UNIT;
            ring.wait_full();
            for (u32 unit = in_team; unit < units; unit += COMPUTE_WARPS)
                multiply_unit(job, ring.address(), place, block * ROWS, first, unit, sums);
            ring.release();
        }
        const u32 set = meeting.set();
        leave(sums, set, in_team);
        meeting.meet();
        finish(job, set, block * ROWS, thread);
    }
}

// ---- one role

// Four lanes have 64 bytes of a row, 128 numbers; which of them a lane has is the same for w and for x.
DEVICE void matvec_plain(const Job &job) {
    const u32 sets = shared_base(), place = sets + 2 * SET_BYTES, quarter = lane() % 4;
    bring_x(job, place, threadIdx.x, blockDim.x);
    __syncthreads();
    u32 turn = 0;
    for (u32 block = blockIdx.x; block < job.rows / ROWS; block += gridDim.x, turn ^= 1) {
        const u32 row = block * ROWS + lane() / 4;
        const uint4 *w = reinterpret_cast<const uint4 *>(job.w) + u64(row) * job.steps;
        const half_t *scales = job.scales + u64(row) * job.groups;
        Sums sums = {};
#pragma unroll 4
        for (u32 first = warp() * UNIT; first < job.steps; first += COMPUTE_WARPS * UNIT) {
            const uint4 low = __ldg(w + first + quarter), high = __ldg(w + 8 * u64(job.steps) + first + quarter);
            const u32 ls[4] = {low.x, low.y, low.z, low.w}, hs[4] = {high.x, high.y, high.z, high.w};
            Sums a = {}, b = {};
            for (u32 i = 0; i < 4; ++i) add_step(a, b, ls[i], hs[i], load_shared(x_at(job, place, first + quarter, i)));
            const u32 group = first >> job.group_shift;
            add_group(sums, a, b, load_element(scales + group), load_element(scales + 8 * u64(job.groups) + group));
        }
        leave(sums, sets + turn * SET_BYTES, warp());
        __syncthreads();
        finish(job, sets + turn * SET_BYTES, block * ROWS, threadIdx.x);
    }
}

#define PARAMETERS const u8 *w, const half_t *scales, const half_t *x, half_t *y, u32 rows, u32 numbers, u32 groups, u32 batch
#define JOB Job{w, scales, x, y, rows, numbers / 32, groups, 31 - static_cast<u32>(__clz(numbers / 32 / groups)), batch}

extern "C" __global__ void __launch_bounds__(288) dequant_matvec_w4_f16_twin(PARAMETERS) { matvec_twin(JOB); }
extern "C" __global__ void __launch_bounds__(256) dequant_matvec_w4_f16_plain(PARAMETERS) { matvec_plain(JOB); }
