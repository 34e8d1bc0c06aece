"""Numba kernels: compiled on first use and cached, they release the interpreter lock."""
