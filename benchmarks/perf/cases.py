"""Which methods are compared with whom, on what, and how ours are made: the same widths on every side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic

from gssl.benchmarks.perf.measure import Side, Step
from gssl.benchmarks.perf.our_step import OurStep
from gssl.benchmarks.perf.peers import dig, official_graphs, official_nodes, pyg, pygcl
from gssl.benchmarks.perf.peers.peer import Peer, S
from gssl.benchmarks.perf.setups import (
    ADVERSARY,
    AFGRL_SEARCH,
    CENTERS,
    DROPOUT,
    MASKED_EDGES,
    MOMENTUM,
    NEGATIVES,
    NORM_MOMENTUM,
    SKETCH,
    SUBGRAPH,
    GraphSetup,
    NodeSetup,
)
from gssl.method import Method
from gssl.methods.adgcl import ADGCL
from gssl.methods.afgrl import AFGRL
from gssl.methods.arga import ARGA, ARVGA
from gssl.methods.autogcl import AutoGCL
from gssl.methods.bgrl import BGRL
from gssl.methods.costa import COSTA
from gssl.methods.dgi import DGI
from gssl.methods.gae import GAE
from gssl.methods.gca import GCA
from gssl.methods.ggd import GGD
from gssl.methods.gmi import GMI
from gssl.methods.grace import GRACE
from gssl.methods.graphcl import GraphCL
from gssl.methods.infograph import InfoGraph
from gssl.methods.joao import JOAO, JOAOv2
from gssl.methods.maskgae import MaskGAE
from gssl.methods.mvgrl import MVGRL
from gssl.methods.progcl import ProGCL
from gssl.methods.rgcl import RGCL
from gssl.methods.s2gae import S2GAE
from gssl.methods.simgrace import SimGRACE
from gssl.methods.subgcon import SUBGCON
from gssl.methods.vgae import VGAE
from gssl.models.gcn import GCN
from gssl.models.gin import GIN

OURS = "gssl"  # whose step it is that peers are compared with


@dataclass(frozen=True)
class Case(Generic[S]):
    """One method on one kind of data.

    Attributes:
        method: registered name.
        setup: data and sizes of every side.
        make: our method from the setup and the dimension of the features.
        peers: whom it is compared with, the authors' code first.
    """

    method: str
    setup: S
    make: Callable[[S, int], Method]
    peers: tuple[Peer[S], ...]

    @property
    def level(self) -> str:
        """What it learns from: the nodes of one graph, or graphs."""
        return "node" if isinstance(self.setup, NodeSetup) else "graph"

    def on(self, **changes: Any) -> Case[S]:
        """The case with other data or sizes."""
        return replace(self, setup=replace(self.setup, **changes))

    def sides(self, peers: tuple[Peer[S], ...]) -> list[Side]:
        """Ours, then the peers."""
        ours = Side(OURS, partial(build_ours, self.make, self.setup))
        return [ours] + [Side(peer.name, partial(peer.build, self.setup)) for peer in peers]


def build_ours(make: Callable[[S, int], Method], setup: S) -> Step:
    """Our step; a module's function, as it travels to other processes."""
    graph = setup.graph()
    return OurStep(make(setup, graph.in_dim), graph)


def official(repository: str, build: Callable[[S], Step], *packages: str) -> Peer[S]:
    """The authors' code."""
    return Peer(repository, build, packages, repository)


def _gcn(setup: NodeSetup, in_dim: int, *, layers: int = 2, **options: Any) -> GCN:
    out = setup.out if layers > 1 else setup.hidden
    return GCN(in_dim, hidden_dim=setup.hidden, out_dim=out, num_layers=layers, **options)


def _gin(setup: GraphSetup, in_dim: int) -> GIN:
    width, layers = setup.hidden, setup.layers
    return GIN(in_dim, hidden_dim=width, num_layers=layers, norm="batch", jk="cat", readout="sum")


def _dgi(setup: NodeSetup, in_dim: int) -> Method:
    return DGI(_gcn(setup, in_dim, layers=1, activation="prelu"))


