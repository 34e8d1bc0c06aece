"""The committed index of what ships: fresh, and set aside where it is not."""

import json
from pathlib import Path
from typing import Any

import pytest

from gssl.benchmarks.card_index import content
from gssl.cards import index
from gssl.cards.cards import cards
from gssl.cards.facts import facts_of
from gssl.cli.early import refuse_early
from gssl.cli.main import COMMANDS
from gssl.cli.parser import parse
from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.catalog import find_spec
from gssl.registry import METHODS


def test_the_index_is_fresh() -> None:
    assert index.FILE.read_text(encoding="utf-8") == content(), "run `make docs`"


@pytest.mark.parametrize("name", ["GRACE", "minvar+labor", "walk+saint"])
def test_a_card_from_the_index_is_that_of_the_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index.stored("method" if name == "GRACE" else "sampler", name) is not None
    stored = cards(name)[0]
    monkeypatch.setattr(index, "stored", lambda kind, name: None)
    monkeypatch.setattr(index, "training_options", lambda: None)
    made = cards(name, index.numbers)[0]
    assert json.loads(json.dumps(made.data)) == json.loads(json.dumps(stored.data))
    assert made.blocks == stored.blocks


def test_what_somebody_changed_is_not_told_from_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert index.stored("method", "GRACE") is not None
    data = json.loads(index.FILE.read_text(encoding="utf-8"))
    data["components"]["method"]["GRACE"]["digest"] = "of another declaration"
    (tmp_path / "index.json").write_text(json.dumps(data))
    monkeypatch.setattr(index, "FILE", tmp_path / "index.json")
    index._content.cache_clear()
    try:
        assert index.stored("method", "GRACE") is None
        assert index.stored("method", "BGRL") is not None
    finally:
        index._content.cache_clear()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("def f(*, a: int = 1): return a", "def f(*, a: int = 1):\n    # why\n    return a + 0", True),
        ("def f(*, a: int = 1): return a", "def f(*, a: int = 2): return a", False),
        ("class C:\n    levels = 1", "class C:\n    levels = 2", False),
        (
            "class C:\n    def __init__(self, *, a=1): self.a = a",
            "class C:\n    def __init__(self, *, b=1): ...",
            False,
        ),
        ("def _f(): ...", "def _f(x): ...", True),
        ("import a\n\nAmount = int", '"""New."""\nimport b\n\nAmount = int', True),
        ("Amount = int", "Amount = float", False),
        ('def f(): "old"', 'def f(): "new"', False),
    ],
    ids=["body", "default", "constant", "constructor", "private", "imports", "type", "docstring"],
)
def test_declarations_are_what_a_card_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: str, other: str, same: bool
) -> None:
    def digest(source: str) -> str:
        folder = tmp_path / source[-12:].encode().hex()
        folder.mkdir(exist_ok=True)
        (folder / "part.py").write_text(source)
        monkeypatch.setattr("gssl.__file__", str(folder / "__init__.py"))
        index._declared.cache_clear()
        return index.declarations(["gssl.part"])

    try:
        assert (digest(one) == digest(other)) is same
    finally:
        index._declared.cache_clear()


def message(call: Any) -> str:
    with pytest.raises(InputError) as caught:
        call()
    return str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        ["GRACE", "MUTAG"],
        ["JOAO", "Cora"],
        ["GRACE", "Cora", "--set", "lr=1"],
        ["GRACE", "Cora", "--set", "tempreature=1"],
        ["GRACE", "Cora", "--set", "train.lrr=1"],
        ["GRACE", "Cora", "--encoder", "GAT", "--set", "heads=1"],
        ["GRACE", "Cora", "--encoder", "GATT"],
        ["supervised", "Cora", "--set", "setting.lablels=1", "--set", "labels=1"],
    ],
    ids=" ".join,
)
def test_early_and_late_say_the_same(words: list[str]) -> None:
    _, args = parse(["run", *words], COMMANDS)
    spec = find_spec(args.dataset)
    assert spec is not None
    request = Request(method=args.method, encoder=args.encoder, assignments=tuple(args.set))
    late = message(lambda: resolve(request, Subject(spec.name, spec.name, spec.level, spec.probe)))
    assert message(lambda: refuse_early(args)) == late


@pytest.mark.parametrize("words", [["GRACE", "Cora", "--set", "drop_edge.0=0.1"], ["my:Own", "Cora", "--set", "a=1"]])
def test_what_may_be_right_is_not_refused_early(words: list[str]) -> None:
    refuse_early(parse(["run", *words], COMMANDS)[1])


def test_facts_are_plain_data() -> None:
    facts = facts_of("method", "GRACE", METHODS.get("GRACE"))
    assert json.loads(json.dumps(facts)) == facts
