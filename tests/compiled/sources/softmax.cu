// Row-wise softmax, one block per row: float, and half in and out with float arithmetic.
// Exercises: shfl.sync.bfly, max, ex2.approx behind expf, division, f16 conversion, half2 loads.

#include <cuda_fp16.h>
#include <math_constants.h>

constexpr unsigned WARP = 32;
constexpr unsigned FULL = 0xffffffffu;

template <typename Combine> __device__ float block_combine(float value, float neutral, float *scratch, Combine combine)
{
    for (unsigned distance = WARP / 2; distance > 0; distance /= 2)
        value = combine(value, __shfl_xor_sync(FULL, value, distance));
    __syncthreads();
    if (threadIdx.x % WARP == 0)
        scratch[threadIdx.x / WARP] = value;
    __syncthreads();
    value = threadIdx.x % WARP < blockDim.x / WARP ? scratch[threadIdx.x % WARP] : neutral;
    for (unsigned distance = WARP / 2; distance > 0; distance /= 2)
        value = combine(value, __shfl_xor_sync(FULL, value, distance));
    return value;
}

__device__ float block_max(float value, float *scratch)
{
    return block_combine(value, -CUDART_INF_F, scratch, [](float a, float b) { return fmaxf(a, b); });
}

__device__ float block_sum(float value, float *scratch)
{
    return block_combine(value, 0.0f, scratch, [](float a, float b) { return a + b; });
}

extern "C" __global__ void softmax_f32(const float *__restrict__ x, float *__restrict__ y, int columns)
{
    __shared__ float scratch[WARP];
    const float *row = x + (size_t)blockIdx.x * columns;
    float *out = y + (size_t)blockIdx.x * columns;

    float largest = -CUDART_INF_F;
    for (int i = threadIdx.x; i < columns; i += blockDim.x)
        largest = fmaxf(largest, row[i]);
    largest = block_max(largest, scratch);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < columns; i += blockDim.x)
        sum += expf(row[i] - largest);
    sum = block_sum(sum, scratch);
    for (int i = threadIdx.x; i < columns; i += blockDim.x)
        out[i] = expf(row[i] - largest) / sum;
}

// The row stays in dynamic shared memory, as float2, between the passes.
extern "C" __global__ void softmax_f16(const __half2 *__restrict__ x, __half2 *__restrict__ y, int pairs)
{
    __shared__ float scratch[WARP];
    extern __shared__ float2 staged[];
    const __half2 *row = x + (size_t)blockIdx.x * pairs;
    __half2 *out = y + (size_t)blockIdx.x * pairs;

    float largest = -CUDART_INF_F;
    for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
        staged[i] = __half22float2(row[i]);
        largest = fmaxf(largest, fmaxf(staged[i].x, staged[i].y));
    }
    largest = block_max(largest, scratch);
    float sum = 0.0f;
    for (int i = threadIdx.x; i < pairs; i += blockDim.x) {
        staged[i] = make_float2(__expf(staged[i].x - largest), __expf(staged[i].y - largest));
        sum += staged[i].x + staged[i].y;
    }
    const float scale = __frcp_rn(block_sum(sum, scratch));
    for (int i = threadIdx.x; i < pairs; i += blockDim.x)
        out[i] = __floats2half2_rn(staged[i].x * scale, staged[i].y * scale);
}
