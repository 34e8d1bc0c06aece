"""One file from the network, whole or absent."""

from __future__ import annotations

import shutil
import sys
import urllib.request
from pathlib import Path


def download(url: str, path: Path) -> None:
    """Fetch ``url`` (http or https, certificates are checked) to ``path``.

    Raises:
        OSError: another kind of address, no network, no such file, a broken transfer or a full disk.
    """
    if not url.startswith(("https://", "http://")):
        raise OSError(f"{url or 'an empty address'} is not a web address")
    sys.stderr.write(f"Downloading {url}\n")  # as PyG does
    part = path.with_name(f"{path.name}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with urllib.request.urlopen(url) as response, part.open("wb") as file:
            shutil.copyfileobj(response, file, 1 << 20)
            stated = response.headers.get("Content-Length")
            if stated is not None and file.tell() != int(stated):
                raise OSError(f"{url} broke off after {file.tell()} of {stated} bytes")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
