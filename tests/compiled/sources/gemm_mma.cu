// Tiled matrix products: half inputs with float accumulation by mma.sync m16n8k16 fed by ldmatrix; and an int8 product.
// Exercises: ldmatrix.x4 and .x2.trans, mma.sync for f16 and s8, 16-byte loads and stores, padded shared rows.

#include <cuda_fp16.h>
#include <stdint.h>

constexpr int BM = 64, BN = 64, BK = 32;
constexpr int PAD = 8;  // halves; keeps ldmatrix rows 16-byte aligned and off each other's banks

__device__ uint32_t shared_address(const void *pointer)
{
    return (uint32_t)__cvta_generic_to_shared(pointer);
}

__device__ void load_a(uint32_t (&a)[4], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(a[0]), "=r"(a[1]), "=r"(a[2]), "=r"(a[3])
                 : "r"(shared_address(row)));
}

__device__ void load_b(uint32_t (&b)[2], const void *row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(b[0]), "=r"(b[1])
                 : "r"(shared_address(row)));
}

__device__ void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2])
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

// A is m x k, B is k x n, C is m x n, all row-major; m and n multiples of 64, k of 32. 128 threads: 2 x 2 warps of 32 x 32.
extern "C" __global__ void __launch_bounds__(128) gemm_f16(const __half *A, const __half *B, float *C, int m, int n, int k)
{
    __shared__ __align__(16) __half a_tile[BM][BK + PAD];
    __shared__ __align__(16) __half b_tile[BK][BN + PAD];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    const int warp_row = warp / 2 * 32, warp_column = warp % 2 * 32;
    const int row = blockIdx.y * BM, column = blockIdx.x * BN;
    float sums[2][4][4] = {};

    for (int start = 0; start < k; start += BK) {
        for (int i = threadIdx.x; i < BM * BK / 8; i += blockDim.x) {
            const int r = i / (BK / 8), c = i % (BK / 8) * 8;
            *(uint4 *)&a_tile[r][c] = *(const uint4 *)&A[(size_t)(row + r) * k + start + c];
        }
        for (int i = threadIdx.x; i < BK * BN / 8; i += blockDim.x) {
            const int r = i / (BN / 8), c = i % (BN / 8) * 8;
            *(uint4 *)&b_tile[r][c] = *(const uint4 *)&B[(size_t)(start + r) * n + column + c];
        }
        __syncthreads();
        for (int inner = 0; inner < BK; inner += 16) {
            uint32_t a[2][4], b[4][2];
            for (int i = 0; i < 2; ++i)
                load_a(a[i], &a_tile[warp_row + i * 16 + lane % 16][inner + lane / 16 * 8]);
            for (int j = 0; j < 4; ++j)
                load_b(b[j], &b_tile[inner + lane % 16][warp_column + j * 8]);
            for (int i = 0; i < 2; ++i)
                for (int j = 0; j < 4; ++j)
                    mma(sums[i][j], a[i], b[j]);
        }
        __syncthreads();
    }
    for (int i = 0; i < 2; ++i)
        for (int j = 0; j < 4; ++j)
            for (int half = 0; half < 2; ++half) {
                const int r = row + warp_row + i * 16 + half * 8 + lane / 4;
                const int c = column + warp_column + j * 8 + lane % 4 * 2;
                *(float2 *)&C[(size_t)r * n + c] = make_float2(sums[i][j][half * 2], sums[i][j][half * 2 + 1]);
            }
}

// One warp: C (16 x 8, int) = A (16 x k, int8, row-major) x B (8 x k, int8, row-major)^T, k a multiple of 32.
// A second result, by dp4a, has to agree.
extern "C" __global__ void gemm_s8(const int *A, const int *B, int *C, int *by_dp4a, int k)
{
    const int lane = threadIdx.x, words = k / 4;
    int d[4] = {};
    for (int start = 0; start < words; start += 8) {
        const int first = (lane / 4) * words + start + lane % 4, second = first + 8 * words;
        const int a0 = A[first], a1 = A[second], a2 = A[first + 4], a3 = A[second + 4];
        const int b0 = B[first], b1 = B[first + 4];
        asm("mma.sync.aligned.m16n8k32.row.col.s32.s8.s8.s32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
            : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3])
            : "r"(a0), "r"(a1), "r"(a2), "r"(a3), "r"(b0), "r"(b1));
    }
    for (int i = 0; i < 4; ++i)
        C[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = d[i];
    for (int i = lane; i < 16 * 8; i += 32) {
        int sum = 0;
        for (int word = 0; word < words; ++word)
            sum = __dp4a(A[i / 8 * words + word], B[i % 8 * words + word], sum);
        by_dp4a[i] = sum;
    }
}
