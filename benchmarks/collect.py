"""Runs a list of ``gssl run`` commands and keeps their JSON results as lines of one file.

A list ``NAME.txt`` holds one command a line (``gssl run GRACE Cora --seeds 5``; ``#`` starts a comment). Its
results stand beside it in ``NAME.jsonl``, each with its command, and a second call runs only what is missing::

    python -m gssl.benchmarks.collect benchmarks/results/planetoid.txt
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from rich.console import Console

from gssl.benchmarks.rows import ResultRow, format_score, parse_row, read_rows
from gssl.common import yaml_io
from gssl.common.errors import InputError, TrainingError


def read_commands(path: Path) -> list[str]:
    """The commands of a list file.

    Raises:
        InputError: a line is not a ``gssl run`` command.
    """
    lines = [line.split("#", 1)[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    for number, line in enumerate(lines, 1):
        if line and shlex.split(line)[:2] != ["gssl", "run"]:
            raise InputError(f"{path.name}:{number}: expected a line like 'gssl run METHOD DATASET', got {line!r}")
    return [line for line in lines if line]


def run_command(command: str, *, folder: Path, threads: int | None = None) -> ResultRow:
    """Run one ``gssl run`` command with ``--json`` in a process of its own.

    Args:
        command: as it is typed, without ``--json``.
        folder: where its run folder goes.
        threads: threads that the process may use; None leaves the default.

    Returns:
        The result with its command, full configuration and environment; of the run folder only the name is kept, so
        that rows can be published.

    Raises:
        TrainingError: the command failed; the message carries the last line of its standard error.
    """
    environment = {**os.environ, "GSSL_RUNS": str(folder)}
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    done = subprocess.run(
        [sys.executable, "-m", *shlex.split(command), "--json"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise TrainingError(f"{command} ended with exit code {done.returncode}: {reason}")
    last = (done.stdout.strip().splitlines() or [""])[-1]
    row = parse_row(last, where=command)
    kept = {"command": command, "run_dir": Path(row.run_dir).name, **_provenance(Path(row.run_dir))}
    return row.model_copy(update=kept)


def _provenance(run: Path) -> dict[str, object]:
    """The full configuration and the environment of a run, for readers who do not have its folder."""
    found: dict[str, object] = {}
    if (run / "config.yaml").exists():
        config = yaml_io.read(run / "config.yaml")
        if Path(str(config.get("dataset", ""))).is_absolute():  # a file of one's own, of which the name is kept, too
            config["dataset"] = Path(config["dataset"]).name
        found["config"] = config
    if (run / "environment.json").exists():
        found["environment"] = json.loads((run / "environment.json").read_text(encoding="utf-8"))
    return found


def collect(
    commands: Sequence[str],
    results: Path,
    *,
    folder: Path,
    workers: int = 1,
    threads: int | None = None,
    report: Callable[[ResultRow], None] = lambda row: None,
) -> list[ResultRow]:
    """Run the commands that ``results`` does not hold yet; each row is appended as soon as it is there.

    Args:
        commands: ``gssl run`` commands.
        results: ``.jsonl`` file that is read, and appended to.
        folder: run directories are made below it.
        workers: commands that run at the same time.
        threads: threads of each command.
        report: told of every new row.

    Returns:
        One row a command, in order.

    Raises:
        TrainingError: a command failed; the rows of the others are kept.
    """
    rows = {row.command: row for row in read_rows(results)} if results.exists() else {}
    results.parent.mkdir(parents=True, exist_ok=True)
    missing = [command for command in commands if command not in rows]
    failures: list[str] = []
    with ThreadPoolExecutor(workers) as pool:
        futures = [pool.submit(run_command, command, folder=folder, threads=threads) for command in missing]
        for future in as_completed(futures):
            try:
                row = future.result()
            except (InputError, TrainingError) as failure:
                failures.append(str(failure))
                continue
            rows[row.command] = row
            with results.open("a", encoding="utf-8") as stream:
                stream.write(row.model_dump_json() + "\n")
            report(row)
    if failures:
        raise TrainingError("\n".join(failures))
    return [rows[command] for command in commands]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one list file."""
    parser = argparse.ArgumentParser(prog="python -m gssl.benchmarks.collect", description=__doc__.partition("\n")[0])
    parser.add_argument("list", type=Path, help="file with one gssl run command a line")
    parser.add_argument("--workers", type=int, default=1, help="commands at the same time")
    parser.add_argument("--threads", type=int, default=None, help="threads of each command")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="folder for run directories")
    options = parser.parse_args(arguments)
    console = Console()
    try:
        collect(
            read_commands(options.list),
            options.list.with_suffix(".jsonl"),
            folder=options.runs,
            workers=options.workers,
            threads=options.threads,
            report=lambda row: console.print(f"{row.command}: {format_score(row.test_mean, row.test_std, row.metric)}"),
        )
    except (InputError, TrainingError) as error:
        Console(stderr=True).print(f"[red]{error}[/red]")
        return 2 if isinstance(error, InputError) else 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
