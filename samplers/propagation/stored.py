"""What the propagations with a history share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from gssl.samplers.batch import MiniBatch
from gssl.samplers.graph import Graph
from gssl.samplers.history import BatchHistory, History, Mode, Precision, Storage
from gssl.samplers.propagation.base import Propagation
from gssl.samplers.propagation.exact import Exact
from gssl.samplers.selection.base import Draw


class StoredPropagation(Propagation):
    """A propagation that reads what earlier batches wrote. Draws that must be exact refresh it.

    Args:
        graph: where messages flow.
        num_layers: message-passing layers of the encoder.
        history_storage: where rows are kept: beside the encoder, in (pinned) host memory, or in files.
        history_precision: of the stored rows.
        history_folder: for the files.

    Attributes:
        mode: how the encoder uses the stored rows.
        frozen: while set, batches read only, so that an instrument can draw from one state repeatedly.
    """

    mode: ClassVar[Mode] = "truncated"

    def __init__(
        self,
        graph: Graph,
        *,
        num_layers: int,
        history_storage: Storage = "device",
        history_precision: Precision = "float32",
        history_folder: Path | None = None,
    ) -> None:
        super().__init__(graph, num_layers=num_layers)
        self.store = History(
            graph.num_nodes, storage=history_storage, precision=history_precision, folder=history_folder
        )
        self.frozen = False
        self._exact = Exact(graph, num_layers=num_layers)

    def batch(self, draw: Draw) -> MiniBatch:
        if not self.frozen:
            self.store.tick()
        if not draw.exact:
            return self.stored_batch(draw)
        batch = self._exact.batch(draw)
        history = BatchHistory(self.store, "truncated", batch.node_ids, batch.num_nodes, frozen=self.frozen)
        return replace(batch, history=history)

    def stored_batch(self, draw: Draw) -> MiniBatch:
        """The batch of a draw that need not be exact."""
        raise NotImplementedError

    def handle(self, ids: Tensor, num_fresh: int) -> BatchHistory:
        """The history as a batch with these rows sees it."""
        return BatchHistory(self.store, self.mode, ids, num_fresh, frozen=self.frozen)
