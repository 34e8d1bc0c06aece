"""Every registered method has the losses of the CPU on a CUDA device, which is an emulated one."""

import runpy
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import pytest
import torch

from gssl.graph.kept import Later, places_beside
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.method import Method, OverItems
from gssl.methods.augmae import AUGMAE
from gssl.methods.graphmae import GraphMAE
from gssl.methods.graphmae2 import GraphMAE2
from gssl.models.gcn import GCN
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.testing.emulated.cuda import emulated_cuda, needs_emulated_cuda
from gssl.testing.emulated.tensor import Emulation
from gssl.testing.emulated.training import Make, counted_steps, same_losses
from gssl.testing.methods import EmbeddingContract
from gssl.testing.toy import Kind, toy_batch, toy_graph
from gssl.training.config import TrainConfig

pytestmark = needs_emulated_cuda()
FOLDER = Path(__file__).resolve().parents[1] / "contracts"
CONTRACTS: list[type[EmbeddingContract]] = runpy.run_path(str(FOLDER / "test_contracts_methods.py"))["CONTRACTS"]


def kinds(contract: type[EmbeddingContract]) -> list[Kind]:
    """A batch of each level that the method is for."""
    if contract()._encoder().needs_types:
        return ["hetero"]
    return [kind for kind in ("node", "graph") if kind in contract.method.levels]


CASES = [
    pytest.param(contract, kind, id=f"{contract.__name__}-{kind}")
    for contract in CONTRACTS
    if contract.method.trains
    for kind in kinds(contract)
]


@pytest.mark.parametrize(("contract", "kind"), CASES)
def test_it_has_the_losses_of_the_cpu(contract: type[EmbeddingContract], kind: Kind) -> None:
    same_losses(training(contract, kind))


@pytest.mark.parametrize("decoder", ["GAT", "GIN"])
@pytest.mark.parametrize("kind", [GraphMAE, GraphMAE2, AUGMAE])
def test_a_decoder_has_the_edges_that_its_method_says(kind: type[GraphMAE], decoder: Literal["GAT", "GIN"]) -> None:
    """GraphMAE decodes on the edges that are left, the others on all of them."""

    def make() -> tuple[Method, Sampler]:
        torch.manual_seed(0)
        graph = toy_graph(num_nodes=40, in_dim=8)
        method = kind(GCN(8, hidden_dim=8), drop_edge=0.4, decoder=decoder)
        method.prepare(graph, 0)
        return method, FullBatch(graph)

    same_losses(make)


# One contract of each method is enough for the types of its sums.
ONCE = list({(case.values[0].method, case.values[1]): case for case in reversed(CASES)}.values())  # type: ignore[union-attr]  # a contract


# How often the host waits for the device in a step on a single graph: once for views whose edges are drawn, and for
# what else a method must know. AUG-MAE makes two updates in a step and waits once in each. AutoSSL waits once for
# clusters, ParetoGNN once for its weights, and both for what the methods wait for that they join. One fewer is to be
# written down here.
WAITS = {
    name: waits
    for waits, names in {
        0: "Clustering Completion DGI Distance2Clusters DMGI GALA GGD GraphACL MVGRL NodeProperty Partitioning "
        "PolyGCL SGRL SUGRL",
        1: "ARGA ARGVA Bandana BGRL BLNN CCASSG Contrast COSTA GAE GBT GCA GMI GRACE GraphMAE GraphMAE2 LaGraph M3S "
        "Merged PairwiseAttrSim ProGCL SimMLP SUBGCON Supervised VGAE VICReg",
        2: "AFGRL AUGMAE E2Neg EdgeMask GCC GiGaMAE GPTGNN HeCo MaskGAE MetaPathPred PairwiseDistance S2GAE S2GRL",
        3: "AutoSSL ParetoGNN",
    }.items()
    for name in names.split()
}


# In a step on a set of graphs: all of them, and a batch of four at most. What is made anew before an epoch is counted
# apart, below. GraphCL draws as many random numbers for a view as nodes or edges are left by the augmentation before,
# so that the host must know them: after nodes are dropped, after the walk, and what edges come. JOAO must know which
# augmentations occur, and waits four times where all do. AUG-MAE makes two updates. EdgePred numbers the pairs of a new
# batch, and looks whether its edges are sorted.
GRAPH_WAITS = {
    name: waits
    for waits, names in {
        (0, 0): "ADGCL InfoGraph SimGRACE",
        (0, 2): "MVGRL",
        (1, 1): "AttrMask AutoGCL ContextPred Contrast GraphJEPA GraphMAE LaGraph RGCL Supervised",
        (1, 2): "GROVER",
        (2, 2): "AUGMAE GCC",
        (2, 3): "JOAO",
        (2, 4): "EdgePred",
        (3, 3): "GraphCL JOAOv2",
    }.items()
    for name in names.split()
}
PASSES = {"JOAO", "JOAOv2"}
"""Methods that pass over all graphs before an epoch."""


