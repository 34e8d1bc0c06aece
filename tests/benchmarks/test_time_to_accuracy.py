"""The table of samplers: chosen on one seed, judged on others."""

from pathlib import Path

import pytest

from gssl.benchmarks import time_to_accuracy as tta
from gssl.convergence.record import read


def test_settings_are_chosen_on_one_seed_and_judged_on_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tta, "_NAMED", ("graphsage fanouts=[3,3]",))
    monkeypatch.setattr(tta, "_REDUCED", ())
    monkeypatch.setattr(tta, "_PRECOMPUTED", ())
    plan = {"--seconds": "0.1", "--steps": "3", "--points": "1", "--gamma": "0.5", "--folder": str(tmp_path)}
    options = [text for option in plan.items() for text in option]
    arguments = ["supervised", "digits", *options, "--sizes", "32", "64"]
    tta.main(arguments)
    choice, judged = read(tmp_path / "supervised-digits-choice.jsonl"), read(tmp_path / "supervised-digits.jsonl")
    untrained = [t for t in judged if t.seconds == 1e-3]
    judged = [t for t in judged if t not in untrained]
    assert [t.points[0].step for t in untrained] == [0, 0, 0]
    assert len(choice) == 2 * 2 * 2
    assert {t.seed for t in choice} == {0}
    assert {t.seed for t in judged} == {1, 2, 3}
    assert {t.sampler for t in judged} == {"graphsage fanouts=[3,3]", "mvs gamma=0.5"}
    assert len(judged) in (6, 9, 12)  # the best by seconds and the best by steps may be one
    text = (tmp_path / "supervised-digits.md").read_text()
    assert text.count("| graphsage fanouts=[3,3] |") == text.count("| mvs gamma=0.5 |") == 2
    leads = [line for line in text.splitlines() if line.startswith("Best by gradient norm less best without")]
    assert len(leads) == 2
    assert len(leads[0].partition("seed by seed: ")[2].split(", ")) == 3
    assert (tmp_path / "supervised-digits.svg").stat().st_size > 10_000
    tta.main(arguments)
    assert len(read(tmp_path / "supervised-digits.jsonl")) == len(judged) + 3, "nothing is trained twice"
    tta.main([*arguments, "--confirm", "3"])
    again = read(tmp_path / "supervised-digits-confirm.jsonl")
    assert [t.seed for t in again] == [4, 4, 5, 5, 6, 6]
    equal_seconds = text.partition("steps:")[0]
    assert all(f"| {t.sampler} | {t.batch_size} | {t.lr:g} |" in equal_seconds for t in again)
    assert {t.sampler for t in again} == {"graphsage fanouts=[3,3]", "mvs gamma=0.5"}
    tta.main([*arguments, "--search-seeds", "2"])
    assert {t.seed for t in read(tmp_path / "supervised-digits-choice.jsonl")} == {0, 101}
