// A warp-specialised ring: one lane issues bulk copies, the other warps compute, results leave by bulk copies too.
// Exercises: cp.async.bulk in both directions, mbarrier init / arrive.expect_tx / arrive / try_wait.parity, proxy fences,
// bulk groups with waits for reading, named barriers, a bulk reduction, through the wrappers of cuda::ptx.

#include <cuda/ptx>
#include <stdint.h>

namespace ptx = cuda::ptx;

constexpr int TILE = 256;     // floats
constexpr int STAGES = 4;
constexpr int CONSUMERS = 128;  // threads, after the producer's warp

__device__ void wait_for(uint64_t *barrier, uint32_t parity)
{
    while (!ptx::mbarrier_try_wait_parity(barrier, parity))
        ;
}

__device__ void produce(const float *x, float (*ring)[TILE], uint64_t *full, uint64_t *empty, int tiles)
{
    int step = 0;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, ++step) {
        const int stage = step % STAGES;
        wait_for(&empty[stage], (step / STAGES + 1) % 2);
        ptx::mbarrier_arrive_expect_tx(ptx::sem_release, ptx::scope_cta, ptx::space_shared, &full[stage],
                                       sizeof(float) * TILE);
        ptx::cp_async_bulk(ptx::space_cluster, ptx::space_global, ring[stage], x + (size_t)tile * TILE,
                           sizeof(float) * TILE, &full[stage]);
    }
}

__device__ void consume(float *y, float *sums, float (*ring)[TILE], float (*out)[TILE], float *partial, uint64_t *full,
                        uint64_t *empty, int tiles, float a, float b)
{
    const int t = threadIdx.x - 32;
    for (int i = t; i < TILE; i += CONSUMERS)
        partial[i] = 0.0f;
    int step = 0;
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x, ++step) {
        const int stage = step % STAGES;
        if (t == 0)
            ptx::cp_async_bulk_wait_group_read(ptx::n32_t<1>());  // out[step % 2] has been read by its last copy
        asm volatile("bar.sync 1, 128;" ::: "memory");
        wait_for(&full[stage], step / STAGES % 2);
        for (int i = t; i < TILE; i += CONSUMERS) {
            const float value = a * ring[stage][i] + b;
            out[step % 2][i] = value;
            partial[i] += value;
        }
        ptx::mbarrier_arrive(&empty[stage]);
        ptx::fence_proxy_async(ptx::space_shared);
        asm volatile("bar.sync 1, 128;" ::: "memory");
        if (t == 0) {
            ptx::cp_async_bulk(ptx::space_global, ptx::space_shared, y + (size_t)tile * TILE, out[step % 2],
                               sizeof(float) * TILE);
            ptx::cp_async_bulk_commit_group();
        }
    }
    ptx::fence_proxy_async(ptx::space_shared);
    asm volatile("bar.sync 1, 128;" ::: "memory");
    if (t == 0) {
        ptx::cp_reduce_async_bulk(ptx::space_global, ptx::space_shared, ptx::op_add, sums, partial, sizeof(float) * TILE);
        ptx::cp_async_bulk_commit_group();
        ptx::cp_async_bulk_wait_group(ptx::n32_t<0>());
    }
}

// y = a * x + b over tiles of TILE floats; sums[i] += every y at position i of its tile. 160 threads, any grid.
extern "C" __global__ void __launch_bounds__(160) bulk_affine(const float *x, float *y, float *sums, int tiles, float a, float b)
{
    __shared__ __align__(128) float ring[STAGES][TILE];
    __shared__ __align__(128) float out[2][TILE];
    __shared__ __align__(128) float partial[TILE];
    __shared__ uint64_t full[STAGES], empty[STAGES];
    if (threadIdx.x == 0) {
        for (int stage = 0; stage < STAGES; ++stage) {
            ptx::mbarrier_init(&full[stage], 1);
            ptx::mbarrier_init(&empty[stage], CONSUMERS);
        }
        ptx::fence_mbarrier_init(ptx::sem_release, ptx::scope_cluster);
    }
    __syncthreads();
    if (threadIdx.x == 0)
        produce(x, ring, full, empty, tiles);
    else if (threadIdx.x >= 32)
        consume(y, sums, ring, out, partial, full, empty, tiles, a, b);
}
