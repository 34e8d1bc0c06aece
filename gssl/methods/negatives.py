"""Methods whose negatives are the other graphs of a batch need some."""

from __future__ import annotations

from gssl.common.errors import InputError
from gssl.samplers.base import Sampler
from gssl.samplers.full import FullBatch, GraphBatches


def require_other_graphs(sampler: Sampler, method: str) -> None:
    """Whether the graphs of a batch have others beside them; a last batch of one graph alone does no harm.

    Args:
        sampler: of batches of graphs.
        method: how the message names the method.

    Raises:
        InputError: every batch is of one graph, so that the loss would be 0 whatever the weights.
    """
    if isinstance(sampler, GraphBatches):
        graphs, at_once = len(sampler.items), sampler.batch_size
    elif isinstance(sampler, FullBatch) and sampler.graph.ptr is not None:
        graphs = at_once = sampler.graph.num_graphs
    else:
        return
    if graphs < 2:
        raise InputError(f"{method} tells the graphs of a batch apart, but there is only {graphs}; use more graphs")
    if at_once < 2:
        raise InputError(
            f"{method} tells the graphs of a batch apart, but a batch has only {at_once}; set train.batch_size to 2 "
            "at least"
        )
