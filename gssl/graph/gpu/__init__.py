"""Triton kernels for CUDA devices; importing this package loads no compiler."""
