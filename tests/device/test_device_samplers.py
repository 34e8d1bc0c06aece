"""Every pair of a selection and a propagation, and their options, have the losses of the CPU on an emulated device."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
import torch
from torch import Tensor

from gssl.common.options import Option, options_of
from gssl.common.resolve import Resolver
from gssl.graph.batch import MiniBatch
from gssl.method import Method
from gssl.methods.bgrl import BGRL
from gssl.models.gcn import GCN
from gssl.models.sage import SAGE
from gssl.objectives.weights import weighted_mean
from gssl.registry import PROPAGATIONS, SAMPLERS, SELECTIONS
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PROPAGATION_GIVEN, SELECTION_GIVEN
from gssl.testing.emulated.cuda import needs_emulated_cuda
from gssl.testing.emulated.training import Make, counted_steps, same_losses
from gssl.testing.toy import toy_graph
from gssl.training.config import TrainConfig

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
ONE_EPOCH = TrainConfig(epochs=1, lr=0.01, optimizer="sgd")
# Values of options that are neither yes and no nor one of some names; of those, all values are trained.
NUMBERS: dict[str, dict[str, tuple[Any, ...]]] = {
    "neighbor": {"fanouts": (-1, (2, -1))},
    "labor": {"fanouts": (-1, (2, -1)), "iterations": (1, 2, "converge")},
    "fastgcn": {"nodes_per_layer": (1, (5, 1000))},
    "ladies": {"nodes_per_layer": (1, (5, 1000))},
    "saint": {"steps": (1, 3), "roots": (40,), "subgraphs": (1,)},
    "shadow": {"depth": (1, 3), "neighbors": (1, -1)},
    "vrgcn": {"fanout": (1, 100)},
    "lmc": {"beta": (0.0, 1.0)},
    "cluster": {"num_parts": (3, 40)},
    "walk": {"walk_length": (1, 3), "presample": (2,)},
    "minvar": {
        **{"gamma": (1.0,), "checkpoint_every": (1,), "growth": (1,), "checkpoint_batch": (7,), "renew_every": (1,)},
        **{"staleness": (0.1,), "floor": (0.5,), "mix": (0.0, 1.0), "cost": (0.1,)},
    },
}
ELSEWHERE = {"history_storage", "history_precision", "history_folder", "precompute"}  # have tests of their own below


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


def values_of(option: Option) -> tuple[object, ...]:
    """All values but the default, of what has few."""
    annotation = option.annotation
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if annotation is bool:
        return (not option.default,)
    return tuple(v for v in get_args(annotation) if v != option.default) if get_origin(annotation) is Literal else ()


def option_values(registry: Resolver[Any]) -> Iterator[tuple[str, str, tuple[object, ...]]]:
    """Components, their own options, and the values that are trained."""
    for name in registry.names():
        for option in options_of(registry.get(name)).values():
            if option.name not in (*SELECTION_GIVEN, *PROPAGATION_GIVEN, *ELSEWHERE):
                yield name, option.name, (*values_of(option), *NUMBERS.get(name, {}).get(option.name, ()))


def each_value(registry: Resolver[Any]) -> list[Any]:
    found = [(name, option, value) for name, option, values in option_values(registry) for value in values]
    return [pytest.param(*case, id="-".join(map(str, case))) for case in found]


def test_every_option_is_trained_with_another_value_than_its_default() -> None:
    cases = [*option_values(PROPAGATIONS), *option_values(SELECTIONS)]
    assert not [(name, option) for name, option, values in cases if not values], "add values to NUMBERS"
    named = {(name, option) for name, given in NUMBERS.items() for option in given}
    assert named <= {(name, option) for name, option, _ in cases}, "NUMBERS names what is no option"


@pytest.mark.parametrize(("propagation", "option", "value"), each_value(PROPAGATIONS))
def test_options_of_propagations(propagation: str, option: str, value: object) -> None:
    changed: dict[str, Any] = {option: value}
    same_losses(training("uniform", propagation, plain=True, **changed), ONE_EPOCH)


@pytest.mark.parametrize(("selection", "option", "value"), each_value(SELECTIONS))
def test_options_of_selections(selection: str, option: str, value: object) -> None:
    changed: dict[str, Any] = {option: value} | ({"norms": "online"} if option == "renew_every" else {})
    same_losses(training(selection, "history", plain=True, **changed), ONE_EPOCH)


@pytest.mark.parametrize("sparse", [False, True], ids=["dense", "sparse"])
@pytest.mark.parametrize("propagation", ["neighbor", "induced", "history"])
def test_features_that_stay_in_host_memory(propagation: str, sparse: bool) -> None:
    host: dict[str, Any] = {"sparse": sparse, "features_on": "host", "backend": "torch"}
    same_losses(training("uniform", propagation, plain=True, **host), ONE_EPOCH)
    steps = counted_steps(training("uniform", propagation, plain=True, prefetch=0, **host))[1:]  # the graph goes before
    assert all(step.counts.pageable == 0 for step in steps), [step.pageable for step in steps]
    assert all(step.counts.copies_in for step in steps), "features of each batch are copied"


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
