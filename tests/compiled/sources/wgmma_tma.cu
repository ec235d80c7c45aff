// A warp-specialised Hopper matrix product: one warp group feeds a ring by tensor copies, two multiply by wgmma.
// Exercises: everything at once: swizzled cp.async.bulk.tensor, mbarrier ring, setmaxnreg, wgmma from shared memory with
// groups left in flight, persistent tiles, named barriers, a tensor store, the launch bounds that setmaxnreg needs.

#include <cuda.h>
#include <cuda/ptx>
#include <cuda_fp16.h>
#include <stdint.h>

namespace ptx = cuda::ptx;

constexpr int BM = 128, BN = 128, BK = 64, STAGES = 3;

struct Stage {
    __half a[BM * BK];
    __half b[BN * BK];
};

struct Shared {
    Stage stage[STAGES];
    __half out[BM * BN];
    uint64_t full[STAGES], empty[STAGES];
};

__device__ void wait_for(uint64_t *barrier, uint32_t parity)
{
    while (!ptx::mbarrier_try_wait_parity(barrier, parity))
        ;
}

__device__ uint64_t descriptor(const __half *tile)
{
    const uint64_t address = __cvta_generic_to_shared(tile);
    return (address & 0x3FFFF) >> 4 | 1ull << 16 | (uint64_t)(1024 >> 4) << 32 | 1ull << 62;
}

__device__ void wgmma(float (&d)[64], uint64_t a, uint64_t b, int accumulate)
{
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %66, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31, "
        "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "
        "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63}, "
        "%64, %65, p, 1, 1, 0, 0;\n}"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
          "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
          "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
          "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31]),
          "+f"(d[32]), "+f"(d[33]), "+f"(d[34]), "+f"(d[35]), "+f"(d[36]), "+f"(d[37]), "+f"(d[38]), "+f"(d[39]),
          "+f"(d[40]), "+f"(d[41]), "+f"(d[42]), "+f"(d[43]), "+f"(d[44]), "+f"(d[45]), "+f"(d[46]), "+f"(d[47]),
          "+f"(d[48]), "+f"(d[49]), "+f"(d[50]), "+f"(d[51]), "+f"(d[52]), "+f"(d[53]), "+f"(d[54]), "+f"(d[55]),
          "+f"(d[56]), "+f"(d[57]), "+f"(d[58]), "+f"(d[59]), "+f"(d[60]), "+f"(d[61]), "+f"(d[62]), "+f"(d[63])
        : "l"(a), "l"(b), "r"(accumulate));
}

__device__ void produce(Shared &shared, const CUtensorMap *a_map, const CUtensorMap *b_map, int row_tiles, int tiles, int steps)
{
    int turn = 0;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        for (int step = 0; step < steps; ++step, ++turn) {
            const int stage = turn % STAGES;
            const int32_t a_at[2] = {step * BK, tile % row_tiles * BM}, b_at[2] = {step * BK, tile / row_tiles * BN};
            uint64_t *full = &shared.full[stage];
            wait_for(&shared.empty[stage], (turn / STAGES + 1) % 2);
            ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, full, (uint32_t)sizeof(Stage));
            ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, shared.stage[stage].a, a_map, a_at, full);
            ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, shared.stage[stage].b, b_map, b_at, full);
        }
    }
}

__device__ void store_tile(Shared &shared, const float (&d)[64], const CUtensorMap *c_map, int group, int row, int column)
{
    const int t = threadIdx.x % 128;
    __half *out = shared.out + group * 64 * BN;  // two boxes of 64 rows x 64 columns
    if (t == 0)
        ptx::cp_async_bulk_wait_group_read(ptx::n32_t<0>());
    asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory");
    for (int i = 0; i < 64; i += 2) {
        const int r = t / 32 * 16 + t % 32 / 4 + i / 2 % 2 * 8, c = i / 4 * 8 + t % 4 * 2;
        *(__half2 *)&out[c / 64 * 64 * 64 + r * 64 + c % 64] = __floats2half2_rn(d[i], d[i + 1]);
    }
    ptx::fence_proxy_async(ptx::space_shared);
    asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory");
    if (t == 0) {
        for (int half = 0; half < 2; ++half) {
            const int32_t at[2] = {column + half * 64, row + group * 64};
            ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, c_map, at, out + half * 64 * 64);
        }
        ptx::cp_async_bulk_commit_group();
    }
}

__device__ void consume(Shared &shared, const CUtensorMap *c_map, int row_tiles, int tiles, int steps)
{
    const int group = threadIdx.x / 128 - 1;
    int turn = 0;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        float d[64];
        for (int step = 0; step < steps; ++step, ++turn) {
            const Stage &stage = shared.stage[turn % STAGES];
            wait_for(&shared.full[turn % STAGES], turn / STAGES % 2);
            asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#pragma unroll
            for (int k = 0; k < BK; k += 16)
                wgmma(d, descriptor(stage.a + group * 64 * BK + k), descriptor(stage.b + k), step + k != 0);
            asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
            // The group before this one is complete, so its stage may be refilled.
            asm volatile("wgmma.wait_group.sync.aligned 1;" ::: "memory");
            if (step > 0 && threadIdx.x % 128 == 0)
                ptx::mbarrier_arrive(&shared.empty[(turn - 1) % STAGES]);
        }
        asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
        if (threadIdx.x % 128 == 0)
            ptx::mbarrier_arrive(&shared.empty[(turn - 1) % STAGES]);
        store_tile(shared, d, c_map, group, tile % row_tiles * BM, tile / row_tiles * BN);
    }
    if (threadIdx.x % 128 == 0)
        ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
}

// C (m x n, half) = A (m x k, half) x B (n x k, half)^T, all row-major; m, n multiples of 128 and k of 64. 384 threads.
// Boxes: A and B 128 rows x 64 columns, swizzled by 128 bytes; C 64 x 64 without swizzle.
extern "C" __global__ void __launch_bounds__(384, 1)
    wgmma_tma_gemm(const __grid_constant__ CUtensorMap a_map, const __grid_constant__ CUtensorMap b_map,
                   const __grid_constant__ CUtensorMap c_map, int m, int n, int k)
{
    extern __shared__ __align__(1024) char memory[];
    Shared &shared = *reinterpret_cast<Shared *>(memory);
    const int row_tiles = m / BM, tiles = row_tiles * (n / BN), steps = k / BK;
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; ++stage) {
            ptx::mbarrier_init(&shared.full[stage], 1);
            ptx::mbarrier_init(&shared.empty[stage], 2);
        }
        ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
    }
    __syncthreads();
    if (threadIdx.x < 128) {
        asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
        if (threadIdx.x == 0)
            produce(shared, &a_map, &b_map, row_tiles, tiles, steps);
    } else {
        asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
        consume(shared, &c_map, row_tiles, tiles, steps);
    }
}
