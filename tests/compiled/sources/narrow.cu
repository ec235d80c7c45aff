// Arithmetic on narrow floating-point types, two per register, and the conversions between all of them.
// Exercises: f16x2 and bf16x2 add / mul / fma / min / max / compare, ex2 and tanh in half precision, saturation, FP8
// (e4m3, e5m2) conversions, atomics on half2 and on bfloat162, video and byte-wise integer instructions.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

extern "C" __global__ void half_pairs(const __half2 *a, const __half2 *b, __half2 *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    y[0 * n + i] = __hadd2(a[i], b[i]);
    y[1 * n + i] = __hmul2_sat(a[i], b[i]);
    y[2 * n + i] = __hfma2(a[i], b[i], a[i]);
    y[3 * n + i] = __hmin2(a[i], b[i]);
    y[4 * n + i] = __hmax2(__habs2(a[i]), __hneg2(b[i]));
    y[5 * n + i] = __hgt2(a[i], b[i]);
    y[6 * n + i] = __hfma2_relu(a[i], b[i], b[i]);
    y[7 * n + i] = __halves2half2(__int2half_rn(__half2int_rz(__low2half(a[i]))), hrint(__high2half(b[i])));
}

extern "C" __global__ void bfloat_pairs(const __nv_bfloat162 *a, const __nv_bfloat162 *b, __nv_bfloat162 *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    y[0 * n + i] = __hadd2(a[i], b[i]);
    y[1 * n + i] = __hmul2(a[i], b[i]);
    y[2 * n + i] = __hfma2(a[i], b[i], a[i]);
    y[3 * n + i] = __hmax2(a[i], b[i]);
}

// Codes are the FP8 bytes of x, in e4m3 and in e5m2, both saturating; back holds what they stand for.
extern "C" __global__ void fp8_round_trip(const float2 *x, unsigned short *codes, float2 *back, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const __nv_fp8x2_storage_t four_three = __nv_cvt_float2_to_fp8x2(x[i], __NV_SATFINITE, __NV_E4M3);
    const __nv_fp8x2_storage_t five_two = __nv_cvt_float2_to_fp8x2(x[i], __NV_SATFINITE, __NV_E5M2);
    codes[i] = four_three;
    codes[n + i] = five_two;
    back[i] = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(four_three, __NV_E4M3)));
    back[n + i] = __half22float2(__half2(__nv_cvt_fp8x2_to_halfraw2(five_two, __NV_E5M2)));
}

// Integers small enough for every partial sum to be exact in half precision.
extern "C" __global__ void scatter_pairs(const int *where, const __half2 *values, __half2 *sums, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        atomicAdd(&sums[where[i]], values[i]);
}

// Byte-wise operations on four bytes at a time.
extern "C" __global__ void byte_quads(const unsigned *a, const unsigned *b, unsigned *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    y[0 * n + i] = __vabsdiffu4(a[i], b[i]);
    y[1 * n + i] = __vmaxs4(a[i], b[i]);
    y[2 * n + i] = __vaddus4(a[i], b[i]);
    y[3 * n + i] = __vcmpgtu4(a[i], b[i]);
    y[4 * n + i] = __dp4a(a[i], b[i], 7u);
    y[5 * n + i] = __vavgu4(a[i], b[i]);
}
