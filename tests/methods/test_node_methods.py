"""What each paper defines beyond the contracts that every method keeps."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.nn import DeepGraphInfomax

from gssl.common.errors import InputError
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import SparseMatrix
from gssl.graph.storage import Graph
from gssl.methods.bgrl import BGRL
from gssl.methods.dgi import DGI
from gssl.methods.gae import GAE
from gssl.methods.grace import GRACE
from gssl.methods.graphmae import GraphMAE
from gssl.methods.vgae import VGAE
from gssl.models.gat import GAT
from gssl.models.gcn import GCN


def community_batch(sparse: bool = False) -> MiniBatch:
    rng = torch.Generator().manual_seed(0)
    block = torch.arange(40) // 20
    same = block[:, None] == block[None, :]
    edges = (torch.rand(40, 40, generator=rng) < torch.where(same, 0.3, 0.02)).fill_diagonal_(False).nonzero().T
    x = (torch.rand(40, 16, generator=rng) < 0.2).float() + (torch.arange(16) // 8 == block[:, None]).float()
    return Graph.from_edge_index(edges, SparseMatrix.from_dense(x) if sparse else x).full_batch()


def test_grace_is_info_nce_of_two_masked_views() -> None:
    torch.manual_seed(0)
    method = GRACE(GCN(16, hidden_dim=8), drop_edge=(0.2, 0.4), mask_feature=(0.3, 0.4), temperature=0.5)
    batch = community_batch()
    method.reseed(3, torch.device("cpu"))
    loss = method.loss(batch)
    method.reseed(3, torch.device("cpu"))
    u, v = (F.normalize(method.head(method.encoder(view(batch, method.rng)))) for view in method.views)
    terms = []
    for a, b in ((u, v), (v, u)):
        between, within = (a @ b.T / 0.5).exp(), (a @ a.T / 0.5).exp()
        terms.append(-(between.diag() / (between.sum(1) + within.sum(1) - within.diag())).log())
    torch.testing.assert_close(loss, torch.cat(terms).mean())


def test_dgi_equals_pygs_loss() -> None:
    torch.manual_seed(0)
    method = DGI(GCN(16, hidden_dim=8, num_layers=1, activation="prelu"))
    theirs = DeepGraphInfomax(8, torch.nn.Identity(), lambda z, *_: torch.sigmoid(z.mean(0)), lambda *a: a)
    theirs.weight.data = method.discriminator.data.clone()
    batch = community_batch()
    method.reseed(1, torch.device("cpu"))
    loss = method.loss(batch)
    method.reseed(1, torch.device("cpu"))
    real, fake = (method.encoder(view(batch, method.rng)) for view in method.views)
    expected = theirs.loss(real, fake, torch.sigmoid(real.mean(0))) / 2  # PyG adds the two means
    torch.testing.assert_close(loss, expected, rtol=1e-4, atol=1e-5)


def test_bgrl_target_follows_the_online_encoder_and_gets_no_gradient() -> None:
    torch.manual_seed(0)
    method = BGRL(GCN(16, hidden_dim=8), momentum=0.5, predictor_dim=8)
    method.loss(community_batch()).backward()
    assert all(p.grad is None for p in method.target.parameters())
    assert all(p.grad is not None for p in method.encoder.parameters())
    old = [p.clone() for p in method.target.parameters()]
    for parameter in method.encoder.parameters():
        parameter.data += 1
    method.after_step(1e-9)
    for before, now, online in zip(old, method.target.parameters(), method.encoder.parameters(), strict=True):
        torch.testing.assert_close(now, 0.5 * before + 0.5 * online)


def test_vgae_embeds_the_mean_and_adds_the_divergence() -> None:
    torch.manual_seed(0)
    encoder = GCN(16, hidden_dim=8, out_dim=8, final_activation=False)
    batch = community_batch()
    method = VGAE(encoder)
    assert torch.equal(method.embed(batch), encoder(batch)[:, :4])
    with_kl, without = VGAE(encoder, kl_weight=1.0), VGAE(encoder, kl_weight=0.0)
    for m in (with_kl, without):
        m.reseed(2, torch.device("cpu"))
    mean, log_std = encoder(batch).chunk(2, dim=1)
    kl = -0.5 * (1 + 2 * log_std - mean**2 - (2 * log_std).exp()).sum(1).mean()
    torch.testing.assert_close(with_kl.loss(batch) - without.loss(batch), kl)


def test_vgae_needs_an_even_width() -> None:
    with pytest.raises(InputError, match="even"):
        VGAE(GCN(4, out_dim=5))


def test_gae_separates_edges_from_non_edges() -> None:
    torch.manual_seed(0)
    method, batch = GAE(GCN(16, hidden_dim=16, out_dim=8, final_activation=False)), community_batch(sparse=True)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.02)
    for epoch in range(60):
        method.reseed(epoch, torch.device("cpu"))
        optimizer.zero_grad()
        method.loss(batch).backward()
        optimizer.step()
    z = method.embed(batch).detach()
    scores = z @ z.T
    edges = batch.blocks[0].edge_index
    assert scores[edges[0], edges[1]].mean() > scores.mean() + 1
    assert method.loss(batch) < 2 * math.log(2)


@pytest.mark.parametrize("decoder", ["GAT", "GCN", "GIN", "linear"])
@pytest.mark.parametrize("sparse", [False, True])
def test_graphmae_decodes_hidden_rows_as_if_all_were_decoded(decoder: str, sparse: bool) -> None:
    torch.manual_seed(0)
    encoder = GAT(16, hidden_dim=8, heads=2).eval()
    method = GraphMAE(encoder, gamma=2.0, decoder=decoder)  # type: ignore[arg-type]
    method.decoder.eval()
    batch = community_batch(sparse)
    method.reseed(1, torch.device("cpu"))
    view, masked = method.pretext(batch)
    loss = method.error(encoder(view), view, masked)
    code = method.encoder_to_decoder(encoder(view))
    if decoder != "linear":  # which would have nothing left to decode from
        code = code.index_fill(0, masked.rows, 0.0)
    decoded = method.decoder(view.blocks[0], code)[masked.rows]
    expected = (1 - F.cosine_similarity(decoded, masked.features)).pow(2).mean()
    torch.testing.assert_close(loss, expected)


def test_graphmae_normalises_the_codes_of_all_nodes_in_its_decoder() -> None:
    torch.manual_seed(0)
    encoder = GAT(16, hidden_dim=8, heads=2).eval()
    method = GraphMAE(
        encoder, decoder="GIN", decoder_norm="batch", decoder_activation="prelu", decoder_eps=1.0, gamma=2.0
    )
    batch = community_batch(False)
    method.reseed(1, torch.device("cpu"))
    view, masked = method.pretext(batch)
    code = method.encoder_to_decoder(encoder(view)).index_fill(0, masked.rows, 0.0)
    pattern = view.blocks[0].pattern
    summed = 2 * code + torch.zeros_like(code).index_add(0, pattern.row.long(), code[pattern.col.long()])
    first, _, _, last = method.decoder.mlp  # type: ignore[misc]
    hidden = F.prelu(F.batch_norm(first(summed), None, None, training=True), torch.tensor([0.25]))
    expected = (1 - F.cosine_similarity(last(hidden)[masked.rows], masked.features)).pow(2).mean()
    torch.testing.assert_close(method.error(encoder(view), view, masked), expected)


def test_graphmae_refuses_options_of_another_decoder() -> None:
    with pytest.raises(InputError, match=r"decoder_norm.*decoder=GIN, not of GAT"):
        GraphMAE(GAT(16, hidden_dim=8, heads=2), decoder_norm="batch")


def test_graphmae_never_sees_what_it_must_reconstruct() -> None:
    torch.manual_seed(0)
    method = GraphMAE(GAT(16, hidden_dim=8, heads=2), replace_rate=0.0)
    method.reseed(0, torch.device("cpu"))
    batch = community_batch()
    view, masked = method.pretext(batch)
    assert isinstance(batch.x, Tensor)
    changed = batch.x.clone()
    changed[masked.rows] = 77.0
    method.reseed(0, torch.device("cpu"))
    other, again = method.pretext(batch.with_x(changed))
    assert torch.equal(again.rows, masked.rows)
    assert isinstance(view.x, Tensor)
    assert isinstance(other.x, Tensor)
    assert torch.equal(view.x, other.x)


def test_graphmae_at_graph_level_weighs_graphs() -> None:
    torch.manual_seed(0)
    x = torch.randn(9, 5)
    edges = torch.tensor([[0, 1, 3, 4, 6, 7], [1, 0, 4, 3, 7, 6]])
    graph = Graph.from_edge_index(edges, x, ptr=torch.tensor([0, 3, 6, 9]))
    method = GraphMAE(GCN(5, hidden_dim=4), mask_rate=1.0, replace_rate=0.0, decoder="GIN")
    full = graph.graph_batch(torch.tensor([0, 1, 1, 2]))
    once = graph.graph_batch(torch.tensor([0, 1, 2]))
    weighted = MiniBatch(
        once.x, once.blocks, once.node_ids, 9, torch.tensor([1.0, 2.0, 1.0]), once.graph_ptr, once.graph_ids
    )
    torch.testing.assert_close(method.loss(weighted), method.loss(full))
