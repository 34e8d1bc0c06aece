import json
import re
from pathlib import Path
from typing import Any

import pytest

from gssl.cards.describe import argument_texts, description, type_text
from gssl.cards.facts import facts_of
from gssl.cli.main import main
from gssl.common.options import options_of
from gssl.config.presets import presets_of
from gssl.registry import AUGMENTERS, ENCODERS, METHODS, OBJECTIVES, PROBES, PROPAGATIONS, SAMPLERS, SETTINGS, TASKS


def card(name: str, capfd: pytest.CaptureFixture[str]) -> dict[str, object]:
    assert main(["show", name, "--json"]) == 0
    data: dict[str, object] = json.loads(capfd.readouterr().out)
    return data


def test_card_of_a_method_has_paper_parts_defaults_space_and_presets(capfd: pytest.CaptureFixture[str]) -> None:
    data = card("grace", capfd)
    assert (data["name"], data["kind"], data["family"], data["default_encoder"]) == (
        "GRACE",
        "method",
        "contrastive",
        "GCN",
    )
    assert "arXiv:2006.04131" in str(data["summary"])
    assert str(data["parts"]).split(", ") == [
        "drop_edge (augmenter)",
        "mask_feature (augmenter)",
        "info_nce (objective)",
    ]
    options = {option["name"]: option for option in data["options"]}  # type: ignore[attr-defined]
    assert (options["temperature"]["type"], options["temperature"]["default"]) == ("real > 0", 0.4)
    assert options["temperature"]["meaning"] == "of the cosine similarity."
    assert {"kind", "low", "high", "log"} == set(data["search_space"]["temperature"])  # type: ignore[index]
    train = presets_of("GRACE")["Cora"].section("train").options
    assert data["presets"]["Cora"]["train"] == train  # type: ignore[index]
    assert main(["show", "grace"]) == 0
    text = capfd.readouterr().out
    assert "edge-drop probability of each view" in text
    assert "train.lr" in text
    assert "--preset NAME" in text


@pytest.mark.parametrize("family", [METHODS, ENCODERS, PROBES, SAMPLERS], ids=lambda family: family.family)
def test_everything_that_is_listed_can_be_shown(family: object, capfd: pytest.CaptureFixture[str]) -> None:
    for name in family.names():  # type: ignore[attr-defined]
        assert main(["show", name]) == 0
        assert name in capfd.readouterr().out


def test_summaries_are_whole_sentences() -> None:
    """Also where the line of the docstring was full before the sentence ended."""
    families = (METHODS, ENCODERS, PROBES, AUGMENTERS, OBJECTIVES, TASKS, SETTINGS)
    cut = {
        name: text
        for family in families
        for name in family.names()
        if not (text := family.summary(name)).endswith(".") or text.count("(") != text.count(")")
    }
    assert not cut
    assert METHODS.summary("Graph-JEPA") == facts_of("method", "Graph-JEPA", METHODS.get("Graph-JEPA"))["summary"]


def test_no_task_is_promised_for_which_types_of_nodes_are_lost() -> None:
    """``--task link`` makes one graph of any data, which these methods refuse."""
    typed = [name for name in METHODS.names() if METHODS.get(name).needs_types]
    assert {name: tuple(facts_of("method", name, METHODS.get(name))["tasks"]) for name in typed} == dict.fromkeys(
        typed, ("node", "cluster")
    )
    assert len(typed) == 3
    assert "link" in facts_of("method", "DGI", METHODS.get("DGI"))["tasks"]


def test_every_option_of_a_method_is_explained() -> None:
    for name in METHODS.names():
        method = METHODS.get(name)
        missing = set(options_of(method)) - set(argument_texts(method))
        assert not missing, f"{name}: {missing}"


def test_card_of_a_dataset(capfd: pytest.CaptureFixture[str]) -> None:
    data = card("mutag", capfd)
    assert (data["kind"], data["level"], data["probe"]) == ("dataset", "graph", "P5-RBF")
    assert data["labels"] == "multiclass"


def test_card_of_a_task_has_its_options_and_what_judges_it(capfd: pytest.CaptureFixture[str]) -> None:
    data = card("link", capfd)
    assert (data["kind"], data["probes"]) == ("task", ["Dot", "Hadamard", "Decoder"])
    told = [(option["name"], option["type"], option["default"]) for option in data["options"]]  # type: ignore[attr-defined]
    assert told == [("val", "real > 0 < 1", 0.05), ("test", "real > 0 < 1", 0.1)]
    assert main(["show", "link"]) == 0
    out = capfd.readouterr().out
    assert "task.val" in out
    assert "share of the edges that validate" in out
    assert "task.fixed" not in out, "a sealed task gives it to itself"


