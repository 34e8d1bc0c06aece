"""Graphs that are larger than the memory: raw files turned, piece by piece, into files that are mapped."""
