// int4 weights times up to eight float16 vectors by hand: the twin of kernels/src/dequant_matvec.rs, and the same without roles.
//
// Twin: two teams of four warps have blocks of 16 rows each. A loader warp per team copies pieces of them, 1 KiB of each row, into the
// team's stages (four in all); the team's warps share a piece along k, give its stage back when they have its weights in registers, and
// multiply on tensor cores: integers as float16 below the smallest normal one, zeros by way of the sums of x. x and the first scales are
// asked for before any weights; scales come from global memory, read a piece ahead. A block's sums meet in shared memory, and are added
// up at the end of the next block.
// One thread block of 320 threads per multiprocessor, x in shared memory. One role: each warp reads its weights from global memory
// itself. Symmetric weights (no zeros), groups of 128 or more, k a multiple of 2048, rows of 16.

#include "pipeline.cuh"

constexpr u32 STAGES = 4, ROWS = 16, COLUMNS = 8, TEAMS = 2, TEAM_WARPS = 4, COMPUTE_WARPS = TEAMS * TEAM_WARPS, THREADS = (COMPUTE_WARPS + TEAMS) * 32;
constexpr u32 UNIT_BYTES = 64, UNITS_PER_WARP = 4, UNITS = TEAM_WARPS * UNITS_PER_WARP; // a unit is 128 numbers of a row, 32 per lane of four
constexpr u32 BYTES = UNITS * UNIT_BYTES, PITCH = BYTES + 64, STAGE = ROWS * PITCH;
constexpr u32 PLAIN_WARPS = 8, PARTIAL_BYTES = ROWS * COLUMNS * 4, SET_BYTES = TEAM_WARPS * PARTIAL_BYTES, PLAIN_BYTES = PLAIN_WARPS * PARTIAL_BYTES;
constexpr u32 X_THREADS = COMPUTE_WARPS * 32, CHUNK = 4, DEPTH = 4; // who brings x; eights of a thread at once, and how many such are under way
static_assert(PLAIN_WARPS == COMPUTE_WARPS, "x is brought by as many");

struct Job {
    const u8 *w;
    const half_t *scales, *x;
    half_t *y;
    u32 rows, bytes, groups, group_shift, batch; // bytes of a row; a group has 2 to the power of group_shift units
};

struct Four { u32 at[4]; };
struct Sums { float at[4]; };

// Integers of four bits as float16, times 2^-24: numbers below the smallest normal one. Those at the upper half-bytes come multiplied by 16.
DEVICE Four widened(u32 word) {
    const u32 above = word >> 8;
    return {word & 0x000f000f, above & 0x000f000f, word & 0x00f000f0, above & 0x00f000f0};
}

DEVICE void multiply_add(Sums &s, u32 a0, u32 a1, u32 a2, u32 a3, u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
                 : "+f"(s.at[0]), "+f"(s.at[1]), "+f"(s.at[2]), "+f"(s.at[3])
                 : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
}

// This lane's numbers of a unit of x, and what its columns' sums start at: less 8 times the sums of x.
struct Numbers {
    uint4 x[4], less;
};

// 16 rows by 128 numbers, times the scale of the row in either half.
DEVICE void add_unit(Sums &sums, uint4 low, uint4 high, const Numbers &n, float low_scale, float high_scale) {
    const u32 ls[4] = {low.x, low.y, low.z, low.w}, hs[4] = {high.x, high.y, high.z, high.w};
    Sums a = {__uint_as_float(n.less.x), __uint_as_float(n.less.y), __uint_as_float(n.less.z), __uint_as_float(n.less.w)}, b = {};
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        const Four l = widened(ls[i]), h = widened(hs[i]);
        multiply_add(a, l.at[0], h.at[0], l.at[1], h.at[1], n.x[i].x, n.x[i].y);
        multiply_add(b, l.at[2], h.at[2], l.at[3], h.at[3], n.x[i].z, n.x[i].w);
    }
    sums.at[0] = fmaf(fmaf(b.at[0], 1.0f / 16.0f, a.at[0]), low_scale, sums.at[0]);
    sums.at[1] = fmaf(fmaf(b.at[1], 1.0f / 16.0f, a.at[1]), low_scale, sums.at[1]);
    sums.at[2] = fmaf(fmaf(b.at[2], 1.0f / 16.0f, a.at[2]), high_scale, sums.at[2]);
    sums.at[3] = fmaf(fmaf(b.at[3], 1.0f / 16.0f, a.at[3]), high_scale, sums.at[3]);
}

