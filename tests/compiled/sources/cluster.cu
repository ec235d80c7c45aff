// Thread block clusters: a row sum over four blocks through distributed shared memory, and a cluster-wide histogram.
// Exercises: .reqnctapercluster and launch-time clusters, mapa, ld and atom on shared::cluster, barrier.cluster with
// release and acquire, cluster special registers.

#include <cooperative_groups.h>

namespace cg = cooperative_groups;

constexpr unsigned WARP = 32;

// Row blockIdx.y of x, split over the four blocks of a cluster; each block writes its share of the row over the row's mean.
extern "C" __global__ void __cluster_dims__(4, 1, 1)
    row_normalise(const float *__restrict__ x, float *__restrict__ y, int columns)
{
    __shared__ float warp_sums[WARP];
    __shared__ float block_sum;
    cg::cluster_group cluster = cg::this_cluster();
    const unsigned rank = cluster.block_rank(), blocks = cluster.num_blocks();
    const int share = columns / blocks;
    const float *row = x + (size_t)blockIdx.y * columns + rank * share;

    float sum = 0.0f;
    for (int i = threadIdx.x; i < share; i += blockDim.x)
        sum += row[i];
    for (unsigned distance = WARP / 2; distance > 0; distance /= 2)
        sum += __shfl_xor_sync(0xffffffffu, sum, distance);
    if (threadIdx.x % WARP == 0)
        warp_sums[threadIdx.x / WARP] = sum;
    __syncthreads();
    if (threadIdx.x == 0) {
        sum = 0.0f;
        for (unsigned warp = 0; warp < blockDim.x / WARP; ++warp)
            sum += warp_sums[warp];
        block_sum = sum;
    }
    cluster.sync();
    float total = 0.0f;
    for (unsigned block = 0; block < blocks; ++block)
        total += *cluster.map_shared_rank(&block_sum, block);
    cluster.sync();  // no block may leave while another still reads its shared memory
    for (int i = threadIdx.x; i < share; i += blockDim.x)
        y[(size_t)blockIdx.y * columns + rank * share + i] = row[i] / (total / columns);
}

// The bins of one histogram are spread over the blocks of the cluster, whose size is chosen at launch.
extern "C" __global__ void cluster_histogram(const unsigned *__restrict__ x, unsigned *__restrict__ bins,
                                             int bins_per_block, int n)
{
    extern __shared__ unsigned local[];
    cg::cluster_group cluster = cg::this_cluster();
    const unsigned blocks = cluster.num_blocks();
    for (int i = threadIdx.x; i < bins_per_block; i += blockDim.x)
        local[i] = 0;
    cluster.sync();
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) {
        const unsigned bin = x[i] % (bins_per_block * blocks);
        atomicAdd(cluster.map_shared_rank(local, bin / bins_per_block) + bin % bins_per_block, 1u);
    }
    cluster.barrier_arrive();
    const unsigned first = cluster.block_rank() * bins_per_block;
    cluster.barrier_wait();
    for (int i = threadIdx.x; i < bins_per_block; i += blockDim.x)
        atomicAdd(&bins[first + i], local[i]);
}
