"""Benchmarks, results store and published numbers (import the submodules)."""
