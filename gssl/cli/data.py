"""``gssl data``: graphs that are larger than the memory are imported once, listed, and checked."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gssl.cards.answer import Answer, Table
from gssl.cli.command import Command
from gssl.cli.output import say
from gssl.cli.parser import add_json, choice, integer
from gssl.common.errors import InputError, unknown

if TYPE_CHECKING:
    from gssl.datasets.imported.manifest import Manifest

_EXAMPLES = (
    "gssl data import papers100M-bin                       OGB's download, unpacked: ogbn-papers100M",
    "gssl data import my_arrays --data undirected=true     a folder with edge_index.npy and x.npy",
    "gssl data list                                        what was imported, and where it is",
    "gssl data check ogbn-papers100M                       every file against its checksum",
)

_WANTED = {"import": "FOLDER", "check": "NAME"}


def run(args: Namespace) -> Answer:
    """Import, list or check."""
    if args.action == "list":
        return _list()
    if args.source is None:
        raise InputError(
            f"say what to {args.action}: gssl data {args.action} {(args.action == 'check' and 'NAME') or 'FOLDER'}"
        )
    return _import(args) if args.action == "import" else _check(args.source)


def _import(args: Namespace) -> Answer:
    from gssl.config.layer import from_assignments
    from gssl.config.options import settled
    from gssl.datasets.declared import Declared
    from gssl.datasets.imported.write import import_folder
    from gssl.datasets.store import Store

    told = from_assignments([f"declared.{fact}" for text in args.data for fact in text.split(",")])
    facts = Declared(**settled(Declared, [told.section("declared").options], what="--data"))
    done = import_folder(
        Path(args.source).expanduser(),
        Store.locate(),
        name=args.name,
        into=args.to,
        declared=facts,
        memory_mib=args.memory,
        say=say,
    )
    card = describe(done.folder, done.manifest)
    return Answer({**card.data, "new": done.new}, card.blocks if done.new else [*card.blocks, "it was there already"])


def _list() -> Answer:
    from gssl.datasets.store import Store

    rows, data = [], list[dict[str, Any]]()
    for name, folder in Store.locate().imported_folders().items():
        from gssl.datasets.imported.manifest import read_manifest

        try:
            card: dict[str, Any] = dict(describe(folder, read_manifest(folder)).data)
        except InputError as error:
            card = {"name": name, "folder": str(folder), "problem": str(error)}
        data.append(card)
        counts = [f"{card[key]:,}" if key in card else "" for key in ("nodes", "edges", "features")]
        size = f"{card['bytes'] / 1e9:.2f}" if "bytes" in card else ""
        rows.append((name, *counts, size, str(card.get("problem", folder))))
    columns = ("name", "nodes", "edges", "features", "GB", "folder")
    return Answer({"imported": data}, [Table("imported graphs", columns, rows) if rows else "nothing was imported yet"])


def _check(source: str) -> Answer:
    from gssl.datasets.imported.manifest import check_content, read_manifest
    from gssl.datasets.imported.read import remember
    from gssl.datasets.store import Store

    store = Store.locate()
    folder = imported_folder(source)
    if folder is None:
        raise unknown("imported graph", source, store.imported_folders())
    manifest = read_manifest(folder)
    check_content(folder, manifest)
    remember(folder, manifest, store)
    card = describe(folder, manifest)
    return Answer({**card.data, "intact": True}, [*card.blocks, "every file is as it was imported"])


def imported_folder(name: str) -> Path | None:
    """The folder of an imported graph, by its name in any case or by its path; None if there is none."""
    from gssl.datasets.store import GRAPH, Store

    if (Path(name).expanduser() / GRAPH).is_file():
        return Path(name).expanduser()
    return next((f for n, f in Store.locate().imported_folders().items() if n.lower() == name.lower()), None)


def imported_cards(name: str) -> list[Answer]:
    """The card of an imported graph of that name, if there is one."""
    folder = imported_folder(name)
    if folder is None:
        return []
    from gssl.datasets.imported.manifest import read_manifest

    return [describe(folder, read_manifest(folder))]


def describe(folder: Path, manifest: Manifest) -> Answer:
    """What is in an imported graph, and what it takes."""
    data: dict[str, Any] = {
        "name": manifest.name,
        "kind": "imported graph",
        "folder": str(folder.absolute()),
        "nodes": manifest.num_nodes,
        "edges": manifest.num_edges,
        "features": manifest.in_dim,
        "labels": manifest.kind,
        "classes": manifest.num_classes,
        "metric": manifest.metric,
        "probe": manifest.probe,
        "splits": list(manifest.splits),
        "bytes": sum(int(file["bytes"]) for file in manifest.files.values()),
        "checksum": manifest.checksum,
        "notes": list(manifest.notes),
    }
    rows = [(key, _text(value)) for key, value in data.items() if key not in ("name", "kind")]
    return Answer(data, [Table(f"imported graph {manifest.name}", ("", ""), rows)])


def _text(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return "; ".join(map(str, value)) if isinstance(value, list) else "none" if value is None else str(value)


def _arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("action", metavar="import|list|check", type=choice("import", "list", "check"))
    add("source", metavar="FOLDER|NAME", nargs="?", help="what to import, or the imported graph to check")
    add("--name", metavar="NAME", help="of the dataset (default: that of the download or the folder)")
    add("--to", metavar="DIR", type=Path, help="folder of the graph (default: imported/NAME in the data root)")
    add(
        "--data",
        metavar="FACT=VALUE,...",
        action="append",
        default=[],
        help="undirected=true|false of any graph; task and metric of your own data",
    )
    add("--memory", metavar="MIB", type=integer(8), default=1024, help="that sorting may take (default: 1024)")
    add_json(parser)


COMMAND = Command(
    "data", "import graphs that are larger than the memory; list and check them", _EXAMPLES, _arguments, run
)
