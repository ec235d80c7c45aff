// Matrix products through nvcuda::wmma: bfloat16 with float accumulation from shared memory, and double from global memory.
// Exercises: wmma.load, wmma.mma and wmma.store for bf16 (m16n16k16) and f64 (m8n8k4), row and column layouts.

#include <cuda_bf16.h>
#include <mma.h>

using namespace nvcuda;

constexpr int TILE = 16;

// One warp per 16 x 16 tile of C; A is m x k row-major, B is n x k row-major (so k x n column-major). k a multiple of 16.
extern "C" __global__ void wmma_bf16(const __nv_bfloat16 *A, const __nv_bfloat16 *B, float *C, int n, int k, float alpha,
                                     float beta)
{
    __shared__ __align__(32) __nv_bfloat16 a_tile[TILE * TILE], b_tile[TILE * TILE];
    wmma::fragment<wmma::matrix_a, TILE, TILE, TILE, __nv_bfloat16, wmma::row_major> a;
    wmma::fragment<wmma::matrix_b, TILE, TILE, TILE, __nv_bfloat16, wmma::col_major> b;
    wmma::fragment<wmma::accumulator, TILE, TILE, TILE, float> sum, old;
    const int row = blockIdx.y * TILE, column = blockIdx.x * TILE;

    wmma::fill_fragment(sum, 0.0f);
    for (int start = 0; start < k; start += TILE) {
        for (int i = threadIdx.x; i < TILE * TILE; i += 32) {
            a_tile[i] = A[(size_t)(row + i / TILE) * k + start + i % TILE];
            b_tile[i] = B[(size_t)(column + i / TILE) * k + start + i % TILE];
        }
        __syncwarp();
        wmma::load_matrix_sync(a, a_tile, TILE);
        wmma::load_matrix_sync(b, b_tile, TILE);
        wmma::mma_sync(sum, a, b, sum);
        __syncwarp();
    }
    float *tile = C + (size_t)row * n + column;
    wmma::load_matrix_sync(old, tile, n, wmma::mem_row_major);
    for (int i = 0; i < sum.num_elements; ++i)
        sum.x[i] = alpha * sum.x[i] + beta * old.x[i];
    wmma::store_matrix_sync(tile, sum, n, wmma::mem_row_major);
}

// One warp per 8 x 8 tile of C; A is m x k row-major, B is k x n row-major. k a multiple of 4.
extern "C" __global__ void wmma_f64(const double *A, const double *B, double *C, int n, int k)
{
    wmma::fragment<wmma::matrix_a, 8, 8, 4, double, wmma::row_major> a;
    wmma::fragment<wmma::matrix_b, 8, 8, 4, double, wmma::row_major> b;
    wmma::fragment<wmma::accumulator, 8, 8, 4, double> sum;
    wmma::fill_fragment(sum, 0.0);
    for (int start = 0; start < k; start += 4) {
        wmma::load_matrix_sync(a, A + (size_t)blockIdx.y * 8 * k + start, k);
        wmma::load_matrix_sync(b, B + (size_t)start * n + blockIdx.x * 8, n);
        wmma::mma_sync(sum, a, b, sum);
    }
    wmma::store_matrix_sync(C + (size_t)blockIdx.y * 8 * n + blockIdx.x * 8, sum, n, wmma::mem_row_major);
}
