"""Propagation: how the embeddings of the targets are computed or approximated."""
