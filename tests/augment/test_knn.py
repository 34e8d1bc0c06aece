import pytest
import torch
from sklearn.neighbors import NearestNeighbors

from gssl.augment.knn import top_k_cosine
from gssl.common.errors import InputError


def rows(n: int = 37, dim: int = 5, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("chunk", [1, 7, 37, 1000])
def test_neighbors_are_those_of_scikit_learn(chunk: int) -> None:
    x = rows()
    expected = NearestNeighbors(metric="cosine", algorithm="brute").fit(x.numpy())
    own = top_k_cosine(x, 6, chunk)
    assert own.dtype == torch.int64
    assert own.tolist() == expected.kneighbors(x.numpy(), 6)[1].tolist()
    others = top_k_cosine(x, 36, chunk, own=False)
    assert others.tolist() == expected.kneighbors(n_neighbors=36)[1].tolist()


def test_neighbors_among_other_embeddings_of_the_same_rows() -> None:
    x, keys = rows(), rows(seed=1)
    found = top_k_cosine(x, 5, 8, keys=keys)
    assert torch.equal(found[:, 0], torch.arange(37))  # its own, though others are more alike
    similarity = torch.nn.functional.cosine_similarity(x[:, None], keys[None], dim=2).fill_diagonal_(-9)
    assert torch.equal(found[:, 1:], similarity.topk(4).indices)
    assert torch.equal(top_k_cosine(3 * x, 4, keys=keys / 7, own=False), similarity.topk(4).indices)  # angles alone


def test_nothing_is_differentiated_and_zero_rows_are_allowed() -> None:
    x = rows().requires_grad_()
    assert not top_k_cosine(x, 2).requires_grad
    assert top_k_cosine(torch.zeros(4, 3), 3).shape == (4, 3)


def test_similarities_of_a_chunk_only_are_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []
    product = torch.Tensor.__matmul__

    def seen(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        shapes.append((len(left), right.shape[1]))
        return product(left, right)

    monkeypatch.setattr(torch.Tensor, "__matmul__", seen)
    top_k_cosine(rows(), 2, 10)
    assert shapes == [(10, 37), (10, 37), (10, 37), (7, 37)]


@pytest.mark.parametrize(("k", "own"), [(0, True), (38, True), (37, False)])
def test_too_many_neighbors(k: int, own: bool) -> None:
    with pytest.raises(InputError, match="k must be between"):
        top_k_cosine(rows(), k, own=own)


def test_keys_of_another_shape() -> None:
    with pytest.raises(InputError, match="one shape"):
        top_k_cosine(rows(), 2, keys=rows(36))
