"""GRACE's training step as PyGCL and DIG do it, through their own public parts.

Both are installed without their dependencies, ``pip install --no-deps PyGCL dive-into-graphs``, because those hold
old versions or do not build; what they import beside PyTorch and PyG is not used in this step and gets a stand-in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch_geometric.data import Batch
from torch_geometric.data import Data as PyGData
from torch_geometric.loader import DataLoader
from torch_geometric.nn import GCNConv

from gssl.benchmarks.perf.grace_setup import GraceSetup
from gssl.benchmarks.perf.measure import Step
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
    build: Callable[[GraceSetup], Step]
    loss: Callable[[Tensor, Tensor, float], Tensor]

    @property
    def installed(self) -> bool:
        return find_spec(self.package) is not None


class Encoder(nn.Module):
    """Two GCN layers with ReLU on ``edge_index``, which both peers leave to their user."""

    def __init__(self, setup: GraceSetup, in_dim: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList([GCNConv(in_dim, setup.hidden), GCNConv(setup.hidden, setup.out)])

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return x


class BatchEncoder(Encoder):
    """The same for DIG, which hands its encoders a batch."""

    def forward(self, batch: Batch) -> Tensor:  # type: ignore[override]  # DIG's convention
        return super().forward(batch.x, batch.edge_index)


def pygcl_step(setup: GraceSetup) -> Step:
    """The step of PyGCL's GRACE example without its embedding of the unaugmented graph, which it does not train on."""
    stand_in("dgl", "torch_scatter", "torch_sparse")
    from GCL.augmentors import Compose, EdgeRemoving, FeatureMasking

    edge_index, x = setup.plain()
    encoder = Encoder(setup, x.shape[1])
    head = nn.Sequential(nn.Linear(setup.out, setup.out), nn.ELU(), nn.Linear(setup.out, setup.out))
    rates = zip(setup.drop_edge, setup.mask_feature, strict=True)
    views = [Compose([EdgeRemoving(pe=edge), FeatureMasking(pf=feature)]) for edge, feature in rates]
    contrast = _pygcl_contrast(setup.temperature)
    optimizer = torch.optim.Adam([*encoder.parameters(), *head.parameters()])

    def update() -> None:
        optimizer.zero_grad()
        first, second = (head(encoder(*view(x, edge_index)[:2])) for view in views)
        loss = contrast(first, second)
        loss.backward()
        optimizer.step()
        loss.item()

    return update


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


def dig_step(setup: GraceSetup) -> Step:
    """One epoch of DIG's own training loop over a loader with the one graph.

    Its views differ from the paper's: they also add as many random edges as they drop, and mask nodes instead of
    feature columns. Its head has a ReLU.
    """
    stand_in("torch_scatter", "torch_sparse")
    from dig.sslgraph.method import GRACE
    from dig.sslgraph.method.contrastive.model import contrastive

    contrastive.trange = partial(contrastive.trange, disable=True)  # its progress bar
    edge_index, x = setup.plain()
    loader: Iterable[Batch] = list(DataLoader([PyGData(x=x, edge_index=edge_index)]))
    encoder = BatchEncoder(setup, x.shape[1])
    method = GRACE(setup.out, *setup.drop_edge, *setup.mask_feature, tau=setup.temperature, device=torch.device("cpu"))
    optimizer = torch.optim.Adam(encoder.parameters())  # the method adds its head
    epochs = method.train(encoder, loader, optimizer, 10**9, per_epoch_out=True)

    def update() -> None:
        next(epochs)

    return update


def dig_loss(z1: Tensor, z2: Tensor, temperature: float) -> Tensor:
    """DIG's loss."""
    stand_in("torch_scatter", "torch_sparse")
    from dig.sslgraph.method.contrastive.objectives import NCE_loss

    loss: Tensor = NCE_loss(zs_n=[z1, z2], tau=temperature)
    return loss


LIBRARIES = (
    Library("PyGCL", "GCL", "PyGCL", pygcl_step, pygcl_loss),
    Library("DIG", "dig", "dive-into-graphs", dig_step, dig_loss),
)
