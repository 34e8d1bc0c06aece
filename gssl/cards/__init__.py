"""Cards: what a method, a dataset or a part is, from its own signature and docstring, as tables and as data."""
