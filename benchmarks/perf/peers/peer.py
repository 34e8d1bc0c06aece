"""A peer of one of our methods: who it is, what it needs, and how a step of it is made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.setups import GraphSetup, HeteroSetup, NodeSetup

S = TypeVar("S", NodeSetup, GraphSetup, HeteroSetup)

# Package that is imported -> distribution that is installed.
DISTRIBUTIONS = {
    "GCL": "PyGCL",
    "dig": "dive-into-graphs",
    "torch_scatter": "torch-scatter",
    "torch_sparse": "torch-sparse",
    "cytoolz": "cytoolz",
    "faiss": "faiss-cpu",
}


@dataclass(frozen=True)
class Peer(Generic[S]):
    """A peer.

    Attributes:
        name: of the library or repository.
        build: prepares its training step.
        packages: what it imports beside PyTorch and PyG and cannot do without.
        repository: owner/name of the authors' code, where the peer is that.
    """

    name: str
    build: Callable[[S], Step]
    packages: tuple[str, ...] = ()
    repository: str | None = None

    def absence(self, sources: str) -> str | None:
        """What to do so that it can be measured; None if it can be.

        Args:
            sources: folder of the clones.
        """
        missing = [DISTRIBUTIONS[package] for package in self.packages if find_spec(package) is None]
        wanted = [f"pip install --no-deps {' '.join(missing)}"] if missing else []
        if self.repository and not (sources and clone(sources, self.repository).is_dir()):
            wanted.insert(
                0, f"clone {self.repository} as SOURCES/{folder_name(self.repository)}, --set sources=SOURCES"
            )
        return " and ".join(wanted) or None


def folder_name(repository: str) -> str:
    """Name of the folder that a repository is cloned into.

    Example:
        >>> folder_name("nerdslab/bgrl")
        'nerdslab+bgrl'
    """
    return repository.replace("/", "+")


def clone(sources: str, repository: str) -> Path:
    """Where the clone of a repository lies."""
    return Path(sources) / folder_name(repository)


class Update:
    """One update of some modules: gradients of a loss, a step of Adam, and what follows it; as every side here does it.

    Args:
        loss: computes the loss anew.
        trained: modules or parameters that learn from it.
        after: called after the step.
        around: entered while the loss and its gradients are computed.
    """

    def __init__(
        self,
        loss: Callable[[], Tensor],
        *trained: nn.Module | nn.Parameter,
        after: Callable[[], object] = lambda: None,
        around: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        found = [p for part in trained for p in (part.parameters() if isinstance(part, nn.Module) else [part])]
        self.trained = [parameter for parameter in dict.fromkeys(found) if parameter.requires_grad]
        self.loss, self.after, self.around = loss, after, around
        self.optimizer = torch.optim.Adam(self.trained)

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(parameter.numel() for parameter in self.trained)

    def __call__(self) -> float:
        """The loss before the step."""
        self.optimizer.zero_grad()
        with self.around():
            loss = self.loss()
            loss.backward()
        self.optimizer.step()
        self.after()
        return loss.item()


class Turns:
    """Several updates behind each other, as where a discriminator learns before the encoder."""

    def __init__(self, *updates: Update) -> None:
        self.updates = updates

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(update.parameters for update in self.updates)

    def __call__(self) -> float:
        """The loss of the last one."""
        return [update() for update in self.updates][-1]


class Foreign:
    """A training loop of a peer's own, which takes an optimizer.

    Args:
        step: one step of it.
        optimizer: that it updates.
    """

    def __init__(self, step: Callable[[], Any], optimizer: torch.optim.Optimizer) -> None:
        self.step, self.optimizer = step, optimizer

    @property
    def parameters(self) -> int:
        """Numbers that are trained."""
        return sum(p.numel() for group in self.optimizer.param_groups for p in group["params"] if p.requires_grad)

    def __call__(self) -> object:
        """What the step returns."""
        return self.step()
