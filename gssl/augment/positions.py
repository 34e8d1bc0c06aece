"""Positions of nodes by eigenvectors of the graph that they are in."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import eigsh
from torch import Tensor

from gssl.graph.sparse import Pattern

_DENSE = 512  # nodes of a graph up to which all eigenvectors are found at once
_ENTRIES = 1 << 22  # of the dense matrices that are in memory together
# What is added to the diagonal so that all eigenvalues differ by more than rounding does: which eigenvectors there are
# then depends on the order of the nodes alone, and not on the machine or on what else is solved for. Others move less.
_APART = 1e-6
_NOTHING = 1e-4  # entries of smaller magnitude give an eigenvector no sign


def spectral_positions(pattern: Pattern, ptr: Tensor, roots: Tensor, dim: int) -> Tensor:
    """Rows of the leading eigenvectors of ``D^-1/2 A D^-1/2`` of each graph, of length 1 (GCC, arXiv:2006.09963).

    Of a graph of n nodes there are the ``min(n - 2, dim)`` eigenvectors of the greatest eigenvalues, as in the authors'
    code, the greatest first; the other columns are zero. Eigenvectors have no sign of their own: here they have the one
    that makes the entry of the root positive, or where that is zero the first entry that is not. Graphs of one size are
    solved together; where an eigenvalue has several eigenvectors, the order of the nodes decides which they are.

    Args:
        pattern: symmetric, of graphs side by side.
        ptr: offsets of the graphs in the rows, shape (num_graphs + 1,), int64.
        roots: row of a node of each graph, shape (num_graphs,), int64.
        dim: columns.

    Returns:
        Shape (num_rows, dim), float32.
    """
    scale = pattern.counts.double().clamp(min=1).rsqrt()
    out = torch.zeros(pattern.num_rows, dim, dtype=torch.float64)
    sizes = ptr.diff()
    for size in sizes.unique().tolist():
        count = min(size - 2, dim)
        if count < 1:
            continue
        at_once = max(1, _ENTRIES // size**2) if size <= _DENSE else 1
        for graphs in (sizes == size).nonzero().squeeze(1).split(at_once):
            rows = ptr[graphs].unsqueeze(1) + torch.arange(size)
            vectors = _leading(pattern, rows, scale, count)
            signed = _signed(vectors, roots[graphs] - ptr[graphs])
            out[rows.flatten(), :count] = torch.nn.functional.normalize(signed.flatten(0, 1), dim=1)
    return out.float()


def _signed(vectors: Tensor, root: Tensor) -> Tensor:
    """Eigenvectors (num_graphs, size, count) with a sign, given the row of each graph's root (num_graphs,)."""
    asked = root.view(-1, 1, 1).expand(-1, 1, vectors.shape[2])
    entries = torch.cat([vectors.gather(1, asked), vectors], dim=1)
    first = (entries.abs() > _NOTHING).int().argmax(1, keepdim=True)
    return torch.where(entries.gather(1, first) < 0, -vectors, vectors)


def _leading(pattern: Pattern, rows: Tensor, scale: Tensor, count: int) -> Tensor:
    """Eigenvectors (num_graphs, size, count) of graphs with these rows (num_graphs, size), the greatest first."""
    number, size = rows.shape
    edges, _ = pattern.select_rows(rows.flatten())
    here = edges.row.long()
    columns = edges.col.long() - rows[here // size, 0]
    values = scale[rows.flatten()[here]] * scale[edges.col.long()]
    apart = _APART * torch.arange(1, size + 1, dtype=torch.float64) / size
    if size <= _DENSE:
        matrix = torch.diag(apart).repeat(number, 1)
        matrix[here, columns] += values
        vectors: Tensor = torch.linalg.eigh(matrix.view(number, size, size)).eigenvectors
        return vectors[:, :, size - count :].flip(2)
    sparse = csr_array((values.numpy(), (here.numpy(), columns.numpy())), shape=(size, size)) + diags_array(
        apart.numpy()
    )
    start = np.ones(size) + np.arange(size) / size  # the same in every run, and orthogonal to no symmetric vector
    found = torch.from_numpy(eigsh(sparse, k=count, which="LA", v0=start)[1].copy())
    return found.flip(1).unsqueeze(0)
