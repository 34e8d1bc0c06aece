"""Inner products of many pairs of rows are those of few, with their gradients."""

import pytest
import torch
from torch import Tensor

from gssl.models import inner_products as module
from gssl.models.inner_products import inner_products


def pairs(count: int, size: int = 7) -> Tensor:
    return torch.randint(size, (2, count), generator=torch.Generator().manual_seed(count))


@pytest.mark.parametrize("count", [0, 1, 60], ids="{} pairs".format)  # of 49 different ones, so that some repeat
def test_many_pairs_give_what_few_do(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for many in (1 << 24, -1):
        monkeypatch.setattr(module, "_MANY", many)
        rows = torch.randn(7, 5, generator=torch.Generator().manual_seed(0)).requires_grad_()
        products = inner_products(rows, pairs(count))
        products.square().sum().backward()
        assert rows.grad is not None
        found.append((products.detach(), rows.grad))
    (few, few_grad), (many_products, many_grad) = found
    rows = rows.detach()
    expected = [float(rows[i] @ rows[j]) for i, j in pairs(count).T.tolist()]
    assert few.tolist() == pytest.approx(expected, abs=1e-6)
    torch.testing.assert_close(many_products, few)
    torch.testing.assert_close(many_grad, few_grad)


def test_the_gradient_of_many_pairs_is_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MANY", -1)
    rows = torch.randn(7, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: inner_products(x, pairs(30)), rows)
