"""Kernels compiled by nvcc, Triton and rustc, run unmodified on the CPU device and on the GPU against NumPy."""
