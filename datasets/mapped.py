"""Arrays in ``.npy`` files that are mapped into memory instead of being read.

A row that is asked for is read from the file then, and the system drops it again when memory runs short. Members of an
``.npz`` cannot be mapped: numpy unpacks them, even where they are not compressed.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TypeGuard

import numpy as np
import psutil
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import require_regular
from gssl.datasets.npy_header import unreadable


def open_array(path: Path) -> np.ndarray:
    """An array whose numbers stay in the file.

    Raises:
        InputError: damaged, no regular file, or it holds Python objects.
    """
    require_regular(path)
    try:
        # Read only: the system would have to reserve memory for a private copy of a writable mapping.
        array: np.ndarray = np.load(path, mmap_mode="r", allow_pickle=False)
    except PermissionError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        raise unreadable(path, error, "write it with numpy.save") from None
    return array


def stays_mapped(array: object) -> TypeGuard[np.memmap]:
    """Whether an array can serve as features without being copied: mapped, float32, a matrix in rows."""
    return (
        isinstance(array, np.memmap)
        and array.dtype == np.dtype(np.float32)
        and array.dtype.isnative
        and array.ndim == 2
        and array.shape[1] > 0
        and array.flags.c_contiguous
    )


def check_can_be_read(array: object, what: str) -> None:
    """Refuse to copy a mapped array that does not fit the memory.

    Raises:
        InputError: says how to save it so that it can stay in its file.
    """
    if isinstance(array, np.memmap) and array.size * 4 > psutil.virtual_memory().available:
        raise InputError(
            f"{what} has dtype {array.dtype} and does not fit the memory when converted to float32; save it as float32 "
            "in row order (numpy.ascontiguousarray(x, dtype=numpy.float32)), then it stays in its file"
        )


def mapped_tensor(array: np.memmap) -> Tensor:
    """The tensor on the same memory, which must not be written to: that would end the process."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)
