"""Category codes of atoms and bonds as numbers that every encoder takes."""

from __future__ import annotations

import torch
from torch import Tensor

from gssl.datasets.features import multi_hot
from gssl.graph.sparse import SparseMatrix
from gssl.graph.spec import Category, Vocabulary


def _categories(**sizes: int) -> tuple[Category, ...]:
    return tuple(Category(name, size) for name, size in sizes.items())


# The sizes are those of the whole vocabularies, whatever occurs in a set, so that columns mean the same in every set.
OGB = Vocabulary(
    "atoms and bonds of ogb.utils.features",
    nodes=_categories(
        atomic_num=119, chirality=5, degree=12, formal_charge=12, num_hs=10, num_radical_electrons=6,
        hybridization=6, is_aromatic=2, is_in_ring=2,
    ),
    edges=_categories(bond_type=5, stereo=6, is_conjugated=2),
)  # fmt: skip
PYG = Vocabulary(
    "atoms and bonds of torch_geometric.utils.smiles",
    nodes=_categories(
        atomic_num=119, chirality=9, degree=11, formal_charge=12, num_hs=9, num_radical_electrons=5,
        hybridization=8, is_aromatic=2, is_in_ring=2,
    ),
    edges=_categories(bond_type=22, stereo=6, is_conjugated=2),
)  # fmt: skip
ZINC = Vocabulary(
    "atom and bond types of ZINC", nodes=_categories(atom_type=28), edges=_categories(bond_type=4)
)  # fmt: skip

NOTE = "atom and bond categories as one-hot columns"


def sizes_of(categories: tuple[Category, ...]) -> tuple[int, ...]:
    """Columns of each category."""
    return tuple(category.size for category in categories)


def atoms(codes: Tensor, vocabulary: Vocabulary) -> SparseMatrix:
    """Atom features, shape (num_nodes, columns), from codes of shape (num_nodes, categories), int64."""
    return multi_hot(codes, sizes_of(vocabulary.nodes), what="x (atom categories)")


def bonds(codes: Tensor, vocabulary: Vocabulary) -> Tensor:
    """Bond features, shape (num_edges, columns), float, from codes of shape (num_edges, categories), int64."""
    return multi_hot(codes, sizes_of(vocabulary.edges), what="edge_attr (bond categories)").to_dense()


def small_bonds(codes: Tensor, vocabulary: Vocabulary) -> Tensor:
    """The same columns in a quarter of the memory, uint8, from integer codes that are known to be in the vocabulary."""
    sizes = torch.tensor(sizes_of(vocabulary.edges))
    out = torch.zeros(len(codes), int(sizes.sum()), dtype=torch.uint8)
    for column, first in enumerate((sizes.cumsum(0) - sizes).tolist()):
        out.scatter_(1, codes[:, column, None].long() + first, 1)
    return out
