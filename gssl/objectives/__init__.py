"""Objectives: pure functions from embeddings and self-made targets to a loss."""
