"""Reading what others pickled without running what they wrote."""

from __future__ import annotations

import contextlib
import io
import pickle
import re
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse
import torch
from numpy._core import multiarray

from gssl.common.errors import InputError
from gssl.datasets.sparse_check import check_matrices
from gssl.datasets.stand_ins import stand_ins
from gssl.datasets.unzip import check_fits_memory, is_zip

_FOREIGN = re.compile(r"Unsupported global: GLOBAL (\S+)")


def load_tensors(path: Path) -> Any:
    """What ``torch.save`` wrote, if it holds tensors, plain containers and PyG's data classes only.

    PyTorch's safe loading stays on; PyG's classes are allowed for this call alone.

    Raises:
        InputError: the file is damaged, or holds objects of any other kind.
    """
    if is_zip(path):
        check_fits_memory(path)
    try:
        with pyg_classes_allowed(), torch.sparse.check_sparse_tensor_invariants():
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise InputError(_refused(path, str(error))) from None
    except OSError:
        raise
    except Exception as error:  # a damaged file can fail in any way
        first_line = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"{path} is not a whole file written by torch.save ({first_line}): save it again") from None


def _refused(path: Path, error: str) -> str:
    """What to say of a file that safe loading does not take."""
    named = _FOREIGN.search(error)
    if named is None:
        return (
            f"{path} is damaged or holds more than tensors and PyG data; nothing in it was run. Save a "
            "torch_geometric.data.Data whose attributes are tensors"
        )
    return (
        f"{path} holds more than tensors and PyG data: {named[1]}, which is not loaded, because loading it would run "
        "its code; nothing in it was run. Where it came from, save plain graphs: "
        "torch.save([Data.from_dict(data.to_dict()) for data in graphs], 'plain.pt')"
    )


@contextlib.contextmanager
def pyg_classes_allowed() -> Iterator[None]:
    """Let safe loading take PyG's data classes, and the numpy scalars that ogb leaves among them, for a while."""
    from torch_geometric.data import Data
    from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr
    from torch_geometric.data.storage import BaseStorage, EdgeStorage, GlobalStorage, NodeStorage

    scalars = [multiarray.scalar, np.dtype, *(type(np.dtype(kind)) for kind in ("i4", "i8", "f4", "f8"))]
    storages = [BaseStorage, EdgeStorage, GlobalStorage, NodeStorage]
    wanted = [Data, DataEdgeAttr, DataTensorAttr, *storages, *stand_ins(), *scalars]
    # PyTorch's context manager forgets what it was given when it ends, also what PyG had allowed before.
    known = set(torch.serialization.get_safe_globals())
    with torch.serialization.safe_globals([item for item in wanted if item not in known]):
        yield


def check_pickle(path: Path) -> Any:
    """Refuse a pickled raw file (Planetoid, ZINC) that names anything but arrays, tensors and containers.

    PyG reads these files with the plain pickle module; what passes here can do no harm there. Sparse matrices in it are
    looked at, because SciPy would follow indices out of range.

    Returns:
        What it holds.

    Raises:
        InputError: the file is damaged or hostile.
    """
    try:
        with path.open("rb") as file:
            value = _ArraysOnly(file, path.stat().st_size).load()
        check_matrices(value, "it")
        return value
    except InputError as error:
        raise InputError(f"{path}: {error}; nothing in it was run. Delete it and provide a genuine copy") from None
    except Exception as error:  # a damaged pickle can fail in any way
        raise InputError(
            f"{path} is damaged ({type(error).__name__}: {error}): delete it and provide it again"
        ) from None


def _load_nested(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), weights_only=True)


def _encode(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise InputError(f"the file asks for the encoding {encoding!r}")
    return text.encode("latin1")


_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy.core.multiarray", "scalar"): multiarray.scalar,
    ("numpy._core.multiarray", "_reconstruct"): multiarray._reconstruct,
    ("numpy._core.multiarray", "scalar"): multiarray.scalar,
    ("scipy.sparse.csr", "csr_matrix"): scipy.sparse.csr_matrix,
    ("scipy.sparse._csr", "csr_matrix"): scipy.sparse.csr_matrix,
    ("collections", "defaultdict"): defaultdict,
    ("collections", "OrderedDict"): OrderedDict,
    ("__builtin__", "list"): list,
    ("builtins", "list"): list,
    ("_codecs", "encode"): _encode,  # bytes in the protocols of Python 2
    ("torch._utils", "_rebuild_tensor_v2"): torch._utils._rebuild_tensor_v2,
    ("torch.storage", "_load_from_bytes"): _load_nested,
}


class _Memo(dict[int, Any]):
    """What a pickle refers back to, by numbers that count up.

    Of a number that jumps, the unpickler in C would make a list with as many places, of many gigabytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size

    def __setitem__(self, number: int, value: Any) -> None:
        if number > self._size:
            raise InputError(f"the file of {self._size} bytes refers to a part with the number {number}")
        super().__setitem__(number, value)


class _ArraysOnly(pickle._Unpickler):
    """Python's own unpickler in place of that in C, whose memory a few bytes could fill."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        super().__init__(file, encoding="latin1")
        self.memo: dict[int, Any] = _Memo(size)

    def find_class(self, module: str, name: str) -> Any:
        allowed = _ALLOWED.get((module, name))
        if allowed is None:
            raise InputError(f"the file asks for {module}.{name}, which is no array, tensor or container")
        return allowed
