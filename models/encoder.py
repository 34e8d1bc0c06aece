"""What every encoder is: a module from a mini-batch to node embeddings, with a readout for graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.common.options import Neutral, options_of
from gssl.common.space import Space
from gssl.graph.batch import MiniBatch
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.models.readout import readout

Readout = Literal["sum", "mean", "max"]
EdgeAttr = Annotated[bool | None, Neutral(None)]
"""Whether edge attributes are used: true and false say so, None does what the encoder does by default."""

EDGE_WEIGHT_ENCODERS = "GCN, SAGE, GIN, GINE, GAT or ResGCN"
LAYER_OUTPUT_ENCODERS = "GCN, SAGE, GIN, GINE, GAT, MLP or ResGCN"


class Encoder(nn.Module, ABC):
    """Node encoder f: (A, X) -> H.

    A subclass takes ``in_dim`` first and everything else by keyword with a default; those keywords are its
    configuration (``--set encoder.NAME=VALUE``).

    Attributes:
        in_dim: feature dimension of the input.
        out_dim: dimension of the node embeddings.
        num_layers: message-passing layers, which is the number of blocks that a sampled batch must bring.
        reads_history: whether it completes batches that come with a history.
        needs_types: whether it reads the types of nodes and their relations, of which a sampled batch has none.
        can_use_edge_attr: whether there is a way to make it use edge attributes.
        uses_edge_attr: whether this one uses them.
        edge_attr: what was said about them when it was made, see ``EdgeAttr``.
        spec: the graph that it was made for, where that is known.
        options: keywords that its class made it with, where that is known.
        readout: how node embeddings become graph embeddings.
        search_space: option name to range, for the tuner; added to what the method declares.
    """

    in_dim: int
    out_dim: int
    num_layers: int
    readout: Readout = "sum"
    reads_history: ClassVar[bool] = False
    needs_types: ClassVar[bool] = False
    can_use_edge_attr: bool = False
    uses_edge_attr: bool = False
    edge_attr: bool | None = None
    spec: GraphSpec | None = None
    options: Mapping[str, Any] | None = None
    search_space: ClassVar[Mapping[str, Space]] = {}

    @property
    def title(self) -> str:
        """How messages name it."""
        return type(self).__name__

    @classmethod
    def for_graph(cls, spec: GraphSpec, **options: Any) -> Self:
        """The encoder for data of this kind.

        An encoder that must know more of them than the number of features overrides it, fills in its options and
        calls this one.

        Args:
            spec: of the data.
            options: keywords of the constructor; ``edge_attr=true`` fills in ``edge_dim`` where there is that option.

        Raises:
            InputError: the options ask for edge attributes where there are none, or where the encoder has no use for
                them.
        """
        encoder: Self = _made(cls, spec, options)
        return encoder

    def another(self, *, spec: GraphSpec | None = None, **changes: Any) -> Encoder:
        """An encoder of the same class, with new weights.

        Args:
            spec: of the data that it is for; None for the same data.
            changes: options that differ, for example ``num_layers=3``.

        Raises:
            InputError: it was not made by its class for a graph, so its options are not known.
        """
        if self.spec is None or self.options is None:
            raise InputError(
                f"the encoder {self.title} does not know how it was made, but this method needs another one like it; "
                f"use {LAYER_OUTPUT_ENCODERS}, made with for_graph"
            )
        return type(self).for_graph(spec or self.spec, **{**self.options, **changes})

    @property
    def takes_edge_weight(self) -> bool:
        """Whether the weights of the edges enter the embeddings, and get a gradient from them."""
        return False

    def require_edge_weight(self) -> None:
        """For methods that learn the weights of edges.

        Raises:
            InputError: this encoder would ignore them.
        """
        if not self.takes_edge_weight:
            raise InputError(
                f"the encoder {self.title} takes no edge weights, but they are what this method learns; "
                f"use {EDGE_WEIGHT_ENCODERS}"
            )

    @property
    def layer_dims(self) -> tuple[int, ...]:
        """Dimension of each of the :meth:`outputs`.

        Raises:
            InputError: the encoder does not give them.
        """
        raise self._no_outputs()

    def outputs(self, batch: MiniBatch) -> list[Tensor]:
        """Embeddings of the targets after each layer, the first layer first, for methods that need more than the last.

        ``forward`` makes the embedding of these.

        Returns:
            For each layer a tensor of shape (num_targets, dim), float, after its norm and activation; see
            :attr:`layer_dims`.

        Raises:
            InputError: the encoder does not give them.
        """
        raise self._no_outputs()

    def _no_outputs(self) -> InputError:
        return InputError(
            f"the encoder {self.title} does not give the output of each layer, which this method needs; "
            f"use {LAYER_OUTPUT_ENCODERS}"
        )

    @abstractmethod
    def forward(self, batch: MiniBatch) -> Tensor:
        """Embed the targets.

        Args:
            batch: whose ``x`` is dense, sparse or, where it was sampled, rows that are read in place;
                :func:`~gssl.graph.sparse.dense_features` is a matrix in each case.

        Returns:
            Node embeddings, shape (num_targets, out_dim), float.
        """

    def pool(self, nodes: Tensor, batch: MiniBatch) -> Tensor:
        """Graph embeddings, shape (num_graphs, out_dim), from node embeddings of shape (num_targets, out_dim)."""
        return readout(nodes, batch, self.readout)


def encoder_for(factory: Callable[..., Encoder], spec: GraphSpec, **options: Any) -> Encoder:
    """The encoder of an encoder class, or of another maker, for data of this kind; see :meth:`Encoder.for_graph`."""
    make = getattr(factory, "for_graph", None)
    encoder: Encoder = _made(factory, spec, options) if make is None else make(spec, **options)
    return encoder


def edge_attr_note(encoder: Encoder, graph: Graph) -> str | None:
    """What should be said where an encoder leaves out the edge attributes of its data without having been told to."""
    attributes = graph.block.edge_attr
    if attributes is None or encoder.uses_edge_attr or encoder.edge_attr is False:
        return None
    remedy = "encoder.edge_attr=true uses them" if encoder.can_use_edge_attr else "--encoder GINE uses them"
    return (
        f"{encoder.title} leaves out the {attributes.shape[1]} edge attributes of the data; {remedy}, "
        "encoder.edge_attr=false says that they are to be left out"
    )


def _made(factory: Callable[..., Encoder], spec: GraphSpec, options: dict[str, Any]) -> Any:
    if options.get("edge_attr") and not options.get("edge_dim") and "edge_dim" in options_of(factory):
        options = {**options, "edge_dim": spec.edge_dim}
    encoder = factory(spec.in_dim, **options)
    encoder.spec = spec
    if isinstance(factory, type):
        encoder.options = options
    if not encoder.edge_attr or encoder.uses_edge_attr:
        return encoder
    if not spec.edge_dim:
        raise InputError("the data have no edge attributes; leave out encoder.edge_attr=true")
    raise InputError(
        f"{encoder.title} has no use for edge attributes; leave out encoder.edge_attr=true, or use --encoder GINE"
    )
