"""Graph storage, blocks and mini-batches, and the samplers that make them (import the submodules)."""
