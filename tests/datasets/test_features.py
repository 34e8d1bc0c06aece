"""Normalisation and categories against PyG, ogb and closed forms."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data
from torch_geometric.transforms import NormalizeFeatures
from torch_geometric.utils import smiles

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.features import multi_hot, row_normalize, standardize
from gssl.graph.sparse import SparseMatrix, dense_features


@settings(deadline=None)
@given(st.integers(0, 10**6), st.floats(0, 1))
def test_row_normalisation_of_bags_of_words_equals_pygs(seed: int, density: float) -> None:
    rng = torch.Generator().manual_seed(seed)
    x = torch.randint(1, 5, (6, 9), generator=rng) * (torch.rand(6, 9, generator=rng) < density).float()
    x[0] = 0
    wanted = NormalizeFeatures()(Data(x=x.clone())).x
    assert torch.allclose(dense_features(row_normalize(x)), wanted, atol=1e-6)
    assert torch.allclose(dense_features(row_normalize(SparseMatrix.from_dense(x))), wanted, atol=1e-6)


def test_rows_are_divided_by_their_sums_whatever_these_are() -> None:
    x = torch.tensor([[0.1, 0.3], [2.0, 2.0], [0.0, 0.0], [0.3, 0.699999]])
    expected = [[0.25, 0.75], [0.5, 0.5], [0.0, 0.0], x[3].tolist()]  # the last sums to 1 but for rounding
    for features in (x, SparseMatrix.from_dense(x)):
        assert torch.allclose(dense_features(row_normalize(features)), torch.tensor(expected))
        assert dense_features(row_normalize(features))[3].equal(x[3])
    for features in (x - 1, SparseMatrix.from_dense(x - 1)):
        with pytest.raises(InputError, match=r"below zero \(the least is -1\) cannot be divided by their sums"):
            row_normalize(features)


def test_rows_are_normalised_whatever_the_default_is() -> None:
    x = SparseMatrix.from_dense(torch.tensor([[2.0, 0.0, 2.0], [0.0, 0.0, 4.0]]))
    torch.set_default_dtype(torch.float64)
    try:
        found = row_normalize(x)
    finally:
        torch.set_default_dtype(torch.float32)
    assert dense_features(found).tolist() == [[0.5, 0.0, 0.5], [0.0, 0.0, 1.0]]


def test_standardised_columns() -> None:
    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * 7 + 3
    x[:, 2] = 5.0
    z = standardize(x)
    assert torch.allclose(z.mean(dim=0), torch.zeros(4), atol=1e-5)
    assert torch.allclose(z.var(dim=0, correction=0), torch.tensor([1.0, 1.0, 0.0, 1.0]), atol=1e-4)


def test_multi_hot_equals_one_hot_side_by_side() -> None:
    codes = torch.tensor([[0, 2], [3, 0], [1, 1]])
    wanted = torch.cat([torch.nn.functional.one_hot(codes[:, i], size) for i, size in enumerate((4, 3))], dim=1)
    assert torch.equal(multi_hot(codes, (4, 3), what="x").to_dense(), wanted.float())


@pytest.mark.parametrize("codes", [[[4, 0]], [[0, 3]], [[-1, 0]], [[0, 0, 0]]])
def test_codes_out_of_their_categories(codes: list[list[int]]) -> None:
    with pytest.raises(InputError, match="categor"):
        multi_hot(torch.tensor(codes), (4, 3), what="x")


def test_category_sizes_are_those_of_the_libraries() -> None:
    features = pytest.importorskip("ogb.utils.features")
    assert list(categories.sizes_of(categories.OGB.nodes)) == features.get_atom_feature_dims()
    assert list(categories.sizes_of(categories.OGB.edges)) == features.get_bond_feature_dims()
    assert list(categories.sizes_of(categories.PYG.nodes)) == [len(values) for values in smiles.x_map.values()]
    assert list(categories.sizes_of(categories.PYG.edges)) == [len(values) for values in smiles.e_map.values()]