// ---- x in shared memory

// Where x and its sums are: for each column and unit four times 64 bytes, the eights of four lanes in the order of `widened`; columns are
// 64 bytes more than a multiple of 128 apart, so that neighbouring ones are in different banks. Behind them, for each pair of columns and
// unit, 16 bytes: what their sums start at, twice.
struct Place {
    u32 x, sums, batch, pairs, units;
    DEVICE Place(u32 at, const Job &job) : x(at), batch(job.batch), pairs((job.batch + 1) / 2), units(job.bytes / UNIT_BYTES) {
        sums = x + batch * column_bytes();
    }
    DEVICE u32 column_bytes() const { return units * 256 + 64; }
    DEVICE u32 column_at(u32 unit, u32 column) const { return x + column * column_bytes() + unit * 256; }
    DEVICE u32 sums_at(u32 unit, u32 pair) const { return sums + (pair * (units + 1) + unit) * 16; }
};

DEVICE uint4 load_global(u64 from) {
    uint4 v;
    asm volatile("ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4];" : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w) : "l"(from));
    return v;
}

// Where all threads are in x: a column, and the first eight there of a chunk.
struct Spot {
    u32 column, first;
    DEVICE void step(u32 count) {
        first += CHUNK * X_THREADS;
        if (first >= count) {
            ++column;
            first = 0;
        }
    }
};

// A thread's eights of x that are under way: DEPTH times four, as far apart as there are threads.
struct Bring {
    u32 item, number, count, batch; // of its first eight, by place and in memory; eights of a column
    u64 x;
    uint4 at[DEPTH][CHUNK];
    DEVICE explicit Bring(const Job &job)
        : item(threadIdx.x), number(item / 16 * 16 + item % 4 * 4 + item / 4 % 4), count(job.bytes / 4), batch(job.batch), x(__cvta_generic_to_global(job.x)) {
        Spot spot{0, 0};
#pragma unroll
        for (u32 i = 0; i < DEPTH; ++i, spot.step(count)) read(i, spot);
    }
    DEVICE void read(u32 to, Spot spot) {
        const u32 n = number + spot.first;
        const u64 from = x + (u64(spot.column) * count + n) * 16;
#pragma unroll
        for (u32 i = 0; i < CHUNK; ++i)
            at[to][i] = spot.column < batch && n + i * X_THREADS < count ? load_global(from + i * X_THREADS * 16) : uint4{};
    }
    DEVICE void finish(const Place &place);
};

// Writes eights to their places.
DEVICE void write_x(const Place &place, u32 count, Spot spot, u32 thread, const uint4 (&v)[CHUNK]) {
    const u32 item = thread + spot.first, at = place.column_at(item / 16, spot.column) + item / 4 % 4 * 64 + item % 4 * 16;
#pragma unroll
    for (u32 i = 0; i < CHUNK; ++i)
        if (item + i * X_THREADS < count)
            store_shared(at + i * X_THREADS * 16, make_uint4(__byte_perm(v[i].x, v[i].z, 0x5410), __byte_perm(v[i].y, v[i].w, 0x5410),
                                                             __byte_perm(v[i].x, v[i].z, 0x7632), __byte_perm(v[i].y, v[i].w, 0x7632)));
}

DEVICE void Bring::finish(const Place &place) {
    Spot here{0, 0}, ahead{0, 0};
#pragma unroll
    for (u32 i = 0; i < DEPTH; ++i) ahead.step(count);
    while (here.column < batch) {
#pragma unroll
        for (u32 i = 0; i < DEPTH; ++i) {
            const uint4 now[CHUNK] = {at[i][0], at[i][1], at[i][2], at[i][3]};
            read(i, ahead);
            ahead.step(count);
            if (here.column < batch) write_x(place, count, here, item, now);
            here.step(count);
        }
    }
}

// Where this lane reads a unit: its eights, its columns' sums.
struct Cursor {
    u32 eights, sums;
    DEVICE Cursor(const Place &place, u32 unit)
        : eights(place.column_at(unit, least(lane() / 4, place.batch - 1)) + lane() % 4 * 16), sums(place.sums_at(unit, least(lane() % 4, place.pairs - 1))) {}
    DEVICE void go(u32 units) {
        eights += units * 256;
        sums += units * 16;
    }
    DEVICE Numbers load() const {
        return {{load_shared(eights), load_shared(eights + 64), load_shared(eights + 128), load_shared(eights + 192)}, load_shared(sums)};
    }
};

