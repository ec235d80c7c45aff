// A 256-bin histogram of bytes: bins in shared memory, four bytes per load, one global atomic per bin and block.
// Exercises: atomics on shared and global memory, byte extraction, strided loops, 64-bit atomics, atomicCAS loops.

constexpr unsigned BINS = 256;

extern "C" __global__ void histogram(const uchar4 *__restrict__ x, unsigned *__restrict__ bins, unsigned quads)
{
    __shared__ unsigned local[BINS];
    for (unsigned i = threadIdx.x; i < BINS; i += blockDim.x)
        local[i] = 0;
    __syncthreads();
    for (unsigned i = blockIdx.x * blockDim.x + threadIdx.x; i < quads; i += gridDim.x * blockDim.x) {
        const uchar4 four = x[i];
        atomicAdd(&local[four.x], 1u);
        atomicAdd(&local[four.y], 1u);
        atomicAdd(&local[four.z], 1u);
        atomicAdd(&local[four.w], 1u);
    }
    __syncthreads();
    for (unsigned i = threadIdx.x; i < BINS; i += blockDim.x)
        if (local[i] != 0)
            atomicAdd(&bins[i], local[i]);
}

// Per group: the largest float by a compare-and-swap loop, and the sum of squares of the (integer) values in 64 bits.
extern "C" __global__ void group_statistics(const float *__restrict__ x, const int *__restrict__ group,
                                            unsigned *__restrict__ largest, unsigned long long *__restrict__ squares, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const float value = x[i];
    unsigned *slot = &largest[group[i]];
    unsigned seen = *slot;
    while (__uint_as_float(seen) < value) {
        const unsigned assumed = seen;
        seen = atomicCAS(slot, assumed, __float_as_uint(value));
        if (seen == assumed)
            break;
    }
    const long long whole = (long long)value;
    atomicAdd(&squares[group[i]], (unsigned long long)(whole * whole));
}
