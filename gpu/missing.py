"""Which wheels of the pack this Python lacks, a path a line; with ``--strict`` what is still missing is an error.

It runs before anything of the pack is installed, so it needs nothing but the standard library and pip.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from pip._vendor.packaging.version import Version


def lacking(oldest: dict[str, str]) -> list[str]:
    """Distributions that are absent, or older than they may be."""
    found = []
    for name, least in oldest.items():
        try:
            there = version(name)
        except PackageNotFoundError:
            found.append(name)
            continue
        if least and Version(there) < Version(least):
            found.append(name)
    return found


def main() -> int:
    """Print paths, or what is missing."""
    here = Path(sys.argv[1])
    pack = json.loads((here / "pack.json").read_text(encoding="utf-8"))
    missing = lacking(pack["oldest"])
    if "--strict" not in sys.argv:
        missing += lacking(dict.fromkeys(pack["beneath"], ""))
        for group in pack["together"]:
            missing += [name for name in group if name not in missing and set(group) & set(missing)]
        sys.stdout.writelines(f"{here / 'wheels' / pack['wheels'][n]}\n" for n in missing if n in pack["wheels"])
        return 0
    if missing:
        sys.stderr.write(
            f"error: {', '.join(missing)}: neither here nor in the pack, which was made for Python {pack['python']}; "
            "make one that has everything: make gpu-pack GPU_COMPLETE=1\n"
        )
    return 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
