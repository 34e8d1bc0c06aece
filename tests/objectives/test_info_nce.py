import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode

from gssl.common.errors import InputError
from gssl.objectives.info_nce import info_nce, info_nce_terms


def pair(n: int, dim: int, *, seed: int = 0, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    z1 = torch.randn(n, dim, generator=rng, dtype=dtype)
    z2 = z1 + torch.randn(n, dim, generator=rng, dtype=dtype)
    return z1.requires_grad_(), z2.requires_grad_()


def terms_by_loops(z1: Tensor, z2: Tensor, t: float, intra: bool) -> list[float]:
    """Equation 1 of the paper, one exponential at a time."""

    def s(a: Tensor, b: Tensor) -> float:
        return math.exp(float(torch.cosine_similarity(a, b, dim=0)) / t)

    def anchor(i: int, own: Tensor, other: Tensor) -> float:
        negatives = sum(s(own[i], other[j]) for j in range(len(own)) if j != i)
        if intra:
            negatives += sum(s(own[i], own[j]) for j in range(len(own)) if j != i)
        return -math.log(s(own[i], other[i]) / (s(own[i], other[i]) + negatives))

    return [(anchor(i, z1, z2) + anchor(i, z2, z1)) / 2 for i in range(len(z1))]


def dense(z1: Tensor, z2: Tensor, t: float, intra: bool) -> Tensor:
    """The stored matrix with autograd's own gradient."""
    n = len(z1)
    h = normalize(torch.cat([z1, z2]), dim=1)
    similarity = h @ h.T / t
    hidden = torch.eye(2 * n, dtype=torch.bool)
    if not intra:
        hidden = torch.block_diag(torch.ones(n, n), torch.ones(n, n)).bool()
    positive = torch.cat([similarity.diagonal(n), similarity.diagonal(-n)])
    return (similarity.masked_fill(hidden, -torch.inf).logsumexp(1) - positive).mean()


def gradients(loss: Tensor, *inputs: Tensor) -> list[Tensor]:
    return [g.double() for g in torch.autograd.grad(loss, inputs)]


@pytest.mark.parametrize("intra", [True, False])
@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_terms_equal_the_equation_of_the_paper(intra: bool, temperature: float) -> None:
    z1, z2 = pair(9, 4)
    terms = info_nce_terms(z1, z2, temperature=temperature, intra=intra, chunk=4)
    assert terms.tolist() == pytest.approx(terms_by_loops(z1.detach(), z2.detach(), temperature, intra), rel=1e-12)
    assert info_nce(z1, z2, temperature=temperature, intra=intra).item() == pytest.approx(terms.mean().item())


@pytest.mark.parametrize("intra", [True, False])
def test_orthogonal_and_identical_items_have_closed_forms(intra: bool) -> None:
    n, t = 6, 0.5
    apart = torch.eye(n, dtype=torch.float64) * torch.arange(1, n + 1).unsqueeze(1)  # lengths must not matter
    others = (2 if intra else 1) * (n - 1)
    assert float(info_nce(apart, 3 * apart, temperature=t, intra=intra)) == pytest.approx(
        math.log(1 + others * math.exp(-1 / t))
    )
    same = torch.ones(n, 3, dtype=torch.float64)
    assert float(info_nce(same, same, temperature=t, intra=intra)) == pytest.approx(math.log(1 + others))


def test_a_single_item_has_no_negatives() -> None:
    z1, z2 = pair(1, 3)
    assert info_nce(z1, z2).item() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("intra", [True, False])
def test_gradients_of_terms_pass_gradcheck(intra: bool) -> None:
    z1, z2 = pair(7, 3)
    weight = torch.tensor([1.0, 2.0, 0.5, 0.0, 3.0, 1.0, 1.5], dtype=torch.float64)

    def terms(a: Tensor, b: Tensor) -> Tensor:
        return info_nce_terms(a, b, temperature=0.3, intra=intra, weight=weight, chunk=3)

    assert torch.autograd.gradcheck(terms, (z1, z2))


@given(n=st.integers(1, 12), chunk=st.integers(1, 30), intra=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_no_tile_size_changes_loss_or_gradient(n: int, chunk: int, intra: bool, seed: int) -> None:
    z1, z2 = pair(n, 5, seed=seed)
    tiled, whole = info_nce(z1, z2, intra=intra, chunk=chunk), dense(z1, z2, 0.5, intra)
    torch.testing.assert_close(tiled, whole, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients(tiled, z1, z2), gradients(whole, z1, z2), rtol=1e-9, atol=1e-11)


@given(seed=st.integers(0, 99), intra=st.booleans(), scale=st.floats(1e-3, 1e3))
@settings(max_examples=30, deadline=None)
def test_terms_follow_permutations_and_ignore_lengths_and_the_order_of_views(
    seed: int, intra: bool, scale: float
) -> None:
    z1, z2 = pair(10, 4, seed=seed)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(seed))
    terms = info_nce_terms(z1, z2, intra=intra, chunk=4)
    torch.testing.assert_close(info_nce_terms(z1[order], scale * z2[order], intra=intra, chunk=4), terms[order])
    torch.testing.assert_close(info_nce_terms(z2, z1, intra=intra, chunk=4), terms)


@given(
    weight=st.lists(st.integers(0, 3), min_size=2, max_size=8).filter(any),
    intra=st.booleans(),
    chunk=st.integers(1, 9),
)
@settings(max_examples=60, deadline=None)
def test_integer_weights_mean_including_the_item_that_often(weight: list[int], intra: bool, chunk: int) -> None:
    z1, z2 = pair(len(weight), 4)
    count = torch.tensor(weight)
    weighted = info_nce(z1, z2, intra=intra, weight=count.double(), chunk=chunk)
    repeated = dense(z1.repeat_interleave(count, dim=0), z2.repeat_interleave(count, dim=0), 0.5, intra)
    torch.testing.assert_close(weighted, repeated, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(gradients(weighted, z1, z2), gradients(repeated, z1, z2), rtol=1e-9, atol=1e-11)


def test_weights_below_one_never_take_the_anchor_itself_out_of_its_denominator() -> None:
    z = torch.eye(3, dtype=torch.float64)
    terms = info_nce_terms(z, -z, temperature=0.1, weight=torch.full((3,), 0.1))
    expected = math.log(0.1 * (math.exp(-10.0) + 4)) + 10  # every other node counts a tenth, the anchor not at all
    assert terms.tolist() == pytest.approx([expected] * 3)


@pytest.mark.parametrize("intra", [True, False])
def test_float32_agrees_with_the_stored_float64_matrix(intra: bool) -> None:
    z1, z2 = pair(700, 128, dtype=torch.float32)
    loss, exact = info_nce(z1, z2, temperature=0.4, intra=intra), dense(z1.double(), z2.double(), 0.4, intra)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-6)
    for ours, theirs in zip(gradients(loss, z1, z2), gradients(exact, z1, z2), strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-5


@pytest.mark.parametrize("temperature", [0.02, 0.005])
def test_cold_temperatures_stay_exact(temperature: float) -> None:
    z1, z2 = pair(40, 3, dtype=torch.float32)  # few dimensions: similarities reach both ends of [-1, 1]
    loss, exact = info_nce(z1, z2, temperature=temperature), dense(z1.double(), z2.double(), temperature, True)
    assert loss.dtype == torch.float32
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    for ours, theirs in zip(gradients(loss, z1, z2), gradients(exact, z1, z2), strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-4


def test_half_precision_is_computed_in_float32() -> None:
    z1, z2 = (z.detach().bfloat16().requires_grad_() for z in pair(50, 16))
    loss = info_nce(z1, z2)
    assert loss.dtype == torch.float32
    exact = dense(z1.double(), z2.double(), 0.5, True)
    assert loss.item() == pytest.approx(exact.item(), rel=1e-5)
    for ours, theirs in zip(gradients(loss, z1, z2), gradients(exact, z1, z2), strict=True):
        assert float((ours - theirs).norm() / theirs.norm()) < 1e-2  # gradients are bfloat16 themselves


def test_autocast_leaves_the_products_in_float32() -> None:
    z1, z2 = pair(60, 16, dtype=torch.float32)
    plain = info_nce(z1, z2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = info_nce(z1, z2)
        grads = gradients(cast, z1, z2)
    torch.testing.assert_close(cast, plain)
    torch.testing.assert_close(grads, gradients(plain, z1, z2))


def test_gradient_descent_aligns_the_views() -> None:
    z1, z2 = pair(20, 8)
    before = info_nce(z1, z2).item()
    optimizer = torch.optim.SGD([z1, z2], lr=1.0)
    for _ in range(10):
        optimizer.zero_grad()
        info_nce(z1, z2).backward()
        optimizer.step()
    assert info_nce(z1, z2).item() < before


class LargestTensor(TorchDispatchMode):
    """Records the most elements that any operation returned."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch does not annotate it
        self.numel = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN204
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, tuple | list) else [out]:
            if isinstance(tensor, Tensor):
                self.numel = max(self.numel, tensor.numel(), tensor.untyped_storage().nbytes() // tensor.element_size())
        return out


@pytest.mark.parametrize("intra", [True, False])
def test_nothing_grows_with_the_square_of_the_items(intra: bool) -> None:
    n, dim, chunk = 500, 8, 16
    z1, z2 = pair(n, dim, dtype=torch.float32)
    with LargestTensor() as largest:
        info_nce(z1, z2, intra=intra, chunk=chunk).backward()
    assert largest.numel <= 2 * n * dim  # the stacked rows themselves
    with LargestTensor() as stored:
        dense(z1, z2, 0.5, intra).backward()
    assert stored.numel == (2 * n) ** 2  # the recorder does see such a matrix


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((4, 3), (5, 3)), {}, "same shape"),
        (((4,), (4,)), {}, "same shape"),
        (((4, 3), (4, 3)), {"weight": torch.ones(3)}, "one weight per item: 4"),
        (((4, 3), (4, 3)), {"temperature": 0.0}, "temperature"),
        (((4, 3), (4, 3)), {"temperature": 0.001}, "temperature"),
        (((4, 3), (4, 3)), {"temperature": math.nan}, "temperature"),
    ],
)
def test_bad_input_says_what_to_change(
    shapes: tuple[tuple[int, ...], tuple[int, ...]], options: dict[str, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        info_nce(torch.ones(shapes[0]), torch.ones(shapes[1]), **options)  # type: ignore[arg-type]  # one of many
