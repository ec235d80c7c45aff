// int4 weights times up to eight float16 vectors by hand: the twin of kernels/src/dequant_matvec.rs, and the same without roles.
//
// Twin: two teams of eight warps have blocks of 16 rows each. Two loader warps per team copy pieces of them, 1 KiB of each row, into the
// team's stages in turn (eight in all; four where x is long); the team's warps share a piece along k, turn integers into exact float16 and multiply on tensor cores. Scales come
// from global memory, read a piece ahead. Per 16 rows the team's sums meet in shared memory. One block of 640 threads per
// multiprocessor, x in shared memory. One role: each warp reads its weights from global memory itself. Symmetric weights (no zeros),
// groups of 128 or more, k a multiple of 2048, rows of 16.

#include "pipeline.cuh"

constexpr u32 ROWS = 16, COLUMNS = 8, LOADERS = 4, TEAMS = 2, TEAM_WARPS = 8, COMPUTE_WARPS = TEAMS * TEAM_WARPS;
constexpr u32 UNIT_BYTES = 64, UNITS_PER_WARP = 2, UNITS = TEAM_WARPS * UNITS_PER_WARP; // a unit is 128 numbers of a row, 32 per lane of four
constexpr u32 BYTES = UNITS * UNIT_BYTES, PITCH = BYTES + 64, STAGE = ROWS * PITCH;
constexpr u32 PARTIAL_BYTES = ROWS * COLUMNS * 4, SET_BYTES = TEAM_WARPS * PARTIAL_BYTES;
constexpr u32 PLAIN_WARPS = 8;
static_assert(PLAIN_WARPS == TEAM_WARPS, "finish() adds up as many shares in both");

struct Job {
    const u8 *w;
    const half_t *scales, *x;
    half_t *y;
    u32 rows, bytes, groups, group_shift, batch; // bytes of a row; a group has 2 to the power of group_shift units
};

struct Four { u32 at[4]; };
struct Sums { float at[4]; };

// Integers of four bits, less 8, as float16: 1024 and more, less 1032; those at the upper half-bytes come multiplied by 16.
DEVICE Four widened(u32 word) {
    const auto masked = [](u32 v, u32 mask) {
        u32 r;
        asm("lop3.b32 %0, %1, %2, %3, 0xea;" : "=r"(r) : "r"(v), "r"(mask), "r"(0x64006400));
        return r;
    };
    const auto near = [&](u32 v) {
        u32 r;
        asm("sub.rn.f16x2 %0, %1, %2;" : "=r"(r) : "r"(masked(v, 0x000f000f)), "r"(0x64086408));
        return r;
    };
    const auto far = [&](u32 v) {
        u32 r;
        asm("fma.rn.f16x2 %0, %1, %2, %3;" : "=r"(r) : "r"(masked(v, 0x00f000f0)), "r"(0x2c002c00), "r"(0xd480d480));
        return r;
    };
    return {near(word), far(word), near(word >> 8), far(word >> 8)};
}

