"""Subgraphs that random walks with restart span around nodes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.graph.sparse import Pattern
from gssl.samplers.propagation.torch_ops import member
from gssl.samplers.rng import hash64, uniform

NOWHERE = -1


@dataclass(frozen=True, eq=False)
class EgoNets:
    """Induced subgraphs side by side; a node of several of them is there several times.

    Attributes:
        nodes: global ids, ascending within each net, shape (num_rows,), int64.
        ptr: offsets of the nets in the rows, shape (num_nets + 1,), int64.
        roots: row of the node that each net is around, shape (num_nets,), int64.
        pattern: edges within the nets, shape (num_rows, num_rows).
    """

    nodes: Tensor
    ptr: Tensor
    roots: Tensor
    pattern: Pattern


def simple_pattern(pattern: Pattern) -> Pattern:
    """The undirected graph of a square pattern, without self-loops and parallel edges; rows list neighbors."""
    offsets, neighbors, _ = pattern.pairs.neighbors
    return Pattern(offsets, neighbors, pattern.num_rows)


def walk_steps(degree: Tensor, steps: int, restart: float) -> Tensor:
    """Steps from each node in GCC's code: more around hubs, ``degree^0.75 e / (e - 1) / restart`` if that is more.

    Args:
        degree: shape (n,).
        steps: at least.
        restart: probability of a restart, positive.

    Returns:
        Shape (n,), int64.
    """
    wanted = degree.double() ** 0.75 * (math.e / (math.e - 1) / restart) + 0.5
    return wanted.long().clamp(min=steps)


def restart_walks(graph: Pattern, seeds: Tensor, steps: Tensor, restart: float, stream: int) -> Tensor:
    """Random walks from nodes that begin anew there now and then (Tong et al., 2006, as DGL walks for GCC).

    Each step goes to a uniformly chosen neighbor, of the seed in the first step and with probability ``restart``, else
    of the node where the walk is; a node without neighbors is not left. Steps at the same distance from their last
    restart are taken at once, so that there is no loop over steps or seeds.

    Args:
        graph: row i lists the neighbors of node i.
        seeds: where the walks begin, shape (n,), int64.
        steps: of each walk, shape (n,), int64.
        restart: probability of a restart before a step.
        stream: random numbers are a function of it and of the id of the seed, so that a walk does not depend on what
            else is walked from.

    Returns:
        Nodes after each step, shape (n, max(steps)), int64, ``NOWHERE`` beyond the steps of a walk.
    """
    time = torch.arange(int(steps.max()) if len(seeds) else 0)
    own = hash64(stream, seeds).unsqueeze(1)
    restarts = uniform(own, 2 * time) < restart
    restarts[:, :1] = True
    distance = time - torch.where(restarts, time, 0).cummax(1).values
    choice = uniform(own, 2 * time + 1)
    path = torch.full(choice.shape, NOWHERE)
    for since in range(int(distance.max()) + 1 if distance.numel() else 0):
        walk, at = (distance == since).nonzero(as_tuple=True)
        here = path[walk, at - 1] if since else seeds[walk]
        path[walk, at] = _stepped(graph, here, choice[walk, at])
    return torch.where(time < steps.unsqueeze(1), path, NOWHERE)


def _stepped(graph: Pattern, here: Tensor, choice: Tensor) -> Tensor:
    """A neighbor of each node, chosen by a number in [0, 1)."""
    begin, end = graph.rowptr[here].long(), graph.rowptr[here + 1].long()
    edge = begin + (choice * (end - begin)).long()
    alone = begin == end
    return torch.where(alone, here, graph.col[edge.where(~alone, 0)].long()) if graph.nnz else here


def ego_nets(graph: Pattern, seeds: Tensor, visited: Tensor) -> EgoNets:
    """The subgraphs that are induced by seeds and what was visited from them.

    Args:
        graph: square; row i lists the neighbors of node i.
        seeds: shape (n,), int64; the same node may be there more than once.
        visited: nodes of each net, in any order and any number of times, shape (n, m), int64; ``NOWHERE`` is no node.
    """
    first = torch.arange(len(seeds)) * graph.num_rows
    found = torch.cat([seeds.unsqueeze(1), visited], dim=1)
    key = (first.unsqueeze(1) + found)[found != NOWHERE].unique()  # net and node as one number
    nodes, ptr, pattern, _ = induced_nets(graph, key, len(seeds))
    return EgoNets(nodes, ptr, torch.searchsorted(key, first + seeds), pattern)


def induced_nets(graph: Pattern, key: Tensor, num_nets: int) -> tuple[Tensor, Tensor, Pattern, Tensor]:
    """Induced subgraphs side by side, without a loop over them.

    Args:
        graph: square; row i lists the neighbors of node i.
        key: ``net * num_nodes + node`` of each node of each subgraph, distinct, ascending, shape (num_rows,), int64.
        num_nets: how many subgraphs.

    Returns:
        The node of each row, shape (num_rows,), int64; offsets of the subgraphs in the rows, shape (num_nets + 1,),
        int64; the edges within them, shape (num_rows, num_rows); and the edge of the graph that each is, shape (nnz,),
        int64.
    """
    size, dtype = max(graph.num_rows, 1), graph.rowptr.dtype
    net, nodes = key // size, key % size
    ptr = torch.nn.functional.pad(torch.bincount(net, minlength=num_nets).cumsum(0), (1, 0))
    edges, position = graph.select_rows(nodes)
    wanted = net.repeat_interleave(edges.counts.long()) * size + edges.col.long()
    place, keep = member(key, wanted)
    pattern = Pattern(edges.filter(keep).rowptr.to(dtype), place[keep].to(dtype), len(nodes))
    return nodes, ptr, pattern, position[keep]