@pytest.mark.parametrize(("contract", "kind"), ONCE)
def test_it_computes_in_16_bits_and_makes_the_host_wait_so_often(contract: type[EmbeddingContract], kind: Kind) -> None:
    """Autocast leaves no two types that do not go together, whatever the method adds up."""
    config = TrainConfig(epochs=4, lr=0.01, optimizer="sgd", precision="bf16-mixed")
    step = counted_steps(training(contract, kind, apart=kind == "graph"), config)[-2]
    name = contract.method.__name__
    assert step.counts.waits == (GRAPH_WAITS[name][0] if kind == "graph" else WAITS[name]), step.waits
    assert not step.pageable


@pytest.mark.parametrize("contract", [case.values[0] for case in ONCE if case.values[1] == "graph"])
def test_batches_of_graphs_cross_without_a_wait(contract: type[EmbeddingContract]) -> None:
    """A batch comes out of pinned memory, and a step waits as often as in one batch of all graphs."""
    config = TrainConfig(epochs=1, lr=0.01, optimizer="sgd")
    whole = counted_steps(training(contract, "graph", batch_size=4, apart=True), config)
    steps = whole[1:-1]  # without what is done once
    most = max(steps, key=lambda step: step.counts.waits)
    assert most.counts.waits == GRAPH_WAITS[contract.method.__name__][1], most.waits
    assert not any(step.pageable for step in steps)


@pytest.mark.parametrize("method", sorted(PASSES))
def test_a_pass_over_all_graphs_waits_for_each_augmentation_of_a_batch(method: str) -> None:
    """Once for nodes that are dropped or masked or for a walk, twice for edges: what goes, and what is new."""
    contract = next(contract for contract in CONTRACTS if contract.method.__name__ == method)
    config = TrainConfig(epochs=3, lr=0.01, optimizer="sgd")
    whole, alone = (counted_steps(training(contract, "graph", apart=apart), config)[1] for apart in (False, True))
    assert whole.counts.waits - alone.counts.waits == 5, whole.waits


def test_numbers_that_are_wanted_later_are_read_with_what_is_waited_for_next() -> None:
    with emulated_cuda() as ledger:
        mask = torch.tensor([True, False, True], device="cuda")
        wanted = [Later(mask.sum() + number) for number in range(3)]
        forgotten = Later(mask.sum())
        del forgotten  # nobody asks
        ledger.clear()
        (places,), told = places_beside([mask], [mask.sum() * 5])
        assert [int(later) for later in wanted] == [2, 3, 4]
        assert told == (10,)
        assert ledger.counts().waits == 1
        assert places.tolist() == [0, 2]
        ledger.clear()
        first, second = Later(mask.sum()), Later(mask.sum() + 1)
        assert (int(second), int(first), int(first)) == (3, 2, 2)
        assert ledger.counts().waits == 1
        elsewhere = Later(mask.sum())
        with ThreadPoolExecutor(1) as other:  # which has asked for nothing
            assert other.submit(int, elsewhere).result() == 2


def training(contract: type[EmbeddingContract], kind: Kind, *, batch_size: int = 0, apart: bool = False) -> Make:
    """A training; where ``apart``, what is made anew before an epoch is not counted."""

    def make() -> tuple[Method, Sampler]:
        batch = toy_batch(kind)
        x = batch.x if isinstance(batch.x, SparseMatrix) else dense_features(batch.x)
        graph = Graph(batch.blocks[0], x, batch.graph_ptr, batch.hetero)
        method = contract().build(kind)
        method.prepare(graph, 0)
        if apart:
            uncounted(method)
        return method, GraphBatches(graph, batch_size=batch_size) if batch_size else FullBatch(graph)

    return make


def uncounted(method: Method) -> None:
    """Take what happens before an epoch out of the ledger."""
    begin = method.begin_epoch

    def begin_epoch(epoch: int, over_items: OverItems) -> None:
        emulation = Emulation.current
        ledgers = [] if emulation is None else [emulation.ledger.waits, emulation.ledger.pageable]
        before = [ledger.copy() for ledger in ledgers]
        begin(epoch, over_items)
        for ledger, counts in zip(ledgers, before, strict=True):
            ledger.clear()
            ledger.update(counts)

    method.begin_epoch = begin_epoch  # type: ignore[method-assign]  # of one object
