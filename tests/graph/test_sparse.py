import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gssl.graph.sparse import Pattern, SparseMatrix, index_dtype


@st.composite
def matrices(draw: st.DrawFn) -> torch.Tensor:
    rows, cols = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    seed = draw(st.integers(0, 10_000))
    rng = torch.Generator().manual_seed(seed)
    keep = torch.rand(rows, cols, generator=rng) < draw(st.floats(0, 1))
    return torch.randn(rows, cols, generator=rng) * keep


def dense(pattern: Pattern, value: torch.Tensor) -> torch.Tensor:
    return SparseMatrix(pattern, value).to_dense()


@given(matrices())
def test_round_trip_and_transpose(matrix: torch.Tensor) -> None:
    sparse = SparseMatrix.from_dense(matrix)
    assert torch.equal(sparse.to_dense(), matrix)
    turned, order = sparse.pattern.transposed
    assert torch.equal(dense(turned, sparse.value[order]), matrix.T)
    assert turned.num_rows == matrix.shape[1]


@given(matrices(), st.integers(0, 1000), st.booleans())
def test_filter_keeps_the_known_transpose_consistent(matrix: torch.Tensor, seed: int, known: bool) -> None:
    sparse = SparseMatrix.from_dense(matrix)
    if known:
        _ = sparse.pattern.transposed
    keep = torch.rand(sparse.pattern.nnz, generator=torch.Generator().manual_seed(seed)) < 0.5
    expected = dense(sparse.pattern, sparse.value * keep)
    kept = sparse.filter(keep)
    assert torch.equal(kept.to_dense(), expected)
    assert kept.pattern.knows_transpose == known
    turned, order = kept.pattern.transposed
    assert torch.equal(dense(turned, kept.value[order]), expected.T)


@given(matrices(), st.data())
def test_select_rows_allows_repeats_and_any_order(matrix: torch.Tensor, data: st.DataObject) -> None:
    index = torch.tensor(data.draw(st.lists(st.integers(0, matrix.shape[0] - 1), max_size=9)), dtype=torch.int64)
    assert torch.equal(SparseMatrix.from_dense(matrix).select_rows(index).to_dense(), matrix[index])


def test_token_rows_survive_selection() -> None:
    base = SparseMatrix.from_dense(torch.tensor([[1.0, 0], [0, 0], [0, 2]]))
    marked = SparseMatrix(base.pattern, base.value, torch.tensor([5.0, 7.0]), torch.tensor([False, True, False]))
    expected = torch.tensor([[1.0, 0], [5, 7], [0, 2]])
    assert torch.equal(marked.to_dense(), expected)
    index = torch.tensor([1, 2, 1])
    assert torch.equal(marked.select_rows(index).to_dense(), expected[index])


@pytest.mark.parametrize(("size", "dtype"), [(2**31 - 1, torch.int32), (2**31, torch.int64)])
def test_index_dtype_widens_only_when_needed(size: int, dtype: torch.dtype) -> None:
    assert index_dtype(3, size) == dtype


def test_empty_matrix() -> None:
    sparse = SparseMatrix.from_dense(torch.zeros(3, 4))
    assert sparse.pattern.nnz == 0
    assert torch.equal(sparse.pattern.transposed[0].rowptr, torch.zeros(5, dtype=torch.int32))
