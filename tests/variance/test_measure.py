"""What the instrument says of samplers whose errors are known."""

from __future__ import annotations

import pytest

from gssl.common.errors import InputError
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.types import Dataset
from gssl.testing.toy import toy_dataset
from gssl.variance.measure import SamplerError
from gssl.variance.sampler_errors import VarianceRequest, sampler_errors

DATASET = toy_dataset("node")
SAMPLERS = ("uniform+exact", "minvar+exact", "uniform+neighbor", "uniform+history", "uniform+adjoint", "minvar+adjoint")


def configuration(method: str, dataset: Dataset = DATASET) -> RunConfig:
    sets = ("encoder.hidden_dim=8", "encoder.num_layers=2")
    return resolve(Request(method, assignments=sets), Subject("toy", "toy", dataset.level, "P1"))


def measured(method: str, samplers: tuple[str, ...], **options: object) -> dict[str, SamplerError]:
    given = {"batch_size": 10, "draws": 60, "warmup": 5, "views": 2, **options}
    request = VarianceRequest(samplers, options=(("fanouts", 2),), **given)  # type: ignore[arg-type]  # of the test
    return sampler_errors(request, configuration(method), DATASET)


@pytest.fixture(scope="module")
def errors() -> dict[str, SamplerError]:
    return measured("supervised", SAMPLERS)


def test_unbiased_samplers_have_no_bias_beyond_noise(errors: dict[str, SamplerError]) -> None:
    for name in ("uniform+exact", "minvar+exact", "uniform+adjoint", "minvar+adjoint"):
        found = errors[name].total
        assert found.bias2 < 4 * found.variance / 60, name
        assert found.mse == found.bias2 + found.variance


def test_minimal_variance_is_less_than_uniform(errors: dict[str, SamplerError]) -> None:
    assert errors["minvar+exact"].total.variance < 0.9 * errors["uniform+exact"].total.variance
    assert errors["minvar+adjoint"].total.variance < 0.7 * errors["uniform+adjoint"].total.variance


def test_fresh_history_is_exact_forward_and_biased_backward(errors: dict[str, SamplerError]) -> None:
    history = errors["uniform+history"]
    assert max(history.embedding) < 1e-8
    assert history.layers["layer 1"].bias2 > 0.1
    assert history.layers["layer 2"].bias2 < 4 * history.layers["layer 2"].variance / 60
    assert history.edges < errors["uniform+exact"].edges


def test_sampled_neighbors_have_an_embedding_error(errors: dict[str, SamplerError]) -> None:
    assert errors["uniform+neighbor"].embedding[-1] > 1e-4
    assert errors["uniform+exact"].embedding[-1] < 1e-10


def test_layers_are_named_from_the_input(errors: dict[str, SamplerError]) -> None:
    assert list(errors["uniform+exact"].layers) == ["layer 1", "layer 2", "head"]


def test_methods_with_random_views_are_measured_too() -> None:
    found = measured("BGRL", ("uniform+exact", "minvar+adjoint", "lmc"), draws=8)
    assert all(0 < error.total.variance < 1e4 for error in found.values())


def test_own_norms_come_from_checkpoints() -> None:
    fresh = measured("supervised", ("mvs",), draws=8)
    own = measured("supervised", ("mvs",), draws=8, norms="own", batch_size=3)
    assert fresh["mvs"].draws == own["mvs"].draws == 8


@pytest.mark.parametrize(
    ("samplers", "message"),
    [
        (("full",), "has no variance to measure"),
        (("minvarr+exact",), "minvar"),
        (("uniform+exat",), "exact"),
        (("mvss",), "mvs"),
    ],
)
def test_wrong_samplers_are_refused(samplers: tuple[str, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured("supervised", samplers)


def test_a_set_of_graphs_is_refused() -> None:
    graphs = toy_dataset("graph")
    with pytest.raises(InputError, match="set of graphs"):
        sampler_errors(VarianceRequest(("uniform+exact",)), configuration("supervised", DATASET), graphs)
