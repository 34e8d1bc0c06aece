"""Planetoid's eight pickled files: put together right, and refused before SciPy follows an index out of range."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from gssl.common.errors import InputError
from gssl.datasets.load import load_dataset
from gssl.graph.sparse import dense_features

NODES = 600


@pytest.fixture(autouse=True)
def unknown_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small files below bear the names of real ones."""
    monkeypatch.setattr("gssl.datasets.checksums._known", lambda: {"publisher": {}, "copy": {}})


def _write(root: Path, protocol: int = 2, end: str = "\n", **changes: Any) -> sp.csr_matrix:
    """Training nodes first, test nodes last and shuffled, as in Planetoid's files; returns the features."""
    raw = root / "Planetoid" / "PubMed" / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    x = sp.csr_matrix(rng.random((NODES, 5)) * (rng.random((NODES, 5)) < 0.5)).astype(np.float32)
    y = np.eye(3, dtype=np.int32)[np.arange(NODES) % 3]
    order = rng.permutation(np.arange(550, NODES))
    parts: dict[str, Any] = {
        "x": x[:6], "y": y[:6], "allx": x[:550], "ally": y[:550], "tx": x[order], "ty": y[order],
        "graph": {i: [(i + 1) % NODES, i, (i + 1) % NODES] for i in range(NODES)}, "test": order, **changes,
    }  # fmt: skip
    test = parts.pop("test")
    for key, part in parts.items():
        (raw / f"ind.pubmed.{key}").write_bytes(pickle.dumps(part, protocol))
    (raw / "ind.pubmed.test.index").write_text("\n".join(map(str, test)) + end)
    return x


@pytest.mark.parametrize(("protocol", "end"), [(2, "\n"), (4, "\n"), (2, "")])
def test_nodes_are_put_in_order(root: Path, protocol: int, end: str) -> None:
    x = _write(root, protocol, end)
    data = load_dataset("PubMed")
    (split,) = data.splits
    assert data.labels is not None
    assert data.labels.y.tolist() == [i % 3 for i in range(NODES)]
    assert (split.name, len(split.train), len(split.val)) == ("public", 6, 500)
    assert split.test.tolist() == list(range(550, NODES))
    assert {(int(u), int(v)) for u, v in data.graph.block.edge_index.T} == {(i, (i + 1) % NODES) for i in range(NODES)}
    dense = x.toarray()
    total = dense.sum(axis=1, keepdims=True)
    wanted = dense / np.where(total == 0, 1, total)
    assert np.allclose(dense_features(data.graph.x).numpy(), wanted, atol=1e-6)


def _damaged(**changes: Any) -> sp.csr_matrix:
    """A matrix of 550 rows whose parts were changed behind SciPy's back, as in a hostile file."""
    matrix = sp.csr_matrix(np.eye(550, 5, dtype=np.float32))
    vars(matrix).update(changes)
    return matrix


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"indices": np.array([0, 1, 10**9, 3, 4], dtype=np.int32)}, "index 1000000000 where there are 5"),
        ({"indices": np.array([0, 1, -7, 3, 4], dtype=np.int32)}, "index -7"),
        ({"indptr": np.arange(3, dtype=np.int32)}, "does not rise from 0 in 551 steps"),
        ({"indptr": np.full(551, 10**6, dtype=np.int32)}, "does not rise from 0"),
        ({"indptr": np.append(np.zeros(550, dtype=np.int32), np.int32(10**8))}, "ends at 100000000"),
        ({"data": np.ones(2, dtype=np.float32)}, "2 values"),
        ({"_shape": (550, -5)}, "its shape is"),
        ({"_shape": (550, 10**12)}, "made dense"),
        ({"indices": [0, 1]}, "no list of whole numbers"),
    ],
)
def test_hostile_matrices(root: Path, changes: dict[str, Any], message: str) -> None:
    _write(root, allx=_damaged(**changes))
    with pytest.raises(InputError, match=rf"ind\.pubmed\.allx: .*{message}"):
        load_dataset("PubMed")


def test_a_pickle_that_would_fill_the_memory(root: Path) -> None:
    """Five bytes that number a part make C's unpickler write 2 * 8 bytes for every number below."""
    _write(root)
    file = root / "Planetoid" / "PubMed" / "raw" / "ind.pubmed.graph"
    file.write_bytes(b"\x80\x02}" + pickle.LONG_BINPUT + (2**31).to_bytes(4, "little") + b".")
    with pytest.raises(InputError, match="refers to a part with the number 2147483648"):
        load_dataset("PubMed")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test": range(550, 599)}, "must name 50 different test nodes"),
        ({"test": [*range(550, 599), 10**12]}, "names 550 to 1000000000000"),
        ({"test": range(549, 599)}, "names 549 to 598"),
        ({"test": ["node"]}, "no list of node ids"),
        ({"ally": np.eye(549, 3, dtype=np.int32)}, "allx has 550 rows, but ally has 549"),
        ({"graph": [[1], [0]]}, "no lists of neighbors"),
        ({"graph": dict.fromkeys(range(NODES), [0] * 10**6)}, "more neighbors than it has bytes"),
    ],
)
def test_files_that_do_not_fit_together(root: Path, changes: dict[str, Any], message: str) -> None:
    _write(root, **changes)
    with pytest.raises(InputError, match=message):
        load_dataset("PubMed")
