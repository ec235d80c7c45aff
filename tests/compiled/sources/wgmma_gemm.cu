// Hopper matrix products by wgmma, operands put into shared memory by ordinary stores (no tensor map needed).
// Exercises: wgmma.fence / mma_async / commit_group / wait_group, matrix descriptors with 128-byte swizzle and without,
// A from shared memory and from registers, both orders of B in memory, f16, bf16 and s8, the proxy fence in between.

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <stdint.h>

constexpr int M = 64, THREADS = 128;

enum Swizzle : uint64_t { NONE = 0, BYTES_128 = 1 };

__device__ uint64_t descriptor(const void *tile, uint32_t leading_bytes, uint32_t stride_bytes, Swizzle swizzle)
{
    const uint64_t address = __cvta_generic_to_shared(tile);
    return (address & 0x3FFFF) >> 4 | (uint64_t)(leading_bytes >> 4) << 16 | (uint64_t)(stride_bytes >> 4) << 32 | swizzle << 62;
}

__device__ void wgmma_begin()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

__device__ void wgmma_end()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
    asm volatile("wgmma.wait_group.sync.aligned 0;" ::: "memory");
    __syncthreads();
}

// Where 16-byte piece `piece` of 128-byte row `row` lies under the 128-byte swizzle.
__device__ int swizzled(int row, int piece)
{
    return row * 128 + ((piece ^ row % 8) * 16);
}

__device__ void wgmma_f16(float (&d)[32], uint64_t a, uint64_t b, int accumulate)
{
    asm volatile(
        "{\n.reg .pred p;\nsetp.ne.b32 p, %34, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.f16.f16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "%32, %33, p, 1, 1, 0, 0;\n}"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
          "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
          "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
          "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
        : "l"(a), "l"(b), "r"(accumulate));
}

__device__ void wgmma_bf16_registers(float (&d)[32], const uint32_t (&a)[4], uint64_t b)
{
    asm volatile(
        "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 "
        "{%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
        "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
        "{%32, %33, %34, %35}, %36, 1, 1, 1, 1;"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]),
          "+f"(d[8]), "+f"(d[9]), "+f"(d[10]), "+f"(d[11]), "+f"(d[12]), "+f"(d[13]), "+f"(d[14]), "+f"(d[15]),
          "+f"(d[16]), "+f"(d[17]), "+f"(d[18]), "+f"(d[19]), "+f"(d[20]), "+f"(d[21]), "+f"(d[22]), "+f"(d[23]),
          "+f"(d[24]), "+f"(d[25]), "+f"(d[26]), "+f"(d[27]), "+f"(d[28]), "+f"(d[29]), "+f"(d[30]), "+f"(d[31])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

__device__ void wgmma_s8(int (&d)[8], uint64_t a, uint64_t b)
{
    asm volatile("wgmma.mma_async.sync.aligned.m64n16k32.s32.s8.s8 {%0, %1, %2, %3, %4, %5, %6, %7}, %8, %9, 1;"
                 : "+r"(d[0]), "+r"(d[1]), "+r"(d[2]), "+r"(d[3]),
                   "+r"(d[4]), "+r"(d[5]), "+r"(d[6]), "+r"(d[7])
                 : "l"(a), "l"(b));
}

// Element i of a thread's fragment of D lies at this row and column.
__device__ int fragment_row(int i)
{
    return threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4 + i / 2 % 2 * 8;
}

__device__ int fragment_column(int i)
{
    return i / 4 * 8 + threadIdx.x % 4 * 2 + i % 2;
}

