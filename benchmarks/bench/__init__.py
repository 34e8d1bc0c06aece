"""Suites, the cells that they stand for, and the runner that carries them out (``gssl bench``)."""
