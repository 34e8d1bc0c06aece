"""A hint to the processor that an element of an array will be needed soon."""

from __future__ import annotations

from typing import Any

from numba import types
from numba.core.cgutils import ir  # type: ignore[attr-defined]  # of llvmlite, which numba brings
from numba.extending import intrinsic

_READ, _KEEP, _DATA = 0, 3, 1  # what for, how close to keep it, which cache


def _prefetch(context: Any, array: Any, index: Any) -> Any:
    """Ask for ``array[index]`` of a one-dimensional array without waiting for it; nothing is read or checked."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        data = context.make_array(array)(context, builder, arguments[0]).data
        address = builder.gep(data, [arguments[1]])
        kind = ir.IntType(32)
        hint = builder.module.declare_intrinsic(
            "llvm.prefetch", [address.type], ir.FunctionType(ir.VoidType(), [address.type, kind, kind, kind])
        )
        builder.call(hint, [address, kind(_READ), kind(_KEEP), kind(_DATA)])
        return context.get_dummy_value()

    return types.void(array, index), generate


prefetch: Any = intrinsic(_prefetch)
