"""Pretraining on one table of molecules and fine-tuning on another, beside the same encoder from new weights."""

import json
from pathlib import Path
from typing import Any

import pytest

from gssl.cli.main import main
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets import categories
from gssl.datasets.load import load_dataset
from gssl.datasets.translate import translated
from gssl.settings.problem import make_problem

pytest.importorskip("rdkit")

RINGS = ("C1CCCCC1", "c1ccccc1", "C1CCNCC1", "c1ccncc1", "C1CCOC1", "c1ccsc1", "C1CC1", "c1cc[nH]c1")


def molecule(number: int) -> str:
    """A chain with a branch and a ring, another for each number."""
    return "C" * (number % 5 + 2) + f"({'ONF'[number % 3]})" + "C" * (number % 4 + 1) + RINGS[number // 2 % 8]


def tables(folder: Path) -> tuple[Path, Path]:
    """Molecules to pretrain on, and labelled ones: aromatic ring or else oxygen branch. One label is missing."""
    smiles = [molecule(number) for number in range(240)]
    source, target = folder / "many.smi", folder / "few.csv"
    source.write_text("\n".join(smiles[:60]))
    rows = [f"{text},{int(('c1' in text) != ('(O)' in text))}" for text in smiles[60:]]
    target.write_text("\n".join(["smiles,active", *rows, "CCO,"]))
    return source, target


def run(capfd: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["run", *arguments, "--json", "--seeds", "1"]) == 0
    answer: dict[str, Any] = json.loads(capfd.readouterr().out.splitlines()[-1])
    return answer


def curves(folder: Path) -> list[list[dict[str, Any]]]:
    """The records of every training of a run, the shortest training first."""
    files = sorted(folder.rglob("curve.jsonl"))
    return sorted(([json.loads(line) for line in file.read_text().splitlines()] for file in files), key=len)


@pytest.mark.parametrize("method", ["AttrMask", "ContextPred", "EdgePred", "GROVER"])
def test_from_one_table_to_another(
    method: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    source, target = tables(tmp_path)
    shared = [
        str(target),
        "--setting",
        "finetune",
        "--preset",
        "BBBP-finetune",
        "--db",
        f"sqlite:///{tmp_path / 'r.db'}",
    ]
    for setting in ("task.split=usual", "encoder.hidden_dim=16", "finetune.epochs=5"):
        shared += ["--set", setting]
    answers = {}
    for name, extra in ((method, ["--pretrain-on", str(source), "--epochs", "2"]), ("untrained", [])):
        answer = answers[name] = run(capfd, name, *shared, *extra, "--out", str(tmp_path / name))
        assert (answer["encoder"], answer["setting"], answer["metric"]) == ("GINE", "finetune", "accuracy")
        first, tuned = curves(tmp_path / name)
        assert (len(first), len(tuned)) == (2 if extra else 0, 5)
        # The epoch is chosen by the metric of the data, on validation items.
        assert answer["val_mean"] == pytest.approx(max(record["val"] for record in tuned))
    assert answers[method]["split_hash"] == answers["untrained"]["split_hash"]
    losses = [curves(tmp_path / name)[1][0]["loss"] for name in answers]
    assert losses[0] != losses[1]  # the trainings on labels began from other weights


def config_of(method: str) -> RunConfig:
    return resolve(Request(method, setting="finetune"), Subject("BBBP", "BBBP", "graph", "LBFGS"))


def test_presets_of_bbbp_differ_by_the_pretraining_alone() -> None:
    scratch = config_of("untrained")
    assert scratch.task.options["split"] == "scaffold"
    for method in ("AttrMask", "ContextPred", "EdgePred", "GROVER", "GraphCL", "InfoGraph"):
        config = config_of(method)
        assert (config.encoder, config.finetune, config.task, config.probe) == (
            scratch.encoder,
            scratch.finetune,
            scratch.task,
            scratch.probe,
        )
        assert config.setting.options == {**scratch.setting.options, "pretrain_on": "MOSES"}


def test_molecules_are_pretrained_on_in_the_words_of_the_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A set of OGB's has other columns than PyG's; the encoder is one for the target."""
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    source, target = tables(tmp_path)
    dataset = translated(load_dataset(str(target)), categories.OGB)
    options = ("encoder.hidden_dim=8", f"setting.pretrain_on={source}", "task.split=usual")
    request = Request("GROVER", setting="finetune", preset="default-finetune", assignments=options)
    problem = make_problem(resolve(request, Subject("few", "few", "graph", "LBFGS")), dataset)
    before, after = problem.trainings(0)[:2]
    assert before.dataset.vocabulary == after.dataset.vocabulary == categories.OGB
    assert before.dataset.spec == dataset.spec
    method = before.method()
    loss = method.loss(before.dataset.graph.full_batch())
    assert loss.item() > 0
    tuned = after.method(method)
    assert tuned.encoder.in_dim == dataset.graph.in_dim
    assert any("told as atoms and bonds of ogb" in note for note in problem.notes)
    # What was told in other words is other data.
    assert problem.sources != {"data:many": load_dataset(str(source)).checksum}
