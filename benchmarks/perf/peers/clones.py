"""Modules of official repositories, imported from their clones. For a benchmark's processes only."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from gssl.benchmarks.perf.peers.peer import clone
from gssl.benchmarks.perf.stand_ins import StandIn, stand_in


def load(
    sources: str,
    repository: str,
    *names: str,
    folders: tuple[str, ...] = ("",),
    missing: tuple[str, ...] = (),
) -> list[Any]:
    """Import modules of a clone as its scripts do, none of which is run.

    What the import system knew by names of the clone, it forgets, since every repository has a module called model.
    Those of this clone stay known, as PyG reads the module of a layer when it makes one.

    Args:
        sources: folder of the clones.
        repository: owner/name.
        names: of the modules.
        folders: those within the clone that modules are looked for in.
        missing: packages that the modules import and a step does not use; they get stand-ins meanwhile.

    Returns:
        The modules.
    """
    stand_in(*missing)
    place = clone(sources, repository).resolve()
    try:
        with _as_a_script([str(place / folder) for folder in folders]):
            return [import_module(name) for name in names]
    finally:
        for name in missing:
            if isinstance(sys.modules.get(name), StandIn):
                del sys.modules[name]


def without_cuda() -> None:
    """Let ``.cuda()`` leave tensors and modules where they are, in this process, for code that has no other device."""
    for kind in (Tensor, nn.Module):
        setattr(kind, "cuda", lambda self, *args, **kwargs: self)  # noqa: B010  # mypy knows better


def normalized(edge_index: Tensor, nodes: int) -> Tensor:
    """``D^-1/2 (A + I) D^-1/2`` as sparse COO, shape (nodes, nodes), float32."""
    index, weight = gcn_norm(edge_index, num_nodes=nodes)
    return torch.sparse_coo_tensor(index, weight, (nodes, nodes), check_invariants=False).coalesce()


@contextlib.contextmanager
def _as_a_script(paths: list[str]) -> Iterator[None]:
    """While entered, modules are found in the paths first; what they write goes into a folder that is thrown away."""
    arguments, warn = sys.argv, warnings.warn
    names = {entry.stem for path in paths for entry in Path(path).iterdir()}
    for name in [name for name in sys.modules if name.split(".")[0] in names]:
        del sys.modules[name]
    with TemporaryDirectory() as folder, contextlib.chdir(folder):
        sys.argv = ["script"]  # some parse the arguments of the process at import
        sys.path[:0] = paths
        try:
            yield
        finally:
            sys.argv, warnings.warn = arguments, warn  # one of them silences everybody's warnings
            for path in paths:
                sys.path.remove(path)
