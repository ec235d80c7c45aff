// Compiled without optimisation: nothing is inlined, so that the halves of a diverged warp meet inside __shfl_up_sync and
// its callers; virtual functions and the device's heap.

__device__ int below(int value, unsigned members, int width) {
  int rank = threadIdx.x % width;
  for (int distance = 1; distance < width; distance *= 2) {
    int other = __shfl_up_sync(members, value, distance, width);
    if (rank >= distance) value += other;
  }
  return value;
}

extern "C" __global__ void scan_groups(const int* in, int* out) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int value = in[i];
  if (threadIdx.x % 8 == 0) value *= 3;
  unsigned members = 0xffu << (threadIdx.x % 32 / 8 * 8);
  out[i] = below(value, members, 8) + threadIdx.x;
}

struct Node {
  Node* next;
  int value;
  __device__ Node(Node* next, int value) : next(next), value(value) {}
  __device__ virtual int weight() const { return value; }
};

struct Heavy : Node {
  __device__ Heavy(Node* next, int value) : Node(next, value) {}
  __device__ int weight() const override { return 2 * value; }
};

extern "C" __global__ void walk_lists(const int* in, int* out, int count) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  Node* list = nullptr;
  for (int k = 0; k < count; k++) {
    int value = in[i * count + k];
    list = value % 2 ? new Heavy(list, value) : new Node(list, value);
    if (list == nullptr) return;
  }
  int sum = 0;
  while (list != nullptr) {
    Node* rest = list->next;
    sum = sum * 3 + list->weight();
    delete list;
    list = rest;
  }
  out[i] = sum;
}
