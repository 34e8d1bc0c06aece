"""Tables of edges, and of nodes beside them: CSV and TSV files, and lists of edges as plain text."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gssl.common.errors import InputError
from gssl.datasets.array_names import NAMES
from gssl.datasets.convert import as_dataset, from_arrays
from gssl.datasets.declared import Declared
from gssl.datasets.formats.network_file import edge_list_with_attributes
from gssl.datasets.formats.text import check_text
from gssl.datasets.node_names import names_of, numbered, same_number, told_apart
from gssl.datasets.nodes_beside import nodes_beside, stem_of
from gssl.datasets.table_columns import is_number, label_of, refuse_split_columns, refuse_twice, splits_of, with_texts
from gssl.datasets.types import Dataset

_ENDS = (
    ("source", "target"),
    ("src", "dst"),
    ("src", "dest"),
    ("from", "to"),
    ("u", "v"),
    ("head", "tail"),
    ("source_id", "target_id"),
    ("from_id", "to_id"),
    ("node1", "node2"),
    ("node_1", "node_2"),
    ("id_1", "id_2"),
)
_IDS = ("id", "node", "node_id", "nodeid", "name", "index")
_COMMENTS = ("#", "%")
_TEXTS: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}
_PER_BYTE = 20
_SEARCHED = 10_000
_CELLS = re.compile(r"Expected ([0-9]+) fields in line ([0-9]+), saw ([0-9]+)")
EXPECTED = (
    "a table of edges has the columns source and target (and weight), with the nodes in a table beside it "
    "(g_nodes.csv for g.csv, nodes.csv for edges.csv: id, y and columns of features); a table of molecules has a "
    "column called smiles"
)


@dataclass(frozen=True, eq=False)
class Edges:
    """A table of edges.

    Attributes:
        ends: names of sources and targets, texts, each of shape (num_edges,).
        weight: shape (num_edges,), or None.
        others: names of columns that are not read.
        undirected: whether the table says so of all edges.
    """

    ends: Sequence[pd.Series]
    weight: np.ndarray | None
    others: tuple[str, ...]
    undirected: bool = False


def ends_of(columns: list[str]) -> tuple[str, str] | None:
    """The columns that hold the ends of edges; None if there are none.

    Example:
        >>> ends_of(["Source", "Target", "Weight"]), ends_of(["smiles", "y"])
        (('Source', 'Target'), None)
    """
    lower = {column.lower(): column for column in columns}
    return next(((lower[a], lower[b]) for a, b in _ENDS if a in lower and b in lower), None)


def header(path: Path) -> list[str]:
    """The names of a table's columns.

    Raises:
        InputError: it is empty, damaged or no regular file.
    """
    check_text(path, 1)  # a table of molecules is not read as a whole here
    return [str(column).strip() for column in _table(path, nrows=0).columns]


def is_edge_table(columns: list[str]) -> bool:
    """Whether a table has the two ends of edges, in named columns or as two or three numbers without a header."""
    return ends_of(columns) is not None or _has_no_header(columns)


def read_table(path: Path, declared: Declared) -> Dataset:
    """A dataset from a table of edges, and one of nodes if it lies beside.

    Raises:
        InputError: damaged, no ends of edges, or tables that do not fit together.
    """
    columns = header(path)
    check_text(path, _PER_BYTE)
    if not is_edge_table(columns):
        raise InputError(f"its columns are {', '.join(columns)}; {EXPECTED}")
    if not _has_no_header(columns):
        return _dataset(path, _edges(path), declared)
    found = _dataset(path, _edges(path, header=None), declared)
    return replace(found, notes=("no column has a name, so the first row is an edge, too", *found.notes))


def read_list(path: Path, declared: Declared) -> Dataset:
    """A dataset from a list of edges: two nodes in each line, and a weight where there are three columns.

    Columns are separated by white space or commas; lines that begin with ``#`` or ``%`` are comments.

    Raises:
        InputError: damaged, or no list of edges.
    """
    check_text(path, _PER_BYTE)
    first, comments = _first_line(path)
    if "{" in first:
        try:
            graph = edge_list_with_attributes(path)
        except Exception as error:  # a damaged file can fail in any way
            raise InputError(f"{path} is no list of edges ({type(error).__name__}: {error})") from None
        return as_dataset(graph, name=path.stem, declared=declared)
    columns = re.split(r"[,;\t]" if re.search(r"[,;\t]", first) else r"\s+", first.strip())
    if ends_of([column.strip() for column in columns]) is not None:
        raise InputError(f"its first line names the columns {', '.join(columns)}: call the file .csv or .tsv")
    if len(columns) not in (2, 3):
        raise InputError(
            f"its first line has {len(columns)} columns ({first.strip()[:60]!r}), but a list of edges has two nodes in "
            "each line, and perhaps a weight"
        )
    separator = next((c for c in ",;\t" if c in first), r"\s+")
    edges = _edges(path, sep=separator, header=None, skiprows=comments, skipinitialspace=True)
    found = _dataset(path, edges, declared)
    marks = " or ".join(_COMMENTS)
    note = (f"{len(comments)} lines that begin with {marks} are comments",) if comments else ()
    return replace(found, notes=(*note, *found.notes))


def _first_line(path: Path) -> tuple[str, list[int]]:
    """The first line that is no comment, and the numbers of those that are, from 0."""
    first, comments = "", []
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        for number, line in enumerate(file):
            if line.startswith(_COMMENTS):
                comments.append(number)
            elif not first and line.strip():
                first = line
            if not first and number == _SEARCHED - 1:
                break
    if not first:
        raise InputError(
            f"{path} has no edges in its first {_SEARCHED:,} lines: a list of edges has two nodes in each line"
        )
    return first, comments


def _options(path: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """How pandas reads a file."""
    separator = "\t" if ".tsv" in path.name.lower() else ","
    return {"sep": separator, "encoding": "utf-8-sig", "index_col": False, "low_memory": False, **given}


def _names(path: Path, frame: pd.DataFrame, *columns: str, **options: Any) -> list[pd.Series]:
    """The names of nodes in some columns of a table that was read as ``frame`` with these options."""
    places = [list(frame.columns).index(column) for column in columns]
    texts: pd.DataFrame = pd.read_csv(path, **_options(path, options), **_TEXTS, usecols=places)
    return [names_of(texts.iloc[:, sorted(places).index(place)]) for place in places]


def _table(path: Path, **options: Any) -> pd.DataFrame:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # rows longer than the header would lose a cell
            known = _options(path, options)
            frame: pd.DataFrame = pd.read_csv(path, **known)
            frame.columns = frame.columns.astype(str)
            if frame.isna().any(axis=None):
                texts = pd.read_csv(path, **known, **_TEXTS)
                texts.columns = frame.columns
                frame = with_texts(frame, texts)
            if "header" not in known:
                refuse_twice(pd.read_csv(path, **{**known, "header": None, "nrows": 1, "dtype": str}).iloc[0])
    except (InputError, PermissionError):
        raise
    except Exception as error:  # a damaged file can fail in any way
        reason = str(error).strip().partition("\n")[0]
        if (cells := _CELLS.search(reason)) is not None:
            expected, line, seen = cells.groups()
            raise InputError(
                f"{path} is no whole table: line {line} has {seen} cells, but those before it have {expected}"
            ) from None
        raise InputError(f"{path} is no whole table ({type(error).__name__}: {reason}): save it again") from None
    frame.columns = frame.columns.str.strip()
    return frame


def _has_no_header(columns: list[str]) -> bool:
    return len(columns) in (2, 3) and all(re.fullmatch(r"-?[0-9]+(\.[0-9]*)?", column) for column in columns)


def _edges(path: Path, **options: Any) -> Edges:
    frame = _table(path, **options)
    columns = list(frame.columns)
    source, target = ends_of(columns) or (columns[0], columns[1])
    ends = _names(path, frame, source, target, **options)
    if missing := int((ends[0].isna() | ends[1].isna()).sum()):
        raise InputError(
            f"{missing} of {len(frame)} lines lack a node in {source} or {target}: complete or remove them"
        )
    rest = [column for column in columns if column not in (source, target)]
    without_header = source == "0" and columns == [str(i) for i in range(len(columns))]
    weight = rest[0] if without_header and rest else _named(rest, ("weight", *NAMES["edge_weight"]))
    weights = None if weight is None else _numbers(frame[weight], weight)
    kind = _named(rest, ("type",))  # as Gephi writes it
    undirected = kind is not None and set(frame[kind].astype(str).str.lower()) == {"undirected"}
    read = {weight, kind if undirected else None}
    return Edges(ends, weights, tuple(column for column in rest if column not in read), undirected)


def _named(columns: list[str], names: tuple[str, ...]) -> str | None:
    """The column that has the first of these names that there is."""
    lower = {column.lower(): column for column in reversed(columns)}
    return next((lower[name] for name in names if name in lower), None)


def _numbers(column: pd.Series, name: str) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce")
    if values.isna().any():
        line = int(values.isna().to_numpy().argmax())
        what = f"column {int(name) + 1} (the weight)" if name.isdigit() else name  # of a table without a header
        if pd.isna(column.iloc[line]):
            raise InputError(f"{what} is empty in row {line + 1}: give a weight to every edge or none")
        raise InputError(f"{what} is no number in row {line + 1} ({str(column.iloc[line])[:40]!r}): correct it")
    return values.to_numpy(dtype=np.float64)


def _dataset(path: Path, edges: Edges, declared: Declared) -> Dataset:
    beside = nodes_beside(path)
    values, notes = _numbered(edges) if beside is None else _with_nodes(edges, beside)
    if edges.weight is not None:
        values["edge_weight"] = edges.weight
    if edges.undirected:
        declared = declared.over(Declared(undirected=True))
    found = from_arrays(values, name=stem_of(path), declared=declared, others=edges.others)
    return replace(found, notes=(*notes, *found.notes))


def _numbered(edges: Edges) -> tuple[dict[str, Any], tuple[str, ...]]:
    rows, names = numbered(edges.ends)
    note = f"nodes are the {len(names)} that edges name; there is no table of nodes beside"
    return {"edge_index": rows, "num_nodes": len(names)}, (note, *told_apart(names))


def _with_nodes(edges: Edges, path: Path) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays of a graph whose nodes have a table of their own, in its order."""
    check_text(path, _PER_BYTE)
    nodes = _table(path)
    key = _named(list(nodes.columns), _IDS)
    ids = pd.Index(pd.Series(np.arange(len(nodes))).astype(str) if key is None else _keys(path, nodes, key))
    rows = np.stack([ids.get_indexer(pd.Index(end)) for end in edges.ends])
    if (rows < 0).any():
        end, line = (int(i) for i in np.argwhere(rows < 0)[0])
        name = str(edges.ends[end].iloc[line])
        other = same_number(name, ids)
        instead = "" if other is None else f" (it has {other}: write the same name in both)"
        raise InputError(f"row {line + 1} of the edges names the node {name}, which {path.name} lacks{instead}")
    values, notes = _of_nodes(nodes, key)
    named = f", named by its column {key}" if key else ", numbered from 0"
    origin = f"nodes are the {len(nodes)} rows of {path.name}{named}"
    return {"edge_index": rows, "num_nodes": len(nodes), **values}, (origin, *told_apart(ids), *notes)


