import pytest
import torch
from torch import Tensor, nn

from gssl.models.heads import mlp_head
from gssl.models.layers import Norm
from gssl.testing.toy import toy_batch


def test_a_head_is_the_sequence_that_it_stands_for_drawn_in_the_same_order() -> None:
    torch.manual_seed(0)
    head = mlp_head(3, 5, 2, activation="elu")
    torch.manual_seed(0)
    by_hand = nn.Sequential(nn.Linear(3, 5), nn.ELU(), nn.Linear(5, 2))
    assert head.state_dict().keys() == by_hand.state_dict().keys()
    x = torch.randn(4, 3)
    assert torch.equal(head(x), by_hand(x))


def test_glorot_draws_after_both_layers_are_made() -> None:
    torch.manual_seed(0)
    head = mlp_head(6, 6, 6, glorot=True)
    torch.manual_seed(0)
    linears = [nn.Linear(6, 6), nn.Linear(6, 6)]
    for mine, linear in zip((head[0], head[2]), linears, strict=True):
        assert isinstance(mine.weight, Tensor)
        assert torch.equal(mine.weight, nn.init.xavier_uniform_(linear.weight))
        assert not mine.bias.any()  # type: ignore[operator]  # of a linear layer


def test_norms_come_before_the_activation() -> None:
    x = torch.randn(50, 3) * 10 + 5
    hidden = mlp_head(3, 4, 2, norm="batch")[:2](x)
    torch.testing.assert_close(hidden.mean(0), torch.zeros(4), atol=1e-5, rtol=0)
    rows = mlp_head(3, 4, 2, norm="layer")[:2](x)
    torch.testing.assert_close(rows.mean(1), torch.zeros(50), atol=1e-5, rtol=0)


@pytest.mark.parametrize("kind", ["head", "norm"])
def test_a_batch_of_one_row_passes_batch_norm(kind: str) -> None:
    """A sampled batch may have one target only."""
    x = torch.randn(1, 4)
    out = mlp_head(4, 4, 4, norm="batch")(x) if kind == "head" else Norm("batch", 4)(x, toy_batch("node"))
    assert bool(out.isfinite().all())
    if kind == "norm":
        assert torch.equal(out, x)


def test_an_expander_has_norm_and_activation_before_each_later_map() -> None:
    torch.manual_seed(0)
    head = mlp_head(3, 5, 2, norm="batch", hidden_layers=2)
    torch.manual_seed(0)
    first, second, last = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)
    x = torch.randn(7, 3)
    for linear in (first, second):
        x = nn.functional.relu(nn.functional.batch_norm(linear(x), None, None, training=True))
    torch.manual_seed(0)
    _ = nn.Linear(3, 5), nn.Linear(5, 5), nn.Linear(5, 2)
    torch.testing.assert_close(head(torch.randn(7, 3)), last(x))
