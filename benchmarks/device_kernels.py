"""Compile every Triton kernel for an architecture that need not be there: ``python -m gssl.benchmarks.device_kernels``.

What only a compiler finds (types, shapes, too many registers) then costs no time on a GPU. Triton's own assembler does
it; nothing is run. The default, 90, is that of an H100 or H200.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gssl.graph.gpu import aggregate, support, trial
from gssl.samplers.gpu import kernels

_POINTERS = {
    "chance": "*fp64",
    "order": "*i64",
    "told": "*i64",
    "weight": "*fp32",
    "dst_scale": "*fp32",
    "src_scale": "*fp32",
    "first": "*i32",
    "rank": "*i32",
    "slots": "*i32",
    "place": "*i64",
}
_SIZES = {"stream": "i64"}


@dataclass(frozen=True)
class Compiled:
    """What a kernel needs.

    Attributes:
        name: of the kernel, with its constants.
        registers: of a thread.
        stack: bytes of a thread outside registers; not 0 where they spill.
        shared: bytes of a block in shared memory.
    """

    name: str
    registers: int
    stack: int
    shared: int


def variants(index: str, table: str) -> Iterator[tuple[Any, dict[str, Any], Mapping[str, str]]]:
    """Each kernel with constants that it is used with, and the types of its other pointers.

    Args:
        index: type of the graph's offsets and columns, ``*i32`` or ``*i64``.
        table: type of the features, such as ``*fp32``.
    """
    own: dict[str, str] = {}
    yield trial._count, {"BLOCK": 16}, {"values": "*i32", "out": "*i32"}
    yield kernels.row_extents, {"BLOCK": 1024}, own
    for fanout in (5, 10, 15, 100):
        width = 1 << (fanout - 1).bit_length()
        yield kernels.pick_edges, {"FANOUT": fanout, "WIDTH": width, "BLOCK": max(1, 2048 // width)}, own
    yield kernels.all_edges, {"STEPS": 20, "BLOCK": 1024}, own
    for inner in (True, False):
        for fill in (True, False):
            yield kernels.filtered_edges, {"INNER": inner, "FILL": fill, "ROWS": 8, "LANES": 32}, own
    for kernel in (kernels.claim, kernels.first_places, kernels.number_sources, kernels.settle):
        yield kernel, {"BLOCK": 1024}, {"limit": index}
    for name in ("", "HAS_WEIGHT", "HAS_ORDER", "HAS_SRC", "HAS_PLACE"):
        flags = ("HAS_ORDER", "HAS_WEIGHT", "HAS_DST", "HAS_SRC", "HAS_PLACE")
        used = {"HAS_ORDER": {"HAS_ORDER", "HAS_WEIGHT", "HAS_SRC", "HAS_DST"}, "HAS_SRC": {"HAS_SRC", "HAS_DST"}}
        on = used.get(name, {name})
        constants = {flag: flag in on for flag in flags} | {"EDGES": 8, "COLUMNS": 128}
        yield aggregate._sum_rows, constants, {"table": table, "out": table}


def compile_all(architecture: int = 90, *, index: str = "*i32", table: str = "*fp32") -> list[Compiled]:
    """Compile every kernel.

    Raises:
        RuntimeError: kernels are interpreted here.
        Exception: what Triton raises at a kernel that does not compile.
    """
    if support.INTERPRETED:
        raise RuntimeError("kernels that are interpreted cannot be compiled: unset TRITON_INTERPRET")
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    target, done = GPUTarget("cuda", architecture, 32), []
    for kernel, constants, pointers in variants(index, table):
        kinds = kernel.fn.__annotations__
        types = {name: _type(name, kinds.get(name), constants, pointers, index) for name in kernel.arg_names}
        source = ASTSource(fn=kernel, signature=types, constexprs=constants)
        binary = triton.compile(source, target=target)
        done.append(_described(kernel.fn.__name__, constants, binary.asm["cubin"]))
    return done


def _type(name: str, kind: Any, constants: Mapping[str, Any], pointers: Mapping[str, str], index: str) -> str:
    if name in constants:
        return "constexpr"
    if kind == "Number":
        return _SIZES.get(name, "i32")
    return pointers.get(name) or _POINTERS.get(name, index)


def _described(name: str, constants: Mapping[str, Any], binary: bytes) -> Compiled:
    import triton

    tool = Path(triton.__file__).parent / "backends/nvidia/bin/cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(binary)
        file.flush()
        command = [str(tool), "--dump-resource-usage", file.name]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    registers, stack, shared = (int(found.group(1)) for found in map(_figure(told), ("REG", "STACK", "SHARED")))
    values = ", ".join(f"{key}={int(value)}" for key, value in constants.items())
    return Compiled(f"{name}({values})", registers, stack, shared)


def _figure(told: str) -> Any:
    def find(name: str) -> re.Match[str]:
        found = re.search(rf"\b{name}:(\d+)", told)
        assert found is not None, told
        return found

    return find


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.device_kernels", description=__doc__)
    parser.add_argument("--architecture", type=int, default=90, help="compute capability without its point")
    given = parser.parse_args(arguments)
    for index, table in (("*i32", "*fp32"), ("*i64", "*bf16")):
        for found in compile_all(given.architecture, index=index, table=table):
            print(  # noqa: T201
                f"sm_{given.architecture} {index[1:]} {table[1:]}  {found.registers:>3} registers "
                f"{found.stack:>4} B stack {found.shared:>6} B shared  {found.name}"
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
