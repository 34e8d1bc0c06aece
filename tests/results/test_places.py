"""What is blamed where results cannot be kept is what chose the place."""

from pathlib import Path

import pytest

from gssl.common.errors import StorageError
from gssl.results.places import store_url
from gssl.results.store import Store


@pytest.mark.parametrize(
    ("variable", "blamed", "spared"),
    [("GSSL_RUNS", "choose another folder of runs with GSSL_RUNS", "URL"), ("GSSL_DB", "with --db or GSSL_DB", "RUNS")],
)
def test_what_chose_the_place_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, blamed: str, spared: str
) -> None:
    (tmp_path / "file").touch()
    for name in ("GSSL_RUNS", "GSSL_DB"):
        monkeypatch.delenv(name, raising=False)
    place = tmp_path / "file" / "runs"
    monkeypatch.setenv(variable, str(place) if variable == "GSSL_RUNS" else f"sqlite:///{place}/results.db")
    with pytest.raises(StorageError, match=blamed) as caught:
        Store(store_url())
    assert spared not in str(caught.value)
