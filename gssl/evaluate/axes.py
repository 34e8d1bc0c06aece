"""Principal axes: the rotation in which L2-regularised linear models are small and well conditioned."""

from __future__ import annotations

import torch
from torch import Tensor


def principal_axes(x: Tensor) -> Tensor:
    """Orthonormal axes of the row space of ``x``, from weak to strong.

    An L2 penalty does not change under rotation and its optimum lies in the row space, so a model fitted to
    ``x @ axes`` is, multiplied by ``axes``, exactly the model of ``x``. There the Hessian is almost diagonal.

    Args:
        x: shape (n, d), float.

    Returns:
        Shape (d, min(n, d)), dtype of ``x``.
    """
    if x.shape[1] <= x.shape[0]:
        return _eigenvectors(x)
    rows, mixed = torch.linalg.qr(x.T)  # x = mixed.T @ rows.T
    axes: Tensor = rows @ _eigenvectors(mixed.T)
    return axes


def _eigenvectors(x: Tensor) -> Tensor:
    vectors: Tensor = torch.linalg.eigh((x.T @ x).double()).eigenvectors
    return vectors.to(x.dtype)
