"""What all readers of text files look at first."""

from __future__ import annotations

from pathlib import Path

import psutil

from gssl.common.errors import InputError
from gssl.common.files import require_regular
from gssl.datasets.unzip import check_gzip_fits_memory


def check_text(path: Path, per_byte: int) -> None:
    """Refuse a text file that would not fit the memory once it is read.

    Args:
        path: a file, compressed if its name ends in ``.gz``.
        per_byte: bytes of memory that one byte of text may need.

    Raises:
        InputError: it is too large, empty, or no regular file.
    """
    require_regular(path)
    size = path.stat().st_size
    if size == 0:
        raise InputError(f"{path} is empty: write the graph again")
    if path.suffix.lower() == ".gz":
        check_gzip_fits_memory(path)
    if size * per_byte > psutil.virtual_memory().available:
        raise InputError(
            f"{path} has {size / 1e9:.1f} GB of text, which may not fit the memory as a graph: save it as a folder "
            "with edge_index.npy and x.npy (numpy.save)"
        )
