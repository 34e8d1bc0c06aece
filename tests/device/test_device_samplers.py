"""Every pair of a selection and a propagation, and their options, have the losses of the CPU on an emulated device."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.models.sage import SAGE
from gssl.objectives.weights import weighted_mean
from gssl.registry import PROPAGATIONS, SAMPLERS, SELECTIONS
from gssl.samplers.base import Sampler
from gssl.testing.emulated.cuda import needs_emulated_cuda
from gssl.testing.emulated.training import Make, same_losses
from gssl.testing.toy import toy_graph

pytestmark = needs_emulated_cuda()
GRAPH = toy_graph(num_nodes=40, in_dim=8, attributes=True)
SPARSE = toy_graph(num_nodes=40, in_dim=8, sparse=True)
SELECTION_OPTIONS: dict[str, dict[str, Any]] = {"minvar": {"gamma": 0.5, "checkpoint_every": 2}}
PROPAGATION_OPTIONS: dict[str, dict[str, Any]] = {
    "neighbor": {"fanouts": 3},
    "labor": {"fanouts": 3},
    "fastgcn": {"nodes_per_layer": 10},
    "ladies": {"nodes_per_layer": 10},
    "saint": {"roots": 10, "subgraphs": 4},
}
STORED = ("history", "adjoint", "lmc", "vrgcn")


class Plain(Method):
    """Embeddings that come near to one: without views, which ``precompute`` does not allow."""

    def __init__(self, encoder: GCN | SAGE) -> None:
        super().__init__(encoder)

    def loss(self, batch: MiniBatch) -> Tensor:
        return weighted_mean((self.embed(batch) - 1).square().mean(1), batch.weight)


def training(selection: str, propagation: str, *, sparse: bool = False, plain: bool = False, **options: Any) -> Make:
    """What trains a small method with a pair."""
    given = SELECTION_OPTIONS.get(selection, {}) | PROPAGATION_OPTIONS.get(propagation, {}) | options

    def make() -> tuple[Method, Sampler]:
        torch.manual_seed(0)
        encoder = GCN(8, hidden_dim=8)
        method = Plain(encoder) if plain else BGRL(encoder, predictor_dim=8)
        sampler = SAMPLERS.get(f"{selection}+{propagation}")(
            SPARSE if sparse else GRAPH, num_layers=2, batch_size=16, seed=0, **given
        )
        return method, sampler

    return make


@pytest.mark.parametrize("propagation", PROPAGATIONS.names())
@pytest.mark.parametrize("selection", SELECTIONS.names())
def test_pairs(selection: str, propagation: str) -> None:
    same_losses(training(selection, propagation))


@pytest.mark.parametrize("propagation", PROPAGATIONS.names())
def test_sparse_features(propagation: str) -> None:
    same_losses(training("uniform", propagation, sparse=True))


@pytest.mark.parametrize(
    ("storage", "precision"),
    [("device", "bfloat16"), ("pinned", "float32"), ("pinned", "bfloat16"), ("mmap", "float32")],  # pairs have the rest
)
@pytest.mark.parametrize("propagation", STORED)
def test_storages_of_a_history(
    propagation: str, storage: str, precision: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def make() -> tuple[Method, Sampler]:
        options: dict[str, Any] = {"history_storage": storage, "history_precision": precision}
        if storage == "mmap":
            options["history_folder"] = tmp_path_factory.mktemp("history")
        return training("uniform", propagation, **options)()

    # The sum of two kinds of rows is made in another order on the CPU, where a kernel reads them in place.
    same_losses(make, tolerance=1e-4 if precision == "float32" else 2e-3)


@pytest.mark.parametrize("propagation", ["exact", "neighbor", "labor", "vrgcn", "history", "adjoint"])
def test_a_first_layer_that_is_computed_before(propagation: str) -> None:
    weights: dict[str, Any] = {"weights": "ht"} if propagation == "neighbor" else {}
    same_losses(training("uniform", propagation, plain=True, precompute=True, **weights))


@pytest.mark.parametrize("norms", ["checkpoint", "online"])
@pytest.mark.parametrize("propagation", ["exact", "history", "adjoint"])
def test_checkpoints_in_pieces(propagation: str, norms: str) -> None:
    same_losses(training("minvar", propagation, norms=norms, checkpoint_batch=7))


@pytest.mark.parametrize(
    "options",
    [
        {"estimator": "hajek"},
        {"inductive": True, "items": torch.arange(0, 40, 2), "batch_size": 8},
        {"prefetch": 0},
        {"draw": "fixed"},
        {"step_at_checkpoint": True},
        {"refresh": False, "cost": 0.1, "staleness": 0.1},
        {"growth": 1, "floor": 0.1, "mix": 0.0},
    ],
    ids=str,
)
def test_options_of_a_selection(options: dict[str, Any]) -> None:
    def make() -> tuple[Method, Sampler]:
        method, _ = training("minvar", "exact")()
        given = {"batch_size": 16, "gamma": 0.5, "checkpoint_every": 2, **options}
        return method, SAMPLERS.get("minvar+exact")(GRAPH, num_layers=2, seed=0, **given)

    same_losses(make)


def test_files_of_a_history_are_what_the_cpu_writes(tmp_path: Path) -> None:
    from gssl.graph.history import History, Place
    from gssl.testing.emulated.cuda import emulated_cuda

    place, ids, rows = Place("embedding", 0, 0), torch.tensor([4, 0, 7]), torch.randn(3, 5)
    store = History(10, storage="mmap", folder=tmp_path / "history")
    with emulated_cuda() as ledger:
        there, near = rows.to("cuda"), ids.to("cuda")
        ledger.clear()
        for number in range(3):
            store.push(Place("embedding", number, 0), ids, there, near=near)
        assert not ledger.waits, "rows that are written wait for nobody"
        found = store.pull(place, ids.flip(0), there, near=near.flip(0))
        assert sum(ledger.waits.values()) == 1, "and arrive together"
        assert not ledger.pageable
        assert torch.equal(found.cpu(), rows.flip(0))
    stored = torch.from_file(str(tmp_path / "history" / "embedding-2-0.bin"), size=50).view(10, 5)
    assert torch.equal(stored[ids], rows)
