"""A contract is worth what it refuses: each broken component here must fail the test that is named beside it."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from gssl.augment.base import Augmenter
from gssl.common.space import Float
from gssl.evaluate.base import Probe, ProbeScore
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.models.gcn import GCN
from gssl.objectives.weights import weighted_mean
from gssl.samplers.base import Sampler
from gssl.testing.augmenters import AugmenterContract
from gssl.testing.encoders import EncoderContract
from gssl.testing.methods import MethodContract
from gssl.testing.objectives import Inputs, ObjectiveContract
from gssl.testing.probes import ProbeContract
from gssl.testing.samplers import SamplerContract


class Shrink(Method):
    """A sound little method that the broken ones differ from: embeddings become small."""

    def terms(self, batch: MiniBatch) -> Tensor:
        embedding: Tensor = self.encoder(batch)
        return embedding.square().mean(1) + 1e-3

    def loss(self, batch: MiniBatch) -> Tensor:
        return weighted_mean(self.terms(batch), batch.weight)


class ChangesTheBatch(Shrink):
    def loss(self, batch: MiniBatch) -> Tensor:
        loss = super().loss(batch)
        assert isinstance(batch.x, Tensor)
        batch.x.mul_(0.5)
        return loss


class OwnRandomness(Shrink):
    def loss(self, batch: MiniBatch) -> Tensor:
        return super().loss(batch) * (1 + random.random())


class IgnoresWeights(Shrink):
    def loss(self, batch: MiniBatch) -> Tensor:
        return self.terms(batch).mean()


class SumsWeights(Shrink):
    def loss(self, batch: MiniBatch) -> Tensor:
        terms = self.terms(batch)
        return terms.mean() if batch.weight is None else (batch.weight * terms).sum()


class UnusedHead(Shrink):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.head = nn.Linear(2, 2)


class FirstNodesOnly(Shrink):
    def loss(self, batch: MiniBatch) -> Tensor:
        return self.terms(batch)[:5].mean()


class OneLossEach(Shrink):
    def loss(self, batch: MiniBatch) -> Tensor:
        return self.terms(batch)


class WrongSign(Shrink):
    """Reports the right value and follows the wrong gradient, like a bootstrap loss without its minus."""

    def loss(self, batch: MiniBatch) -> Tensor:
        loss = super().loss(batch)
        return 2 * loss.detach() - loss


class DividesByDegree(Shrink):
    def loss(self, batch: MiniBatch) -> Tensor:
        return (self.terms(batch) / batch.blocks[0].degree).mean()


class StateOutsideTheStateDict(Shrink):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__(encoder)
        self.scale = 1.0

    def after_step(self, progress: float) -> None:
        self.scale *= 0.9

    def loss(self, batch: MiniBatch) -> Tensor:
        return super().loss(batch) * self.scale


class SecretOption(Shrink):
    """Has an option that its docstring hides."""

    def __init__(self, encoder: Encoder, *, width: int = 3) -> None:
        super().__init__(encoder)


class PositionalOption(Shrink):
    """Args: width: given by position."""

    def __init__(self, encoder: Encoder, width: int = 3) -> None:
        super().__init__(encoder)


class SpaceOfNothing(Shrink):
    search_space = {"temperature": Float(0.1, 1.0)}


class DrawsWhenFrozen(Shrink):
    def embed(self, batch: MiniBatch) -> Tensor:
        return super().embed(batch) + torch.rand(1)


METHODS: list[tuple[type[Method], str]] = [
    (ChangesTheBatch, "test_loss_leaves_the_batch_alone"),
    (OwnRandomness, "test_same_seed_same_loss"),
    (IgnoresWeights, "test_weights_matter"),
    (SumsWeights, "test_weights_of_one_are_no_weights"),
    (UnusedHead, "test_every_parameter_gets_a_finite_gradient"),
    (FirstNodesOnly, "test_loss_does_not_depend_on_the_order_of_nodes"),
    (OneLossEach, "test_loss_is_a_finite_scalar"),
    (WrongSign, "test_training_lowers_the_loss"),
    (DividesByDegree, "test_loss_of_odd_graphs_is_finite"),
    (StateOutsideTheStateDict, "test_state_dict_continues_with_the_same_loss"),
    (SecretOption, "test_options_are_a_configuration"),
    (PositionalOption, "test_options_are_a_configuration"),
    (SpaceOfNothing, "test_search_space_fits_the_options"),
    (DrawsWhenFrozen, "test_embedding_is_repeatable_and_leaves_the_batch_alone"),
]


def run(contract: Any, test: str, **arguments: object) -> None:
    """Call one test with those of the arguments that it takes."""
    function = getattr(contract, test)
    wanted = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = {"form": arguments["kind"], **arguments}
    function(**{name: value for name, value in given.items() if name in wanted})


@pytest.mark.filterwarnings("ignore:after 20 steps of Shrink")  # embeddings of this method are meant to become small
@pytest.mark.parametrize(("broken", "test"), METHODS, ids=lambda value: getattr(value, "__name__", value))
def test_broken_methods_are_refused(broken: type[Method], test: str) -> None:
    class Sound(MethodContract):
        method = Shrink

    class Broken(MethodContract):
        method = broken

    run(Sound(), test, kind="node", device="cpu")
    with pytest.raises((AssertionError, TypeError)):
        run(Broken(), test, kind="node", other="node-gathered", device="cpu")


def test_embeddings_that_collapse_are_said() -> None:
    class Sound(MethodContract):
        method = Shrink

    with pytest.warns(UserWarning, match="after 20 steps of Shrink all embeddings"):
        run(Sound(), "test_training_lowers_the_loss", kind="node")


class MixesGraphs(GCN):
    """GCN."""

    def forward(self, batch: MiniBatch) -> Tensor:
        out = super().forward(batch)
        return out - out.mean(0)


class KnowsPositions(GCN):
    """GCN."""

    def forward(self, batch: MiniBatch) -> Tensor:
        return super().forward(batch) + torch.linspace(0, 1, batch.num_targets)[:, None]


class ForgetsEdgeWeights(GCN):
    """GCN whose answer depends on whether there is a weight at all."""

    def forward(self, batch: MiniBatch) -> Tensor:
        return super().forward(batch) + float(batch.blocks[0].weight is None)


class DetachesEdgeWeights(GCN):
    """GCN without a gradient for the weights that it takes."""

    def forward(self, batch: MiniBatch) -> Tensor:
        weight = batch.blocks[0].weight
        constant = None if weight is None else weight.detach()
        return super().forward(batch.map_blocks(lambda block: replace(block, weight=constant)))


class GivesSources(GCN):
    """GCN whose outputs have rows of nodes that are no targets."""

    def outputs(self, batch: MiniBatch) -> list[Tensor]:
        first = super().outputs(replace(batch, num_targets=batch.blocks[0].num_dst))
        return [*first[:-1], super().outputs(batch)[-1]]


class DensifiesWrongly(GCN):
    """GCN."""

    def forward(self, batch: MiniBatch) -> Tensor:
        factor = 1.0 if isinstance(batch.x, Tensor) else 2.0
        return super().forward(batch.with_x(dense_features(batch.x) * factor))


class WholeGraphOnly(GCN):
    """GCN that takes the first block for every layer."""

    def forward(self, batch: MiniBatch) -> Tensor:
        return super().forward(replace(batch, blocks=batch.blocks[-1:] * self.num_layers))


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (MixesGraphs, "test_graphs_of_a_batch_do_not_see_each_other"),
        (KnowsPositions, "test_embedding_follows_a_permutation"),
        (ForgetsEdgeWeights, "test_edge_weights_of_one_are_no_weights"),
        (DetachesEdgeWeights, "test_edge_weights_get_a_gradient_as_declared"),
        (GivesSources, "test_outputs_are_those_of_each_layer"),
        (DensifiesWrongly, "test_other_features_are_dense_features"),
        (WholeGraphOnly, "test_blocks_cut_for_some_targets_give_their_embeddings"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_broken_encoders_are_refused(broken: type[Encoder], test: str) -> None:
    class Broken(EncoderContract):
        encoder = broken
        options = {"hidden_dim": 8}

    with pytest.raises((AssertionError, RuntimeError)):
        run(Broken(), test, kind="node", other="node-gathered", device="cpu")


@dataclass(frozen=True, kw_only=True)
class Cut(Augmenter):
    """Drops edges in one of several wrong ways.

    Attributes:
        how: which.
    """

    how: str = ""

    def __call__(self, batch: MiniBatch, rng: torch.Generator) -> MiniBatch:
        if self.how == "global":
            return batch.map_blocks(lambda block: block.filter(torch.rand(block.num_edges) > 0.5))
        keep = torch.rand(batch.blocks[0].num_edges, generator=rng) > 0.5
        view = batch.map_blocks(lambda block: block.filter(keep))
        if self.how == "in place":
            assert batch.blocks[0].weight is not None
            batch.blocks[0].weight.zero_()
        if self.how == "attributes":
            number = int(keep.sum())
            old = batch.blocks[0].edge_attr
            assert old is not None
            return view.map_blocks(lambda block: replace(block, edge_attr=old[:number]))
        if self.how == "forgets":
            return MiniBatch(x=view.x, blocks=view.blocks, node_ids=view.node_ids, num_targets=view.num_targets)
        if self.how == "transpose":
            view.blocks[0].pattern.__dict__["transposed"] = batch.blocks[0].pattern.transposed
        return view


@pytest.mark.parametrize(
    ("how", "test"),
    [
        ("global", "test_view_follows_from_the_generator"),
        ("in place", "test_batch_is_left_alone"),
        ("attributes", "test_edges_and_their_attributes_belong_together"),
        ("forgets", "test_view_keeps_ids_and_handles"),
        ("forgets", "test_weights_stay_with_their_items"),
        ("transpose", "test_view_is_a_valid_batch_on_the_same_device"),
    ],
)
def test_broken_augmenters_are_refused(how: str, test: str) -> None:
    class Broken(AugmenterContract):
        augmenter = Cut
        options = {"how": how}

    class Sound(AugmenterContract):
        augmenter = Cut

    run(Sound(), test, kind="node", device="cpu")
    with pytest.raises(AssertionError):
        run(Broken(), test, kind="node", other="node-gathered", device="cpu")


def mean_of_negatives(first: Tensor, second: Tensor, *, weight: Tensor | None = None) -> Tensor:
    """Weights the anchors and forgets that they are negatives too."""
    terms = (first @ second.T).logsumexp(1) - (first * second).sum(1)
    return weighted_mean(terms, weight)


def test_an_objective_with_half_the_weights_is_refused() -> None:
    class Broken(ObjectiveContract):
        objective = mean_of_negatives

    Broken().test_weights_of_one_are_no_weights()
    with pytest.raises(AssertionError):
        Broken().test_a_weight_of_two_means_there_twice()


def test_an_objective_with_a_wrong_gradient_is_refused() -> None:
    class Broken(ObjectiveContract):
        def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
            return (inputs[0].detach() * inputs[0]).sum() + inputs[1].sum()

    with pytest.raises(RuntimeError):
        Broken().test_gradient_is_that_of_finite_differences()


class OneStream(Sampler):
    """Continues its random stream from epoch to epoch, so that a resumed run differs."""

    def __init__(self, graph: Graph, seed: int) -> None:
        self.graph, self.rng = graph, torch.Generator().manual_seed(seed)

    @property
    def batches_per_epoch(self) -> int:
        return 1

    def epoch(self, epoch: int) -> Iterator[MiniBatch]:
        yield self.graph.graph_batch(torch.randperm(self.graph.num_graphs, generator=self.rng)[:4])


def test_a_sampler_with_a_memory_is_refused() -> None:
    class Broken(SamplerContract):
        sampler = OneStream

        def build(self, graph: Graph, seed: int) -> Sampler:
            return OneStream(graph, seed)

    with pytest.raises(AssertionError):
        Broken().test_same_seed_and_epoch_same_batches("graph")


class Peeks(Probe):
    """Chooses the better of two thresholds on the test items."""

    name: ClassVar[str] = "peeks"

    def splits(self, dataset: Any, seed: int) -> Any:
        return dataset.splits

    def score(self, embeddings: Tensor, labels: Any, split: Any, metric: Any, seed: int) -> ProbeScore:
        def accuracy(threshold: float, items: Tensor) -> float:
            return float(((embeddings[items, 0] > threshold) == labels.y[items]).float().mean())

        best = max((0.0, 10.0), key=lambda threshold: accuracy(threshold, split.test))
        return ProbeScore(accuracy(best, split.val), accuracy(best, split.test), {"threshold": best})


def test_a_probe_that_peeks_is_refused() -> None:
    class Broken(ProbeContract):
        probe = Peeks

    Broken().test_score_is_above_chance_where_embeddings_tell_the_class()
    with pytest.raises(AssertionError, match="looked at test labels"):
        Broken().test_test_labels_change_nothing_but_the_test_score()
