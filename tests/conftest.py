"""Fixtures for every folder of tests."""

import os
from pathlib import Path

import pytest

_BESIDE_THE_CLONE = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The read-only copies of real raw files, which ``GSSL_MIRROR`` then names; skips where there are none."""
    path = Path(os.environ.get("GSSL_MIRROR") or _BESIDE_THE_CLONE)
    if not path.is_dir():
        pytest.skip("no real data here: set GSSL_MIRROR to a mirror of raw files")
    monkeypatch.setenv("GSSL_MIRROR", str(path))
    return path
