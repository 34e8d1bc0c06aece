"""Augmenters: one batch to one view of it."""
