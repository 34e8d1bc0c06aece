"""The method interface: an encoder, an augmenter and an objective, and the little that ties them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from gssl.augment.base import Augmenter, Compose, views_of
from gssl.common.card import Card
from gssl.common.errors import InputError, TrainingError
from gssl.common.space import Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.models.encoder import Encoder
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches
from gssl.samplers.pair import PairSampler

Target = TypeVar("Target")
# Rows that a function of batches gives for every item of what is trained on, without gradients: (num_items, ...).
OverItems = Callable[[Callable[[MiniBatch], Tensor]], Tensor]

MAIN = "method"


@dataclass(frozen=True, eq=False)
class ParameterGroup:
    """Some of a player's parameters, with a rate and a decay of their own.

    Attributes:
        parameters: each of them is one of the player's.
        rate: learning rate, in units of the player's.
        weight_decay: None for that of the player.
    """

    parameters: tuple[nn.Parameter, ...]
    rate: float = 1.0
    weight_decay: float | None = None


@dataclass(frozen=True, eq=False)
class Player:
    """One side of a training in which several are updated in turn.

    Attributes:
        parameters: what it updates.
        lr: peak learning rate; None for that of the training.
        weight_decay: None for that of the training.
        loss: what it lowers, a scalar of a batch, while the parameters of the others stand still; None for the loss of
            the method.
        groups: parameters that are updated at another rate or decay than the rest.
    """

    parameters: tuple[nn.Parameter, ...]
    lr: float | None = None
    weight_decay: float | None = None
    loss: Callable[[MiniBatch], Tensor] | None = None
    groups: tuple[ParameterGroup, ...] = ()


class Method(nn.Module, ABC):
    """A self-supervised method: anything that turns a batch without labels into a loss.

    A subclass takes the encoder first and its own hyperparameters by keyword with defaults; those keywords are
    its configuration (``--set NAME=VALUE``), checked against their annotations.

    Attributes:
        levels: whether the method trains on the nodes of one graph, on sets of graphs, or both.
        needs_labels: true for the supervised rows only, which the runner hands their training labels.
        structural: true for those that look at no features of the data, so that what one graph taught serves any other.
        trains: false for reference rows that are judged as they are; the training loop then runs no epoch.
        needs_types: true for methods of heterogeneous graphs, which train encoders of relations.
        takes_types: whether such an encoder will do, too: true where nothing but features is changed in a view.
        default_encoder: name of the encoder that the paper uses.
        search_space: hyperparameter name to range, for the tuner; keys as in ``--set``.
        card: its place in the framework and what a step costs; every registered method has one.
        least_items: nodes or graphs that a batch must have for its loss to teach anything; 2 where they are compared
            with others of their batch.
        needs_edges: true where there is nothing to learn from a graph without edges.
        title: how messages name it: as it is registered; the name of the class unless a class says another.
        solved_in: wall and CPU seconds of what stands in the place of epochs where ``trains`` is false.
    """

    levels: ClassVar[tuple[Level, ...]] = ("node",)
    needs_labels: ClassVar[bool] = False
    structural: ClassVar[bool] = False
    trains: ClassVar[bool] = True
    needs_types: ClassVar[bool] = False
    takes_types: ClassVar[bool] = False
    default_encoder: ClassVar[str] = "GCN"
    search_space: ClassVar[Mapping[str, Space]] = {}
    card: ClassVar[Card | None] = None
    least_items: ClassVar[int] = 1
    needs_edges: ClassVar[bool] = False
    title: ClassVar[str] = "Method"
    solved_in: tuple[float, float] = (0.0, 0.0)

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "title" not in cls.__dict__:
            cls.title = cls.__name__

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.rng = torch.Generator()

    @abstractmethod
    def loss(self, batch: MiniBatch) -> Tensor:
        """The loss of one batch, a scalar; ``batch.weight`` weighs the items."""

    @property
    def measured(self) -> nn.Module:
        """The module at whose output the gradient norm of each target is measured: the encoder, or a linear head.

        Its first rows must be those of the targets of the batch.
        """
        return self.encoder

    @property
    def separable(self) -> bool:
        """Whether the loss is a weighted mean over the targets of terms in which other targets have no part.

        Negatives among the batch are such a part; statistics of norms within the method are looked at elsewhere.
        """
        return False

    @property
    def embedding_dim(self) -> int:
        """Columns of what :meth:`embed` gives."""
        return self.encoder.out_dim

    @property
    def pair_decoder(self) -> Callable[[Tensor, Tensor], Tensor] | None:
        """What the method itself learned to score pairs by, for the probe ``Decoder``; None where there is none.

        A function of rows as :meth:`embed` gives them, shape (n, dim), and pairs of these (2, m), int64, which gives
        logits, shape (m,).
        """
        return None

    @property
    def num_layers(self) -> int:
        """Message-passing layers that a loss needs: the encoder's, and those that a method has on top of them."""
        return int(getattr(self.encoder, "num_layers", 1))

    def check_sampler(self, sampler: Sampler) -> None:
        """Called before training, so that a method can refuse batches from which its loss would be another one.

        Raises:
            InputError: it cannot train on the batches of this sampler; the message names samplers that fit.
        """
        self.check_embedding(sampler)
        require_others(self, sampler)
        if self.needs_edges and not sampler.graph.num_edges:
            raise InputError(
                f"{self.title} learns from edges, but the graph has none; use other data, or a method that learns from "
                "features alone, such as GraphMAE"
            )

    def check_embedding(self, sampler: Sampler) -> None:
        """Called before labels train the encoder, where its own loss is of no account, and by :meth:`check_sampler`.

        Raises:
            InputError: :meth:`embed` cannot be had from the batches of this sampler.
        """
        if not isinstance(sampler, PairSampler):
            return
        self.refuse_batches("leave out --sampler, or use the sampler full")
        if self.encoder.needs_types:
            raise InputError(
                f"the encoder {self.encoder.title} reads the relations of all nodes, which no sampled batch has; "
                "leave out --sampler, or use --encoder GCN with a method that takes it"
            )
        if sampler.propagation.num_layers < self.num_layers:
            raise InputError(
                f"more layers than blocks: {self.title} needs {self.num_layers} layers, but the sampler was "
                f"made for {sampler.propagation.num_layers}; make it with num_layers={self.num_layers}"
            )

    @classmethod
    def refuse_batches(cls, advice: str) -> None:
        """Refuse sampled batches where the card says why the method trains on whole graphs only.

        Args:
            advice: what to do instead, which ends the message.

        Raises:
            InputError: it does.
        """
        if cls.card is not None and cls.card.whole_graph is not None:
            raise InputError(f"{cls.title} trains on whole graphs only: {cls.card.whole_graph}; {advice}")

    def mass(self, batch: MiniBatch) -> Tensor | float:
        """What turns the objective's self-normalised mean over a sampled batch into the Horvitz-Thompson estimate.

        That is the sum of the weights over the number of items that they stand for, one in expectation.
        """
        if batch.plan.population is None or batch.weight is None:
            return 1.0
        return batch.weight.sum() / batch.plan.population

    def players(self) -> Mapping[str, Player]:
        """Who is updated with each batch, in this order; one for all parameters unless some play against others."""
        return {MAIN: Player(tuple(p for p in self.parameters() if p.requires_grad))}

    def prepare(self, graph: Graph, seed: int) -> None:
        """Called once, before training and before weights are loaded, with the graph that is trained on.

        What belongs to nodes is kept by their global ids, so that it serves sampled batches too; what is dear is
        kept by the graph (:meth:`~gssl.graph.storage.Graph.derived`). Tensors go into buffers.

        Args:
            graph: what batches are cut from.
            seed: of whatever is random in it.
        """

    def begin_epoch(self, epoch: int, over_items: OverItems) -> None:
        """Called before each epoch; what is made from current embeddings (neighbors, clusters) is renewed here.

        An epoch that was interrupted is not begun again: what is made here must be in buffers whose shapes
        :meth:`prepare` fixes, so that a checkpoint holds it.

        Args:
            epoch: its number, from 0.
            over_items: ``over_items(self.embed)`` gives the embeddings of all items, shape (num_items, dim), on the
                device of the method; any function of batches will do.
        """

    def embed(self, batch: MiniBatch) -> Tensor:
        """Frozen representation: (num_targets, out_dim), or (num_graphs, out_dim) for a batch of graphs."""
        nodes: Tensor = self.encoder(batch)
        return nodes if batch.graph_ptr is None else self.encoder.pool(nodes, batch)

    def reseed(self, seed: int, device: torch.device) -> None:
        """Start the random stream that augmentation draws from; the training loop calls it before each epoch."""
        if self.rng.device != device:
            self.rng = torch.Generator(device)
        self.rng.manual_seed(seed)

    def after_step(self, progress: float) -> None:
        """Called after each optimizer step with the finished share of training, in (0, 1]; EMA updates go here."""


