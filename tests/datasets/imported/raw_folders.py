"""Folders as OGB's downloads are when they are unpacked, and folders of arrays, made for tests."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

NODES, EDGES, DIM = 300, 4000, 7


def drawn(seed: int = 0) -> dict[str, np.ndarray]:
    """A multigraph with loops, labels that are partly missing, and a split of the others."""
    rng = np.random.default_rng(seed)
    edges = rng.integers(0, NODES, (2, EDGES))
    edges[:, :50] = edges[:, 50:100]  # copies
    edges[1, 100:110] = edges[0, 100:110]  # loops
    y = rng.integers(0, 5, NODES).astype(np.float32)
    y[::3] = np.nan
    labelled = rng.permutation(np.flatnonzero(~np.isnan(y)))
    parts = np.split(labelled, [100, 150])
    x = rng.normal(size=(NODES, DIM)).astype(np.float32)
    return {"edge_index": edges, "x": x, "y": y, **dict(zip(("train", "valid", "test"), parts, strict=True))}


def write_csv(path: Path, rows: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        np.savetxt(file, rows, fmt="%d" if rows.dtype.kind in "iu" else "%.9g", delimiter=",")


def _common(folder: Path, data: dict[str, np.ndarray], split: str) -> Path:
    (folder / "RELEASE_v1.txt").touch()
    for part in ("train", "valid", "test"):
        write_csv(folder / "split" / split / f"{part}.csv.gz", data[part])
    return folder


def products(root: Path) -> Path:
    """Text files as those of ogbn-products, in which each edge stands for both directions."""
    data, folder = drawn(), root / "products"
    raw = folder / "raw"
    write_csv(raw / "edge.csv.gz", data["edge_index"].T)
    write_csv(raw / "node-feat.csv.gz", data["x"])
    write_csv(raw / "node-label.csv.gz", np.nan_to_num(data["y"]).astype(np.int64))
    for kind, count in (("node", NODES), ("edge", EDGES)):
        write_csv(raw / f"num-{kind}-list.csv.gz", np.array([count]))
    return _common(folder, data, "sales_ranking")


def papers(root: Path, *, half: bool = False, compressed: bool = False, **changed: Any) -> Path:
    """Archives as those of ogbn-papers100M, with labels of some nodes."""
    data, folder = drawn(), root / "papers100M-bin"
    raw = folder / "raw"
    raw.mkdir(parents=True)
    arrays = {
        "edge_index": data["edge_index"],
        "node_feat": data["x"].astype(np.float16) if half else data["x"],
        "node_year": np.full((NODES, 1), 2012),
        "num_nodes_list": np.array([NODES]),
        "num_edges_list": np.array([EDGES]),
        **changed,
    }
    (np.savez_compressed if compressed else np.savez)(raw / "data.npz", **arrays)
    np.savez(raw / "node-label.npz", node_label=data["y"].reshape(-1, 1))
    return _common(folder, data, "time")


def arrays(root: Path, **changed: Any) -> Path:
    """A folder of arrays of the user's own."""
    data, folder = drawn(), root / "mine"
    folder.mkdir(parents=True)
    masks = {f"{part}_mask": np.isin(np.arange(NODES), data[part]) for part in ("train", "valid", "test")}
    for key, value in {**{k: data[k] for k in ("edge_index", "x", "y")}, **masks, **changed}.items():
        if value is not None:
            np.save(folder / f"{key}.npy", value)
    return folder
