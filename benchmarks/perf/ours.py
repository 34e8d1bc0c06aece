"""How our methods are made for a comparison, from what a setup says, so that they have the widths of the peers."""
# ruff: noqa: D103  # each makes the method that it is named after

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gssl.benchmarks.perf.setups import (
    ADVERSARY,
    AFGRL_SEARCH,
    CENTERS,
    DROPOUT,
    MASKED_EDGES,
    MOMENTUM,
    NEGATIVES,
    NORM_MOMENTUM,
    ORDER,
    SKETCH,
    STARS,
    SUBGRAPH,
    TRIPLET_NEGATIVES,
    GraphSetup,
    HeteroSetup,
    NodeSetup,
    clusters_of,
)
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.adgcl import ADGCL
from gssl.methods.afgrl import AFGRL
from gssl.methods.arga import ARGA, ARGVA
from gssl.methods.autogcl import AutoGCL
from gssl.methods.bgrl import BGRL
from gssl.methods.blnn import BLNN
from gssl.methods.costa import COSTA
from gssl.methods.dgi import DGI
from gssl.methods.dmgi import DMGI
from gssl.methods.e2neg import E2Neg
from gssl.methods.gae import GAE
from gssl.methods.gbt import GBT
from gssl.methods.gca import GCA
from gssl.methods.ggd import GGD
from gssl.methods.gmi import GMI
from gssl.methods.grace import GRACE
from gssl.methods.graphcl import GraphCL
from gssl.methods.heco import HeCo
from gssl.methods.infograph import InfoGraph
from gssl.methods.joao import JOAO, JOAOv2
from gssl.methods.maskgae import MaskGAE
from gssl.methods.mvgrl import MVGRL
from gssl.methods.polygcl import PolyGCL
from gssl.methods.progcl import ProGCL
from gssl.methods.rgcl import RGCL
from gssl.methods.s2gae import S2GAE
from gssl.methods.sgrl import SGRL
from gssl.methods.simgrace import SimGRACE
from gssl.methods.simmlp import SimMLP
from gssl.methods.subgcon import SUBGCON
from gssl.methods.sugrl import SUGRL
from gssl.methods.vgae import VGAE
from gssl.methods.vicreg import VICReg
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.metapath import MetaPathGCN
from gssl.models.mlp import MLPEncoder


def _gcn(setup: NodeSetup, graph: Graph, *, layers: int = 2, **options: Any) -> GCN:
    out = setup.out if layers > 1 else setup.hidden
    return GCN(graph.in_dim, hidden_dim=setup.hidden, out_dim=out, num_layers=layers, **options)


def _gin(setup: GraphSetup, graph: Graph) -> GIN:
    width, layers = setup.hidden, setup.layers
    return GIN(graph.in_dim, hidden_dim=width, num_layers=layers, norm="batch", jk="cat", readout="sum")


def dgi(setup: NodeSetup, graph: Graph) -> Method:
    return DGI(_gcn(setup, graph, layers=1, activation="prelu"))


def grace(setup: NodeSetup, graph: Graph) -> Method:
    return GRACE(
        _gcn(setup, graph),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        temperature=setup.temperature,
        projector_dim=setup.head,
    )


def gca(setup: NodeSetup, graph: Graph) -> Method:
    return GCA(
        _gcn(setup, graph),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        temperature=setup.temperature,
        projector_dim=setup.head,
    )


def progcl(setup: NodeSetup, graph: Graph) -> Method:
    return ProGCL(
        _gcn(setup, graph),
        start=0.0,
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        temperature=setup.temperature,
        projector_dim=setup.head,
        centrality="degree",
    )


def costa(setup: NodeSetup, graph: Graph) -> Method:
    return COSTA(
        _gcn(setup, graph),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        ratio=SKETCH,
        temperature=setup.temperature,
        projector_dim=setup.head,
    )


def bgrl(setup: NodeSetup, graph: Graph) -> Method:
    return BGRL(
        _gcn(setup, graph, activation="prelu", norm="batch", norm_momentum=NORM_MOMENTUM),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        momentum=MOMENTUM,
        predictor_dim=setup.head,
    )


def afgrl(setup: NodeSetup, graph: Graph) -> Method:
    neighbors, clusters, runs, steps = AFGRL_SEARCH
    return AFGRL(
        _gcn(setup, graph, layers=1, activation="prelu", norm="batch", norm_momentum=NORM_MOMENTUM),
        neighbors=neighbors,
        clusters=min(clusters, setup.nodes),
        cluster_runs=runs,
        cluster_steps=steps,
        momentum=MOMENTUM,
        predictor_dim=setup.head,
    )


def blnn(setup: NodeSetup, graph: Graph) -> Method:
    return BLNN(
        _gcn(setup, graph, activation="prelu", norm="batch", norm_momentum=NORM_MOMENTUM),
        temperature=setup.temperature,
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        momentum=MOMENTUM,
        predictor_dim=setup.head,
    )


def sgrl(setup: NodeSetup, graph: Graph) -> Method:
    return SGRL(_gcn(setup, graph, layers=1, activation="prelu"), momentum=MOMENTUM)


def gbt(setup: NodeSetup, graph: Graph) -> Method:
    return GBT(
        _gcn(setup, graph, activation="prelu", norm="batch", norm_momentum=NORM_MOMENTUM),
        drop_edge=setup.drop_edge[0],
        mask_feature=setup.mask_feature[0],
    )


def vicreg(setup: NodeSetup, graph: Graph) -> Method:
    return VICReg(
        _gcn(setup, graph),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        expander_dim=setup.head,
    )