class ContrastiveMethod(Method):
    """Contrastive thin base: views -> encode -> project -> contrast.

    Args:
        encoder: shared by all views.
        views: one augmenter per view.
    """

    def __init__(self, encoder: Encoder, views: Sequence[Augmenter]) -> None:
        super().__init__(encoder)
        self.views = tuple(views)
        learned = _learned(views)
        if learned:  # registered, so that their parameters are trained and stored
            self.learned_views = nn.ModuleList(learned)

    def project(self, embedding: Tensor) -> Tensor:
        """Projection head; the identity unless the method has one."""
        return embedding

    @abstractmethod
    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        """The objective, a scalar, from one projection (num_items, dim) per view."""

    def loss(self, batch: MiniBatch) -> Tensor:
        return self.contrast(batch, *(self.project(self.embed(view)) for view in self.drawn_views(batch)))

    def drawn_views(self, batch: MiniBatch) -> Iterator[MiniBatch]:
        """A view by each augmenter, made when it is asked for; what may be is drawn before, see :func:`views_of`."""
        return views_of(batch, self.views, self.rng)


def require_others(method: Method, sampler: Sampler) -> None:
    """Whether items that are compared with others of their batch have some.

    A last batch that is smaller than the others does no harm.

    Raises:
        InputError: the batches have fewer items than ``method.least_items``, so that the loss would teach nothing.
    """
    least, title = method.least_items, method.title
    if isinstance(sampler, PairSampler):
        if sampler.selection.batch_size < least:
            raise InputError(
                f"{title} compares the nodes of a batch with each other, but a batch has only "
                f"{sampler.selection.batch_size}; use --batch-size {least} at least"
            )
        return
    if isinstance(sampler, GraphBatches):
        graphs, at_once = len(sampler.items), sampler.batch_size
    elif isinstance(sampler, FullBatch) and sampler.graph.ptr is not None:
        graphs = at_once = sampler.graph.num_graphs
    else:
        return
    if graphs < least:
        raise InputError(f"{title} tells the graphs of a batch apart, but there is only {graphs}; use more graphs")
    if at_once < least:
        raise InputError(
            f"{title} tells the graphs of a batch apart, but a batch has only {at_once}; set train.batch_size to "
            f"{least} at least"
        )