def make_grace(setup: NodeSetup, in_dim: int) -> Method:
    """GRACE."""
    return GRACE(
        _gcn(setup, in_dim),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        temperature=setup.temperature,
        projector_dim=setup.head,
    )


def _gca(setup: NodeSetup, in_dim: int) -> Method:
    return GCA(
        _gcn(setup, in_dim),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        temperature=setup.temperature,
        projector_dim=setup.head,
    )


def _progcl(setup: NodeSetup, in_dim: int) -> Method:
    return ProGCL(
        _gcn(setup, in_dim),
        start=0.0,
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        temperature=setup.temperature,
        projector_dim=setup.head,
        centrality="degree",
    )


def _costa(setup: NodeSetup, in_dim: int) -> Method:
    return COSTA(
        _gcn(setup, in_dim),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        ratio=SKETCH,
        temperature=setup.temperature,
        projector_dim=setup.head,
    )


def _bgrl(setup: NodeSetup, in_dim: int) -> Method:
    return BGRL(
        _gcn(setup, in_dim, activation="prelu", norm="batch", norm_momentum=NORM_MOMENTUM),
        drop_edge=setup.drop_edge,
        mask_feature=setup.mask_feature,
        momentum=MOMENTUM,
        predictor_dim=setup.head,
    )


def _afgrl(setup: NodeSetup, in_dim: int) -> Method:
    neighbors, clusters, runs, steps = AFGRL_SEARCH
    return AFGRL(
        _gcn(setup, in_dim, layers=1, activation="prelu", norm="batch", norm_momentum=NORM_MOMENTUM),
        neighbors=neighbors,
        clusters=min(clusters, setup.nodes),
        cluster_runs=runs,
        cluster_steps=steps,
        momentum=MOMENTUM,
        predictor_dim=setup.head,
    )


def _mvgrl_nodes(setup: NodeSetup, in_dim: int) -> Method:
    return MVGRL(_gcn(setup, in_dim, layers=1, activation="prelu"))


def _gmi(setup: NodeSetup, in_dim: int) -> Method:
    return GMI(_gcn(setup, in_dim, activation="prelu"), negatives=NEGATIVES)


def _ggd(setup: NodeSetup, in_dim: int) -> Method:
    return GGD(_gcn(setup, in_dim, layers=1, activation="prelu"), mask_feature=setup.mask_feature[0])


def _subgcon(setup: NodeSetup, in_dim: int) -> Method:
    encoder = _gcn(setup, in_dim, layers=1, activation="prelu")
    return SUBGCON(encoder, subgraph_size=SUBGRAPH, centers=CENTERS)


def _gae(setup: NodeSetup, in_dim: int) -> Method:
    return GAE(_gcn(setup, in_dim, final_activation=False))


def _vgae(setup: NodeSetup, in_dim: int) -> Method:
    return VGAE(_gcn(replace(setup, out=2 * setup.out), in_dim, final_activation=False))


def _arga(setup: NodeSetup, in_dim: int) -> Method:
    return ARGA(_gcn(setup, in_dim, final_activation=False), discriminator_dims=ADVERSARY)


def _arvga(setup: NodeSetup, in_dim: int) -> Method:
    encoder = _gcn(replace(setup, out=2 * setup.out), in_dim, final_activation=False)
    return ARVGA(encoder, discriminator_dims=ADVERSARY)


def _maskgae(setup: NodeSetup, in_dim: int) -> Method:
    encoder = _gcn(setup, in_dim, activation="elu", norm="batch", dropout=DROPOUT, in_dropout=DROPOUT)
    return MaskGAE(encoder, mask="edge", p=MASKED_EDGES, alpha=0.004, decoder_dim=setup.head)


def _s2gae(setup: NodeSetup, in_dim: int) -> Method:
    return S2GAE(_gcn(setup, in_dim, dropout=DROPOUT), p=MASKED_EDGES, decoder_dim=setup.head, decoder_dropout=DROPOUT)


