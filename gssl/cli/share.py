"""``gssl export-run`` and ``gssl import-run``: a finished run as one file, and back."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.parser import add_json

_EXPORT = (
    "gssl export-run runs/GRACE-Cora-1a2b3c4d grace.tar.gz     everything in the folder, with checksums",
    "gssl export-run runs/GRACE-Cora-1a2b3c4d grace.zip",
)
_IMPORT = (
    "gssl import-run grace.tar.gz                       into the folder of runs; its rows join the results store",
    "gssl import-run grace.zip --out runs/from-berlin   into this folder",
)


def export(args: Namespace) -> Answer:
    """Write the file."""
    from gssl.results.archive import export_run

    data = export_run(args.run_dir, args.file)
    return Answer(data, [f"{data['files']} files of {data['run']}, {data['bytes']} bytes, are in {data['file']}"])


def take(args: Namespace) -> Answer:
    """Unpack the file, and add the rows that the store lacks."""
    from gssl.results.archive import import_run
    from gssl.results.filed_rows import filed_rows
    from gssl.results.places import runs_root, store_url
    from gssl.results.store import Store, check_store

    url = store_url(args.db)
    check_store(url)
    folder, new = import_run(args.file, runs_root(), args.out)
    rows, added = filed_rows(folder, folder.resolve()), 0
    with Store(url) as store:
        for row in rows:
            stored = store.find(row.key)
            if stored is None or stored.status != "done":
                store.record(row)
                added += 1
    data = {"run_dir": str(folder.resolve()), "new": new, "seeds": len(rows), "added": added}
    shown = {
        "folder": str(folder.resolve()) + ("" if new else " (was there already)"),
        "seeds": str(len(rows)),
        "rows added": str(added) + ("" if added == len(rows) else ", the store had the others"),
    }
    return Answer(data, [Table("", ("", ""), list(shown.items()))])


def _export_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run_dir", metavar="RUN_DIR", type=Path, help="folder of a finished run")
    parser.add_argument("file", metavar="FILE", type=Path, help="to write, .tar.gz or .zip; must not be there")
    add_json(parser)


def _import_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="as `gssl export-run` wrote it")
    add("--out", metavar="DIR", type=Path, help="folder of the run (default: its name in $GSSL_RUNS or ./runs)")
    add("--db", metavar="URL", help="results store (default: $GSSL_DB or results.db beside the runs)")
    add_json(parser)


EXPORT = Command("export-run", "write a finished run into one file to share it", _EXPORT, _export_arguments, export)
IMPORT = Command(
    "import-run", "unpack a run that somebody shared, and store its rows", _IMPORT, _import_arguments, take
)
