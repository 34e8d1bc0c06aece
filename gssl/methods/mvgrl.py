"""MVGRL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from gssl.augment.base import Identity
from gssl.augment.diffuse import Diffuse, Kernel
from gssl.augment.shuffle import Shuffle
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import Positive, PositiveInt, UsedWith
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import ContrastiveMethod
from gssl.methods.subgraphs import require_subgraphs
from gssl.models.encoder import EDGE_WEIGHT_ENCODERS, Encoder
from gssl.models.layered import LayeredEncoder
from gssl.models.twin import twin
from gssl.objectives.jsd import binary_agreement, local_global_jsd
from gssl.objectives.weights import weighted_rows
from gssl.samplers.base import Sampler

Share = Annotated[float, Field(gt=0, lt=1)]


class MVGRL(ContrastiveMethod):
    """Contrastive multi-view representation learning on graphs (Hassani and Khasahmadi, 2020, arXiv:2006.05582).

    The views are the graph and its diffusion, each with an encoder of its own. Nodes of one view agree with the
    summary of the other: at node level by a bilinear discriminator against nodes with shuffled features, the summary
    being the sigmoid of the mean; at graph level by projected inner products against the other graphs of the batch,
    the summary being the sum over nodes in every layer. The embedding is the sum of both views'.

    Node level follows the authors' code, which has no projection head there. The code trains on contiguous squares
    of two dense matrices; here the diffusion is sparse (``eps``, ``top_k``), the batch is the whole graph or a
    subgraph that a sampler draws, and the diffusion is cut to it. At graph level the code counts padding as nodes.
    Of the numbers in the paper, 86.8 on Cora is disputed: nobody has reproduced it, reruns give 83.2 to 83.6.

    Args:
        encoder: of the graph; that of the diffusion is built like it. GCN multiplies with the diffusion as it is,
            other encoders take its entries as weights of edges.
        diffusion: personalised PageRank or the heat kernel.
        alpha: probability of a return, for PageRank.
        t: time of diffusion, for the heat kernel.
        eps: tolerance of the entries of the diffusion.
        top_k: entries of each row that are kept; null for all that ``eps`` leaves.
    """

    needs_edges: ClassVar[bool] = True
    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="the graph; its diffusion by personalised PageRank or heat",
        encoders="one for each view; a bilinear discriminator for nodes, heads for sets of graphs",
        objective="Jensen-Shannon of nodes with the summary of the other view, against shuffled features or graphs",
        time="q d + n d (q: entries of the diffusion); v n d + v d² for graphs",
        memory="q + n d; v (n + d) for graphs",
    )
    levels: ClassVar[tuple[Level, ...]] = ("node", "graph")
    search_space: ClassVar[Mapping[str, Space]] = {
        "diffusion": Choice(("ppr", "heat")),
        "alpha": Float(0.05, 0.5),
        "t": Float(1.0, 10.0),
        "encoder.hidden_dim": Choice((128, 256, 512)),
        "encoder.num_layers": Int(1, 4),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-3, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        diffusion: Kernel = "ppr",
        alpha: Annotated[Share, UsedWith("diffusion", "ppr")] = 0.2,
        t: Annotated[Positive, UsedWith("diffusion", "heat")] = 5.0,
        eps: Share = 1e-4,
        top_k: PositiveInt | None = 128,
    ) -> None:
        super().__init__(encoder, [])
        _require_weights(encoder)
        self.diffusion, self.alpha, self.t, self.eps, self.top_k = diffusion, alpha, t, eps, top_k
        self.diffused_encoder = twin(encoder)
        self.shuffle = Shuffle()
        width = encoder.out_dim
        # Glorot's bound as for the three-dimensional weight of a bilinear layer: it is far below that of a matrix.
        self.discriminator = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, width, width))[0])
        self.heads = _heads(encoder)
        self.of_graphs = False

    def prepare(self, graph: Graph, seed: int) -> None:
        view = Diffuse.of(
            graph,
            kernel=self.diffusion,
            alpha=self.alpha,
            t=self.t,
            eps=self.eps,
            top_k=self.top_k,
            normalized=_normalizes(self.encoder),
        )
        self.views = (Identity(), view)
        self.of_graphs = graph.ptr is not None
        if self.of_graphs:
            _ = self.encoder.layer_dims  # says what else to use, where the encoder does not give the outputs of layers
        # What the other level needs stands still.
        self.discriminator.requires_grad_(not self.of_graphs)
        self.heads.requires_grad_(self.of_graphs)

    @property
    def embedding_dim(self) -> int:
        return self.encoder.layer_dims[-1] if self.of_graphs else self.encoder.out_dim

    def check_embedding(self, sampler: Sampler) -> None:
        super().check_embedding(sampler)
        require_subgraphs(sampler, f"{self.title} cuts its diffusion to the nodes of a batch")

    def loss(self, batch: MiniBatch) -> Tensor:
        if batch.graph_ptr is not None:
            return self.contrast(batch, *(part for view in self._views(batch) for part in self._projected(*view)))
        views = self._views(batch)
        shuffled = self.shuffle(batch, self.rng).x  # the same in both views
        fakes = [(encoder, view.with_x(shuffled)) for encoder, view in views]
        return self.contrast(batch, *(encoder(view) for encoder, view in (*views, *fakes)))

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        """The objective.

        Args:
            batch: weighs the items.
            projections: at node level the nodes of both views, then those with shuffled features, each of shape
                (num_targets, out_dim); at graph level nodes and graphs of the first view, then of the second.
        """
        if batch.graph_ptr is not None:
            nodes_1, graphs_1, nodes_2, graphs_2 = projections
            graph, weight = batch.graph_index(), batch.weight
            return local_global_jsd(nodes_1, graphs_2, graph, weight=weight) + local_global_jsd(
                nodes_2, graphs_1, graph, weight=weight
            )
        real_1, real_2, fake_1, fake_2 = projections
        summary_1, summary_2 = (
            self.discriminator @ torch.sigmoid(weighted_rows(nodes, batch.weight)) for nodes in (real_1, real_2)
        )
        agreement_1 = binary_agreement(real_1 @ summary_2, fake_1 @ summary_2, weight=batch.weight)
        agreement_2 = binary_agreement(real_2 @ summary_1, fake_2 @ summary_1, weight=batch.weight)
        return (agreement_1 + agreement_2) / 2

    def embed(self, batch: MiniBatch) -> Tensor:
        if batch.graph_ptr is None:
            first, second = (encoder(view) for encoder, view in self._views(batch))
        else:
            first, second = (self.heads["graph"](self._encoded(*view)[1]) for view in self._views(batch))
        embedding: Tensor = first + second
        return embedding

    def _views(self, batch: MiniBatch) -> list[tuple[Encoder, MiniBatch]]:
        if not self.views:
            raise InputError(f"{self.title} has no diffusion yet; call prepare(graph, seed) first")
        encoders = self.encoder, self.diffused_encoder
        return [(encoder, view(batch, self.rng)) for encoder, view in zip(encoders, self.views, strict=True)]

    def _encoded(self, encoder: Encoder, view: MiniBatch) -> tuple[Tensor, Tensor]:
        """Nodes after the last layer, and graphs with the readouts of all layers side by side."""
        outputs = encoder.outputs(view)
        return outputs[-1], torch.cat([encoder.pool(nodes, view) for nodes in outputs], dim=1)

    def _projected(self, encoder: Encoder, view: MiniBatch) -> tuple[Tensor, Tensor]:
        nodes, graphs = self._encoded(encoder, view)
        return self.heads["node"](nodes), self.heads["graph"](graphs)


class ProjectionHead(nn.Module):
    """Three linear maps, each with a PReLU, beside a linear shortcut; shared by both views, as in the authors' code.

    Args:
        in_dim: of the embeddings.
        out_dim: of what comes out, and of the layers in between.
    """

    def __init__(self, in_dim: int, out_dim: int) -> None:
        super().__init__()
        dims = (in_dim, out_dim, out_dim)
        self.block = nn.Sequential(*(part for dim in dims for part in (nn.Linear(dim, out_dim), nn.PReLU())))
        self.shortcut = nn.Linear(in_dim, out_dim)

    def forward(self, x: Tensor) -> Tensor:
        """From (n, in_dim) to (n, out_dim)."""
        projected: Tensor = self.block(x) + self.shortcut(x)
        return projected


def _heads(encoder: Encoder) -> nn.ModuleDict:
    """Those of nodes after the last layer and of graphs by all layers; none if the encoder does not give layers."""
    try:
        dims = encoder.layer_dims
    except InputError:
        return nn.ModuleDict()
    return nn.ModuleDict({"node": ProjectionHead(dims[-1], dims[-1]), "graph": ProjectionHead(sum(dims), dims[-1])})


def _normalizes(encoder: Encoder) -> bool:
    """Whether every layer aggregates as GCN does."""
    if not isinstance(encoder, LayeredEncoder):
        return False
    return all(encoder.layer(index).aggregation == "gcn" for index in range(encoder.num_layers))


def _require_weights(encoder: Encoder) -> None:
    if not encoder.takes_edge_weight:
        raise InputError(
            f"the encoder {encoder.title} takes no edge weights, but a diffusion is a weighted graph; use "
            f"{EDGE_WEIGHT_ENCODERS}"
        )
    if encoder.uses_edge_attr:
        raise InputError(
            f"the encoder {encoder.title} uses edge attributes, which a diffusion has not; "
            "use --set encoder.edge_attr=false, or --encoder GCN"
        )