def scalar(loss: Tensor) -> Tensor:
    """The loss itself.

    Raises:
        TrainingError: it is not one number that parameters decide on.
    """
    if not isinstance(loss, Tensor):
        raise TrainingError(f"the loss of a method must be a tensor with one number, but is a {type(loss).__name__}")
    if loss.numel() != 1:
        raise TrainingError(
            f"the loss of a method must be one number, but has the shape {tuple(loss.shape)}: take its weighted mean"
        )
    if not loss.requires_grad:
        raise TrainingError("the loss of a method depends on none of its parameters, so there is nothing to learn")
    return loss


def _learned(views: Sequence[Augmenter]) -> list[nn.Module]:
    """Augmenters with parameters, those within compositions too, each once."""
    found = dict[int, nn.Module]()
    for view in views:
        own = [view] if isinstance(view, nn.Module) else _learned(view.steps) if isinstance(view, Compose) else []
        found.update((id(module), module) for module in own)
    return list(found.values())


class PredictiveMethod(Method, Generic[Target]):
    """Predictive thin base: hide something -> encode what is left -> compare the prediction with the target."""

    @abstractmethod
    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Target]:
        """The view that the encoder sees, and what must be predicted from it."""

    @abstractmethod
    def error(self, embedding: Tensor, view: MiniBatch, target: Target) -> Tensor:
        """The objective, a scalar, from node embeddings of shape (num_targets, out_dim)."""

    def loss(self, batch: MiniBatch) -> Tensor:
        view, target = self.pretext(batch)
        return self.error(self.encoder(view), view, target)
