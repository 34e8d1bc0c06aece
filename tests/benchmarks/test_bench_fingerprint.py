"""Other content of data of the user's own makes other cells, whatever names and sizes say."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest

from gssl.benchmarks.bench import fingerprint as module
from gssl.benchmarks.bench.expand import expand
from gssl.benchmarks.bench.fingerprint import fingerprint
from gssl.benchmarks.bench.suite import load_suite

SUITE = "seeds: 1\ngroups:\n  - methods: [raw]\n    datasets: [{data}]\n"


def _key(folder: Path, data: str) -> str:
    file = folder / "suite.yaml"
    file.write_text(SUITE.format(data=data))
    [cell] = expand(load_suite(str(file)))
    return cell.key


def test_one_label_of_a_folder_of_arrays_makes_another_cell(tmp_path: Path) -> None:
    data = tmp_path / "graph"
    data.mkdir()
    np.save(data / "y.npy", np.array([0, 1, 0]))
    first, size = _key(tmp_path, str(data)), (data / "y.npy").stat()
    np.save(data / "y.npy", np.array([0, 1, 1]))
    os.utime(data / "y.npy", ns=(size.st_atime_ns, size.st_mtime_ns))
    second = _key(tmp_path, str(data))
    (tmp_path / "graph.json").write_text('{"task": "regression"}')
    third = _key(tmp_path, str(data))
    assert len({first, second, third}) == 3
    (tmp_path / "graph.json").unlink()
    np.save(data / "y.npy", np.array([0, 1, 0]))
    assert _key(tmp_path, str(data)) == first  # content counts, not when it was written


def test_nodes_beside_edges_count(tmp_path: Path) -> None:
    edges, nodes = tmp_path / "g.csv", tmp_path / "g_nodes.csv"
    edges.write_text("source,target\n0,1\n")
    keys = [fingerprint(edges)]
    for label in "ab":
        nodes.write_text(f"id,y\n0,{label}\n1,b\n")
        keys.append(fingerprint(edges))
    assert len(set(keys)) == 3


def test_a_file_keeps_the_key_that_it_had(tmp_path: Path) -> None:
    path = tmp_path / "graph.npz"
    path.write_bytes(b"content")
    assert fingerprint(path) == hashlib.sha256(b"content").hexdigest()[:16]


@pytest.mark.parametrize("place", [0, 100_000, 299_999])
def test_pieces_of_a_large_file_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: int) -> None:
    monkeypatch.setattr(module, "WHOLE", 1 << 16)
    path = tmp_path / "graph" / "x.npy"
    path.parent.mkdir()
    content = bytearray(300_000)
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))
    first = fingerprint(path.parent)
    content[place] = 1
    path.write_bytes(content)
    os.utime(path, ns=(0, 0))
    assert fingerprint(path.parent) != first
    os.utime(path, ns=(1, 1))
    assert fingerprint(path.parent) != first


def test_the_source_of_a_function_that_returns_data_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    source = tmp_path / "my_data_for_keys.py"
    source.write_text("def graph(): ...\n")
    first = _key(tmp_path, "'my_data_for_keys:graph'")
    source.write_text("def graph(): ...  # of other data\n")
    assert _key(tmp_path, "'my_data_for_keys:graph'") != first
