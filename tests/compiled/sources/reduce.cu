// Reductions over one array: a float sum by warp shuffles, shared memory and one atomicAdd per block,
// and an integer maximum by redux.sync and atomicMax.
// Exercises: grid-stride loops, shfl.sync.down, redux.sync, static shared memory, bar.sync, atom/red on global memory.

constexpr unsigned WARP = 32;
constexpr unsigned FULL = 0xffffffffu;

__device__ float warp_sum(float value)
{
    for (unsigned distance = WARP / 2; distance > 0; distance /= 2)
        value += __shfl_down_sync(FULL, value, distance);
    return value;
}

extern "C" __global__ void reduce_sum(const float *__restrict__ x, float *__restrict__ total, unsigned n)
{
    __shared__ float warp_totals[WARP];
    const unsigned lane = threadIdx.x % WARP;
    const unsigned warp = threadIdx.x / WARP;

    float sum = 0.0f;
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        sum += x[i];
    sum = warp_sum(sum);
    if (lane == 0)
        warp_totals[warp] = sum;
    __syncthreads();
    if (warp == 0) {
        sum = lane < blockDim.x / WARP ? warp_totals[lane] : 0.0f;
        sum = warp_sum(sum);
        if (lane == 0)
            atomicAdd(total, sum);
    }
}

extern "C" __global__ void reduce_max(const int *__restrict__ x, int *__restrict__ maximum, unsigned n)
{
    int best = -2147483647 - 1;
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
        best = max(best, x[i]);
    best = __reduce_max_sync(FULL, best);
    if (threadIdx.x % WARP == 0)
        atomicMax(maximum, best);
}