def test_card_of_a_setting_has_the_options_of_its_second_training(capfd: pytest.CaptureFixture[str]) -> None:
    data = card("Finetune", capfd)
    assert (data["name"], data["kind"]) == ("finetune", "setting")
    assert [option["name"] for option in data["options"]] == ["labels", "dropout", "pretrain_on"]  # type: ignore[attr-defined]
    told = [(option["name"], option["type"], option["default"]) for option in data["finetune"]]  # type: ignore[attr-defined]
    assert ("epochs", "integer >= 0", 100) in told
    assert main(["show", "finetune"]) == 0
    out = capfd.readouterr().out
    assert "setting.labels" in out
    assert "finetune.lr" in out
    assert card("supervised", capfd)["kind"] == "method", "its setting is of this method alone"


@pytest.mark.parametrize("family", [TASKS, SETTINGS, OBJECTIVES, AUGMENTERS], ids=lambda family: family.family)
def test_everything_that_can_be_named_is_listed_and_shown(family: Any, capfd: pytest.CaptureFixture[str]) -> None:
    key = f"{family.family}s"
    assert main(["list", key, "--json"]) == 0
    listed = json.loads(capfd.readouterr().out)[key]
    assert [entry["name"] for entry in listed] == family.names()
    assert all(entry["summary"] for entry in listed)
    for name in family.names():
        assert main(["show", name]) == 0
        assert name in capfd.readouterr().out


def test_card_of_a_class_of_ones_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shown.py").write_text(
        "from gssl.method import Method\n"
        "class Mine(Method):\n"
        "    '''What it is.\n\n    Args:\n        encoder: e.\n        width: how wide\n            it is.\n    '''\n"
        "    def __init__(self, encoder, *, width: int = 3): super().__init__(encoder)\n"
        "    def loss(self, batch): ...\n"
        "def helper(): ...\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    data = card("shown:Mine", capfd)
    assert (data["summary"], data["kind"]) == ("What it is.", "method")
    assert main(["show", "shown:Mine"]) == 0
    assert "how wide it is." in capfd.readouterr().out
    assert main(["show", "shown:helper"]) == 2
    assert "is not a method" in capfd.readouterr().err


def test_numbers_stand_on_the_card_as_people_write_them(capfd: pytest.CaptureFixture[str]) -> None:
    for name in ("DGI", "GRACE"):
        assert main(["show", name]) == 0
        text = capfd.readouterr().out
        assert not re.search(r"\d\.\d{8}|\de-0", text)
        assert "null  null" not in text.partition("published\n")[2]
    assert "train.weight_decay=1e-5" in text


def test_published_numbers_stand_on_the_card(capfd: pytest.CaptureFixture[str]) -> None:
    published: Any = card("BGRL", capfd)["published"]
    (photo,) = (
        p for p in published if (p["dataset"], p["status"]) == ("Photo", "verified") and "rerun" not in p["source"]
    )
    assert (photo["probe"], photo["mean"], photo["std"]) == ("P3-BGRL", 0.9317, 0.003)
    assert all(p["method"] == "BGRL" and p["source"] for p in published)


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "integer"),
        (bool, "true/false"),
        (float | None, "real or null"),
        (tuple[int, ...], "list of integer"),
        (list[str], "list of text"),
        (tuple[float, int], "list of (real, integer)"),
    ],
)
def test_types_in_words(annotation: object, text: str) -> None:
    assert type_text(annotation) == text


@pytest.mark.parametrize(
    ("name", "unbiased", "says"),
    [
        ("exact", "embedding and gradient", "those of the whole graph"),
        ("neighbor", "see below", "which biases embeddings and gradient"),
        ("history", "see below", "Biased: embeddings by the staleness"),
        ("adjoint", "see below", "biased by its staleness"),
        ("induced", "see below", "Biased: messages from outside"),
        ("saint", "see below", "Biased from two layers on"),
        ("mvs", "see below", "Biased: embeddings by the staleness"),
        ("graphsage", "see below", "which biases embeddings and gradient"),
        ("minvar+exact", "embedding and gradient", "those of the whole graph"),
    ],
)
def test_the_card_of_a_sampler_says_what_is_biased(
    name: str, unbiased: str, says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    data = card(name, capfd)
    assert str(data["unbiased"]).startswith(unbiased)
    assert says in " ".join(str(data["description"]).split())


def test_every_biased_propagation_says_so() -> None:
    for name in PROPAGATIONS.names():
        propagation = PROPAGATIONS.get(name)
        if not propagation.unbiased:
            assert "bias" in description(propagation).lower(), name


def test_options_of_a_pair_are_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "mvs"]) == 0
    out = capsys.readouterr().out
    assert "size of V_S as a fraction of the items" in out
    assert "sampler.history_precision" in out
    assert "sampler.batch_size" not in out, "it is --batch-size"


@pytest.mark.parametrize(("name", "meant"), [("demoo", "'demo'"), ("node-smal", "'node-small'")])
def test_suites_are_among_what_may_have_been_meant(name: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", name]) == 2
    assert meant in capsys.readouterr().err