// What the sums of a unit's columns start at: less 8 times the sums of its x, of this lane's two columns, twice.
DEVICE uint4 sums_of_unit(const uint4 (&x)[4]) {
    constexpr u32 LESS = 0x80088008; // 8 as float16, times 2^-24, twice
    Sums a = {}, b = {};
#pragma unroll
    for (u32 i = 0; i < 4; ++i) {
        multiply_add(a, LESS, LESS, LESS, LESS, x[i].x, x[i].y);
        multiply_add(b, LESS, LESS, LESS, LESS, x[i].z, x[i].w);
    }
    return make_uint4(__float_as_uint(a.at[0] + b.at[0]), __float_as_uint(a.at[1] + b.at[1]), __float_as_uint(a.at[2] + b.at[2]), __float_as_uint(a.at[3] + b.at[3]));
}

// The sums of all units, when x stands: each warp those of every eighth one, four at once.
DEVICE void sum_up(const Place &place) {
    constexpr u32 SUMMED = 4;
    for (u32 unit = warp(); unit < place.units; unit += SUMMED * COMPUTE_WARPS) {
        uint4 sums[SUMMED];
#pragma unroll
        for (u32 i = 0; i < SUMMED; ++i) {
            const Cursor cursor(place, least(unit + i * COMPUTE_WARPS, place.units - 1));
            const uint4 x[4] = {load_shared(cursor.eights), load_shared(cursor.eights + 64), load_shared(cursor.eights + 128), load_shared(cursor.eights + 192)};
            sums[i] = sums_of_unit(x);
        }
#pragma unroll
        for (u32 i = 0; i < SUMMED; ++i)
            if (unit + i * COMPUTE_WARPS < place.units && lane() < place.pairs) store_shared(place.sums_at(unit + i * COMPUTE_WARPS, lane()), sums[i]);
    }
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
template <u32 WARPS> DEVICE void finish(const Job &job, u32 set, u32 block, u32 thread) {
    const u32 row = thread % ROWS, column = thread / ROWS;
    if (column >= job.batch) return;
    float sum = 0.0f;
    for (u32 part = 0; part < WARPS; ++part) sum += __uint_as_float(load_shared_word(set + part * PARTIAL_BYTES + (row * COLUMNS + column) * 4));
    store_element(job.y + u64(column) * job.rows + block * ROWS + row, sum * 16777216.0f);
}

// ---- the twin

// A stage in a ring of `count`, and the parity of its round.
struct Turn {
    u32 at, parity;
    DEVICE void step(u32 by, u32 count) {
        at += by;
        if (at >= count) {
            at -= count;
            parity ^= 1;
        }
    }
};

struct Shared {
    u32 stages, full, empty, meetings, sets, x;
    DEVICE explicit Shared(u32 base)
        : stages(base), full(base + STAGES * STAGE), empty(full + STAGES * 8), meetings(empty + STAGES * 8), sets(meetings + 32),
          x(sets + TEAMS * 2 * SET_BYTES) {}
};

// Whether this lane is the one that the warp elects: bulk copies take their operands from registers that the warp shares.
DEVICE bool elected() {
    u32 r;
    asm volatile("{ .reg .pred p; elect.sync _|p, 0xffffffff; selp.u32 %0, 1, 0, p; }" : "=r"(r));
    return r > 0;
}

DEVICE void load_pieces(const Job &job, const Shared &shared, u32 team) {
    Turn stage{team, 0};
    for (u32 block = blockIdx.x + team * gridDim.x; block < job.rows / ROWS; block += TEAMS * gridDim.x)
        for (u32 piece = 0; piece < job.bytes / BYTES; ++piece) {
            const u32 full = shared.full + stage.at * 8;
            wait(shared.empty + stage.at * 8, stage.parity ^ 1);
            if (elected()) {
                const u8 *from = job.w + u64(block * ROWS) * job.bytes + piece * BYTES;
                u32 to = shared.stages + stage.at * STAGE;
                arrive_expecting(full, ROWS * BYTES);
#pragma unroll
                for (u32 row = 0; row < ROWS; ++row, from += job.bytes, to += PITCH) bulk_copy(to, from, BYTES, full);
            }
            __syncwarp();
            stage.step(TEAMS, STAGES);
        }
}

DEVICE u32 load_global_half(u64 from) {
    u32 v;
    asm volatile("ld.global.nc.u16 %0, [%1];" : "=r"(v) : "l"(from));
    return v;
}

// Of four lanes that share a row, each reads the scale of one unit of this warp's, a piece ahead. Behind the last block of rows, those of
// the last one.
struct Scales {
    u64 row, eight, block;
    u32 unit, shift, piece, pieces, blocks_left, low, high;
    DEVICE Scales(const Job &job, u32 team, u32 part)
        : row(__cvta_generic_to_global(job.scales) + (u64(least((blockIdx.x + team * gridDim.x) * ROWS, job.rows - ROWS)) + lane() / 4) * job.groups * 2),
          eight(u64(job.groups) * 16), block(u64(TEAMS * gridDim.x) * ROWS * job.groups * 2), unit(part * UNITS_PER_WARP + lane() % 4),
          shift(job.group_shift), piece(0), pieces(job.bytes / BYTES) {
        const u32 first = blockIdx.x + team * gridDim.x, blocks = job.rows / ROWS;
        blocks_left = first < blocks ? (blocks - 1 - first) / (TEAMS * gridDim.x) : 0;
        read();
    }
    DEVICE void read() {
        const u64 at = row + u64((piece * UNITS + unit) >> shift) * 2;
        low = load_global_half(at);
        high = load_global_half(at + eight);
    }
    // Reads those of the next piece.
    DEVICE void go_on() {
        if (++piece == pieces) {
            piece = 0;
            if (blocks_left > 0) {
                --blocks_left;
                row += block;
            }
        }
        read();
    }
};

// Every lane arrives for itself.
DEVICE void leave_and_meet(const Sums &sums, u32 set, u32 part, u32 barrier) {
    leave(sums, set + part * PARTIAL_BYTES);
    arrive(barrier);
}

// A warp's units of a piece. The stage is given back, at `empty`, when they have been read.
DEVICE void add_piece(Sums &sums, Cursor &x, u32 row, Scales &scales, u32 empty) {
    // All scales are taken before the next ones are asked for, whose registers ptxas otherwise moves in front of the products: a move waits
    // for what is loaded. With registers for one block per multiprocessor (see the bounds below), it asks for them before the products.
    u32 low_scales[UNITS_PER_WARP], high_scales[UNITS_PER_WARP];
#pragma unroll
    for (u32 unit = 0; unit < UNITS_PER_WARP; ++unit) {
        low_scales[unit] = __shfl_sync(~0u, scales.low, lane() / 4 * 4 + unit);
        high_scales[unit] = __shfl_sync(~0u, scales.high, lane() / 4 * 4 + unit);
    }
    scales.go_on();
    uint4 lows[UNITS_PER_WARP], highs[UNITS_PER_WARP];
#pragma unroll
    for (u32 unit = 0; unit < UNITS_PER_WARP; ++unit) {
        lows[unit] = load_shared(row + unit * UNIT_BYTES);
        highs[unit] = load_shared(row + unit * UNIT_BYTES + 8 * PITCH);
    }
    arrive(empty);
#pragma unroll
    for (u32 unit = 0; unit < UNITS_PER_WARP; ++unit) {
        const float low_scale = widen(static_cast<u16>(low_scales[unit])), high_scale = widen(static_cast<u16>(high_scales[unit]));
        add_unit(sums, lows[unit], highs[unit], x.load(), low_scale, high_scale);
        x.go(unit + 1 < UNITS_PER_WARP ? 1 : UNITS - UNITS_PER_WARP + 1);
    }
}

DEVICE void multiply_pieces(const Job &job, const Shared &shared, Bring &bring, Scales &scales) {
    const u32 team = warp() / TEAM_WARPS, part = warp() % TEAM_WARPS, pieces = job.bytes / BYTES, blocks = job.rows / ROWS;
    const u32 first = blockIdx.x + team * gridDim.x, step = TEAMS * gridDim.x, meeting = shared.meetings + team * 8;
    const Place place(shared.x, job);
    bring.finish(place);
    arrive(shared.meetings + TEAMS * 8);
    wait(shared.meetings + TEAMS * 8, 0);
    sum_up(place);
    arrive(shared.meetings + TEAMS * 8);
    wait(shared.meetings + TEAMS * 8, 1);
    const Cursor start(place, part * UNITS_PER_WARP);
    const u32 lane_at = shared.stages + lane() / 4 * PITCH + part * UNITS_PER_WARP * UNIT_BYTES + lane() % 4 * 16;
    Turn stage{team, 0};
    u32 parity = 0;
    for (u32 block = first;; block += step, parity ^= 1) {
        Sums sums = {};
        Cursor x = start;
        for (u32 piece = 0; block < blocks && piece < pieces; ++piece) {
            wait(shared.full + stage.at * 8, stage.parity);
            add_piece(sums, x, lane_at + stage.at * STAGE, scales, shared.empty + stage.at * 8);
            stage.step(TEAMS, STAGES);
        }
        const u32 sets = shared.sets + team * 2 * SET_BYTES;
        if (block != first) {
            wait(meeting, parity ^ 1);
            finish<TEAM_WARPS>(job, sets + (parity ^ 1) * SET_BYTES, block - step, part * 32 + lane());
        }
        if (block >= blocks) return;
        leave_and_meet(sums, sets + parity * SET_BYTES, part, meeting);
    }
}

DEVICE void init_barriers(const Shared &shared) {
    if (threadIdx.x == 0) {
        for (u32 stage = 0; stage < STAGES; ++stage) {
            barrier_init(shared.full + stage * 8, 1);
            barrier_init(shared.empty + stage * 8, TEAM_WARPS * 32);
        }
        for (u32 team = 0; team < TEAMS; ++team) barrier_init(shared.meetings + team * 8, TEAM_WARPS * 32);
        barrier_init(shared.meetings + TEAMS * 8, COMPUTE_WARPS * 32);
        publish_barriers();
    }
    __syncthreads();
}

DEVICE void matvec_twin(const Job &job) {
    const Shared shared(shared_base());
    if (warp() < COMPUTE_WARPS) {
        // Before any weights: behind those of all thread blocks, x and the first scales would come late.
        Bring bring(job);
        Scales scales(job, warp() / TEAM_WARPS, warp() % TEAM_WARPS);
        init_barriers(shared);
        multiply_pieces(job, shared, bring, scales);
    } else {
        init_barriers(shared);
        load_pieces(job, shared, warp() - COMPUTE_WARPS);
    }
}

// ---- one role

// Four lanes have 64 bytes of a row, 128 numbers; which of them a lane has is the same for w and for x.
DEVICE void matvec_plain(const Job &job) {
    const u32 sets = shared_base(), quarter = lane() % 4;
    const Place place(sets + 2 * PLAIN_BYTES, job);
    Bring(job).finish(place);
    __syncthreads();
    sum_up(place);
    __syncthreads();
    u32 turn = 0;
    for (u32 block = blockIdx.x; block < job.rows / ROWS; block += gridDim.x, turn ^= 1) {
        const u32 row = block * ROWS + lane() / 4;
        const uint4 *w = reinterpret_cast<const uint4 *>(job.w) + u64(row) * (job.bytes / 16);
        const half_t *scales = job.scales + u64(row) * job.groups;
        Sums sums = {};
#pragma unroll 4
        for (u32 unit = warp(); unit < job.bytes / UNIT_BYTES; unit += PLAIN_WARPS) {
            const uint4 low = __ldg(w + unit * 4 + quarter), high = __ldg(w + 8 * u64(job.bytes / 16) + unit * 4 + quarter);
            const u32 group = unit >> job.group_shift;
            add_unit(sums, low, high, Cursor(place, unit).load(), load_element(scales + group), load_element(scales + 8 * u64(job.groups) + group));
        }
        leave(sums, sets + turn * PLAIN_BYTES + warp() * PARTIAL_BYTES);
        __syncthreads();
        finish<PLAIN_WARPS>(job, sets + turn * PLAIN_BYTES, block, threadIdx.x);
    }
}

#define PARAMETERS const u8 *w, const half_t *scales, const half_t *x, half_t *y, u32 rows, u32 numbers, u32 groups, u32 batch
#define JOB Job{w, scales, x, y, rows, numbers / 2, groups, 31 - static_cast<u32>(__clz(numbers / 128 / groups)), batch}

extern "C" __global__ void __launch_bounds__(THREADS, 1) dequant_matvec_w4_f16_twin(PARAMETERS) { matvec_twin(JOB); }
extern "C" __global__ void __launch_bounds__(256) dequant_matvec_w4_f16_plain(PARAMETERS) { matvec_plain(JOB); }
