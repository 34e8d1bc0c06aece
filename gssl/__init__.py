"""gssl: the testbed where self-supervised learning on graphs is settled by experiment.

``gssl.run``, ``gssl.load`` and ``gssl.embed`` do from Python what the commands do; ``gssl.augment_data``,
``gssl.sample`` and ``gssl.judge`` are single parts on plain objects of PyG; ``gssl.from_stores`` reads
its remote backends. None of them is imported before it is used.
"""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_OFFERED = {
    "run": "gssl.api.run",
    "RunResult": "gssl.api.run",
    "load": "gssl.api.load",
    "embed": "gssl.api.load",
    "augment_data": "gssl.api.parts",
    "sample": "gssl.api.parts",
    "judge": "gssl.api.parts",
    "from_stores": "gssl.datasets.remote_stores",
    "info_nce": "gssl.objectives.info_nce",
}
__all__ = ["__version__", *_OFFERED]


def __getattr__(name: str) -> Any:
    if name not in _OFFERED:
        raise AttributeError(f"module 'gssl' has no attribute {name!r}")
    return getattr(import_module(_OFFERED[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_OFFERED])
