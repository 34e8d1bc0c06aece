"""Generative models that are fitted to a dataset, and the datasets that are drawn from them; no label is looked at."""
