"""AD-GCL against its formulas with dense matrices, and the two players against each other."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import validate
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.adgcl import ADGCL, dropped_share
from gssl.models.gin import GIN
from gssl.models.mlp import MLPEncoder
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.testing.toy import toy_graphs
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

CPU = torch.device("cpu")


def make(**options: Any) -> ADGCL:
    torch.manual_seed(0)
    small = {"augmenter_dim": 6, "augmenter_layers": 2, "augmenter_hidden": 5}
    return ADGCL(GIN(4, hidden_dim=8, num_layers=2, norm="none"), **{**small, **options})


def without_norms(method: ADGCL) -> ADGCL:
    """The method with an augmenter that has no batch norm either, in double precision."""
    method.augmenter.encoder = GIN(4, hidden_dim=6, num_layers=2, norm="none", jk="last")
    return method.double()


def dense_gin(encoder: nn.Module, adjacency: Tensor, x: Tensor) -> list[Tensor]:
    """Outputs of the layers of a GIN of ours without norms; row i of the matrix lists what i hears."""
    outputs = []
    for layer in encoder.layers:  # type: ignore[union-attr]  # a module list
        x = (adjacency + torch.eye(len(x)).double()) @ x @ layer.weight + layer.bias
        x = torch.relu(layer.rest(x))
        outputs.append(x)
    return outputs


def dense_losses(method: ADGCL, graph: Graph, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """What the encoder and what the augmenter lower, from one view that some uniform numbers make."""
    batch = graph.full_batch()
    sources, destinations = batch.blocks[0].edge_index
    size = batch.num_nodes
    x = batch.x.double()  # type: ignore[union-attr]  # dense here
    whole = torch.zeros(size, size).double().index_put((destinations, sources), torch.ones(len(sources)).double())
    nodes = dense_gin(method.augmenter.encoder, whole, x)[-1]
    logits = method.augmenter.head(torch.cat([nodes[sources], nodes[destinations]], 1))[:, 0]
    uniform = 1e-4 + (1 - 2e-4) * uniform.double()
    kept = torch.sigmoid(logits + uniform.log() - (1 - uniform).log())
    weighed = torch.zeros(size, size).double().index_put((destinations, sources), kept)
    bounds = list(pairwise(graph.ptr.tolist()))  # type: ignore[union-attr]  # graphs

    def projected(adjacency: Tensor) -> Tensor:
        h = torch.cat(dense_gin(method.encoder, adjacency, x), dim=1)
        z: Tensor = method.head(torch.stack([h[a:b].sum(0) for a, b in bounds]))
        unit: Tensor = z / z.norm(dim=1, keepdim=True)
        return unit

    scores = torch.exp(projected(whole) @ projected(weighed).T / 0.2)
    positive = scores.diagonal()
    rows, columns = (-torch.log(positive / (scores.sum(d) - positive)).mean() for d in (0, 1))
    contrast = (rows + columns) / 2
    shares = [
        (1 - kept[(sources >= a) & (sources < b)]).mean() for a, b in bounds if ((sources >= a) & (sources < b)).any()
    ]
    return contrast, method.regularization * torch.stack(shares).mean() - contrast


def doubled(graph: Graph) -> MiniBatch:
    batch = graph.full_batch()
    return batch.with_x(batch.x.double())  # type: ignore[union-attr]  # dense here


def drawn(method: ADGCL, graph: Graph) -> Tensor:
    """Start the random stream, and say which uniform numbers the first view will take from it."""
    method.reseed(3, CPU)
    uniform = torch.rand(graph.full_batch().blocks[0].num_edges, generator=method.rng)
    method.reseed(3, CPU)
    return uniform


def test_both_losses_and_all_gradients_are_those_of_dense_matrices() -> None:
    """The gradient reaches the augmenter through the sums of the encoder, layer by layer."""
    graph = toy_graphs(num_graphs=6)
    method = without_norms(make())
    for ours, which in ((method.loss, 0), (method.adversary_loss, 1)):
        expected = dense_losses(method, graph, drawn(method, graph))[which]
        wanted = torch.autograd.grad(expected, list(method.parameters()), allow_unused=True)
        found = ours(doubled(graph))
        torch.testing.assert_close(found, expected)
        got = torch.autograd.grad(found, list(method.parameters()), allow_unused=True)
        for (name, _), mine, theirs in zip(method.named_parameters(), got, wanted, strict=True):
            assert mine is not None, name
            assert theirs is not None, name
            torch.testing.assert_close(mine, theirs, rtol=1e-6, atol=1e-9)


def test_the_players_share_all_parameters_out_and_have_rates_of_their_own() -> None:
    method = make(augmenter_lr=0.03)
    players = method.players()
    assert list(players) == ["augmenter", "method"]
    owned = [id(p) for player in players.values() for p in player.parameters]
    assert len(owned) == len(set(owned))
    assert set(owned) == {id(p) for p in method.parameters()}
    assert (players["augmenter"].lr, players["method"].lr) == (0.03, None)
    assert players["augmenter"].loss == method.adversary_loss


def updated(method: ADGCL, graph: Graph, name: str, steps: int) -> None:
    """Steps of one player alone."""
    player = method.players()[name]
    optimizer = torch.optim.Adam(player.parameters, lr=0.01)
    for step in range(steps):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        (player.loss or method.loss)(graph.full_batch()).backward()
        optimizer.step()


def mean_loss(method: ADGCL, graph: Graph) -> float:
    values = []
    with torch.no_grad():
        for seed in range(100, 120):
            method.reseed(seed, CPU)
            values.append(method.loss(graph.full_batch()).item())
    return sum(values) / len(values)


def mean_share(method: ADGCL, graph: Graph) -> float:
    batch = graph.full_batch()
    with torch.no_grad():
        return dropped_share(batch, method.augmenter.weigh(batch, torch.Generator().manual_seed(5))[1]).item()


def test_the_augmenter_raises_the_loss_that_the_encoder_lowers() -> None:
    graph = toy_graphs()
    method = make(regularization=0.1)
    before = mean_loss(method, graph)
    updated(method, graph, "method", 30)
    trained = mean_loss(method, graph)
    assert trained < before - 0.1
    updated(method, graph, "augmenter", 40)
    assert mean_loss(method, graph) > trained + 0.1


def test_the_price_of_edges_decides_how_many_go() -> None:
    graph = toy_graphs(num_graphs=6)
    shares = []
    for price in (0.0, 100.0):
        method = make(regularization=price)
        updated(method, graph, "augmenter", 40)
        shares.append(mean_share(method, graph))
    assert shares[0] > 0.7
    assert shares[1] < 0.1


class Watched(ADGCL):
    """Notes what each turn finds changed since the one before."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        super().__init__(GIN(4, hidden_dim=8, num_layers=2), augmenter_dim=6, augmenter_layers=2, augmenter_lr=0.01)
        self.seen: list[tuple[str, dict[str, Tensor]]] = []

    def note(self, turn: str) -> None:
        self.seen.append((turn, {name: value.clone() for name, value in self.state_dict().items()}))

    def adversary_loss(self, batch: MiniBatch) -> Tensor:
        self.note("augmenter")
        return super().adversary_loss(batch)

    def loss(self, batch: MiniBatch) -> Tensor:
        self.note("method")
        return super().loss(batch)


