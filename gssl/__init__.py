"""gssl: the testbed where self-supervised learning on graphs is settled by experiment."""

__version__ = "0.1.0"
