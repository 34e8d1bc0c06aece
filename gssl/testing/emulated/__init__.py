"""A CUDA device for machines without one: :mod:`gssl.testing.emulated.cuda` says what it is and how tests use it."""
