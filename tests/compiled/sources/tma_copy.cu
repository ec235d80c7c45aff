// Tensor copies through a tensor map in parameter space: a tiled transpose, edges clipped by the copy engine, and a
// tile multicast to every block of a cluster.
// Exercises: 128-byte by-value parameters, prefetch.tensormap, cp.async.bulk.tensor in both directions, out-of-bounds
// fill and clipping, multicast, expect_tx in every receiving block.

#include <cuda.h>
#include <cuda/ptx>
#include <stdint.h>

namespace ptx = cuda::ptx;

constexpr int TILE = 32;

__device__ void wait_for(uint64_t *barrier, uint32_t parity)
{
    while (!ptx::mbarrier_try_wait_parity(barrier, parity))
        ;
}

// Both maps are two-dimensional with boxes of 32 x 32 floats, no swizzle. 256 threads; grid covers the input.
extern "C" __global__ void tma_transpose(const __grid_constant__ CUtensorMap in, const __grid_constant__ CUtensorMap out)
{
    __shared__ __align__(128) float from[TILE][TILE];
    __shared__ __align__(128) float to[TILE][TILE];
    __shared__ uint64_t arrived;
    const int32_t source[2] = {(int32_t)blockIdx.x * TILE, (int32_t)blockIdx.y * TILE};
    const int32_t target[2] = {source[1], source[0]};

    if (threadIdx.x == 0) {
        asm volatile("prefetch.tensormap [%0];" ::"l"(&in));
        ptx::mbarrier_init(&arrived, 1);
        ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
        ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, from, &in, source, &arrived);
        ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &arrived, sizeof from);
    }
    __syncthreads();
    wait_for(&arrived, 0);
    for (int i = threadIdx.x; i < TILE * TILE; i += blockDim.x)
        to[i / TILE][i % TILE] = from[i % TILE][i / TILE];
    ptx::fence_proxy_async(ptx::space_shared);
    __syncthreads();
    if (threadIdx.x == 0) {
        ptx::cp_async_bulk_tensor(ptx::space_global, ptx::space_shared, &out, target, to);
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
    }
}

// A cluster of two: each block fetches half of a 32 x 32 tile (boxes of 32 x 16) for both, and sums its rows or columns.
extern "C" __global__ void __cluster_dims__(2, 1, 1) tma_multicast(const __grid_constant__ CUtensorMap in, float *sums)
{
    __shared__ __align__(128) float tile[TILE][TILE];
    __shared__ uint64_t arrived;
    const uint32_t rank = blockIdx.x % 2;
    const int32_t at[2] = {0, (int32_t)(blockIdx.x / 2 * TILE + rank * TILE / 2)};

    if (threadIdx.x == 0) {
        ptx::mbarrier_init(&arrived, 1);
        ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
        ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &arrived, sizeof tile);
    }
    ptx::barrier_cluster_arrive();
    ptx::barrier_cluster_wait();
    if (threadIdx.x == 0)
        ptx::cp_async_bulk_tensor(ptx::space_cluster, ptx::space_global, tile[rank * TILE / 2], &in, at, &arrived, (uint16_t)3);
    wait_for(&arrived, 0);
    float sum = 0.0f;
    for (int i = 0; i < TILE; ++i)
        sum += rank == 0 ? tile[threadIdx.x][i] : tile[i][threadIdx.x];
    sums[blockIdx.x * TILE + threadIdx.x] = sum;
    ptx::barrier_cluster_arrive();
    ptx::barrier_cluster_wait();
}
