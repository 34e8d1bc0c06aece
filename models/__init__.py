"""Encoders, sparse operators, heads, decoders and the EMA target (import the submodules)."""