def _infograph(setup: GraphSetup, in_dim: int) -> Method:
    return InfoGraph(_gin(setup, in_dim))


def _graphcl(setup: GraphSetup, in_dim: int) -> Method:
    return GraphCL(_gin(setup, in_dim), ratio=setup.ratio, temperature=setup.temperature)


def _joao(setup: GraphSetup, in_dim: int) -> Method:
    return JOAO(_gin(setup, in_dim), ratio=setup.ratio, temperature=setup.temperature)


def _joaov2(setup: GraphSetup, in_dim: int) -> Method:
    return JOAOv2(_gin(setup, in_dim), ratio=setup.ratio, temperature=setup.temperature)


def _simgrace(setup: GraphSetup, in_dim: int) -> Method:
    return SimGRACE(_gin(setup, in_dim), temperature=setup.temperature)


def _rgcl(setup: GraphSetup, in_dim: int) -> Method:
    return RGCL(_gin(setup, in_dim), temperature=setup.temperature, generator_dim=setup.hidden)


def _autogcl(setup: GraphSetup, in_dim: int) -> Method:
    return AutoGCL(_gin(setup, in_dim), temperature=setup.temperature, generator_dim=setup.head)


def _adgcl(setup: GraphSetup, in_dim: int) -> Method:
    layers = setup.layers
    return ADGCL(_gin(setup, in_dim), temperature=setup.temperature, augmenter_dim=setup.head, augmenter_layers=layers)


def _mvgrl_graphs(setup: GraphSetup, in_dim: int) -> Method:
    encoder = GCN(in_dim, hidden_dim=setup.hidden, num_layers=setup.layers, activation="prelu", readout="sum")
    return MVGRL(encoder, top_k=None)


_AUTO = NodeSetup(hidden=32, out=16)
_CL = "GCL"
_MORE = ("torch_scatter", "torch_sparse")

NODE_CASES: tuple[Case[NodeSetup], ...] = (
    Case(
        "DGI",
        NodeSetup(hidden=512),
        _dgi,
        (official("PetarV-/DGI", official_nodes.dgi), Peer("PyG", pyg.dgi), Peer("PyGCL", pygcl.dgi, (_CL,))),
    ),
    Case(
        "GRACE",
        NodeSetup(),
        make_grace,
        (
            official("CRIPAC-DIG/GRACE", official_nodes.grace),
            Peer("PyGCL", pygcl.grace, (_CL,)),
            Peer("DIG", dig.grace, ("dig",)),
        ),
    ),
    Case("GCA", NodeSetup(), _gca, (official("CRIPAC-DIG/GCA", official_nodes.gca),)),
    Case("ProGCL", NodeSetup(), _progcl, (official("junxia97/ProGCL", official_nodes.progcl),)),
    Case(
        "COSTA",
        NodeSetup(out=256, head=256),
        _costa,
        (official("yifeiacc/COSTA", official_nodes.costa, _CL),),
    ),
    Case(
        "BGRL",
        NodeSetup(head=512, drop_edge=(0.4, 0.1), mask_feature=(0.1, 0.2)),
        _bgrl,
        (official("nerdslab/bgrl", official_nodes.bgrl), Peer("PyGCL", pygcl.bgrl, (_CL,))),
    ),
    Case(
        "AFGRL",
        NodeSetup(hidden=512, head=1024),
        _afgrl,
        (official("Namkyeong/AFGRL", official_nodes.afgrl, "faiss"),),
    ),
    Case(
        "MVGRL",
        NodeSetup(hidden=512),
        _mvgrl_nodes,
        (
            official("kavehhassani/mvgrl", official_nodes.mvgrl),
            Peer("PyGCL", pygcl.mvgrl_nodes, (_CL, *_MORE)),
            Peer("DIG", dig.mvgrl_nodes, ("dig",)),
        ),
    ),
    Case("GMI", NodeSetup(hidden=512, out=512), _gmi, (official("zpeng27/GMI", official_nodes.gmi),)),
    Case(
        "GGD",
        NodeSetup(hidden=512, mask_feature=(0.2, 0.2)),
        _ggd,
        (official("zyzisastudyreallyhardguy/Graph-Group-Discrimination", official_nodes.ggd),),
    ),
    Case(
        "SUBG-CON",
        NodeSetup(hidden=1024),
        _subgcon,
        (official("yzjiao/Subg-Con", official_nodes.subgcon, "cytoolz"),),
    ),
    Case("GAE", _AUTO, _gae, (Peer("PyG", pyg.gae),)),
    Case("VGAE", _AUTO, _vgae, (Peer("PyG", pyg.vgae),)),
    Case("ARGA", _AUTO, _arga, (Peer("PyG", pyg.arga),)),
    Case("ARVGA", _AUTO, _arvga, (Peer("PyG", pyg.argva),)),
    Case(
        "MaskGAE",
        NodeSetup(hidden=128, out=64, head=32),
        _maskgae,
        (official("EdisonLeeeee/MaskGAE", official_nodes.maskgae, *_MORE),),
    ),
    Case(
        "S2GAE",
        NodeSetup(hidden=128, out=128, head=256),
        _s2gae,
        (official("qiaoyu-tan/S2GAE", official_nodes.s2gae, *_MORE),),
    ),
)

