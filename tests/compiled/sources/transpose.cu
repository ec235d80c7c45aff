// A matrix transpose through padded 32 x 32 tiles, for float and for 16-bit elements.
// Exercises: two-dimensional grids and blocks, shared memory addressing with a padded row, 16-bit loads and stores.

constexpr int TILE = 32;
constexpr int ROWS = 8;

template <typename T> __device__ void transpose_tile(const T *__restrict__ in, T *__restrict__ out, int height, int width)
{
    __shared__ T tile[TILE][TILE + 1];
    int x = blockIdx.x * TILE + threadIdx.x;
    int y = blockIdx.y * TILE + threadIdx.y;
    for (int row = 0; row < TILE; row += ROWS)
        if (x < width && y + row < height)
            tile[threadIdx.y + row][threadIdx.x] = in[(size_t)(y + row) * width + x];
    __syncthreads();
    x = blockIdx.y * TILE + threadIdx.x;
    y = blockIdx.x * TILE + threadIdx.y;
    for (int row = 0; row < TILE; row += ROWS)
        if (x < height && y + row < width)
            out[(size_t)(y + row) * height + x] = tile[threadIdx.x][threadIdx.y + row];
}

extern "C" __global__ void transpose_f32(const float *in, float *out, int height, int width)
{
    transpose_tile(in, out, height, width);
}

extern "C" __global__ void transpose_u16(const unsigned short *in, unsigned short *out, int height, int width)
{
    transpose_tile(in, out, height, width);
}
