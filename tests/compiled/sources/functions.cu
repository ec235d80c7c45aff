// What a compiler emits around functions: calls that stay calls, recursion, function pointers and virtual calls, constant
// and global variables with initialisers, a structure by value, printf, assertions that hold.
// Exercises: .func with .param passing and returning, indirect calls with prototypes, .const and .global initialisers with
// addresses of other variables, local memory and stack addresses, vprintf, __assertfail.

#include <assert.h>
#include <stdio.h>

struct Pair {
    double weight;
    int index;
    short tag[3];
};

__device__ int counters[4] = {10, 20, 30, 40};
__device__ int *counter_of[2] = {&counters[3], &counters[1]};
__constant__ float table[8] = {0.5f, 1.5f, -2.0f, 8.0f, 0.25f, -1.0f, 3.0f, 100.0f};

__device__ __noinline__ Pair combine(Pair a, Pair b)
{
    Pair result;
    result.weight = a.weight * b.weight;
    result.index = a.index + b.index;
    for (int i = 0; i < 3; ++i)
        result.tag[i] = a.tag[i] - b.tag[2 - i];
    return result;
}

__device__ __noinline__ unsigned ackermann(unsigned m, unsigned n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

__device__ __noinline__ float add(float x, float y) { return x + y; }
__device__ __noinline__ float multiply(float x, float y) { return x * y; }
__device__ __noinline__ float larger(float x, float y) { return fmaxf(x, y); }

typedef float (*Operation)(float, float);
__device__ Operation operations[3] = {add, multiply, larger};

struct Shape {
    __device__ virtual float area() const = 0;
};

struct Square : Shape {
    float side;
    __device__ Square(float s) : side(s) {}
    __device__ float area() const override { return side * side; }
};

struct Disc : Shape {
    float radius;
    __device__ Disc(float r) : radius(r) {}
    __device__ float area() const override { return 3.0f * radius * radius; }
};

// chosen[i] picks the operation, per lane; y[i] = operation(x[i], table[i % 8]).
extern "C" __global__ void apply_operations(const int *chosen, const float *x, float *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        y[i] = operations[chosen[i]](x[i], table[i % 8]);
}

extern "C" __global__ void combine_pairs(const Pair *a, Pair constant, Pair *out, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n)
        out[i] = combine(combine(a[i], constant), constant);
}

// values[i] = ackermann(2, i); the counters of this module count the launch's threads.
extern "C" __global__ void recurse(unsigned *values, int *counted)
{
    values[threadIdx.x] = ackermann(2, threadIdx.x);
    atomicAdd(counter_of[threadIdx.x % 2], 1);
    __syncthreads();
    if (threadIdx.x < 4) {
        counted[threadIdx.x] = counters[threadIdx.x];
        counters[threadIdx.x] = 10 * (threadIdx.x + 1);  // as before, should the module be used again
    }
}

// Virtual calls on objects of this thread's stack; prints one line per thread whose area is above the limit.
extern "C" __global__ void measure_shapes(const float *sizes, float *areas, float limit, int n)
{
    const int i = threadIdx.x;
    Square square(i < n ? sizes[i] : 0.0f);
    Disc disc(i < n ? sizes[i] : 0.0f);
    const Shape *shapes[2] = {&square, &disc};
    const float area = shapes[i * 7 % 5 % 2]->area();
    assert(area >= 0.0f);
    if (i < n) {
        areas[i] = area;
        if (area > limit)
            printf("shape %d: area %.3f of %s, %lld\n", i, area, i * 7 % 5 % 2 ? "disc" : "square", 1ll << i);
    }
}
