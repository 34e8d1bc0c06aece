"""Every method under every named sampler, through the training loop: it works, or it says what would."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.options import options_of
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.edges import among_targets
from gssl.methods.gae import GAE
from gssl.methods.graphmae import GraphMAE
from gssl.methods.labelled import Labelled
from gssl.methods.vgae import VGAE
from gssl.models.gcn import GCN
from gssl.registry import ENCODERS, METHODS, PROPAGATIONS, SAMPLERS
from gssl.samplers.base import Sampler
from gssl.samplers.propagation.neighbor import Neighbor
from gssl.testing.propagations import directed, draw
from gssl.testing.toy import toy_dataset
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

DATASET = toy_dataset("node")
NAMED = [name for name in SAMPLERS.names() if name not in ("full", "graphs")]
# Methods of heterogeneous graphs refuse every sampler (tests/methods/test_heco.py).
NODE_METHODS = [
    name
    for name in METHODS.names()
    if "node" in METHODS.get(name).levels and METHODS.get(name).trains and not METHODS.get(name).needs_types
]
HISTORY = {"mvs", "vrgcn", "gas", "lmc", "uniform+adjoint", "minvar+adjoint"}
SAMPLED = [*NAMED, "uniform+exact", "minvar+adjoint", "minvar+exact", "minvar+induced", "walk+exact", "degree+saint"]
OBSERVES = {"minvar+exact", "minvar+induced"}
CUTS_EDGES = {"graphsage", "labor", "fastgcn", "ladies", "shadow"}
LAYERED = (*CUTS_EDGES, *HISTORY, "uniform+exact", "minvar+exact", "walk+exact")
TELL_EDGES = (
    "GAE", "VGAE", "ARGA", "ARGVA", "MaskGAE", "S2GAE", "Bandana", "AutoSSL", "ParetoGNN", "GMI", "EdgeMask", "GPT-GNN",
)  # fmt: skip
NEEDS_CODES = ("GraphMAE", "GraphMAE2", "GALA")
UNFIT = {
    **{(method, sampler): "leaves some edges among them out" for method in TELL_EDGES for sampler in CUTS_EDGES},
    **{(method, sampler): "needs codes of the neighbors" for method in NEEDS_CODES for sampler in HISTORY},
    **{("ParetoGNN", sampler): "takes a gradient of each of its methods" for sampler in HISTORY | OBSERVES},
    **{("Merged", sampler): "trains several encoders" for sampler in HISTORY | OBSERVES},
    **{("GCC", sampler): "a history of embeddings is of no use" for sampler in HISTORY},
    **{("GPT-GNN", sampler): "which a history does not have" for sampler in HISTORY},
    **{("SUBG-CON", sampler): "a history knows nothing of" for sampler in HISTORY},
    **{(method, sampler): "which a history does not have" for method in ("SimMLP", "SGRL") for sampler in HISTORY},
    **{("MVGRL", sampler): "cuts its diffusion" for sampler in LAYERED},
    **{("PolyGCL", sampler): "filters" for sampler in LAYERED},
    **{(method, "minvar+induced"): "embedded layer by layer" for method in ("PolyGCL", "AUG-MAE")},
    **{("AUG-MAE", sampler): "decides for each" for sampler in LAYERED},
    **{("M3S", sampler): "sampled batches are drawn from the labelled nodes" for sampler in SAMPLED},
    **{("E2Neg", sampler): "add nothing" for sampler in SAMPLED},
}
# Defaults that ask for more than the toy dataset has.
SMALL: dict[str, dict[str, Any]] = {"Partitioning": {"parts": 10}, "Completion": {"dim": 8}}


def make_method(name: str, encoder: str = "GCN", **options: Any) -> Method:
    torch.manual_seed(0)
    if METHODS.get(name).default_encoder == "MLP":  # nodes are embedded without their neighbors
        encoder = "MLP"
    made = ENCODERS.get(encoder).for_graph(DATASET.spec, hidden_dim=8, num_layers=2)
    method: Method = METHODS.get(name)(made, **{**SMALL.get(name, {}), **options})
    method.prepare(DATASET.graph, 0)
    if isinstance(method, Labelled):
        assert DATASET.labels is not None
        method.fit_labels(DATASET.labels, DATASET.splits[0])
    return method


def make_sampler(
    name: str, method: Method, graph: Graph = DATASET.graph, batch_size: int = 30, **options: Any
) -> Sampler:
    factory = SAMPLERS.get(name)
    if "gamma" in options_of(factory):
        options.setdefault("gamma", 0.5)
    return factory(graph, num_layers=method.num_layers, batch_size=batch_size, **options)


@pytest.mark.parametrize("sampler", SAMPLED)
@pytest.mark.parametrize("name", NODE_METHODS)
def test_it_trains_or_says_what_would(name: str, sampler: str) -> None:
    method = make_method(name)
    source = make_sampler(sampler, method)
    before = [p.clone() for p in method.parameters()]
    message = UNFIT.get((name, sampler))
    if message is not None:
        with pytest.raises(InputError, match=message):
            pretrain(method, source, TrainConfig(epochs=1), seed=0)
        assert all(torch.equal(a, b) for a, b in zip(before, method.parameters(), strict=True))
        return
    result = pretrain(method, source, TrainConfig(epochs=2, lr=0.01), seed=0)
    assert all(math.isfinite(record.loss) for record in result.curve)
    assert any(not torch.equal(a, b) for a, b in zip(before, method.parameters(), strict=True))


def test_the_refusals_are_those_of_propagations_that_cut_edges() -> None:
    """A propagation that claims all edges among the targets has them."""
    graph = directed()
    ids = [0, 1, 2, 5, 8]
    known = {(s, t) for s, t in graph.block.edge_index.T.tolist() if s in ids and t in ids}
    for name in PROPAGATIONS.names():
        propagation = PROPAGATIONS.get(name)(graph, num_layers=2)
        assert propagation.complete == (name not in CUTS_EDGES | {"neighbor"}), name
        if not propagation.complete:
            continue
        batch = propagation.batch(draw(*ids))
        pattern = among_targets(batch)
        found = [(ids[s], ids[t]) for s, t in zip(pattern.col.tolist(), pattern.row.tolist(), strict=True)]
        assert sorted(found) == sorted(known), name
        pairs = GAE(GCN(3, hidden_dim=4)).pretext(batch)[1]
        lies = {(ids[s], ids[t]) for s, t in pairs.negative.T.tolist()}
        assert not lies & known, f"{name}: an edge is taken for a non-edge"
    assert Neighbor(graph, num_layers=2, fanouts=(-1, 1)).complete


@pytest.mark.parametrize("decoder", ["GCN", "GAT", "GIN", "linear"])
@pytest.mark.parametrize("sampler", ["uniform+exact", "uniform+induced"])
def test_a_decoder_sees_the_codes_that_it_sees_in_the_whole_graph(decoder: str, sampler: str) -> None:
    """With all targets and all edges the loss is that of the full graph."""
    method = make_method("GraphMAE", "SAGE", decoder=decoder, replace_rate=0.0).eval()
    (batch,) = make_sampler(sampler, method, batch_size=120, draw="poisson").epoch(0)
    with torch.no_grad():
        torch.testing.assert_close(
            loss_of(method, batch), loss_of(method, DATASET.graph.full_batch()), rtol=1e-4, atol=1e-5
        )


def loss_of(method: Method, batch: Any) -> Tensor:
    method.reseed(0, batch.device)
    return method.loss(batch)


def test_halo_nodes_are_hidden_like_targets() -> None:
    """Otherwise neighbors would always be seen, and the task be easier than in the whole graph."""
    method = make_method("GraphMAE", mask_rate=0.5)
    assert isinstance(method, GraphMAE)
    batch = next(iter(make_sampler("uniform+exact", method, batch_size=20).epoch(0)))
    view, target = method.pretext(batch)
    assert len(target.rows) == 10
    assert bool((target.rows < 20).all())
    others = batch.num_nodes - 20
    assert len(target.others) == round(0.5 * others) > 0
    assert bool((target.others >= 20).all())
    assert isinstance(view.x, Tensor)
    assert bool((view.x[target.others] == 0).float().mean() > 0.5), "tokens start at zero"


def test_a_linear_decoder_trains_the_encoder() -> None:
    """Its input must not be masked: nothing but the bias would be left."""
    method = make_method("GraphMAE", decoder="linear")
    method.loss(DATASET.graph.full_batch()).backward()
    for parameter in method.encoder.parameters():
        assert parameter.grad is not None
        assert float(parameter.grad.abs().sum()) > 0


def test_the_divergence_of_vgae_weighs_as_in_the_whole_graph() -> None:
    """One over the nodes of the graph, not over those of the batch."""
    batch = next(iter(make_sampler("uniform+exact", make_method("VGAE"), batch_size=30).epoch(0)))
    losses = []
    choices: tuple[dict[str, Any], ...] = ({}, {"kl_weight": 1 / 120})
    for options in choices:
        method = make_method("VGAE", **options)
        assert isinstance(method, VGAE)
        losses.append(loss_of(method, batch))
        unknown = loss_of(method, batch.planned(population=None))  # the sum of the weights says the same
        torch.testing.assert_close(unknown, losses[-1])
    torch.testing.assert_close(*losses)


def test_a_sampler_for_fewer_layers_is_refused() -> None:
    method = make_method("BGRL")
    with pytest.raises(InputError, match="more layers than blocks: BGRL needs 2 layers"):
        pretrain(method, SAMPLERS.get("graphsage")(DATASET.graph, num_layers=1, batch_size=9), TrainConfig(), seed=0)


@pytest.mark.parametrize("name", TELL_EDGES)
def test_batches_without_an_edge_teach_nothing_and_end_nothing(name: str) -> None:
    """Few targets of a large graph have none among them."""
    method = make_method(name)
    result = pretrain(method, make_sampler("uniform+exact", method, batch_size=4), TrainConfig(epochs=2), seed=0)
    assert all(math.isfinite(record.loss) for record in result.curve)
