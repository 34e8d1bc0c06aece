"""Generated graphs have the statistics of their models."""

import time

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gssl.common.errors import InputError
from gssl.datasets.generators import _pair, _pair_within, csbm, dcsbm, rmat
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.sparse import dense_features


def _homophily(data: Dataset) -> float:
    assert data.labels is not None
    source, target = data.graph.block.edge_index
    return float((data.labels.y[source] == data.labels.y[target]).float().mean())


def _is_undirected(data: Dataset) -> bool:
    pattern = data.graph.block.pattern
    return torch.equal(pattern.transposed[0].col, pattern.col)


@pytest.mark.parametrize("name", ["csbm", "dcsbm", "rmat"])
def test_same_options_same_graph(name: str) -> None:
    one, two = (load_dataset(f"{name}:nodes=300,degree=8,seed=5") for _ in range(2))
    other = load_dataset(f"{name}:nodes=300,degree=8,seed=6")
    assert one.checksum == two.checksum != other.checksum
    assert one.name == two.name != other.name
    assert load_dataset(one.name).checksum == one.checksum  # the name finds the same graph again
    assert _is_undirected(one)


def test_csbm_has_the_binomial_numbers_of_edges() -> None:
    data = csbm(nodes=3000, classes=3, degree=20, homophily=0.7, seed=1)
    assert data.labels is not None
    source, target = data.graph.block.edge_index
    same = int((data.labels.y[source] == data.labels.y[target]).sum()) / 2
    other = data.graph.num_edges / 2 - same
    for count, mean in ((same, 0.7 * 30000), (other, 0.3 * 30000)):
        assert abs(count - mean) < 5 * mean**0.5
    assert data.labels.y.bincount().tolist() == [1000, 1000, 1000]


def test_csbm_pairs_are_equally_likely() -> None:
    """Over many seeds, each pair within and between the classes is joined at the model's probability."""
    counts = torch.zeros(2, 8, 8)
    seeds = 600
    for seed in range(seeds):
        data = csbm(nodes=8, classes=2, degree=2.2, homophily=0.6, features=1, seed=seed)
        assert data.labels is not None
        order = data.labels.y.argsort(stable=True)  # class 0 first, so that pairs are the same over the seeds
        dense = torch.zeros(8, 8)
        dense[data.graph.block.edge_index[0], data.graph.block.edge_index[1]] = 1
        counts[0] += dense[order][:, order]
    within, between = 0.6 * 8 * 2.2 / 2 / 12, 0.4 * 8 * 2.2 / 2 / 16
    for i in range(8):
        for j in range(i):
            p = within if (i < 4) == (j < 4) else between
            assert abs(float(counts[0, i, j]) / seeds - p) < 4.5 * (p * (1 - p) / seeds) ** 0.5


def test_features_are_class_means_plus_standard_noise() -> None:
    data = csbm(nodes=20000, classes=4, features=16, signal=3.0, degree=2)
    assert data.labels is not None
    x = dense_features(data.graph.x)
    for label in range(4):
        own = x[data.labels.y == label]
        assert float(own.mean(dim=0).norm()) == pytest.approx(3.0, abs=0.1)
        assert float(own.var(dim=0).mean()) == pytest.approx(1.0, abs=0.02)


def test_dcsbm_degrees_follow_the_power_law() -> None:
    data = dcsbm(nodes=50000, classes=5, degree=10, homophily=0.9, exponent=2.5, features=2)
    degree = data.graph.block.pattern.counts.double()
    assert 9.0 < float(degree.mean()) <= 10.1
    assert _homophily(data) == pytest.approx(0.9, abs=0.02)
    tail = degree[degree >= 20]  # Hill's estimator of the exponent, below the cut-off
    tail = tail[tail < 300]
    hill = 1 + len(tail) / float(torch.log(tail / 19.5).sum())
    assert 2.2 < hill < 2.9
    uniform = csbm(nodes=50000, classes=5, degree=10, homophily=0.9, features=2)
    assert float(degree.var()) > 5 * float(uniform.graph.block.pattern.counts.double().var())