DEVICE void multiply_add(Sums &s, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(s.at[0]), "+f"(s.at[1]), "+f"(s.at[2]), "+f"(s.at[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// 16 rows by 128 numbers, times the scale of the row in either half.
DEVICE void add_unit(Sums &sums, uint4 low, uint4 high, const uint4 *x, float low_scale, float high_scale) {
    const u32 ls[4] = {low.x, low.y, low.z, low.w}, hs[4] = {high.x, high.y, high.z, high.w};
    Sums a = {}, b = {};
    for (u32 i = 0; i < 4; ++i) {
        const Four l = widened(ls[i]), h = widened(hs[i]);
        multiply_add(a, l.at[0], h.at[0], l.at[1], h.at[1], x[i].x, x[i].y);
        multiply_add(b, l.at[2], h.at[2], l.at[3], h.at[3], x[i].z, x[i].w);
    }
    sums.at[0] = fmaf(a.at[0] + b.at[0], low_scale, sums.at[0]);
    sums.at[1] = fmaf(a.at[1] + b.at[1], low_scale, sums.at[1]);
    sums.at[2] = fmaf(a.at[2] + b.at[2], high_scale, sums.at[2]);
    sums.at[3] = fmaf(a.at[3] + b.at[3], high_scale, sums.at[3]);
}

// x to shared memory: for each unit and column four times 64 bytes, the eights of four lanes in the order of `widened`. Odd columns have
// each two the other way round, so that neighbouring columns are in different banks.
DEVICE void bring_x(const Job &job, u32 place, u32 thread, u32 threads) {
    const u32 eights = job.bytes / 4;
    for (u32 item = thread; item < eights * job.batch; item += threads) {
        const u32 lane = item % 4, eight = item / 4 % 4, unit = item / 16 / job.batch, column = item / 16 - unit * job.batch;
        const uint4 v = __ldg(reinterpret_cast<const uint4 *>(job.x) + u64(column) * eights + unit * 16 + lane * 4 + eight);
        const u32 to = place + (unit * job.batch + column) * 256 + (eight ^ column % 2) * 64 + lane * 16;
        store_shared_word(to, __byte_perm(v.x, v.z, 0x5410));
        store_shared_word(to + 4, __byte_perm(v.x, v.z, 0x7632));
        store_shared_word(to + 8, __byte_perm(v.y, v.w, 0x5410));
        store_shared_word(to + 12, __byte_perm(v.y, v.w, 0x7632));
    }
}

// This lane's numbers of a unit.
DEVICE void load_x(const Job &job, u32 place, u32 unit, uint4 *x) {
    const u32 column = least(lane() / 4, job.batch - 1), turn = column % 2 * 64;
    const u32 at = place + (unit * job.batch + column) * 256 + lane() % 4 * 16;
    x[0] = load_shared(at + turn);
    x[1] = load_shared(at + 64 - turn);
    x[2] = load_shared(at + 128 + turn);
    x[3] = load_shared(at + 192 - turn);
}

// This lane's sums go to `to`, by row and column.
DEVICE void leave(const Sums &sums, u32 to) {
    const u32 at = to + (lane() / 4 * COLUMNS + lane() % 4 * 2) * 4;
    store_shared_word(at, __float_as_uint(sums.at[0]));
    store_shared_word(at + 4, __float_as_uint(sums.at[1]));
    store_shared_word(at + 8 * COLUMNS * 4, __float_as_uint(sums.at[2]));
    store_shared_word(at + 8 * COLUMNS * 4 + 4, __float_as_uint(sums.at[3]));
}

// The warps' sums together, and out.
DEVICE void finish(const Job &job, u32 set, u32 block, u32 thread) {
    const u32 row = thread % ROWS, column = thread / ROWS;
    if (column >= job.batch) return;
    float sum = 0.0f;
    for (u32 part = 0; part < TEAM_WARPS; ++part) sum += __uint_as_float(load_shared_word(set + part * PARTIAL_BYTES + (row * COLUMNS + column) * 4));
    store_element(job.y + u64(column) * job.rows + block * ROWS + row, sum);
}

// ---- the twin

// A place in a ring of `count`, and the parity of its round.
struct Place {
    u32 at, parity;
    DEVICE void step(u32 by, u32 count) {
        at += by;
        if (at >= count) {
            at -= count;
            parity ^= 1;
        }
    }
};

template <u32 STAGES> struct Shared {
    u32 stages, full, empty, meetings, sets, x;
    DEVICE explicit Shared(u32 base)
        : stages(base), full(base + STAGES * STAGE), empty(full + STAGES * 8), meetings(empty + STAGES * 8), sets(meetings + 32),
          x(sets + TEAMS * 2 * SET_BYTES) {}
};

template <u32 STAGES> DEVICE void load_pieces(const Job &job, const Shared<STAGES> &shared, u32 number) {
    const u32 team = number % TEAMS, row = lane() % ROWS;
    Place place{number, 0};
    u32 others = number / TEAMS;
    for (u32 block = blockIdx.x + team * gridDim.x; block < job.rows / ROWS; block += TEAMS * gridDim.x)
        for (u32 piece = 0; piece < job.bytes / BYTES; ++piece) {
            if (others > 0) {
                --others;
                continue;
            }
            others = LOADERS / TEAMS - 1;
            const u32 full = shared.full + place.at * 8;
            wait(shared.empty + place.at * 8, place.parity ^ 1);
            if (lane() == 0) arrive_expecting(full, ROWS * BYTES);
            __syncwarp();
            const u8 *from = job.w + u64(block * ROWS + row) * job.bytes + piece * BYTES;
            if (lane() < ROWS) bulk_copy(shared.stages + place.at * STAGE + row * PITCH, from, BYTES, full);
            place.step(LOADERS, STAGES);
        }
}

DEVICE u32 load_global_half(const half_t *from) {
    u32 v;
    asm volatile("ld.global.nc.u16 %0, [%1];" : "=r"(v) : "l"(__cvta_generic_to_global(from)));
    return v;
}

struct Scales { u32 low, high; };

// Of four lanes that share a row, two read the scale of one unit of this warp's, and two that of the other. Behind the last block of
// rows, those of the last one.
DEVICE Scales read_scales(const Job &job, u32 block, u32 piece, u32 part) {
    const u32 row = least(block * ROWS, job.rows - ROWS) + lane() / 4, unit = piece * UNITS + part * UNITS_PER_WARP + lane() % UNITS_PER_WARP;
    const half_t *from = job.scales + u64(row) * job.groups + (unit >> job.group_shift);
    return {load_global_half(from), load_global_half(from + 8 * u64(job.groups))};
}

DEVICE void meet(u32 barrier, u32 parity) {
    __syncwarp();
    if (lane() == 0) arrive(barrier);
    wait(barrier, parity);
}

template <u32 STAGES> DEVICE void multiply_pieces(const Job &job, const Shared<STAGES> &shared) {
    const u32 team = warp() / TEAM_WARPS, part = warp() % TEAM_WARPS, pieces = job.bytes / BYTES;
    const u32 first = blockIdx.x + team * gridDim.x, step = TEAMS * gridDim.x;
    Scales scales = read_scales(job, first, 0, part);
    bring_x(job, shared.x, threadIdx.x, COMPUTE_WARPS * 32);
    meet(shared.meetings + TEAMS * 8, 0);
    Place stage{team, 0};
    u32 parity = 0;
    for (u32 block = first; block < job.rows / ROWS; block += step, parity ^= 1) {
        Sums sums = {};
        for (u32 piece = 0; piece < pieces; ++piece) {
            wait(shared.full + stage.at * 8, stage.parity);
            const Scales mine = scales;
            scales = piece + 1 < pieces ? read_scales(job, block, piece + 1, part) : read_scales(job, block + step, 0, part);
            const u32 row = shared.stages + stage.at * STAGE + lane() / 4 * PITCH + part * UNITS_PER_WARP * UNIT_BYTES + lane() % 4 * 16;
            uint4 low[UNITS_PER_WARP], high[UNITS_PER_WARP], x[4];
#pragma unroll
            for (u32 unit = 0; unit < UNITS_PER_WARP; ++unit) {
                low[unit] = load_shared(row + unit * UNIT_BYTES);
                high[unit] = load_shared(row + unit * UNIT_BYTES + 8 * PITCH);
            }
#pragma unroll
            for (u32 unit = 0; unit < UNITS_PER_WARP; ++unit) {
                load_x(job, shared.x, piece * UNITS + part * UNITS_PER_WARP + unit, x);
                const u32 from = lane() / 4 * 4 + unit;
                add_unit(sums, low[unit], high[unit], x, widen(__shfl_sync(~0u, mine.low, from)), widen(__shfl_sync(~0u, mine.high, from)));
            }
            __syncwarp();
            if (lane() == 0) arrive(shared.empty + stage.at * 8);
            stage.step(TEAMS, STAGES);
        }
        const u32 set = shared.sets + (team * 2 + parity) * SET_BYTES;
        leave(sums, set + part * PARTIAL_BYTES);
        meet(shared.meetings + team * 8, parity);
        finish(job, set, block, part * 32 + lane());
    }
}

template <u32 STAGES> DEVICE void matvec_twin(const Job &job) {
    const Shared<STAGES> shared(shared_base());
    if (threadIdx.x == 0) {
        for (u32 stage = 0; stage < STAGES; ++stage) {
            barrier_init(shared.full + stage * 8, 1);
            barrier_init(shared.empty + stage * 8, TEAM_WARPS);
        }
        for (u32 team = 0; team < TEAMS; ++team) barrier_init(shared.meetings + team * 8, TEAM_WARPS);
        barrier_init(shared.meetings + TEAMS * 8, COMPUTE_WARPS);
        publish_barriers();
    }
    __syncthreads();
    if (warp() < COMPUTE_WARPS)
        multiply_pieces(job, shared);
    else
        load_pieces(job, shared, warp() - COMPUTE_WARPS);
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
        const uint4 *w = reinterpret_cast<const uint4 *>(job.w) + u64(row) * (job.bytes / 16);
        const half_t *scales = job.scales + u64(row) * job.groups;
        Sums sums = {};
#pragma unroll 4
        for (u32 unit = warp(); unit < job.bytes / UNIT_BYTES; unit += PLAIN_WARPS) {
            uint4 x[4];
            const uint4 low = __ldg(w + unit * 4 + quarter), high = __ldg(w + 8 * u64(job.bytes / 16) + unit * 4 + quarter);
            const u32 group = unit >> job.group_shift;
            load_x(job, place, unit, x);
            add_unit(sums, low, high, x, load_element(scales + group), load_element(scales + 8 * u64(job.groups) + group));
        }
        leave(sums, sets + turn * SET_BYTES + warp() * PARTIAL_BYTES);
        __syncthreads();
        finish(job, sets + turn * SET_BYTES, block, threadIdx.x);
    }
}

#define PARAMETERS const u8 *w, const half_t *scales, const half_t *x, half_t *y, u32 rows, u32 numbers, u32 groups, u32 batch
#define JOB Job{w, scales, x, y, rows, numbers / 2, groups, 31 - static_cast<u32>(__clz(numbers / 128 / groups)), batch}

extern "C" __global__ void __launch_bounds__(640) dequant_matvec_w4_f16_twin(PARAMETERS) { matvec_twin<8>(JOB); }
extern "C" __global__ void __launch_bounds__(640) dequant_matvec_w4_f16_long_twin(PARAMETERS) { matvec_twin<4>(JOB); }
extern "C" __global__ void __launch_bounds__(256) dequant_matvec_w4_f16_plain(PARAMETERS) { matvec_plain(JOB); }
