"""Sparse matrices of an npz are looked at before SciPy follows their indices."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset
from gssl.datasets.sparse_check import check_archive


@pytest.mark.parametrize("kind", ["csr", "csc", "coo"])
def test_what_scipy_saves_passes(tmp_path: Path, kind: str) -> None:
    matrix = sp.random(7, 3, density=0.4, format=kind, random_state=0)
    sp.save_npz(tmp_path / "a.npz", matrix)
    check_archive(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("prefix", "changes", "message"),
    [
        ("adj", {"indices": [0, 9]}, "the matrix adj is damaged: it has index 9 where there are 3"),
        ("attr", {"indptr": [0, 2, 1, 2]}, "the matrix attr is damaged: its indptr does not rise"),
        ("attr", {"shape": [3, 10**13]}, "made dense"),
        ("adj", {"shape": [3]}, "its shape is"),
    ],
)
def test_a_hostile_archive_is_refused_by_its_reader(
    root: Path, prefix: str, changes: dict[str, Any], message: str
) -> None:
    parts = {"data": [1.0, 1.0], "indices": [1, 2], "indptr": [0, 1, 2, 2], "shape": [3, 3]}
    arrays: dict[str, Any] = {
        f"{name}_{key}": np.array(value) for name in ("adj", "attr") for key, value in parts.items()
    }
    arrays |= {f"{prefix}_{key}": part for key, part in changes.items()}
    path = root / "Amazon" / "Computers" / "raw" / "amazon_electronics_computers.npz"
    path.parent.mkdir(parents=True)
    np.savez(path, labels=np.array([0, 1, 1]), **arrays)
    with pytest.raises(InputError, match=message) as caught:
        load_dataset("Computers")
    assert str(path) in str(caught.value)
