"""What each process of ``test_torchrun.py`` does: one command line after the other, and a line of JSON about each.

Started as ``python lines.py LINES OUT`` with the variables of a launcher. Each command line has its port, words for all
processes, more for some of them, and perhaps variables.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from gssl.cli.main import main


def carried_out(line: dict[str, Any], rank: str) -> dict[str, Any]:
    os.environ["MASTER_PORT"] = str(line["port"])
    own = line.get("variables", {}).get(rank, {})
    former = {name: os.environ.get(name) for name in own}
    os.environ |= own
    began = time.monotonic()
    kept = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        try:
            code: Any = main([*line["words"], *line.get("more", {}).get(rank, [])])
        except SystemExit as end:
            code = end.code
        except Exception as error:  # what Python itself would show with a traceback
            code = f"{type(error).__name__}: {error}"
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)
        for name, value in former.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        texts = [file.seek(0) or file.read().decode() for file in (out, err)]
    return {"code": code, "out": texts[0], "err": texts[1], "seconds": time.monotonic() - began}


if __name__ == "__main__":
    sys.path.insert(0, str(Path.cwd()))
    mine = os.environ["RANK"]
    told = json.loads(Path(sys.argv[1]).read_text())
    with Path(sys.argv[2], f"{mine}.jsonl").open("w") as left:
        for line in told:
            left.write(json.dumps(carried_out(line, mine)) + "\n")
            left.flush()
