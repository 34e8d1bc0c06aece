"""Which methods are compared with whom, and on what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic

from gssl.benchmarks.perf import ours
from gssl.benchmarks.perf.measure import Side, Step
from gssl.benchmarks.perf.our_step import OurStep
from gssl.benchmarks.perf.peers import (
    dig,
    official_bootstrap,
    official_graphs,
    official_nodes,
    official_types,
    pyg,
    pygcl,
)
from gssl.benchmarks.perf.peers.peer import Peer, S
from gssl.benchmarks.perf.setups import GraphSetup, HeteroSetup, NodeSetup
from gssl.graph.storage import Graph
from gssl.method import Method

OURS = "gssl"  # whose step it is that peers are compared with


@dataclass(frozen=True)
class Case(Generic[S]):
    """One method on one kind of data.

    Attributes:
        method: registered name.
        setup: data and sizes of every side.
        make: our method from the setup and the graph.
        peers: whom it is compared with, the authors' code first.
    """

    method: str
    setup: S
    make: Callable[[S, Graph], Method]
    peers: tuple[Peer[S], ...]

    @property
    def level(self) -> str:
        """What it learns from: the nodes of one graph, of one with several types of nodes, or graphs."""
        if isinstance(self.setup, HeteroSetup):
            return "hetero"
        return "node" if isinstance(self.setup, NodeSetup) else "graph"

    def on(self, **changes: Any) -> Case[S]:
        """The case with other data or sizes."""
        return replace(self, setup=replace(self.setup, **changes))

    def sides(self, peers: tuple[Peer[S], ...]) -> list[Side]:
        """Ours, then the peers."""
        mine = Side(OURS, partial(build_ours, self.make, self.setup))
        return [mine] + [Side(peer.name, partial(peer.build, self.setup)) for peer in peers]


def build_ours(make: Callable[[S, Graph], Method], setup: S) -> Step:
    """Our step; a module's function, as it travels to other processes."""
    graph = setup.graph()
    return OurStep(make(setup, graph), graph)


def official(repository: str, build: Callable[[S], Step], *packages: str) -> Peer[S]:
    """The authors' code."""
    return Peer(repository, build, packages, repository)


_AUTO = NodeSetup(hidden=32, out=16)
_CL = "GCL"
_MORE = ("torch_scatter", "torch_sparse")

NODE_CASES: tuple[Case[NodeSetup], ...] = (
    Case(
        "DGI",
        NodeSetup(hidden=512),
        ours.dgi,
        (official("PetarV-/DGI", official_nodes.dgi), Peer("PyG", pyg.dgi), Peer("PyGCL", pygcl.dgi, (_CL,))),
    ),
    Case(
        "GRACE",
        NodeSetup(),
        ours.grace,
        (
            official("CRIPAC-DIG/GRACE", official_nodes.grace),
            Peer("PyGCL", pygcl.grace, (_CL,)),
            Peer("DIG", dig.grace, ("dig",)),
        ),
    ),
    Case("GCA", NodeSetup(), ours.gca, (official("CRIPAC-DIG/GCA", official_nodes.gca),)),
    Case("ProGCL", NodeSetup(), ours.progcl, (official("junxia97/ProGCL", official_nodes.progcl),)),
    Case(
        "COSTA",
        NodeSetup(out=256, head=256),
        ours.costa,
        (official("yifeiacc/COSTA", official_nodes.costa, _CL),),
    ),
    Case(
        "BGRL",
        NodeSetup(head=512, drop_edge=(0.4, 0.1), mask_feature=(0.1, 0.2)),
        ours.bgrl,
        (official("nerdslab/bgrl", official_bootstrap.bgrl), Peer("PyGCL", pygcl.bgrl, (_CL,))),
    ),
    Case(
        "AFGRL",
        NodeSetup(hidden=512, head=1024),
        ours.afgrl,
        (official("Namkyeong/AFGRL", official_bootstrap.afgrl, "faiss"),),
    ),
    Case("SGRL", NodeSetup(hidden=512), ours.sgrl, (official("hedongxiao-tju/SGRL", official_bootstrap.sgrl),)),
    Case(
        "BLNN",
        NodeSetup(head=512, drop_edge=(0.4, 0.1), mask_feature=(0.1, 0.2), temperature=1.9),
        ours.blnn,
        (official("Cloudy1225/BLNN", official_bootstrap.blnn),),
    ),
    Case(
        "G-BT",
        NodeSetup(hidden=512, out=256, drop_edge=(0.5, 0.5), mask_feature=(0.5, 0.5)),
        ours.gbt,
        (Peer("PyGCL", pygcl.gbt, (_CL,)),),
    ),
    Case("VICReg", NodeSetup(head=512), ours.vicreg, (Peer("PyGCL", pygcl.vicreg, (_CL,)),)),
    Case("SUGRL", NodeSetup(hidden=512), ours.sugrl, (official("YujieMo/SUGRL", official_nodes.sugrl),)),
    Case(
        "SimMLP",
        NodeSetup(hidden=512, head=512, drop_edge=(0.25, 0.25), mask_feature=(0.5, 0.5)),
        ours.simmlp,
        (official("Zehong-Wang/SimMLP", official_nodes.simmlp, *_MORE),),
    ),
    Case("PolyGCL", NodeSetup(hidden=512), ours.polygcl, (official("ChenJY-Count/PolyGCL", official_nodes.polygcl),)),
    Case("E2Neg", NodeSetup(hidden=1024), ours.e2neg, (official("hedongxiao-tju/E2Neg", official_nodes.e2neg),)),
    Case(
        "MVGRL",
        NodeSetup(hidden=512),
        ours.mvgrl_nodes,
        (
            official("kavehhassani/mvgrl", official_nodes.mvgrl),
            Peer("PyGCL", pygcl.mvgrl_nodes, (_CL, *_MORE)),
            Peer("DIG", dig.mvgrl_nodes, ("dig",)),
        ),
    ),
    Case("GMI", NodeSetup(hidden=512, out=512), ours.gmi, (official("zpeng27/GMI", official_nodes.gmi),)),
    Case(
        "GGD",
        NodeSetup(hidden=512, mask_feature=(0.2, 0.2)),
        ours.ggd,
        (official("zyzisastudyreallyhardguy/Graph-Group-Discrimination", official_nodes.ggd),),
    ),
    Case(
        "SUBG-CON",
        NodeSetup(hidden=1024),
        ours.subgcon,
        (official("yzjiao/Subg-Con", official_nodes.subgcon, "cytoolz"),),
    ),
    Case("GAE", _AUTO, ours.gae, (Peer("PyG", pyg.gae),)),
    Case("VGAE", _AUTO, ours.vgae, (Peer("PyG", pyg.vgae),)),
    Case("ARGA", _AUTO, ours.arga, (Peer("PyG", pyg.arga),)),
    Case("ARGVA", _AUTO, ours.argva, (Peer("PyG", pyg.argva),)),
    Case(
        "MaskGAE",
        NodeSetup(hidden=128, out=64, head=32),
        ours.maskgae,
        (official("EdisonLeeeee/MaskGAE", official_nodes.maskgae, *_MORE),),
    ),
    Case(
        "S2GAE",
        NodeSetup(hidden=128, out=128, head=256),
        ours.s2gae,
        (official("qiaoyu-tan/S2GAE", official_nodes.s2gae, *_MORE),),
    ),
)

