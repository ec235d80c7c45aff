// Copies in flight while the previous tile is computed on: by cp.async groups, and by cp.async with an mbarrier.
// Exercises: cp.async.cg and .ca, commit_group, wait_group with copies left in flight, mbarrier.init / arrive /
// cp.async.mbarrier.arrive / test_wait as the CUDA headers emit them.

#include <cuda_awbarrier_primitives.h>
#include <cuda_pipeline_primitives.h>

constexpr int THREADS = 128;
constexpr int STAGES = 3;

// Each block walks over its tiles of 4 * THREADS floats: y = x * x + the neighbour on the left within the tile.
extern "C" __global__ void pipeline_groups(const float4 *__restrict__ x, float4 *__restrict__ y, int tiles)
{
    __shared__ __align__(16) float4 stage[STAGES][THREADS];
    const int t = threadIdx.x;
    const int mine = tiles > blockIdx.x ? (tiles - blockIdx.x + gridDim.x - 1) / gridDim.x : 0;

    for (int i = 0; i < STAGES - 1; ++i) {
        if (i < mine)
            __pipeline_memcpy_async(&stage[i][t], &x[(blockIdx.x + i * gridDim.x) * THREADS + t], sizeof(float4));
        __pipeline_commit();
    }
    for (int i = 0; i < mine; ++i) {
        __pipeline_wait_prior(STAGES - 2);
        __syncthreads();
        const float4 here = stage[i % STAGES][t];
        const float left = t > 0 ? stage[i % STAGES][t - 1].w : 0.0f;
        float4 out;
        out.x = here.x * here.x + left;
        out.y = here.y * here.y + here.x;
        out.z = here.z * here.z + here.y;
        out.w = here.w * here.w + here.z;
        y[(blockIdx.x + i * gridDim.x) * THREADS + t] = out;

        const int next = i + STAGES - 1;
        if (next < mine)
            __pipeline_memcpy_async(&stage[next % STAGES][t], &x[(blockIdx.x + next * gridDim.x) * THREADS + t],
                                    sizeof(float4));
        __pipeline_commit();
    }
}

// Each block reverses its tile of THREADS floats, the tail of the last tile zero-filled by the copy.
extern "C" __global__ void pipeline_mbarrier(const float *__restrict__ x, float *__restrict__ y, int n)
{
    __shared__ float tile[THREADS];
    __shared__ __mbarrier_t ready;
    const int t = threadIdx.x, first = blockIdx.x * THREADS;

    if (t == 0)
        __mbarrier_init(&ready, THREADS);
    __syncthreads();
    const bool inside = first + t < n;
    __pipeline_memcpy_async(&tile[t], &x[inside ? first + t : 0], sizeof(float), inside ? 0 : sizeof(float));
    __pipeline_arrive_on(&ready);
    __mbarrier_token_t token = __mbarrier_arrive(&ready);
    while (!__mbarrier_test_wait(&ready, token))
        ;
    y[first + t] = tile[THREADS - 1 - t];
    __syncthreads();
    if (t == 0)
        __mbarrier_inval(&ready);
}
