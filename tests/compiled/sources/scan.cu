// Prefix sums of one block, and what is commonly built on them: stream compaction.
// Exercises: shfl.sync.up with its predicate result, vote.ballot, popc, lane masks, clz, shared memory between warps.

constexpr unsigned WARP = 32;
constexpr unsigned FULL = 0xffffffffu;

__device__ int warp_inclusive_scan(int value, unsigned lane)
{
    for (unsigned distance = 1; distance < WARP; distance *= 2) {
        const int below = __shfl_up_sync(FULL, value, distance);
        if (lane >= distance)
            value += below;
    }
    return value;
}

// Each block scans its own blockDim.x elements; y[i] = x[first of the block] + ... + x[i].
extern "C" __global__ void block_scan(const int *__restrict__ x, int *__restrict__ y, int n)
{
    __shared__ int warp_totals[WARP];
    const unsigned lane = threadIdx.x % WARP;
    const unsigned warp = threadIdx.x / WARP;
    const int i = blockIdx.x * blockDim.x + threadIdx.x;

    int value = warp_inclusive_scan(i < n ? x[i] : 0, lane);
    if (lane == WARP - 1)
        warp_totals[warp] = value;
    __syncthreads();
    if (warp == 0) {
        const int total = lane < blockDim.x / WARP ? warp_totals[lane] : 0;
        warp_totals[lane] = warp_inclusive_scan(total, lane) - total;
    }
    __syncthreads();
    value += warp_totals[warp];
    if (i < n)
        y[i] = value;
}

// One warp keeps the positive elements, in order, and writes how many there were.
extern "C" __global__ void compact_positive(const int *__restrict__ x, int *__restrict__ y, int *__restrict__ count, int n)
{
    const unsigned lane = threadIdx.x;
    int kept = 0;
    for (int start = 0; start < n; start += WARP) {
        const int i = start + lane;
        const int value = i < n ? x[i] : 0;
        const unsigned chosen = __ballot_sync(FULL, value > 0);
        if (value > 0)
            y[kept + __popc(chosen & ((1u << lane) - 1u))] = value;
        kept += __popc(chosen);
    }
    if (lane == 0)
        *count = kept;
}

// Each warp groups equal keys: the leader of a group writes the size of the group, all others write zero.
extern "C" __global__ void warp_group_sizes(const unsigned *__restrict__ keys, unsigned *__restrict__ sizes)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    const unsigned peers = __match_any_sync(FULL, keys[i]);
    const unsigned leader = __ffs(peers) - 1;
    sizes[i] = threadIdx.x % WARP == leader ? __popc(peers) : 0;
}
