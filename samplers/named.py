"""Samplers known by a name of their own: a pair each, with what its paper sets differently."""

from __future__ import annotations

from collections.abc import Callable

from gssl.samplers.pair import PairSampler, make_pair
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.propagation.lmc import LMCPropagation
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.samplers.propagation.vrgcn import VRGCNPropagation
from gssl.samplers.selection.base import Selection
from gssl.samplers.selection.cluster import Cluster
from gssl.samplers.selection.minvar import MinimalVariance
from gssl.samplers.selection.uniform import Uniform

Maker = Callable[..., PairSampler]


def pair(
    selection: type[Selection], propagation: type[Propagation], **defaults: object
) -> Callable[[Callable[[], None]], Maker]:
    """Turn a function that has nothing but a name and a docstring into what builds the pair."""

    def name(described: Callable[[], None]) -> Maker:
        make = make_pair(selection, propagation, **defaults)
        make.__name__ = make.__qualname__ = described.__name__
        make.__module__, make.__doc__ = described.__module__, described.__doc__
        return make

    return name


@pair(MinimalVariance, HistoryPropagation)
def mvs() -> None:
    """MVS: minimal-variance targets, one-shot propagation with history (Cong et al., 2020, arXiv:2006.13866)."""


@pair(Uniform, Neighbor)
def graphsage() -> None:
    """GraphSAGE: uniform targets, uniform neighbors (Hamilton et al., 2017, arXiv:1706.02216)."""


@pair(Uniform, VRGCNPropagation)
def vrgcn() -> None:
    """VR-GCN: uniform targets, few neighbors and a control variate (Chen et al., 2018, arXiv:1710.10568)."""


@pair(Cluster, HistoryPropagation)
def gas() -> None:
    """GNNAutoScale: clusters, neighbors from the history (Fey et al., 2021, arXiv:2106.05609)."""


@pair(Cluster, LMCPropagation)
def lmc() -> None:
    """LMC: clusters, history compensated forward and backward (Shi et al., 2023, arXiv:2302.00924)."""
