"""DMGI."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.augment.shuffle import Shuffle
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative
from gssl.common.space import Choice, Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.models.metapath import MetaPathGCN
from gssl.objectives.jsd import binary_agreement
from gssl.objectives.weights import weighted_rows


class DMGI(Method):
    """Unsupervised attributed multiplex network embedding (Park et al., 2020, arXiv:1911.06750).

    DGI for each relation between the nodes (here each meta-path), with an encoder for each and one discriminator for
    all, and a consensus: an embedding of each node that is near to what the relations say together of the graph, and
    far from what they say of shuffled features. The consensus is the embedding, so only the nodes that were trained on
    have one.

    With ``encoder.join=node`` what relations say together is an attention over them, as in the paper, else their mean,
    which is the default of the authors' code (pcy1302/DMGI). The code's option ``sc`` is ``encoder.self_weight``, less
    the loops that its matrices have already. Its encoder has no bias by default, its discriminator has one, which moves
    all logits alike; here it is the other way round. With ``train.patience`` the weights that are returned are those
    after the update of the best epoch; the code keeps those before it.

    Args:
        encoder: ``MetaPathGCN``, whose join is that of the consensus.
        consensus: weight of the consensus, which is a sum over nodes and columns, in the loss.
    """

    needs_types: ClassVar[bool] = True
    default_encoder: ClassVar[str] = "MetaPathGCN"
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="each meta-path; the same with features of other nodes",
        encoders="one for each meta-path, with one bilinear discriminator for all, and an embedding of each node",
        objective="cross-entropy of node and summary by each meta-path; squared distances to the consensus",
        time="p d + n f d (p: pairs of nodes joined by meta-paths)",
        memory="p + n d for each meta-path",
        whole_graph="the summary and the relations are those of all nodes, of which a sampled batch has none",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "consensus": Float(1e-4, 1e-1, log=True),
        "encoder.hidden_dim": Choice((64, 128, 256)),
        "encoder.in_dropout": Float(0.0, 0.7),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.weight_decay": Float(1e-6, 1e-2, log=True),
    }

    fitted: Tensor
    consensus_fitted: Tensor

    def __init__(self, encoder: Encoder, *, consensus: NonNegative = 1e-3) -> None:
        super().__init__(encoder)
        if not isinstance(encoder, MetaPathGCN):
            raise InputError("DMGI needs an encoder with an output for each meta-path: use --encoder MetaPathGCN")
        self.paths, self.weight_of_consensus = encoder, consensus
        self.shuffle = Shuffle()
        width = encoder.out_dim
        # Glorot's bound as for the three-dimensional weight of a bilinear layer: it is far below that of a matrix.
        self.discriminator = nn.Parameter(nn.init.xavier_uniform_(torch.empty(1, width, width))[0])
        self.consensus: nn.Parameter | None = None
        self.register_buffer("fitted", torch.zeros((), dtype=torch.bool))

    def prepare(self, graph: Graph, seed: int) -> None:
        rng = torch.Generator().manual_seed(seed)
        shape = torch.empty(1, graph.num_nodes, self.embedding_dim)
        self.consensus = nn.Parameter(nn.init.xavier_normal_(shape, generator=rng)[0])
        self.register_buffer("consensus_fitted", torch.zeros((), dtype=torch.bool))

    def loss(self, batch: MiniBatch) -> Tensor:
        real, fake = (self._along(view) for view in (batch, self.shuffle(batch, self.rng)))
        told = [self._agreement(*pair, batch.weight) for pair in zip(real, fake, strict=True)]
        own = self._consensus(batch)
        near, far = ((own - self.paths.join(rows)).square().sum(1) for rows in (real, fake))
        weighted = near - far if batch.weight is None else batch.weight * (near - far)
        return torch.stack(told).sum() + self.weight_of_consensus * weighted.sum()

    def after_step(self, progress: float) -> None:
        self.fitted.fill_(True)
        self.consensus_fitted.fill_(True)

    def embed(self, batch: MiniBatch) -> Tensor:
        """The consensus, shape (num_targets, out_dim).

        Raises:
            InputError: these are not the nodes that were trained on.
        """
        own = self._consensus(batch)
        if bool(self.fitted) and not bool(self.consensus_fitted):
            raise InputError(
                "DMGI learns an embedding of each node that it trains on, so it cannot embed other graphs, nor its own "
                "anew; the run's embeddings.npz has those of its nodes, and HeCo embeds graphs that it has not seen"
            )
        return own

    def _along(self, batch: MiniBatch) -> Tensor:
        return self.paths.along(self.paths.inputs(batch), batch)

    def _agreement(self, real: Tensor, fake: Tensor, weight: Tensor | None) -> Tensor:
        """DGI's objective by one meta-path."""
        summary = self.discriminator @ torch.sigmoid(weighted_rows(real, weight))
        return binary_agreement(real @ summary, fake @ summary, weight=weight)

    def _consensus(self, batch: MiniBatch) -> Tensor:
        if self.consensus is None:
            raise InputError("DMGI has no embeddings yet; call prepare(graph, seed) first")
        return self.consensus[batch.node_ids[: batch.num_targets]]
