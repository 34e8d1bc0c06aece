"""Category codes of atoms and bonds as numbers that every encoder takes."""

from __future__ import annotations

from torch import Tensor

from gssl.datasets.features import multi_hot
from gssl.graph.sparse import SparseMatrix

# Sizes of the categories of ogb.utils.features: atomic number, chirality, degree, charge, hydrogens, radical
# electrons, hybridisation, aromatic, in a ring; bond type, stereo, conjugated.
OGB_ATOM = (119, 5, 12, 12, 10, 6, 6, 2, 2)
OGB_BOND = (5, 6, 2)
# The same of torch_geometric.utils.smiles.
PYG_ATOM = (119, 9, 11, 12, 9, 5, 8, 2, 2)
PYG_BOND = (22, 6, 2)
# ZINC's atom types and bond types.
ZINC_ATOM = (28,)
ZINC_BOND = (4,)

NOTE = "atom and bond categories as one-hot columns"


def atoms(codes: Tensor, sizes: tuple[int, ...]) -> SparseMatrix:
    """Atom features, shape (num_nodes, sum(sizes)), from codes of shape (num_nodes, len(sizes)), int64."""
    return multi_hot(codes, sizes, what="x (atom categories)")


def bonds(codes: Tensor, sizes: tuple[int, ...]) -> Tensor:
    """Bond features, shape (num_edges, sum(sizes)), float, from codes of shape (num_edges, len(sizes)), int64."""
    return multi_hot(codes, sizes, what="edge_attr (bond categories)").to_dense()
