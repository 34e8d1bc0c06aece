"""Every registered method has the losses of the CPU on a CUDA device, which is an emulated one."""

import runpy
from pathlib import Path

import pytest

from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch
from gssl.testing.emulated.cuda import needs_emulated_cuda
from gssl.testing.emulated.training import Make, counted_steps, same_losses
from gssl.testing.methods import EmbeddingContract
from gssl.testing.toy import Kind, toy_batch
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


# One contract of each method is enough for the types of its sums.
ONCE = list({case.values[0].method: case for case in reversed(CASES)}.values())  # type: ignore[union-attr]  # a contract


# How often the host waits for the device in a step on a whole graph: once for each view whose edges are drawn, and what
# else a method must know. AUG-MAE makes two updates in a step and waits twice in each. AutoSSL waits once for clusters,
# ParetoGNN once for its weights, and both for what the methods wait for that they join. One fewer is to be written
# down here.
WAITS = {
    name: waits
    for waits, names in {
        0: "Clustering Completion DGI Distance2Clusters DMGI GALA GGD GraphACL NodeProperty Partitioning "
        "PolyGCL SGRL SUGRL",
        1: "ARGA ARGVA Bandana GAE GMI GraphMAE GraphMAE2 LaGraph M3S Merged MVGRL PairwiseAttrSim SimMLP "
        "SUBGCON Supervised VGAE",
        2: "AFGRL BGRL BLNN CCASSG Contrast COSTA E2Neg EdgeMask GBT GCA GCC GiGaMAE GPTGNN GRACE HeCo MaskGAE "
        "MetaPathPred PairwiseDistance ProGCL S2GAE S2GRL VICReg",
        3: "AutoSSL",
        4: "AUGMAE ParetoGNN",
    }.items()
    for name in names.split()
}


@pytest.mark.parametrize(("contract", "kind"), ONCE)
def test_it_computes_in_16_bits_and_makes_the_host_wait_so_often(contract: type[EmbeddingContract], kind: Kind) -> None:
    """Autocast leaves no two types that do not go together, whatever the method adds up."""
    config = TrainConfig(epochs=4, lr=0.01, optimizer="sgd", precision="bf16-mixed")
    step = counted_steps(training(contract, kind), config)[-2]
    if kind != "graph":  # sets of graphs come in batches
        assert step.counts.waits == WAITS[contract.method.__name__], step.waits


def training(contract: type[EmbeddingContract], kind: Kind) -> Make:
    def make() -> tuple[Method, Sampler]:
        batch = toy_batch(kind)
        x = batch.x if isinstance(batch.x, SparseMatrix) else dense_features(batch.x)
        graph = Graph(batch.blocks[0], x, batch.graph_ptr, batch.hetero)
        method = contract().build(kind)
        method.prepare(graph, 0)
        return method, FullBatch(graph)

    return make
