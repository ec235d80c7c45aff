// The mathematical functions of CUDA's library over their ordinary and extreme arguments, in float and in double.
// Exercises: polynomial and table code, range reduction in local memory, special values, rounding modes, fma, rcp / sqrt /
// ex2 / lg2 / sin / cos approximations, integer division and remainder of all widths, 128-bit products.

// y[f * n + i] = function f of x[i].
extern "C" __global__ void functions_f32(const float *x, float *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const float v = x[i];
    y[0 * n + i] = sinf(v);
    y[1 * n + i] = cosf(v);
    y[2 * n + i] = tanf(v);
    y[3 * n + i] = expf(v);
    y[4 * n + i] = logf(fabsf(v));
    y[5 * n + i] = powf(fabsf(v), 0.7f);
    y[6 * n + i] = tanhf(v);
    y[7 * n + i] = atan2f(v, 1.5f);
    y[8 * n + i] = erff(v);
    y[9 * n + i] = rsqrtf(fabsf(v));
    y[10 * n + i] = cbrtf(v);
    y[11 * n + i] = fmodf(v, 0.3f);
}

extern "C" __global__ void functions_f64(const double *x, double *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const double v = x[i];
    y[0 * n + i] = sin(v);
    y[1 * n + i] = cos(v);
    y[2 * n + i] = exp(v);
    y[3 * n + i] = log(fabs(v));
    y[4 * n + i] = pow(fabs(v), 0.7);
    y[5 * n + i] = tanh(v);
    y[6 * n + i] = sqrt(fabs(v));
    y[7 * n + i] = 1.0 / v;
    y[8 * n + i] = cbrt(v);
    y[9 * n + i] = floor(v) + ceil(v) * 2.0 + rint(v) * 4.0 + trunc(v) * 8.0;
    y[10 * n + i] = __dadd_rd(v, 1e-17);
    y[11 * n + i] = __ddiv_ru(v, 3.0);
}

// Quotients, remainders and high products of a[i] and b[i] in 32 and 64 bits; b is never zero.
extern "C" __global__ void integer_arithmetic(const long long *a, const long long *b, long long *y, int n)
{
    const int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n)
        return;
    const long long p = a[i], q = b[i];
    const unsigned long long up = p, uq = q;
    const int ip = (int)p, iq = (int)q | 1;
    const __int128 wide = (__int128)p * q + p;
    y[0 * n + i] = p / q;
    y[1 * n + i] = p % q;
    y[2 * n + i] = (long long)(up / uq);
    y[3 * n + i] = (long long)(up % uq);
    y[4 * n + i] = iq == -1 ? -(long long)ip : ip / iq;
    y[5 * n + i] = (unsigned)ip % (unsigned)iq;
    y[6 * n + i] = __mul64hi(p, q);
    y[7 * n + i] = (long long)__umul64hi(up, uq);
    y[8 * n + i] = (long long)(wide >> 64);
    y[9 * n + i] = __clzll(p) * 64 + __ffsll(q) + __popcll(p ^ q) * 4096;
    y[10 * n + i] = (long long)__brevll(up) + __funnelshift_l(ip, iq, 11);
    y[11 * n + i] = __sad(ip, iq, 5u) + (unsigned)__byte_perm(ip, iq, 0x3715) + (long long)__mulhi(ip, iq);
}