GRAPH_CASES: tuple[Case[GraphSetup], ...] = (
    Case(
        "InfoGraph",
        GraphSetup(layers=5),
        ours.infograph,
        (
            official("fanyun-sun/InfoGraph", official_graphs.infograph),
            Peer("PyGCL", pygcl.infograph, (_CL, *_MORE)),
            Peer("DIG", dig.infograph, ("dig",)),
        ),
    ),
    Case(
        "GraphCL",
        GraphSetup(),
        ours.graphcl,
        (
            official("Shen-Lab/GraphCL", official_graphs.graphcl),
            Peer("PyGCL", pygcl.graphcl, (_CL, *_MORE)),
            Peer("DIG", dig.graphcl, ("dig",)),
        ),
    ),
    Case("JOAO", GraphSetup(), ours.joao, (official("Shen-Lab/GraphCL_Automated", official_graphs.joao),)),
    Case("JOAOv2", GraphSetup(), ours.joaov2, (official("Shen-Lab/GraphCL_Automated", official_graphs.joaov2),)),
    Case("AD-GCL", GraphSetup(layers=5), ours.adgcl, (official("susheels/adgcl", official_graphs.adgcl),)),
    Case("SimGRACE", GraphSetup(layers=5), ours.simgrace, (official("junxia97/SimGRACE", official_graphs.simgrace),)),
    Case("RGCL", GraphSetup(), ours.rgcl, (official("lsh0520/RGCL", official_graphs.rgcl, "torch_scatter"),)),
    Case(
        "AutoGCL",
        GraphSetup(hidden=128, layers=5, head=128, temperature=0.5),
        ours.autogcl,
        (official("Somedaywilldo/AutoGCL", official_graphs.autogcl),),
    ),
    Case(
        "MVGRL",
        GraphSetup(hidden=512, layers=4),
        ours.mvgrl_graphs,
        (
            official("kavehhassani/mvgrl", official_graphs.mvgrl),
            Peer("PyGCL", pygcl.mvgrl_graphs, (_CL, *_MORE)),
            Peer("DIG", dig.mvgrl_graphs, ("dig",)),
        ),
    ),
)

HETERO_CASES: tuple[Case[HeteroSetup], ...] = (
    Case("DMGI", HeteroSetup(), ours.dmgi, (official("pcy1302/DMGI", official_types.dmgi),)),
    Case("HeCo", HeteroSetup(), ours.heco, (official("liun-online/HeCo", official_types.heco),)),
)

CASES: tuple[Case[Any], ...] = (*NODE_CASES, *GRAPH_CASES, *HETERO_CASES)

# Methods of others that are here, and why none of their code can be a peer.
WITHOUT_PEER = {
    "CCA-SSG": "the authors' code needs dgl",
    "GraphACL": "the authors' code needs dgl",
    "GraphMAE": "the authors' code needs dgl",
    "GCC": "the authors' code needs dgl",
    "AttrMask": "the authors' code needs a PyG of 2019",
    "ContextPred": "the authors' code needs a PyG of 2019",
    **dict.fromkeys(
        ("NodeProperty", "EdgeMask", "PairwiseDistance", "Distance2Clusters", "PairwiseAttrSim"),
        "the authors' code needs CUDA, and packages that cannot be installed here",
    ),
    **dict.fromkeys(("S2GRL", "M3S"), "no code of the authors is published"),
    **dict.fromkeys(
        ("Clustering", "Partitioning", "Completion"), "the authors' code is one script, which needs CUDA and labels"
    ),
    "MetaPathPred": "the authors' code trains beside a primary task, whose labels weigh the tasks",
    "AutoSSL": "a step of the authors' code is a search over weights",
    "ParetoGNN": "the authors' code needs dgl",
    "Merged": "nobody has published it for graphs",
}