def sugrl(setup: NodeSetup, graph: Graph) -> Method:
    encoder = MLPEncoder(
        graph.in_dim, hidden_dim=setup.hidden, out_dim=setup.out, num_layers=2, final_activation=False, in_dropout=0.3
    )
    return SUGRL(encoder, negatives=TRIPLET_NEGATIVES)


def simmlp(setup: NodeSetup, graph: Graph) -> Method:
    encoder = MLPEncoder(
        graph.in_dim,
        hidden_dim=setup.hidden,
        num_layers=2,
        activation="prelu",
        norm="batch",
        final_activation=False,
        last_norm=True,
        residual=True,
        dropout=DROPOUT,
    )
    drop, mask = setup.drop_edge[0], setup.mask_feature[0]
    return SimMLP(encoder, mask_feature=mask, drop_edge=drop, aggregations=2, predictor_dim=setup.head)


def polygcl(setup: NodeSetup, graph: Graph) -> Method:
    encoder = MLPEncoder(graph.in_dim, hidden_dim=setup.hidden, num_layers=1, activation="relu")
    return PolyGCL(encoder, order=ORDER, drop_features=DROPOUT, drop_filtered=DROPOUT)


def e2neg(setup: NodeSetup, graph: Graph) -> Method:
    neighbors, clusters = STARS, clusters_of(setup.nodes)
    return E2Neg(_gcn(setup, graph, layers=1, activation="prelu"), clusters=clusters, neighbors=neighbors)


def mvgrl_nodes(setup: NodeSetup, graph: Graph) -> Method:
    return MVGRL(_gcn(setup, graph, layers=1, activation="prelu"))


def gmi(setup: NodeSetup, graph: Graph) -> Method:
    return GMI(_gcn(setup, graph, activation="prelu"), negatives=NEGATIVES)


def ggd(setup: NodeSetup, graph: Graph) -> Method:
    return GGD(_gcn(setup, graph, layers=1, activation="prelu"), mask_feature=setup.mask_feature[0])


def subgcon(setup: NodeSetup, graph: Graph) -> Method:
    encoder = _gcn(setup, graph, layers=1, activation="prelu")
    return SUBGCON(encoder, subgraph_size=SUBGRAPH, centers=CENTERS)


def gae(setup: NodeSetup, graph: Graph) -> Method:
    return GAE(_gcn(setup, graph, final_activation=False))


def vgae(setup: NodeSetup, graph: Graph) -> Method:
    return VGAE(_gcn(replace(setup, out=2 * setup.out), graph, final_activation=False))


def arga(setup: NodeSetup, graph: Graph) -> Method:
    return ARGA(_gcn(setup, graph, final_activation=False), discriminator_dims=ADVERSARY)


def argva(setup: NodeSetup, graph: Graph) -> Method:
    encoder = _gcn(replace(setup, out=2 * setup.out), graph, final_activation=False)
    return ARGVA(encoder, discriminator_dims=ADVERSARY)


def maskgae(setup: NodeSetup, graph: Graph) -> Method:
    encoder = _gcn(setup, graph, activation="elu", norm="batch", dropout=DROPOUT, in_dropout=DROPOUT)
    return MaskGAE(encoder, mask="edge", p=MASKED_EDGES, alpha=0.004, decoder_dim=setup.head)


def s2gae(setup: NodeSetup, graph: Graph) -> Method:
    return S2GAE(_gcn(setup, graph, dropout=DROPOUT), p=MASKED_EDGES, decoder_dim=setup.head, decoder_dropout=DROPOUT)


def infograph(setup: GraphSetup, graph: Graph) -> Method:
    return InfoGraph(_gin(setup, graph))


def graphcl(setup: GraphSetup, graph: Graph) -> Method:
    return GraphCL(_gin(setup, graph), ratio=setup.ratio, temperature=setup.temperature)


def joao(setup: GraphSetup, graph: Graph) -> Method:
    return JOAO(_gin(setup, graph), ratio=setup.ratio, temperature=setup.temperature)


def joaov2(setup: GraphSetup, graph: Graph) -> Method:
    return JOAOv2(_gin(setup, graph), ratio=setup.ratio, temperature=setup.temperature)


def simgrace(setup: GraphSetup, graph: Graph) -> Method:
    return SimGRACE(_gin(setup, graph), temperature=setup.temperature)


def rgcl(setup: GraphSetup, graph: Graph) -> Method:
    return RGCL(_gin(setup, graph), temperature=setup.temperature, generator_dim=setup.hidden)


def autogcl(setup: GraphSetup, graph: Graph) -> Method:
    return AutoGCL(_gin(setup, graph), temperature=setup.temperature, generator_dim=setup.head)


def adgcl(setup: GraphSetup, graph: Graph) -> Method:
    layers = setup.layers
    return ADGCL(_gin(setup, graph), temperature=setup.temperature, augmenter_dim=setup.head, augmenter_layers=layers)


def mvgrl_graphs(setup: GraphSetup, graph: Graph) -> Method:
    encoder = GCN(graph.in_dim, hidden_dim=setup.hidden, num_layers=setup.layers, activation="prelu", readout="sum")
    return MVGRL(encoder, top_k=None)


def dmgi(setup: HeteroSetup, graph: Graph) -> Method:
    encoder = MetaPathGCN.for_graph(
        GraphSpec.of(graph),
        hidden_dim=setup.hidden,
        project=False,
        in_dropout=DROPOUT,
        activation="relu",
        self_weight=1.0,
        join="mean",
    )
    return DMGI(encoder)


def heco(setup: HeteroSetup, graph: Graph) -> Method:
    encoder = MetaPathGCN.for_graph(GraphSpec.of(graph), hidden_dim=setup.hidden, dropout=0.3, attention_dropout=0.5)
    return HeCo(encoder, neighbors=dict(setup.neighbors), temperature=setup.temperature)
