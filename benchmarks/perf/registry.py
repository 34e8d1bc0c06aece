"""The benchmarks of ``gssl perf``; nothing is imported until one is run."""

from typing import TYPE_CHECKING

from gssl.common.resolve import Resolver

if TYPE_CHECKING:
    from collections.abc import Callable

    from gssl.benchmarks.perf.result import PerfResult, PerfTable

# Each is a function of keyword-only options (sizes, repeats, threads) with defaults that give the published figure.
BENCHMARKS: "Resolver[Callable[..., PerfResult | PerfTable]]" = Resolver(
    "benchmark",
    {
        "spmm": "gssl.benchmarks.perf.spmm:run",
        "infonce": "gssl.benchmarks.perf.infonce:run",
        "grace-step": "gssl.benchmarks.perf.grace_step:run",
        "neighbor": "gssl.benchmarks.perf.neighbor:run",
        "mvs": "gssl.benchmarks.perf.mvs:run",
        "memory": "gssl.benchmarks.perf.memory:run",
        "prefetch": "gssl.benchmarks.perf.prefetch:run",
        "torchrun": "gssl.benchmarks.perf.torchrun:run",
        "methods": "gssl.benchmarks.perf.methods:run",
        "inference": "gssl.benchmarks.perf.inference:run",
        "beyond-memory": "gssl.benchmarks.perf.beyond_memory:run",
    },
    group="gssl.benchmarks",
)
