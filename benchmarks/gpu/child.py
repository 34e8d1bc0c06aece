"""One part of the check in this process: ``python -m gssl.benchmarks.gpu.child NAME SETUP LIMIT FILE``."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from gssl.benchmarks.gpu.parts import part_named
from gssl.benchmarks.gpu.report import Report
from gssl.benchmarks.gpu.setup import Setup


def main(arguments: Sequence[str] | None = None) -> int:
    """Carry out a part; what it finds, an error too, stands in the file."""
    name, text, limit, file = sys.argv[1:] if arguments is None else arguments
    setup = Setup(**json.loads(text))
    carry_out(name, setup, float(limit), Path(file))
    return 0


def carry_out(name: str, setup: Setup, limit: float, file: Path) -> None:
    """The same in the process that calls."""
    from gssl.benchmarks.gpu.machine import environment

    part = part_named(name)
    config = {"device": setup.device, "every": setup.every, **setup.sizes.mapping()}
    report = Report(file, part.name, part.kind, limit, config, environment(setup.device))
    try:
        part.run(setup, report)
    except Exception as error:
        traceback.print_exc()
        report.write("error", f"{type(error).__name__}: {error}"[:1000])
    else:
        report.end()


if __name__ == "__main__":
    sys.exit(main())