def _keys(path: Path, nodes: pd.DataFrame, key: str) -> pd.Series:
    """The names of nodes in their own table, each once."""
    (ids,) = _names(path, nodes, key)
    if ids.isna().any():
        raise InputError(f"{path.name} has no {key} in row {int(ids.isna().argmax()) + 1}: give every node a name")
    if ids.duplicated().any():
        raise InputError(f"{path.name} has the node {ids[ids.duplicated()].iloc[0]} twice in {key}: keep one")
    return ids


def _of_nodes(nodes: pd.DataFrame, key: str | None) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Labels, splits and features in a table of nodes, and what is to be said of its columns."""
    names = [c for c in nodes.columns if c != key and c.lower() in _IDS and nodes[c].is_unique] if key else []
    rest = [column for column in nodes.columns if column != key and column not in names]
    label, named = label_of(nodes, rest, items="nodes")
    splits = splits_of(nodes, (column for column in rest if column != label))
    values: dict[str, Any] = {}
    others = [column for column in rest if column != label and column not in splits]
    refuse_split_columns(nodes, others)
    features = [column for column in others if is_number(nodes[column])]
    if features:
        values["x"] = nodes[features].to_numpy(dtype=np.float64)
    if label is not None:
        values["y"] = _labels(nodes[label])
    values |= {column: nodes[column].to_numpy() for column in splits}
    texts = [column for column in others if column not in features]
    said = {
        "features are the columns": features,
        "columns without numbers left out:": texts,
        "further names of the nodes left out:": names,
    }
    return values, (*named, *(f"{text} {', '.join(names)}" for text, names in said.items() if names))


def _labels(column: pd.Series) -> Any:
    if is_number(column):
        return column.to_numpy()
    return [None if missing else value for value, missing in zip(column.tolist(), column.isna(), strict=True)]
