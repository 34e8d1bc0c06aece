"""GRACE as PyGCL and DIG do it, through their own public parts.

Both are installed without their dependencies, ``pip install --no-deps PyGCL dive-into-graphs``, because those hold
old versions or do not build; what they import beside PyTorch and PyG is not used here and gets a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec

from torch import Tensor, nn

from gssl.benchmarks.perf.measure import Step
from gssl.benchmarks.perf.peers import dig, pygcl
from gssl.benchmarks.perf.setups import NodeSetup
from gssl.benchmarks.perf.stand_ins import stand_in


@dataclass(frozen=True)
class Library:
    """A peer.

    Attributes:
        name: as it calls itself.
        package: what is imported.
        distribution: what is installed.
        build: prepares its training step.
        loss: its loss of two projections (n, dim) at a temperature.
    """

    name: str
    package: str
    distribution: str
    build: Callable[[NodeSetup], Step]
    loss: Callable[[Tensor, Tensor, float], Tensor]

    @property
    def installed(self) -> bool:
        return find_spec(self.package) is not None


def pygcl_loss(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """PyGCL's loss. It differs from the paper's in that an anchor is a negative of its own."""
    stand_in("dgl", "torch_scatter", "torch_sparse")
    loss: Tensor = _pygcl_contrast(temperature)(z1, z2)
    return loss


def _pygcl_contrast(temperature: float) -> nn.Module:
    from GCL.losses import InfoNCE
    from GCL.models import DualBranchContrast

    contrast: nn.Module = DualBranchContrast(loss=InfoNCE(tau=temperature), mode="L2L", intraview_negs=True)
    return contrast


def dig_loss(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """DIG's loss."""
    stand_in("torch_scatter", "torch_sparse")
    from dig.sslgraph.method.contrastive.objectives import NCE_loss

    loss: Tensor = NCE_loss(zs_n=[z1, z2], tau=temperature)
    return loss


LIBRARIES = (
    Library("PyGCL", "GCL", "PyGCL", pygcl.grace, pygcl_loss),
    Library("DIG", "dig", "dive-into-graphs", dig.grace, dig_loss),
)
