"""GGD."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.base import Compose
from gssl.augment.drop_edge import DropEdge
from gssl.augment.mask_feature import MaskFeature
from gssl.augment.shuffle import Shuffle
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegativeInt, PositiveInt, Probability
from gssl.common.space import Choice, Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.method import ContrastiveMethod
from gssl.models.encoder import Encoder
from gssl.models.ops import gcn_aggregate
from gssl.objectives.groups import group_discrimination


class GGD(ContrastiveMethod):
    """Rethinking and scaling up graph contrastive learning (Zheng et al., 2022, arXiv:2206.01535).

    Graph group discrimination: embeddings are projected and summed up to one logit a node, which tells the graph from
    the same graph with shuffled features. No node is compared with another, so the loss is linear in the nodes, and one
    epoch is enough for large graphs. Once trained, the embedding ``H`` is replaced by ``H + S^power H``, where ``S`` is
    the matrix of GCN, ``D^-1/2 (A + I) D^-1/2``.

    As in the authors' code, both groups have the same masked features, and the layers of the projection have no
    activation between them. The code masks an exact share of the features, here each is masked by chance. Its PReLUs
    have a slope for each dimension, or one that all layers share; here each layer has one.

    Args:
        encoder: of both groups.
        mask_feature: feature-mask probability of the view that both groups come from.
        drop_edge: edge-drop probability of that view; the paper allows it, the code drops none.
        projector_layers: linear maps behind each other.
        power: of the matrix that the embedding is multiplied with; 0 leaves the embedding as it is.
        normalize: whether rows of the embedding are scaled to length 1, as the code does for OGB's graphs.
    """

    least_items: ClassVar[int] = 2
    card: ClassVar[Card] = Card(
        family="cross-scale",
        views="columns of features masked; that view once more with the features of the nodes shuffled",
        encoders="one for both groups, with a projection that is summed up",
        objective="cross-entropy: is the node one of the graph or of the shuffled one",
        time="n d",
        memory="n d",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "mask_feature": Float(0.0, 0.6),
        "drop_edge": Float(0.0, 0.6),
        "projector_layers": Int(1, 4),
        "power": Choice((0, 5, 10)),
        "encoder.hidden_dim": Choice((256, 512, 1024)),
        "train.lr": Float(1e-5, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        mask_feature: Probability = 0.2,
        drop_edge: Probability = 0.0,
        projector_layers: PositiveInt = 1,
        power: NonNegativeInt = 5,
        normalize: bool = False,
    ) -> None:
        super().__init__(encoder, [Compose(DropEdge(p=drop_edge), MaskFeature(p=mask_feature))])
        self.shuffle = Shuffle()
        self.projector = SummedProjection(encoder.out_dim, projector_layers)
        self.power, self.normalize = power, normalize

    def project(self, embedding: Tensor) -> Tensor:
        logits: Tensor = self.projector(embedding)
        return logits

    def contrast(self, batch: MiniBatch, *projections: Tensor) -> Tensor:
        return group_discrimination(*projections, weight=batch.weight)

    def loss(self, batch: MiniBatch) -> Tensor:
        (augment,) = self.views
        view = augment(batch, self.rng)
        both = (view, self.shuffle(view, self.rng))
        return self.contrast(batch, *(self.project(self.encoder(group)) for group in both))

    def embed(self, batch: MiniBatch) -> Tensor:
        local: Tensor = self.encoder(batch)
        embedding = local + self._spread(local, batch) if self.power else local
        return F.normalize(embedding, dim=1) if self.normalize else embedding

    def _spread(self, local: Tensor, batch: MiniBatch) -> Tensor:
        """What all nodes get from each other, shape (num_nodes, dim)."""
        if not batch.is_square or batch.num_targets < batch.num_nodes:
            raise InputError(
                f"the embedding of {self.title} spreads over the whole graph, but the batch was sampled layer "
                "by layer; use --set power=0, or --sampler full"
            )
        for _ in range(self.power):
            local = gcn_aggregate(batch.block(0), local)
        return local


class SummedProjection(nn.Module):
    """Linear maps behind each other, and the sum over the columns of what comes out.

    Sums are linear, too, so the maps are summed up instead of the rows: a row costs one product with a vector. The
    parameters are those of the maps, so that an optimizer moves all of them.

    Args:
        dim: of the embeddings and of every map.
        layers: how many maps.
    """

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.maps = nn.ModuleList(nn.Linear(dim, dim) for _ in range(layers))

    def forward(self, x: Tensor) -> Tensor:
        """From (n, dim) to (n, 1)."""
        row, offset = x.new_ones(1, x.shape[1]), x.new_zeros(1)
        for linear in reversed(self.maps):
            assert isinstance(linear, nn.Linear)
            offset = offset + row @ linear.bias
            row = row @ linear.weight
        return torch.addmm(offset, x, row.T)
