"""Plain classes that take the place of what a saved graph names, so that nothing of another's code is needed or run.

A ``Batch`` of PyG is pickled as a call that makes a class; a ``SparseTensor`` needs the package torch_sparse.
"""

from __future__ import annotations

from typing import Any


class SavedBatch:
    """The parts of a PyG ``Batch``: ``_store``, ``_slice_dict`` and ``_inc_dict`` where they were saved."""


class SavedSparseTensor:
    """The parts of torch_sparse's ``SparseTensor``: ``storage``."""


class SavedSparseStorage:
    """The parts of its storage: ``_row`` or ``_rowptr``, ``_col``, ``_value`` and ``_sparse_sizes``."""


class _Getter:
    """In place of the object that PyG calls with the bases of a ``Batch``."""

    def __new__(cls) -> Any:
        return saved_batch


def saved_batch(*bases: object) -> SavedBatch:
    """An empty one, which the file then fills."""
    return SavedBatch()


def stand_ins() -> list[Any]:
    """What safe loading may take, with the names that stand in files."""
    named = [
        (_Getter, "torch_geometric.data.batch.DynamicInheritanceGetter"),
        (SavedBatch, "torch_geometric.data.batch.Batch"),
        (SavedSparseTensor, "torch_sparse.tensor.SparseTensor"),
        (SavedSparseStorage, "torch_sparse.storage.SparseStorage"),
    ]
    return [*named, saved_batch]