// C (m x n, float) = A (m x k, half, row-major) x B (n x k, half, row-major)^T. Grid (n / 64, m / 64), k a multiple of 64.
extern "C" __global__ void __launch_bounds__(THREADS) wgmma_gemm_f16(const __half *A, const __half *B, float *C, int n, int k)
{
    __shared__ __align__(1024) char a_tile[M * 128];
    __shared__ __align__(1024) char b_tile[64 * 128];
    float d[32];
    for (int start = 0; start < k; start += 64) {
        for (int i = threadIdx.x; i < 64 * 8; i += THREADS) {
            const int row = i / 8, piece = i % 8;
            const size_t at = (size_t)row * k + start + piece * 8;
            *(uint4 *)&a_tile[swizzled(row, piece)] = *(const uint4 *)&A[(size_t)blockIdx.y * M * k + at];
            *(uint4 *)&b_tile[swizzled(row, piece)] = *(const uint4 *)&B[(size_t)blockIdx.x * 64 * k + at];
        }
        wgmma_begin();
#pragma unroll
        for (int step = 0; step < 4; ++step)
            wgmma_f16(d, descriptor(a_tile + step * 32, 16, 1024, BYTES_128), descriptor(b_tile + step * 32, 16, 1024, BYTES_128),
                      start + step != 0);
        wgmma_end();
    }
    for (int i = 0; i < 32; i += 2)
        *(float2 *)&C[(size_t)(blockIdx.y * M + fragment_row(i)) * n + blockIdx.x * 64 + fragment_column(i)] =
            make_float2(d[i], d[i + 1]);
}

// C (64 x 64, float) = A (64 x k, bfloat16, row-major, straight into registers) x B (k x 64, bfloat16, row-major).
extern "C" __global__ void __launch_bounds__(THREADS)
    wgmma_gemm_bf16(const __nv_bfloat16 *A, const __nv_bfloat16 *B, float *C, int k)
{
    __shared__ __align__(1024) char b_tile[64 * 128];
    float d[32] = {};
    for (int start = 0; start < k; start += 64) {
        for (int i = threadIdx.x; i < 64 * 8; i += THREADS)
            *(uint4 *)&b_tile[swizzled(i / 8, i % 8)] = *(const uint4 *)&B[(size_t)(start + i / 8) * 64 + i % 8 * 8];
        uint32_t a[4][4];
        for (int step = 0; step < 4; ++step)
            for (int i = 0; i < 4; ++i) {
                const int row = fragment_row(i % 2 * 2), column = start + step * 16 + i / 2 * 8 + threadIdx.x % 4 * 2;
                a[step][i] = *(const uint32_t *)&A[(size_t)row * k + column];
            }
        wgmma_begin();
#pragma unroll
        for (int step = 0; step < 4; ++step)
            wgmma_bf16_registers(d, a[step], descriptor(b_tile + step * 2048, 1024, 1024, BYTES_128));
        wgmma_end();
    }
    for (int i = 0; i < 32; ++i)
        C[fragment_row(i) * 64 + fragment_column(i)] = d[i];
}

// C (64 x 16, int) = A (64 x k, int8, row-major) x B (16 x k, int8, row-major)^T, k a multiple of 32; no swizzle.
extern "C" __global__ void __launch_bounds__(THREADS) wgmma_gemm_s8(const char *A, const char *B, int *C, int k)
{
    // Core matrices of 8 rows x 16 bytes: [row / 8][column / 16][row % 8][16]; 128 bytes to the next along k, 256 along rows.
    __shared__ __align__(128) char a_tile[M * 32];
    __shared__ __align__(128) char b_tile[16 * 32];
    int d[8] = {};
    for (int start = 0; start < k; start += 32) {
        for (int i = threadIdx.x; i < (M + 16) * 2; i += THREADS) {
            const int row = i / 2, piece = i % 2;
            const bool of_a = row < M;
            const int local = of_a ? row : row - M;
            const char *from = (of_a ? A : B) + (size_t)local * k + start + piece * 16;
            *(uint4 *)&(of_a ? a_tile : b_tile)[local / 8 * 256 + piece * 128 + local % 8 * 16] = *(const uint4 *)from;
        }
        wgmma_begin();
        wgmma_s8(d, descriptor(a_tile, 128, 256, NONE), descriptor(b_tile, 128, 256, NONE));
        wgmma_end();
    }
    for (int i = 0; i < 8; ++i)
        C[fragment_row(i) * 16 + fragment_column(i)] = d[i];
}
