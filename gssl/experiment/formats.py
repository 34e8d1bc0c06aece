"""Files that hold embeddings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import write_whole


def write_npz(path: Path, embeddings: Tensor) -> None:
    """NumPy archive with one array, ``embeddings``, shape (num_items, dim), float32; row i is item i."""
    write_whole(path, lambda file: np.savez(file, embeddings=embeddings.numpy()))


def write_parquet(path: Path, embeddings: Tensor) -> None:
    """Parquet table with the columns ``id``, ``dim_0``, ``dim_1`` and so on.

    Raises:
        InputError: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise _needs("parquet", "pyarrow") from None
    columns = {f"dim_{index}": column for index, column in enumerate(embeddings.T.contiguous().numpy())}
    table = pyarrow.table({"id": np.arange(len(embeddings)), **columns})
    write_whole(path, lambda file: parquet.write_table(table, file))


def write_safetensors(path: Path, embeddings: Tensor) -> None:
    """Safetensors file with one tensor, ``embeddings``.

    Raises:
        InputError: safetensors is not installed.
    """
    try:
        from safetensors.torch import save
    except ModuleNotFoundError:
        raise _needs("safetensors", "safetensors") from None
    content = save({"embeddings": embeddings.contiguous()})

    def put(file: BinaryIO) -> None:
        file.write(content)

    write_whole(path, put)


WRITERS: dict[str, Callable[[Path, Tensor], None]] = {
    "npz": write_npz,
    "parquet": write_parquet,
    "safetensors": write_safetensors,
}


def _needs(kind: str, package: str) -> InputError:
    return InputError(f"the format {kind} needs the package {package}: pip install 'gssl[embed]', or use --format npz")