def test_who_stands_still_keeps_weights_and_statistics() -> None:
    method = Watched()
    config = TrainConfig(epochs=2, lr=0.01)
    pretrain(method, GraphBatches(toy_graphs(), batch_size=8, seed=0), config, seed=0)
    assert [turn for turn, _ in method.seen] == ["augmenter", "method"] * 4
    for (turn, before), (_, after) in pairwise(method.seen):
        changed = {name for name in before if not torch.equal(before[name], after[name])}
        mine = {name for name in before if name.startswith("learned_views") == (turn == "augmenter")}
        assert changed <= mine, turn
        assert any("running_mean" in name for name in changed)
        assert any("weight" in name for name in changed)


def test_share_of_dropped_edges() -> None:
    """A ring of three and a star of two leaves; the graph of one node has no edges to lose."""
    ring = torch.tensor([[0, 1, 2, 1, 2, 0], [1, 2, 0, 0, 1, 2]])
    star = torch.tensor([[4, 4, 5, 6], [5, 6, 4, 4]])
    graph = Graph.from_edge_index(
        torch.cat([ring, star], dim=1), torch.ones(7, 1), ptr=torch.tensor([0, 3, 4, 7])
    ).full_batch()
    kept = torch.where(graph.blocks[0].pattern.row < 3, 0.9, 0.5)
    assert dropped_share(graph, kept).item() == pytest.approx((0.1 + 0.5) / 2)
    weighted = replace(graph, weight=torch.tensor([1.0, 9.0, 3.0]))
    assert dropped_share(weighted, kept).item() == pytest.approx((0.1 + 3 * 0.5) / 4)
    bare = graph.map_blocks(lambda block: block.filter(torch.zeros(10, dtype=torch.bool)))
    assert dropped_share(bare, kept[:0]).item() == 0


def test_weights_stand_for_copies_of_graphs() -> None:
    """The view is certain here: logits of 12 are more than any uniform number takes away."""
    graph = toy_graphs(num_graphs=4)
    method = make(relaxation=1e-3)
    last = method.augmenter.head[2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.constant_(last.bias, 12.0)
    weight = torch.tensor([1.0, 3.0, 1.0, 2.0])
    copies = torch.arange(4).repeat_interleave(weight.long())
    for loss in (method.loss, method.adversary_loss):
        weighted = loss(replace(graph.full_batch(), weight=weight))
        torch.testing.assert_close(weighted, loss(graph.graph_batch(copies)), rtol=1e-4, atol=1e-5)
        assert not torch.isclose(weighted, loss(graph.full_batch()))


def test_a_last_batch_of_one_graph_of_one_node_is_no_problem() -> None:
    alone = Graph.from_edge_index(torch.empty(2, 0, dtype=torch.int64), torch.ones(1, 4), ptr=torch.tensor([0, 1]))
    method = make()
    for loss in (method.loss, method.adversary_loss):
        value = loss(alone.full_batch())
        value.backward()
        assert value.item() == 0


def test_batches_of_one_graph_are_refused() -> None:
    graphs = toy_graphs()
    method = make()
    with pytest.raises(InputError, match=r"set train\.batch_size to 2"):
        method.check_sampler(GraphBatches(graphs, batch_size=1))
    with pytest.raises(InputError, match="there is only 1"):
        method.check_sampler(GraphBatches(graphs, batch_size=8, items=torch.tensor([3])))
    with pytest.raises(InputError, match="there is only 1"):
        method.check_sampler(FullBatch(toy_graphs(num_graphs=1)))
    method.check_sampler(GraphBatches(graphs, batch_size=15))
    method.check_sampler(FullBatch(graphs))


def test_encoders_that_take_no_edge_weights_are_refused() -> None:
    with pytest.raises(InputError, match=r"takes no edge weights.*GIN"):
        ADGCL(MLPEncoder(4))


@pytest.mark.parametrize(("option", "value"), [("regularization", -1), ("augmenter_lr", 0), ("relaxation", 0)])
def test_options_out_of_range_are_refused(option: str, value: float) -> None:
    with pytest.raises(InputError, match=option):
        validate(ADGCL, {option: value}, what="AD-GCL")
