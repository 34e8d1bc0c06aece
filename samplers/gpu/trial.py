"""Every kernel of the expansion, compiled and run once, on a graph of a few nodes."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.samplers.gpu.expansion import TritonExpansion
from gssl.samplers.propagation.growing import Expansion
from gssl.samplers.propagation.torch_expansion import TorchExpansion

_NODES = 13
_FANOUT = 10  # the usual one, which is compiled for later, and below the degree of the first node


def checked(device: torch.device) -> bool:
    """Whether a batch that takes every kind of hop is, bit by bit, that of torch operators on the CPU."""
    hub = torch.arange(1, _NODES, dtype=torch.int32)
    col = torch.cat([hub, torch.arange(_NODES - 1, dtype=torch.int32)])  # each node after it hears from the one before
    rowptr = torch.cat([torch.zeros(1, dtype=torch.int32), len(hub) + torch.arange(_NODES, dtype=torch.int32)])
    pattern, targets = Pattern(rowptr, col, _NODES), torch.tensor([0, 7])
    expected = _grown(TorchExpansion(pattern, targets), targets)
    there = Pattern(rowptr.to(device), col.to(device), _NODES)
    found = _grown(TritonExpansion(there, targets.to(device)), targets)
    return all(torch.equal(ours.cpu(), theirs) for ours, theirs in zip(found, expected, strict=True))


def _grown(batch: Expansion, again: Tensor) -> list[Tensor]:
    """What an expansion says of hops that pick, filter by chance, take all edges, and take those within the batch."""
    hops = [batch.uniform(_FANOUT, 5), batch.shared(2, 11), batch.uniform(-1, 0), batch.inner()]
    told = [tensor for hop in hops for tensor in (hop.pattern.rowptr, hop.pattern.col, hop.degree)]
    picked = [hop.position for hop in hops if hop.position is not None]
    nodes = batch.nodes
    return [*told, *picked, nodes, batch.number(again.to(nodes.device))]
