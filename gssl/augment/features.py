"""Features as other libraries take them."""

from __future__ import annotations

import numpy as np
import torch
from scipy.sparse import csr_array

from gssl.graph.sparse import Features, SparseMatrix


def as_scipy(x: Features) -> csr_array | np.ndarray:
    """The features on the CPU as scikit-learn and SciPy take them, sparse ones in the memory that they have."""
    if not isinstance(x, SparseMatrix):
        return x.detach().cpu().numpy()
    pattern = x.pattern
    return csr_array((x.value.cpu().numpy(), pattern.col.cpu().numpy(), pattern.rowptr.cpu().numpy()), shape=x.shape)


def all_alike(x: Features) -> bool:
    """Whether all nodes have the same features, from which nothing about one of them can be told."""
    rows = as_scipy(x)
    direction = np.random.default_rng(0).standard_normal(rows.shape[1])
    along = torch.from_numpy(np.asarray(rows @ direction))
    return bool((along - along.mean()).abs().max() <= 1e-6 * along.abs().max()) if len(along) else True
