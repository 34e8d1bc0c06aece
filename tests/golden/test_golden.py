"""Losses, scores and hashes of before the interface was rebuilt: bit for bit on the machine that recorded them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from .cases import FILE, carry_out, cases, machine

KNOWN = json.loads(FILE.read_text(encoding="utf-8"))
# Another processor or another torch rounds sums differently, and training makes more of it.
SAME_MACHINE = machine().items() <= KNOWN.items()


def test_every_case_is_recorded() -> None:
    assert KNOWN["cases"].keys() == cases().keys()


@pytest.mark.parametrize("name", cases())
def test_run_is_as_before(name: str, tmp_path: Path) -> None:
    known, found = KNOWN["cases"][name], carry_out(cases()[name], tmp_path / "run")
    for key in ("metric", "config_hash", "split_hash"):
        assert found[key] == known[key]
    if SAME_MACHINE:
        assert found == known
        return
    assert found["losses"].keys() == known["losses"].keys()
    for part, losses in known["losses"].items():
        assert found["losses"][part][:1] == pytest.approx(losses[:1], rel=1e-4)
        assert all(map(math.isfinite, found["losses"][part]))
