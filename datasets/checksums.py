"""SHA-256 of raw files (``checksums.json``) and of loaded graphs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import require_regular
from gssl.datasets.npy_header import check_array_file
from gssl.datasets.types import Labels
from gssl.graph.hetero import HeteroParts
from gssl.graph.sparse import Features, SparseMatrix
from gssl.graph.storage import Graph


def file_hash(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal.

    Raises:
        InputError: it is no regular file.
    """
    require_regular(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verify(name: str, path: Path, shown: Path) -> str:
    """Compare a raw file with what its publisher released, where that is known.

    Args:
        name: path of the file in the layout of a store, for example ``"Planetoid/Cora/raw/ind.cora.x"``.
        path: the file.
        shown: the file to name in the message.

    Returns:
        Its SHA-256.

    Raises:
        InputError: the file differs.
    """
    found = file_hash(path)
    wanted = _known()["publisher"].get(name)
    if wanted is not None and found != wanted:
        raise InputError(
            f"{shown} is not the released file (SHA-256 {found[:16]}..., expected {wanted[:16]}...): "
            "delete it and provide it again"
        )
    return found


def is_copy(name: str, sha256: str) -> bool:
    """Whether a file is a known rebuilt or re-packed copy, whose bytes are not the publisher's."""
    return _known()["copy"].get(name) == sha256


@cache
def _known() -> dict[str, dict[str, str]]:
    # "publisher": bytes as released, so another hash is an error. "copy": rebuilt or re-packed from the released
    # data, so a file with another hash may well be the publisher's own.
    text = Path(__file__).with_name("checksums.json").read_text(encoding="utf-8")
    known: dict[str, dict[str, str]] = json.loads(text)
    return known


def graph_checksum(graph: Graph) -> str:
    """SHA-256 (first 16 hexadecimal digits) of edges, their weights and attributes, features and offsets, and of the
    other types and relations where there are any.
    """
    pattern = graph.block.pattern
    edges = (pattern.rowptr, pattern.col, graph.block.weight, graph.block.edge_attr)
    digest = _digest(*edges, graph.ptr, *_features(graph.x))
    return digest if graph.hetero is None else hashlib.sha256((digest + _types(graph.hetero)).encode()).hexdigest()[:16]


def _features(x: Features) -> tuple[Tensor, ...]:
    return (x.pattern.rowptr, x.pattern.col, x.value) if isinstance(x, SparseMatrix) else (x,)


def _types(parts: HeteroParts) -> str:
    """Names and a digest of everything that belongs to the types."""
    patterns = [relation.pattern for relation in parts.relations]
    patterns += [path.pattern for path in parts.meta_paths]
    patterns += [] if parts.positives is None else [parts.positives]
    tensors = [tensor for pattern in patterns for tensor in (pattern.rowptr, pattern.col)]
    counts = (path.count for path in parts.meta_paths)
    return f"{parts.spec(0)}{_digest(*tensors, *counts, *(t for other in parts.others for t in _features(other.x)))}"


def dataset_checksum(graph: Graph, labels: Labels | None) -> str:
    """The checksum of a graph together with its labels."""
    own = hashlib.sha256(graph_checksum(graph).encode())
    own.update(_digest(None if labels is None else labels.y).encode())
    return own.hexdigest()[:16]


def checksum_of_files(rowptr: Path, col: Path, x: Path, y: Path | None) -> str:
    """:func:`dataset_checksum` of a graph and its labels in ``.npy`` files, read piece by piece and not mapped."""
    edges = _digest(FileArray(rowptr), FileArray(col), None, None, None, FileArray(x))
    own = hashlib.sha256(edges.encode())
    own.update(_digest(None if y is None else FileArray(y)).encode())
    return own.hexdigest()[:16]


@dataclass(frozen=True)
class FileArray:
    """An array in a ``.npy`` file, stored in rows."""

    path: Path

    def put(self, digest: _Digest) -> None:
        """Hand on what a tensor of these numbers would."""
        header = check_array_file(self.path)
        kind = str(np.zeros(0, header.dtype).dtype.name)
        digest.update(f"torch.{kind}{tuple(header.shape)}|".encode())
        with self.path.open("rb") as file:
            file.seek(header.offset)
            while piece := file.read(1 << 24):
                digest.update(piece)


class _Digest(Protocol):
    def update(self, data: bytes, /) -> None: ...


def _digest(*tensors: Tensor | FileArray | None) -> str:
    digest = hashlib.sha256()
    for tensor in tensors:
        if tensor is None:
            digest.update(b"none|")
        elif isinstance(tensor, FileArray):
            tensor.put(digest)
        else:
            digest.update(f"{tensor.dtype}{tuple(tensor.shape)}|".encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().data)
    return digest.hexdigest()[:16]
