"""MGAE."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gssl.common.card import Card
from gssl.common.options import Positive, PositiveInt, Probability
from gssl.common.space import Float, Int, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import BatchFeatures, dense_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.models.encoder import Encoder
from gssl.models.marginal import MarginalisedLayer


class MGAE(Method):
    """Marginalized graph autoencoder (Wang et al., CIKM 2017, doi:10.1145/3132847.3132967).

    Each layer spreads features over the graph as a GCN does and maps them linearly, so that they come as near as can be
    to the features before, of which some are missing. What is missing is averaged over in closed form: there is no
    gradient, no epoch and no encoder, and every seed gives the same. The next layer takes what the one before gives.
    The embedding is the output of the last layer, as wide as the features.

    The layers are solved for once, when the method first sees a graph (before training would begin), on that whole
    graph; a finished run embeds other graphs by the same maps. The seconds that it takes are those of pretraining.

    The noise takes out whole columns: the formula of the paper, and of the authors' code (GRAND-Lab/MGAE, mDA.m), is
    exact for these, and would need another diagonal for entries that are missing one by one. The code has no
    nonlinearity and adds 0.00001 to the diagonal; here the penalty is a multiple of the mean diagonal, so that the
    scale of the features does not matter. The code clusters the absolute inner products of embeddings spectrally, here
    the usual judges look at the embeddings.

    Args:
        encoder: not used; layers are solved for.
        num_layers: how many.
        corruption: probability that a column is missing.
        ridge: penalty of the maps, as a multiple of the mean diagonal of the matrix that is inverted.
    """

    card: ClassVar[Card] = Card(
        family="reconstruction",
        views="columns of features missing, averaged over",
        encoders="none but linear maps, one a layer, that are solved for",
        objective="squared error of features given those that are left, spread over the graph, with a ridge penalty",
        time="0; once v f² + f³ a layer (v nodes, 8-byte numbers)",
        memory="0; once v f + f²",
        whole_graph="its maps are solved for once, on the whole graph",
    )
    trains: ClassVar[bool] = False
    solved: Tensor
    search_space: ClassVar[Mapping[str, Space]] = {
        "num_layers": Int(1, 5),
        "corruption": Float(0.0, 0.9),
        "ridge": Float(1e-8, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        num_layers: PositiveInt = 3,
        corruption: Probability = 0.4,
        ridge: Positive = 1e-6,
    ) -> None:
        super().__init__(encoder)
        self.corruption, self.ridge = corruption, ridge
        self.layers = nn.ModuleList(MarginalisedLayer(encoder.in_dim) for _ in range(num_layers))
        self.register_buffer("solved", torch.tensor(False))

    @property
    def embedding_dim(self) -> int:
        return self.encoder.in_dim

    @property
    def num_layers(self) -> int:
        return len(self.layers)

    def prepare(self, graph: Graph, seed: int) -> None:
        if bool(self.solved):  # a finished run embeds another graph
            return
        key = f"mgae {self.num_layers} {self.corruption} {self.ridge}"
        maps, self.solved_in = graph.derived(key, lambda: self._maps(graph))
        self.layers.load_state_dict(maps)
        self.solved.fill_(True)

    def _maps(self, graph: Graph) -> tuple[dict[str, Tensor], tuple[float, float]]:
        """Parameters of all layers, and the wall and CPU seconds that they take."""
        wall, cpu = time.perf_counter(), time.process_time()
        x = dense_features(graph.x).double()
        for layer in self.layers:
            assert isinstance(layer, MarginalisedLayer)
            x = layer.fit(graph.block, x, corruption=self.corruption, ridge=self.ridge)
        maps = {name: value.clone() for name, value in self.layers.state_dict().items()}
        return maps, (time.perf_counter() - wall, time.process_time() - cpu)

    def embed(self, batch: MiniBatch) -> Tensor:
        """Output of the last layer, shape (num_targets, in_dim)."""
        x: BatchFeatures = batch.x
        for index, layer in enumerate(self.layers):
            x = layer(batch.block(index), x)
        rows = dense_features(x)
        return rows[: batch.num_targets]

    def loss(self, batch: MiniBatch) -> Tensor:
        """There is none to descend.

        Raises:
            TypeError: always.
        """
        raise TypeError("MGAE is solved in closed form and has no loss to descend")
