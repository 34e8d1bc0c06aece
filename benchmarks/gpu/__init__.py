"""The check of a device: the CPU's numbers first, then speed; ``gssl doctor --full``."""