GRAPH_CASES: tuple[Case[GraphSetup], ...] = (
    Case(
        "InfoGraph",
        GraphSetup(layers=5),
        _infograph,
        (
            official("fanyun-sun/InfoGraph", official_graphs.infograph),
            Peer("PyGCL", pygcl.infograph, (_CL, *_MORE)),
            Peer("DIG", dig.infograph, ("dig",)),
        ),
    ),
    Case(
        "GraphCL",
        GraphSetup(),
        _graphcl,
        (
            official("Shen-Lab/GraphCL", official_graphs.graphcl),
            Peer("PyGCL", pygcl.graphcl, (_CL, *_MORE)),
            Peer("DIG", dig.graphcl, ("dig",)),
        ),
    ),
    Case("JOAO", GraphSetup(), _joao, (official("Shen-Lab/GraphCL_Automated", official_graphs.joao),)),
    Case("JOAOv2", GraphSetup(), _joaov2, (official("Shen-Lab/GraphCL_Automated", official_graphs.joaov2),)),
    Case("AD-GCL", GraphSetup(layers=5), _adgcl, (official("susheels/adgcl", official_graphs.adgcl),)),
    Case("SimGRACE", GraphSetup(layers=5), _simgrace, (official("junxia97/SimGRACE", official_graphs.simgrace),)),
    Case("RGCL", GraphSetup(), _rgcl, (official("lsh0520/RGCL", official_graphs.rgcl, "torch_scatter"),)),
    Case(
        "AutoGCL",
        GraphSetup(hidden=128, layers=5, head=128, temperature=0.5),
        _autogcl,
        (official("Somedaywilldo/AutoGCL", official_graphs.autogcl),),
    ),
    Case(
        "MVGRL",
        GraphSetup(hidden=512, layers=4),
        _mvgrl_graphs,
        (
            official("kavehhassani/mvgrl", official_graphs.mvgrl),
            Peer("PyGCL", pygcl.mvgrl_graphs, (_CL, *_MORE)),
            Peer("DIG", dig.mvgrl_graphs, ("dig",)),
        ),
    ),
)

CASES: tuple[Case[Any], ...] = (*NODE_CASES, *GRAPH_CASES)

# Methods of others that are here, and why none of their code can be a peer.
WITHOUT_PEER = {
    "CCA-SSG": "the authors' code needs dgl",
    "GraphACL": "the authors' code needs dgl",
    "GraphMAE": "the authors' code needs dgl",
    "AttrMask": "the authors' code needs a PyG of 2019",
    "ContextPred": "the authors' code needs a PyG of 2019",
    "AutoSSL": "a step of the authors' code is a search over weights",
}
