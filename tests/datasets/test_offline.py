"""The two sets that need no download."""

from pathlib import Path

import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from gssl.datasets.load import load_dataset
from gssl.graph.sparse import dense_features


def test_digits_is_the_symmetrised_neighbour_graph(root: Path) -> None:
    data = load_dataset("digits")
    pixels, y = load_digits(return_X_y=True)
    assert data.labels is not None
    assert data.labels.y.tolist() == y.tolist()
    assert torch.allclose(dense_features(data.graph.x), torch.from_numpy(pixels / 16).float())
    _, near = NearestNeighbors(n_neighbors=11).fit(pixels).kneighbors(pixels)
    wanted = {(i, int(j)) for i, row in enumerate(near) for j in row if j != i}
    wanted |= {(j, i) for i, j in wanted}
    found = {(int(u), int(v)) for u, v in data.graph.block.edge_index.T}
    assert len(found ^ wanted) <= 4  # ties between equally distant digits
    assert not root.exists()


def test_the_sets_are_the_same_whatever_the_number_of_threads() -> None:
    for threads in (1, 2):
        with threadpool_limits(threads):
            assert load_dataset("digits").checksum == "75b9e1f836463ec6"
            assert load_dataset("digit-graphs").checksum == "80be8ce4335a3937"


def test_digits_has_a_public_like_split(root: Path) -> None:
    data = load_dataset("digits")
    (split,) = data.splits
    assert data.labels is not None
    assert data.labels.y[split.train].bincount().tolist() == [20] * 10
    assert (split.name, len(split.val), len(split.test)) == ("public", 500, 1000)
    assert split.hash == "a53959fba3790369"  # drawn once and for all


def test_digit_graphs_are_the_lit_pixels(root: Path) -> None:
    data = load_dataset("digit-graphs")
    images, y = load_digits(return_X_y=True)
    assert data.labels is not None
    assert data.num_items == 1797
    assert data.labels.y.tolist() == y.tolist()
    for number in (0, 5, 1796):
        batch = data.graph.graph_batch(torch.tensor([number]))
        x = dense_features(batch.x)
        image = torch.zeros(8, 8)
        row, column = (x[:, 1] * 7).round().long(), (x[:, 2] * 7).round().long()
        image[row, column] = x[:, 0] * 16
        assert torch.allclose(image, torch.from_numpy(images[number]).float().reshape(8, 8))
        apart = torch.maximum((row[:, None] - row).abs(), (column[:, None] - column).abs())
        dense = torch.zeros(len(x), len(x))
        dense[batch.blocks[0].edge_index[0], batch.blocks[0].edge_index[1]] = 1
        assert torch.equal(dense == 1, apart == 1)


def test_digit_graphs_split_is_stratified_and_fixed(root: Path) -> None:
    data = load_dataset("digit-graphs")
    (split,) = data.splits
    assert data.labels is not None
    assert split.hash == "9641427afa1f4a92"
    shares = data.labels.y[split.train].bincount() / data.labels.y.bincount()
    assert float((shares - 0.6).abs().max()) < 0.01
