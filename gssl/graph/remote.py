"""Rows of a matrix that is somewhere else, and that nothing but a selection of its rows may touch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gssl.common.errors import InputError

_NAMELESS = "whole-matrix operation"
_ATEN = torch.ops.aten
# They look at dtype and device alone.
_LIKE = (_ATEN.new_empty.default, _ATEN.new_zeros.default, _ATEN.new_ones.default, _ATEN.new_full.default)


RowReader = Callable[[Tensor], Tensor]
"""Reads rows ``index`` (int64, repeats allowed) of a matrix, shape (n, dim), float, from wherever it is."""


class RemoteRows(Tensor):
    """Features that are read row by row from another place, such as a store on another host.

    It is a tensor in all but its numbers: shape, dtype and device are those of the matrix, ``x[index]`` and
    ``x.index_select(0, index)`` read rows in one request, and any other operation is refused, so that no code can take
    all rows by accident.

    Args:
        read: reads rows.
        shape: (num_rows, dim).
        place: how messages name the place.

    Attributes:
        requests: how often rows were asked for.
    """

    read: RowReader
    place: str
    requests: int

    def __new__(cls, read: RowReader, shape: tuple[int, int], place: str) -> RemoteRows:
        made: RemoteRows = torch.Tensor._make_wrapper_subclass(cls, shape, dtype=torch.float32)
        made.read, made.place, made.requests = read, place, 0
        return made

    def __init__(self, read: RowReader, shape: tuple[int, int], place: str) -> None:
        pass

    def __repr__(self, **options: Any) -> str:  # type: ignore[override]  # the stubs name the option "Any"
        return f"RemoteRows(shape={tuple(self.shape)}, place={self.place!r})"

    def numpy(self, *, force: bool = False) -> Any:
        raise self.refused("conversion to numpy")

    def tolist(self) -> Any:
        raise self.refused("conversion to a list")

    def data_ptr(self) -> int:
        raise self.refused("access to memory")

    def __deepcopy__(self, memo: Any) -> RemoteRows:
        return self

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # the stubs have it as a method of an instance
        cls, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        index = _rows_asked_for(func, args)
        if index is not None:
            rows: RemoteRows = args[0]
            return rows.fetch(index)
        if func in (_ATEN.detach.default, _ATEN.alias.default):
            return args[0]
        if func in _LIKE and isinstance(args[0], RemoteRows):
            return func(torch.empty(0), *args[1:], **(kwargs or {}))
        found = next(value for value in _flat(args, kwargs or {}) if isinstance(value, RemoteRows))
        raise found.refused(str(getattr(func, "__name__", _NAMELESS)).partition(".")[0])

    def fetch(self, index: Tensor) -> Tensor:
        """Rows ``index``, shape (n, dim), float32, in one request.

        Raises:
            InputError: the place answers with something else, or numbers that are not finite.
        """
        self.requests += 1
        found = self.read(index)
        wanted = (len(index), self.shape[1])
        if tuple(found.shape) != wanted or not found.is_floating_point():
            raise InputError(
                f"{self.place} was asked for {wanted[0]} rows of {wanted[1]} features and gave {found.dtype} of shape "
                f"{tuple(found.shape)}"
            )
        found = found.to("cpu", torch.float32)
        if found.numel() and not all(bool(extreme.isfinite()) for extreme in found.aminmax()):
            row = int((~found.isfinite()).any(dim=1).nonzero()[0, 0])
            raise InputError(f"{self.place} gave features of node {int(index[row])} that are not finite: replace them")
        return found

    def refused(self, what: str) -> InputError:
        """What to say where somebody needs all rows at once."""
        return InputError(
            f"this needs the features of all nodes at once ({what}), but those of {self.place} are read row by row: "
            "use a sampler (such as --sampler graphsage) and a method without views, targets or statistics of the "
            "whole graph"
        )


def _rows_asked_for(func: Any, args: Sequence[Any]) -> Tensor | None:
    """The rows that an operation selects; None if it is any other."""
    if not isinstance(args[0], RemoteRows):
        return None
    if func is _ATEN.index_select.default and args[1] == 0:
        return _ids(args[2])
    if func is _ATEN.index.Tensor and len(args[1]) == 1 and args[1][0] is not None:
        return _ids(args[1][0])
    return None


def _ids(index: Tensor) -> Tensor | None:
    if index.dtype == torch.bool or index.dim() != 1:
        return None
    return index.long().cpu()


def _flat(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    found: list[Any] = []
    for value in (*args, *kwargs.values()):
        found += value if isinstance(value, list | tuple) else [value]
    return found


def is_remote(x: object) -> bool:
    """Whether features are read row by row."""
    return isinstance(x, RemoteRows)


def remote_rows(read: RowReader, num_rows: int, dim: int, place: str) -> Tensor:
    """Features that ``read`` gives row by row; see :class:`RemoteRows`."""
    return RemoteRows(read, (num_rows, dim), place)
