"""Compressed sparse rows with the transpose at hand: the storage under blocks and sparse features."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from gssl.graph.deriving import Deriving
from gssl.graph.gathered import GatheredRows, touch_rows
from gssl.graph.kept import Kept, Mask, kept_later, kept_of, occurrences, true_places
from gssl.graph.offsets import filtered_offsets, row_offsets
from gssl.graph.pairs import Pairs
from gssl.graph.remote import is_remote
from gssl.graph.turning import Turner
from gssl.graph.turning import opposites as _opposites

INT32_MAX = 2**31 - 1


def index_dtype(*sizes: int) -> torch.dtype:
    """int32 where every size fits, else int64."""
    return torch.int32 if max(sizes, default=0) <= INT32_MAX else torch.int64


@dataclass(frozen=True, eq=False)
class Pattern(Deriving):
    """Positions of the non-zeros of a sparse matrix, in compressed rows.

    Attributes:
        rowptr: offsets of the rows, shape (num_rows + 1,), int32 or int64.
        col: column of each non-zero, shape (nnz,), same dtype; need not be sorted within a row.
        num_cols: number of columns.
    """

    rowptr: Tensor
    col: Tensor
    num_cols: int

    @classmethod
    def from_coo(cls, row: Tensor, col: Tensor, num_rows: int, num_cols: int) -> tuple[Pattern, Tensor]:
        """Sort coordinates by row, then column.

        Returns:
            The pattern, and the order (nnz,) int64 in which values must be taken.
        """
        order = torch.argsort(row.long() * max(num_cols, 1) + col.long(), stable=True)
        dtype = index_dtype(num_rows, num_cols, row.numel())
        return cls(row_offsets(occurrences(row, num_rows), dtype), col[order].to(dtype), num_cols), order

    @property
    def num_rows(self) -> int:
        return self.rowptr.numel() - 1

    @property
    def nnz(self) -> int:
        return self.col.numel()

    @cached_property
    def row(self) -> Tensor:
        """Row of each non-zero, shape (nnz,), dtype of ``col``."""
        rows = torch.arange(self.num_rows, device=self.col.device, dtype=self.col.dtype)
        return rows.repeat_interleave(self.counts.long(), output_size=self.nnz)

    @cached_property
    def counts(self) -> Tensor:
        """Non-zeros in each row, shape (num_rows,)."""
        return self.rowptr.diff()

    @cached_property
    def most(self) -> int:
        """Non-zeros in the row that has most."""
        return int(self.counts.max()) if self.num_rows else 0

    @cached_property
    def transposed(self) -> tuple[Pattern, Tensor]:
        """The transposed pattern and the position (nnz,) int64 of each of its non-zeros in this one.

        What was filtered from a pattern whose transpose is known filters that one, when somebody asks.
        """
        if "_origin" in self.__dict__:
            return self._from_origin(*self.__dict__["_origin"])
        if (turner := self._turner) is not None:
            turner.asked = True
            if self.col.device.type == "cpu":
                return turner.make(self)
        order = torch.argsort(self.col, stable=True)
        if self.col.device.type == "cpu":
            offsets = row_offsets(torch.bincount(self.col, minlength=self.num_cols), self.col.dtype)
        else:  # a count would make the host wait
            columns = torch.arange(self.num_cols + 1, device=self.col.device, dtype=self.col.dtype)
            offsets = torch.searchsorted(self.col[order], columns).to(self.col.dtype)
        return Pattern(offsets, self.row[order], self.num_rows), order

    @cached_property
    def reverse(self) -> Tensor:
        """Where the opposite of each non-zero stands: the position of (j, i) for (i, j), shape (nnz,), int64.

        -1 where there is none. Of several non-zeros at (i, j) the k-th belongs to the k-th at (j, i), if there are as
        many there; one on the diagonal belongs to itself. Row i and column i are the same node, so that a pattern
        need not be square: a column without a row has no opposites.
        """
        if self.num_rows == self.num_cols:
            turned, order = self.transposed
            if torch.equal(turned.rowptr, self.rowptr) and torch.equal(turned.col, self.col):
                return order.long()  # symmetric: the k-th non-zero of the transpose is the opposite of the k-th here
        return _opposites(self.row.long(), self.col.long(), max(self.num_rows, self.num_cols, 1))

    @cached_property
    def pairs(self) -> Pairs:
        """The undirected pairs of a pattern in which row i and column i are the same node."""
        return Pairs.of(self.row.long(), self.col.long(), max(self.num_rows, self.num_cols))

    @cached_property
    def is_sorted(self) -> bool:
        """Whether the non-zeros are sorted by row, then column, and none is there twice."""
        return bool(((self.row.long() * self.num_cols + self.col.long()).diff() > 0).all())

    @cached_property
    def has_loops(self) -> bool:
        """Whether there is a non-zero in column i of row i."""
        return bool((self.row == self.col).any())

    @property
    def knows_transpose(self) -> bool:
        """Whether :attr:`transposed` is known or follows from one that is, or there is a :class:`Turner` for it."""
        return any(name in self.__dict__ for name in ("transposed", "_origin", "_turner"))

    def be_ready_to_turn(self) -> None:
        """Make the transpose unless something makes it on demand, so that nothing that is left of this is sorted."""
        if not self.knows_transpose:
            _ = self.transposed

    def turned_by(self, turner: Turner[Pattern]) -> Pattern:
        """This pattern, with its transpose if those of its kind are asked for, else with what makes it then."""
        if turner.asked and self.col.device.type == "cpu":
            self.__dict__["transposed"] = turner.make(self)
        else:
            self.__dict__["_turner"] = turner
        return self

    @property
    def _turner(self) -> Turner[Pattern] | None:
        return self.__dict__.get("_turner")

    def filter(self, keep: Tensor) -> Pattern:
        """Drop non-zeros; a transpose that is known already is filtered too instead of being sorted anew.

        What is known of opposites and pairs is not handed on: few views need it, and for a symmetric one ``reverse``
        is read off the transpose.

        Args:
            keep: bool, shape (nnz,).
        """
        return self.left_by(*kept_of([self.mask(keep)]))

    def mask(self, keep: Tensor) -> Mask:
        """What :func:`~gssl.graph.kept.kept_of` asks for, to drop non-zeros of several patterns together."""
        ends: dict[int, int] = self.__dict__.get("_ends", {})
        if "transposed" not in self.__dict__:
            return Mask(keep, ends)
        turned, order = self.transposed
        return Mask(keep, ends, order, turned.__dict__.get("_ends", {}))

    def left_by(self, kept: Kept) -> Pattern:
        """The pattern of the non-zeros that stay."""
        offsets = filtered_offsets(self.rowptr, kept.keep)
        child = Pattern(offsets, self.col.index_select(0, kept.places), self.num_cols)
        child.__dict__["_ends"] = kept.ends
        if self.knows_transpose:
            child.__dict__["_origin"] = self, kept
        return child

    def _from_origin(self, origin: Pattern, kept: Kept) -> tuple[Pattern, Tensor]:
        pattern, order = origin.transposed
        stays = kept.keep[order]
        places = true_places(stays, self.nnz)
        position = kept.keep.cumsum(0) - 1
        offsets = filtered_offsets(pattern.rowptr, stays)
        turned = Pattern(offsets, pattern.col.index_select(0, places), pattern.num_cols)
        turned.__dict__["_ends"] = kept.turned_ends
        return turned, position[order.index_select(0, places)]

    def select_rows(self, index: Tensor, *, total: int | None = None) -> tuple[Pattern, Tensor]:
        """The rows ``index``, in that order, repeats allowed.

        Args:
            index: shape (n,), int64.
            total: their non-zeros, where the number is known; else a device is waited for.

        Returns:
            The pattern, and the position (nnz',) int64 of each kept non-zero in this one.
        """
        first = self.rowptr[index]
        counts = (self.rowptr[index + 1] - first).long()
        rowptr = row_offsets(counts, self.rowptr.dtype)
        start = (first - rowptr[:-1]).long()
        total = int(rowptr[-1]) if total is None else total
        position = torch.arange(total, device=self.col.device) + start.repeat_interleave(counts, output_size=total)
        return Pattern(rowptr, self.col[position], self.num_cols), position

    def head(self, num_rows: int) -> Pattern:
        """The first rows, without a copy."""
        if num_rows == self.num_rows:
            return self
        return Pattern(self.rowptr[: num_rows + 1], self.col[: self.end_of(num_rows)], self.num_cols)

    def end_of(self, num_rows: int) -> int:
        """Non-zeros in the first rows. What is asked on the CPU is still known on a device, without waiting for it."""
        if num_rows == self.num_rows:
            return self.nnz
        ends: dict[int, int] = self.__dict__.setdefault("_ends", {})
        if num_rows not in ends:
            ends[num_rows] = int(self.rowptr[num_rows])
        return ends[num_rows]

    def knows_end_of(self, num_rows: int) -> bool:
        """Whether :meth:`end_of` asks nobody."""
        return num_rows == self.num_rows or num_rows in self.__dict__.get("_ends", {})

    def tell_end(self, num_rows: int, end: int) -> None:
        """Let the pattern know that its first rows have so many non-zeros."""
        self.__dict__.setdefault("_ends", {})[num_rows] = end

    def to(self, device: torch.device, *, non_blocking: bool = False) -> Pattern:
        """This pattern on another device, with its transpose if that is known."""
        if self.col.device == device:
            return self
        return self.map(lambda values: values.to(device, non_blocking=non_blocking))

    def map(self, change: Callable[[Tensor], Tensor]) -> Pattern:
        """The pattern with each tensor, those of a known transpose too, replaced by an equal one.

        What makes a transpose on demand goes along, so that it learns of a demand on another device.
        """
        changed = Pattern(change(self.rowptr), change(self.col), self.num_cols)
        changed.__dict__["_ends"] = dict(self.__dict__.get("_ends", {}))
        if self._turner is not None and "transposed" not in self.__dict__:
            changed.__dict__["_turner"] = self._turner
        elif self.knows_transpose:
            pattern, order = self.transposed
            turned = changed if pattern is self else pattern.map(change)  # one without edges is its own transpose
            changed.__dict__["transposed"] = (turned, change(order))
        return changed


def entries_in(rowptr: Tensor, rows: Tensor) -> int:
    """Non-zeros in some rows of a pattern with these offsets; a device is waited for.

    Args:
        rowptr: shape (num_rows + 1,), integers.
        rows: shape (n,), int64, on the same device.
    """
    return int((rowptr[rows + 1] - rowptr[rows]).sum())


def ask_ends(patterns: Sequence[Pattern], num_rows: int) -> None:
    """Let patterns know what :meth:`Pattern.end_of` gives. The host waits for a device once, if at all."""
    asked = [pattern for pattern in patterns if not pattern.knows_end_of(num_rows)]
    if asked:
        found = torch.stack([pattern.rowptr[num_rows] for pattern in asked]).tolist()
        for pattern, end in zip(asked, found, strict=True):
            pattern.tell_end(num_rows, end)


@dataclass(frozen=True, eq=False)
class SparseMatrix:
    """A sparse matrix, for example bag-of-words features.

    Attributes:
        pattern: positions of the non-zeros.
        value: non-zeros, shape (nnz,), float.
        token: one dense row, shape (num_cols,), float, that is added to every row of ``token_rows``: the learned
            mask token of predictive methods, kept apart so that the product with a weight stays sparse. After
            dropout each of these rows has its own, shape (num_token_rows, num_cols).
        token_rows: bool, shape (num_rows,); None exactly where ``token`` is.
    """

    pattern: Pattern
    value: Tensor
    token: Tensor | None = None
    token_rows: Tensor | None = None

    @classmethod
    def from_dense(cls, dense: Tensor) -> SparseMatrix:
        """From a matrix of shape (num_rows, num_cols)."""
        row, col = dense.nonzero(as_tuple=True)
        pattern, order = Pattern.from_coo(row, col, *dense.shape)
        return cls(pattern, dense[row, col][order])

    @property
    def shape(self) -> tuple[int, int]:
        return self.pattern.num_rows, self.pattern.num_cols

    @property
    def device(self) -> torch.device:
        return self.value.device

    @property
    def dtype(self) -> torch.dtype:
        return self.value.dtype

    def select_rows(self, index: Tensor) -> SparseMatrix:
        """Rows ``index`` (int64), in that order, repeats allowed."""
        pattern, position = self.pattern.select_rows(index)
        rows = None if self.token_rows is None else self.token_rows[index]
        token = self.token
        if self.token_rows is not None and token is not None and token.dim() == 2:
            token = token[(self.token_rows.cumsum(0) - 1)[index[self.token_rows[index]]]]
        return replace(self, pattern=pattern, value=self.value[position], token=token, token_rows=rows)

    def filter(self, keep: Tensor) -> SparseMatrix:
        """Keep the non-zeros where ``keep`` (nnz,) bool is set."""
        return self.filtering(keep)()

    def filtering(self, keep: Tensor) -> Callable[[], SparseMatrix]:
        """:meth:`filter` for later: a device is looked at when the matrix is made."""
        answer = kept_later([self.pattern.mask(keep)], ())

        def filtered() -> SparseMatrix:
            ((kept,), _, _) = answer()
            return replace(self, pattern=self.pattern.left_by(kept), value=self.value.index_select(0, kept.places))

        return filtered

    @property
    def tokens(self) -> Tensor:
        """What is added to each of the rows ``token_rows``, shape (num_token_rows, num_cols); a view.

        Raises:
            ValueError: there is no token.
        """
        if self.token is None or self.token_rows is None:
            raise ValueError("the matrix has no token")
        return self.token.expand(int(self.token_rows.sum()), -1)

    def to(self, device: torch.device, *, non_blocking: bool = False) -> SparseMatrix:
        return self.map(lambda values: values.to(device, non_blocking=non_blocking))

    def map(self, change: Callable[[Tensor], Tensor]) -> SparseMatrix:
        """The matrix with each tensor replaced by an equal one."""
        return SparseMatrix(
            self.pattern.map(change),
            change(self.value),
            None if self.token is None else change(self.token),
            None if self.token_rows is None else change(self.token_rows),
        )

    def to_dense(self) -> Tensor:
        """The dense matrix, shape (num_rows, num_cols)."""
        out = self.value.new_zeros(self.shape)
        row, col = self.pattern.row.long(), self.pattern.col.long()
        out = out.index_put((row, col), self.value, accumulate=True)
        if self.token is None or self.token_rows is None:
            return out
        return out.index_add(0, self.token_rows.nonzero().squeeze(1), self.tokens)


Features = Tensor | SparseMatrix
BatchFeatures = Features | GatheredRows


def select_features(x: BatchFeatures, index: Tensor) -> BatchFeatures:
    """Rows ``index`` (int64) of features, of the same kind.

    Where the features stayed in host memory and the index is on a device, rows of dense ones are not copied yet:
    whoever takes the batch to the device gathers them on the way.
    """
    if index.device != x.device:
        index = index.to(x.device)
        if isinstance(x, Tensor):
            return GatheredRows(x, index)
    return x.index_select(0, index) if isinstance(x, Tensor) else x.select_rows(index)


def gathered_features(x: Features, index: Tensor, *, ahead: bool) -> BatchFeatures:
    """Rows ``index`` (int64) of features, without a copy where they are dense and in float32.

    Args:
        x: features of all nodes.
        index: which rows, shape (n,), int64.
        ahead: whether training is busy with another batch, so that it is better to wait for rows of a file now.
    """
    if not isinstance(x, Tensor) or is_remote(x) or x.requires_grad or not x.is_contiguous():
        return select_features(x, index)
    if x.dtype != torch.float32 or x.device != index.device:
        return select_features(x, index)
    if ahead and x.device.type == "cpu":
        touch_rows(x.numpy(), index.numpy())
    return GatheredRows(x, index)


def dense_features(x: BatchFeatures) -> Tensor:
    """The features as a dense matrix, shape (num_rows, dim)."""
    return x if isinstance(x, Tensor) else x.to_dense()
