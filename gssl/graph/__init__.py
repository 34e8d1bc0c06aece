"""Graphs and what is cut from them: sparse patterns, blocks, the one batch type, storage, stored rows of nodes."""
