"""Hyperparameter search that sees validation items only."""
