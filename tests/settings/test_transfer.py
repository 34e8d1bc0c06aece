"""``--pretrain-on``: whose weights are judged, and which data do not go together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.types import Dataset
from gssl.graph.batch import MiniBatch
from gssl.graph.spec import Vocabulary
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.settings.problem import Problem, make_problem
from gssl.testing.toy import toy_dataset, toy_graph
from gssl.training.embed import embed_dataset
from gssl.training.loop import pretrain

WORDS = Vocabulary("toy words")
SOURCE = """
from dataclasses import replace
from gssl.datasets.types import Dataset
from gssl.graph.spec import Vocabulary
from gssl.methods.reference import Raw
from gssl.testing.toy import toy_dataset, toy_graph

def words(meaning="toy words", in_dim=24, name="source", level="node"):
    graph = toy_graph(num_nodes=70, in_dim=in_dim, seed=5)
    vocabulary = Vocabulary(meaning) if meaning else None
    if level == "graph":
        return replace(toy_dataset("graph", name=name), vocabulary=vocabulary)
    return Dataset(name, "node", graph, None, vocabulary=vocabulary, notes=("a remark",), checksum="s0")

def others():
    return words("other words")

def unknown():
    return words(None)

def wider():
    return words(in_dim=30)

def graphs():
    return words(level="graph")
"""


@pytest.fixture(autouse=True)
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Datasets that a run may name as ``toy_sources:words`` and so on."""
    (tmp_path / "toy_sources.py").write_text(SOURCE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield
    sys.modules.pop("toy_sources", None)


def target(**changes: Any) -> Dataset:
    return replace(toy_dataset("node"), vocabulary=WORDS, **changes)


def problem(method: str, source: str = "words", dataset: Dataset | None = None, **given: Any) -> Problem:
    assignments = ("encoder.hidden_dim=8", "train.epochs=2", *given.pop("assignments", ()))
    request = Request(method, preset="none", pretrain_on=f"toy_sources:{source}", assignments=assignments, **given)
    data = target() if dataset is None else dataset
    return make_problem(resolve(request, Subject("toy", "toy", "node", "LBFGS")), data)


def trained(training: Any, source: Method | None = None) -> Method:
    method: Method = training.method(source)
    pretrain(method, training.sampler(method), training.train, seed=0)
    return method


def test_the_encoder_is_that_of_the_source_and_the_embeddings_are_of_the_target() -> None:
    before, transferred = problem("GRACE").trainings(0)
    assert (before.dataset.name, transferred.dataset.name) == ("source", "toy")
    source = trained(before)
    method = trained(transferred, source)
    for name, value in source.encoder.state_dict().items():
        assert torch.equal(value, method.encoder.state_dict()[name]), name
    assert embed_dataset(method, transferred.dataset).shape == (120, 8)
    assert transferred.val(method) > 0.5


def test_a_dataset_without_labels_may_be_pretrained_on_and_is_not_judged() -> None:
    before, transferred = problem("DGI").trainings(0)
    assert before.splits == ()
    assert [split.name for split in transferred.splits] == ["public"]
    assert before.key != transferred.key


def test_the_data_of_both_are_part_of_the_identity_and_notes_say_whose_they_are() -> None:
    found = problem("GRACE", dataset=target(checksum="t0"))
    assert found.task.dataset.checksum == "t0"
    assert found.sources == {"data:source": "s0"}
    assert "source: a remark" in found.notes


def test_fine_tuning_starts_from_the_source_for_every_split() -> None:
    data = replace(toy_dataset("node", splits=("one", "two")), vocabulary=WORDS)
    before, *rest = problem("GRACE", dataset=data, setting="finetune", probe="P4").trainings(0)
    source = trained(before)
    assert len(rest) == 2
    for training in rest:
        method = training.method(source)
        own = {name.removeprefix("encoder."): v for name, v in method.state_dict().items() if name[:8] == "encoder."}
        assert all(torch.equal(value, own[name]) for name, value in source.encoder.state_dict().items())


class Doubled(Method):
    """Embeds with two encoders, and knows something of every node of the graph that it was prepared for."""

    degree: Tensor

    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.other = nn.Linear(encoder.out_dim, encoder.out_dim)

    def prepare(self, graph: Graph, seed: int) -> None:
        self.register_buffer("degree", graph.block.degree.float())

    def embed(self, batch: MiniBatch) -> Tensor:
        rows: Tensor = self.other(self.encoder(batch)) * self.degree[batch.node_ids[: batch.num_targets], None]
        return rows

    def loss(self, batch: MiniBatch) -> Tensor:
        return (self.embed(batch) - 1).square().mean()


def test_all_that_embeds_is_transferred_and_what_was_prepared_for_the_source_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("gssl.config.components.method_class", lambda name: Doubled)
    before, transferred = problem("GRACE").trainings(0)
    source = trained(before)
    method = trained(transferred, source)
    assert isinstance(method, Doubled)
    assert torch.equal(method.other.weight, source.get_parameter("other.weight"))
    assert torch.equal(method.degree, target().graph.block.degree.float())


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("others", r"source has 24 columns of other words, toy 24 columns of toy words"),
        ("unknown", r"nothing says that .* mean the same: what those of source stand for is not known"),
        ("wider", r"source has 30 columns of node features, toy has 24"),
        ("graphs", r"it is graph-level data, but toy is node-level"),
    ],
)
@pytest.mark.parametrize("setting", [None, "finetune"])
def test_other_features_are_refused_with_the_reason(name: str, reason: str, setting: str | None) -> None:
    with pytest.raises(InputError, match=f"--pretrain-on source: .*{reason}"):
        problem("GRACE", name, setting=setting)


def test_features_that_nothing_is_known_of_are_refused_although_they_fit() -> None:
    with pytest.raises(InputError, match="what those of toy stand for is not known"):
        problem("GRACE", dataset=toy_dataset("node"))


def test_a_dataset_that_there_is_not() -> None:
    with pytest.raises(InputError, match="no_such"):
        problem("GRACE", "no_such")


@pytest.mark.parametrize(("method", "setting"), [("GRACE", "auxiliary"), ("supervised", None)])
def test_settings_that_train_once_take_no_source(method: str, setting: str | None) -> None:
    with pytest.raises(InputError, match="--pretrain-on does not go with --setting"):
        problem(method, setting=setting)


def test_two_sources_are_two_configurations_and_none_is_the_usual_one() -> None:
    subject = Subject("toy", "toy", "node", "LBFGS")
    hashes = [
        resolve(Request("GRACE", pretrain_on=source, preset="none"), subject).hash
        for source in (None, "toy_sources:words", "toy_sources:others")
    ]
    assert len(set(hashes)) == 3
    stated = resolve(Request("GRACE", assignments=("setting.pretrain_on=null",), preset="none"), subject)
    assert stated.hash == hashes[0]


def test_a_search_keeps_the_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers get the data; the source is not loaded anew for each trial."""
    found = problem("GRACE")
    loads: list[str] = []
    monkeypatch.setattr("gssl.settings.problem.load_dataset", loads.append)
    sealed = found.sealed(0).under(found.config)
    assert sealed.setting.source is found.setting.source
    assert [training.dataset.name for training in sealed.trainings(0)] == ["source", "toy"]
    assert loads == []


def test_the_source_may_be_larger_or_smaller() -> None:
    small = target(graph=toy_graph(num_nodes=120, in_dim=24), splits=toy_dataset("node").splits)
    makers: list[Callable[[], Dataset]] = [target, lambda: small]
    for make in makers:
        before, transferred = problem("BGRL", dataset=make()).trainings(1)
        assert trained(transferred, trained(before)).training is False
