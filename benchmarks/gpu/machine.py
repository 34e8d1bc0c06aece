"""Where the check ran."""

from __future__ import annotations

import torch

from gssl.benchmarks.perf.machine import describe
from gssl.results.environment import installed


def environment(device: str) -> dict[str, object]:
    """Versions, commit, processor and memory of the machine, and what the device is."""
    found = {**describe(torch.get_num_threads()), "triton": installed(("triton",)).get("triton")}
    if device != "cuda":
        return found
    card = torch.cuda.get_device_properties(0)
    return {
        **found,
        "device": card.name,
        "capability": f"{card.major}.{card.minor}",
        "device_memory_gib": round(card.total_memory / 2**30, 1),
        "cuda": torch.version.cuda,
    }
