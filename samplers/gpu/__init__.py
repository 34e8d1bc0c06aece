"""Sampling by Triton kernels on a CUDA device."""
