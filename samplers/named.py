"""Samplers known by a name of their own: a pair each, with what its paper sets differently."""

from __future__ import annotations

from collections.abc import Callable

from gssl.samplers.pair import PairSampler, make_pair
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.fastgcn import FastGCN
from gssl.samplers.propagation.history import HistoryPropagation
from gssl.samplers.propagation.induced import Induced
from gssl.samplers.propagation.labor import Labor
from gssl.samplers.propagation.ladies import Ladies
from gssl.samplers.propagation.lmc import LMCPropagation
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.samplers.propagation.saint import Saint
from gssl.samplers.propagation.shadow import Shadow
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


@pair(Uniform, Labor)
def labor() -> None:
    """LABOR: uniform targets, neighbors that rows share (Balin and Çatalyürek, 2023, arXiv:2210.13339)."""


@pair(Uniform, FastGCN)
def fastgcn() -> None:
    """FastGCN: uniform targets, independent layers of nodes by importance (Chen et al., 2018, arXiv:1801.10247)."""


@pair(Uniform, Ladies)
def ladies() -> None:
    """LADIES: uniform targets, layers of nodes given the layer above, debiased (Zou et al., 2019, arXiv:1911.07323)."""


@pair(Cluster, Induced)
def clustergcn() -> None:
    """ClusterGCN: clusters, nothing from outside them (Chiang et al., 2019, arXiv:1905.07953)."""


@pair(Uniform, Saint)
def graphsaint() -> None:
    """GraphSAINT: uniform roots, the subgraph of their walks, normalised (Zeng et al., 2020, arXiv:1907.04931)."""


@pair(Uniform, Shadow)
def shadow() -> None:
    """ShaDow: uniform targets, a small subgraph of each one's own (Zeng et al., 2021, arXiv:2201.07858)."""