def test_dcsbm_spreads_over_all_classes() -> None:
    data = dcsbm(nodes=6000, classes=3, degree=20, homophily=0.0, exponent=4.0, features=1)
    assert data.labels is not None
    source, target = data.labels.y[data.graph.block.edge_index]
    counts = torch.zeros(3, 3)
    counts.index_put_((source, target), torch.ones(len(source)), accumulate=True)
    assert counts.diagonal().sum() == 0
    off = counts[~torch.eye(3, dtype=torch.bool)]
    assert float(off.max() / off.min()) < 1.15
    assert _homophily(dcsbm(nodes=500, classes=1, homophily=0.3)) == 1.0


def test_rmat_has_exactly_the_edges_asked_for_and_skewed_degrees() -> None:
    data = rmat(nodes=3000, degree=12, features=2)  # no power of 2
    assert data.graph.num_nodes == 3000
    assert data.graph.num_edges == 3000 * 12
    skewed = data.graph.block.pattern.counts.double().var()
    flat = rmat(nodes=3000, degree=12, a=0.25, b=0.25, c=0.25, features=2)
    assert flat.graph.num_edges == 3000 * 12
    assert float(flat.graph.block.pattern.counts.double().var()) == pytest.approx(12, rel=0.15)  # Poisson
    assert float(skewed) > 10 * 12


def test_rmat_quadrants_have_their_probabilities() -> None:
    data = rmat(nodes=2**14, degree=4, a=0.5, b=0.1, c=0.1, features=1)
    source, target = data.graph.block.edge_index
    half = 2**13
    shares = [
        float(((source < half) & (target < half)).float().mean()),
        float(((source >= half) & (target >= half)).float().mean()),
        float(((source < half) != (target < half)).float().mean()),
    ]
    assert shares == pytest.approx([0.5, 0.3, 0.2], abs=0.02)


def test_millions_of_edges_take_seconds() -> None:
    start = time.process_time()
    data = load_dataset("rmat:nodes=100000,degree=20,features=8")
    assert data.graph.num_edges == 2_000_000
    assert time.process_time() - start < 10


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(2, 2**30), st.integers(0, 1)), min_size=1, max_size=20))
def test_numbered_pairs(ends: list[tuple[int, int]]) -> None:
    """The first and the last pair of a row, where a rounded root goes wrong."""
    index = [row * (row - 1) // 2 - before for row, before in ends]
    high, low = _pair(np.array(index))
    assert (low >= 0).all()
    assert (high > low).all()
    assert (high * (high - 1) // 2 + low).tolist() == index


def test_numbered_pairs_within_blocks_are_all_pairs() -> None:
    sizes = np.array([3, 0, 1, 4])
    pairs = _pair_within(np.arange(3 + 6), sizes)
    block = np.repeat(np.arange(4), sizes)
    assert (block[pairs[0]] == block[pairs[1]]).all()
    assert len({tuple(pair) for pair in pairs.T.tolist()}) == 9
    assert (pairs[0] > pairs[1]).all()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("csbm:nodse=10", "did you mean 'nodes'"),
        ("csbm:nodes=ten", "'nodes' of dataset csbm"),
        ("csbm:nodes=0", "greater than or equal to 1"),
        ("csbm:homophily=1.5", "less than or equal to 1"),
        ("csbm:degree=-1", "'degree'"),
        ("csbm:nodes", "write options of csbm as csbm:option=value"),
        ("csbm:nodes=4,degree=10", "too few pairs"),
        ("dcsbm:exponent=2", "exponent must be above 2"),
        ("rmat:a=0.9,b=0.2", r"a \+ b \+ c"),
        ("rmat:nodes=20,degree=10", "too high for 20 nodes"),
        ("rmat:nodes=64,degree=12,a=1,b=0,c=0", "lower the degree"),
    ],
)
def test_options_that_make_no_graph(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(name)


def test_smallest_graphs() -> None:
    for name in ("csbm:nodes=1,degree=0", "dcsbm:nodes=1", "rmat:nodes=1,degree=0", "csbm:nodes=3,classes=5,degree=0"):
        assert load_dataset(name).graph.num_edges == 0
    complete = csbm(nodes=6, classes=1, degree=5, homophily=1.0)
    assert complete.graph.num_edges == 30
