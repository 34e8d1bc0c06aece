"""A data root of their own for tests of imports."""

from __future__ import annotations

from pathlib import Path

import pytest

from gssl.datasets.store import Store


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    return Store.locate()
