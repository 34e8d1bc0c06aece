"""Attention and encoder of patches against torch's attention and loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gssl.augment.patches import cut_patches
from gssl.common.errors import InputError
from gssl.models.adapter import PyGEncoder
from gssl.models.gin import GIN
from gssl.models.patch_attention import PatchAttention, PatchTransformer
from gssl.models.patch_encoder import PatchEncoder
from gssl.testing.toy import toy_graphs

THERE = torch.tensor([[True, True, True, False], [True, False, False, False], [True, True, True, True]])


def test_without_weights_it_is_torchs_attention() -> None:
    torch.manual_seed(0)
    ours, theirs = PatchAttention(12, 3).double(), nn.MultiheadAttention(12, 3, batch_first=True).double()
    theirs.in_proj_weight.data.copy_(ours.query_key_value.weight)
    theirs.in_proj_bias.data.copy_(ours.query_key_value.bias)
    theirs.out_proj.load_state_dict(ours.out.state_dict())
    x = torch.randn(3, 4, 12, dtype=torch.float64)
    expected = theirs(x, x, x, key_padding_mask=~THERE, need_weights=False)[0]
    torch.testing.assert_close(ours(x, THERE), expected, rtol=1e-10, atol=1e-12)


def test_weights_multiply_the_coefficients() -> None:
    """After the softmax: they need not add up to one."""
    torch.manual_seed(0)
    attention = PatchAttention(4, 2).double()
    x = torch.randn(3, 4, 4, dtype=torch.float64)
    weight = torch.rand(3, 4, 4, dtype=torch.float64) * 3
    found = attention(x, THERE, weight)
    for graph in range(3):
        listened = THERE[graph].nonzero().squeeze(1).tolist()
        parts = attention.query_key_value(x[graph]).split(4, dim=1)
        for patch in range(4):
            heads = []
            for head in range(2):
                query, key, value = (part[:, 2 * head : 2 * head + 2] for part in parts)
                shares = torch.softmax(torch.stack([query[patch] @ key[j] / 2**0.5 for j in listened]), dim=0)
                heads.append(sum(s * weight[graph, patch, j] * value[j] for s, j in zip(shares, listened, strict=True)))
            expected = attention.out(torch.cat(heads))
            torch.testing.assert_close(found[graph, patch], expected, rtol=1e-10, atol=1e-12)


def test_graphs_and_patches_that_are_not_there_do_not_matter() -> None:
    torch.manual_seed(0)
    model, x = PatchTransformer(8, 2, 2), torch.randn(3, 4, 8)
    other = torch.where(THERE.unsqueeze(2), x, 99.0)
    torch.testing.assert_close(model(x, THERE)[THERE], model(other, THERE)[THERE])
    torch.testing.assert_close(model(x, THERE)[1:2, :1], model(x[1:2, :1], THERE[1:2, :1]))


@pytest.mark.parametrize(("layers", "joined"), [(1, False), (2, True), (3, False)])
def test_patches_hear_of_each_other_through_common_nodes(layers: int, joined: bool) -> None:
    torch.manual_seed(0)
    encoder = GIN(4, hidden_dim=6, num_layers=layers, readout="mean", jk="cat" if joined else "last")
    model = PatchEncoder(encoder).eval()
    batch = toy_graphs(num_graphs=6).full_batch()
    patches = cut_patches(batch, torch.arange(batch.num_nodes) % 3, hops=1)
    view, rows = patches.view, patches.rows.tolist()
    assert view.graph_ptr is not None
    patch = view.graph_index().tolist()
    x = first = encoder.step(0, view.blocks[0], view.x, view)
    for layer in range(1, layers):
        means = [x[[i for i, p in enumerate(patch) if p == q]].mean(0) for q in range(view.num_graphs)]
        moved = [x[i] + model.summaries[layer - 1](means[patch[i]].unsqueeze(0))[0] for i in range(len(rows))]
        shared = [torch.stack([moved[j] for j, other in enumerate(rows) if other == row]).mean(0) for row in rows]
        x = encoder.step(layer, view.blocks[0], torch.stack(shared), view)
    x = torch.cat([first, x], dim=1) if joined else x
    expected = torch.stack([x[[i for i, p in enumerate(patch) if p == q]].mean(0) for q in range(view.num_graphs)])
    torch.testing.assert_close(model(view, patches.rows, batch.num_nodes), expected, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match="3 heads cannot share 8 columns"):
        PatchAttention(8, 3)
    with pytest.raises(InputError, match="not made of layers"):
        PatchEncoder(PyGEncoder(nn.Identity(), in_dim=4, out_dim=4, num_layers=1))
