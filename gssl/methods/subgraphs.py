"""Methods that need the edges of a batch to be those of one subgraph."""

from __future__ import annotations

from gssl.common.errors import InputError
from gssl.samplers.base import Sampler
from gssl.samplers.pair import PairSampler
from gssl.samplers.propagation.shadow import Shadow
from gssl.samplers.propagation.subgraph import SubgraphPropagation


def require_subgraphs(sampler: Sampler, purpose: str) -> None:
    """Whether batches are whole graphs, or one subgraph for all layers.

    Args:
        sampler: of any batches.
        purpose: what the method does with them, for the message: "PolyGCL filters the nodes of a batch".

    Raises:
        InputError: they are sampled layer by layer, or are a neighborhood of each target.
    """
    if not isinstance(sampler, PairSampler):
        return
    propagation = sampler.propagation
    if not isinstance(propagation, SubgraphPropagation) or isinstance(propagation, Shadow):
        raise InputError(
            f"{purpose}, which must be one subgraph for all layers, but the propagation {type(propagation).__name__} "
            "makes others; use --sampler clustergcn, graphsaint or uniform+induced, or full"
        )


def require_subgraphs_only(sampler: Sampler, purpose: str) -> None:
    """:func:`require_subgraphs`, where no draw may be embedded otherwise, be it to measure norms.

    Args:
        sampler: of any batches.
        purpose: as there.

    Raises:
        InputError: as there, or checkpoints are embedded layer by layer.
    """
    require_subgraphs(sampler, purpose)
    if isinstance(sampler, PairSampler) and sampler.selection.embeds_exactly:
        raise InputError(
            f"{purpose}, which must be one subgraph for all layers, but the checkpoints of "
            f"{type(sampler.selection).__name__} are embedded layer by layer; use --set sampler.norms=online, or "
            "another selection"
        )
