"""Properties of molecules that GROVER predicts: what is around atoms and bonds, and functional groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.augment.mask_atoms import decoded
from gssl.datasets.functional_groups import CHUNK, MoleculeCodes, functional_groups
from gssl.graph.batch import MiniBatch
from gssl.graph.sparse import BatchFeatures, SparseMatrix, dense_features
from gssl.graph.spec import Category, GraphSpec
from gssl.graph.storage import Graph
from gssl.samplers.rng import hash64

_ATOM, _NEIGHBOR, _BOND, _END = range(1, 5)  # streams of hashes: what a term of a sum stands for


@dataclass(frozen=True, eq=False)
class Contexts:
    """The contexts of all atoms and bonds of a batch.

    Two are the same number exactly if they are the same context, but for a chance of some 2^-64 for each pair.

    Attributes:
        atoms: shape (num_nodes,), int64.
        ends: of each bond, the smaller first and ascending, shape (2, num_bonds), int64.
        bonds: shape (num_bonds,), int64.
    """

    atoms: Tensor
    ends: Tensor
    bonds: Tensor

    @classmethod
    def of(cls, batch: MiniBatch, spec: GraphSpec) -> Contexts:
        """The contexts within one hop of GROVER (Rong et al., 2020, arXiv:2007.02835, sec. 4.2), as in its code.

        That of an atom is its element and how many neighbors it has of each element by each type of bond; that of a
        bond its type and stereo, and how many other bonds of each type and stereo its ends have, with the element of
        the end. (The code adds the direction that a bond is drawn in, which these data lack.)

        Args:
            batch: of whole graphs.
            spec: of the data, with the categories of nodes, the element first, and of edges, type and stereo first.
        """
        block = batch.blocks[0]
        pattern = block.pattern
        here, there = pattern.row.long(), pattern.col.long()
        element = _first_codes(batch.x, spec.nodes[0].size)
        kind, kinds = here.new_zeros(len(here)), 1
        bond, bonds = kind, 1
        if spec.edges and block.edge_attr is not None:
            codes = decoded(block.edge_attr[:, : _columns(spec.edges[:2])], spec.edges[:2])
            kind, kinds = codes[:, 0], spec.edges[0].size
            bond, bonds = kind, kinds
            if len(spec.edges) > 1:
                bond, bonds = kind * spec.edges[1].size + codes[:, 1], kinds * spec.edges[1].size
        neighbors = hash64(_NEIGHBOR, element[there] * kinds + kind)
        ends = hash64(_END, element[here] * bonds + bond)
        # Sums of hashes tell sets with repeats apart, in any order.
        around = torch.zeros_like(element).index_add(0, here, ends)
        pairs = pattern.pairs.position
        one, other, code = here[pairs], there[pairs], bond[pairs]
        own = ends[pairs] + hash64(_END, element[other] * bonds + code)
        return cls(
            hash64(_ATOM, element).index_add(0, here, neighbors),
            pattern.pairs.ends,
            hash64(_BOND, code) + around[one] + around[other] - own,
        )


@dataclass(frozen=True, eq=False)
class Vocabularies:
    """The contexts that are most frequent in a set of graphs, those of atoms and of bonds, each ascending, int64."""

    atoms: Tensor
    bonds: Tensor

    @classmethod
    def of(cls, graph: Graph, spec: GraphSpec, *, atoms: int, bonds: int) -> Vocabularies:
        """So many of each at most."""
        parts = [Contexts.of(batch, spec) for batch in _batches(graph)]
        return cls(
            frequent(torch.cat([part.atoms for part in parts]), atoms),
            frequent(torch.cat([part.bonds for part in parts]), bonds),
        )


def frequent(keys: Tensor, limit: int) -> Tensor:
    """The most frequent of some numbers, of equally frequent ones the smaller, at most ``limit``; ascending."""
    known, counts = torch.unique(keys, return_counts=True)
    order = torch.argsort(counts, descending=True, stable=True)
    chosen: Tensor = known[order[:limit]].sort().values
    return chosen


def looked_up(keys: Tensor, vocabulary: Tensor) -> Tensor:
    """Place of each number in an ascending vocabulary, shape of ``keys``, int64; its length for those not in it."""
    if not len(vocabulary):
        return torch.zeros_like(keys)
    place = torch.searchsorted(vocabulary, keys).clamp(max=len(vocabulary) - 1)
    return torch.where(vocabulary[place] == keys, place, len(vocabulary))


def groups_of(graph: Graph, spec: GraphSpec) -> Tensor:
    """The functional groups of all molecules of a set, shape (num_graphs, 85), bool.

    Args:
        graph: the molecules.
        spec: of the data, whose categories tell elements (:func:`~gssl.datasets.functional_groups.tells_molecules`).
    """
    assert spec.meaning is not None
    return functional_groups(spec.meaning, (_codes(batch, spec) for batch in _batches(graph)), graph.num_graphs)


def _first_codes(x: BatchFeatures, size: int) -> Tensor:
    """Codes of the first category, shape (num_nodes,), int64; -1 where all of its columns are zero."""
    if not isinstance(x, SparseMatrix):
        return decoded(dense_features(x)[:, :size], (Category("first", size),))[:, 0]
    column = x.pattern.col.long()
    codes = torch.full((x.shape[0],), -1, device=x.device)
    return codes.scatter_reduce(0, x.pattern.row.long(), torch.where(column < size, column, -1), "amax")


def _columns(categories: tuple[Category, ...]) -> int:
    return sum(category.size for category in categories)


def _codes(batch: MiniBatch, spec: GraphSpec) -> MoleculeCodes:
    assert batch.graph_ptr is not None
    pairs, attr = batch.blocks[0].pattern.pairs, batch.blocks[0].edge_attr
    atoms = decoded(dense_features(batch.x), spec.nodes)
    names = {category.name: atoms[:, place].numpy() for place, category in enumerate(spec.nodes)}
    kinds = pairs.position * 0 if attr is None else decoded(attr[pairs.position], spec.edges)[:, 0]
    return MoleculeCodes(names, batch.graph_ptr.numpy(), pairs.ends.numpy(), kinds.numpy())


def _batches(graph: Graph) -> Iterator[MiniBatch]:
    """All graphs, so many at a time that their features may be dense."""
    return (graph.graph_batch(index) for index in torch.arange(graph.num_graphs).split(CHUNK))
