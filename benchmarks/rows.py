"""Result rows as ``gssl run --json`` prints them, kept as JSON lines, and the tables made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from gssl.common.errors import InputError

REFERENCE_METHODS = ("raw", "untrained", "supervised")
ERROR_METRICS = ("mae", "rmse")


class ResultRow(BaseModel):
    """The part of a result that tables show; everything else in the line is kept as it is.

    Attributes:
        metric: what the scores are, on which choices are made.
        val_mean, val_std: None where the protocol has no validation data.
        test_mean, test_std: fractions, not percent, except for errors (``mae``, ``rmse``).
        pretrain_cpu_seconds, load: None in rows from before they were measured.
        run_dir: folder of the run.
        command: the command that gave this row, as it is typed.
        task, setting: what was judged, and how; rows from before there was a choice are of labels and frozen.
        metrics: the same four numbers of every metric; empty in rows from before there were several.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    method: str
    dataset: str
    probe: str
    metric: str
    val_mean: float | None
    val_std: float | None
    test_mean: float
    test_std: float
    seeds: int
    epochs: int
    pretrain_seconds: float
    pretrain_cpu_seconds: float | None = None
    load: float | None = None
    peak_memory_mb: float
    run_dir: str = ""
    command: str = ""
    task: str = ""
    setting: str = "frozen"
    metrics: Mapping[str, Mapping[str, float | None]] = {}


def parse_row(line: str, *, where: str) -> ResultRow:
    """One JSON object.

    Raises:
        InputError: not JSON, or a key is missing or has the wrong type; ``where`` leads the message.
    """
    try:
        return ResultRow.model_validate_json(line)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{where}: {key + ': ' if key else ''}{first['msg']}") from None


def read_rows(path: Path) -> list[ResultRow]:
    """Every row of a ``.jsonl`` file, blank lines left out."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [parse_row(line, where=f"{path.name}:{n}") for n, line in enumerate(lines, 1) if line.strip()]


def amount(labels: object) -> str:
    """The labels that a method was given, in words: a share (real) or a number for each class (integer).

    Example:
        >>> amount(0.1), amount(5), amount(None)
        ('10 % of the labels', '5 labels per class', '')
    """
    if labels is None or isinstance(labels, bool) or not isinstance(labels, int | float):
        return ""
    return f"{100 * labels:g} % of the labels" if isinstance(labels, float) else f"{labels} labels per class"


def compared_setting(setting: str, labels: str = "") -> str:
    """The setting among whose results one stands.

    The supervised row is the reference of frozen embeddings, and of fine-tuning if it was given as few labels.

    Example:
        >>> compared_setting("supervised"), compared_setting("supervised", "10 % of the labels")
        ('frozen', 'finetune')
    """
    if setting == "supervised":
        return "finetune" if labels else "frozen"
    return setting or "frozen"


def circumstances(task: str, setting: str, labels: str = "") -> list[str]:
    """What a title says of task and setting; nothing of labelled items that are judged by frozen embeddings.

    Example:
        >>> circumstances("node", "frozen"), circumstances("graph", "finetune", "10 % of the labels")
        ([], ['finetune', '10 % of the labels'])
    """
    return [
        *([task] if task not in ("", "node", "graph") else []),
        *([setting] if setting not in ("", "frozen") else []),
        *([labels] if labels else []),
    ]


def format_score(mean: float | None, std: float | None, metric: str) -> str:
    """Percent with one decimal, or the plain value for error metrics.

    Example:
        >>> format_score(0.8234, 0.0051, "accuracy")
        '82.3 ± 0.5'
        >>> format_score(None, None, "accuracy")
        'none'
    """
    if mean is None:
        return "none"
    if metric in ERROR_METRICS:
        return f"{mean:.3f} ± {std or 0.0:.3f}"
    return f"{100 * mean:.1f} ± {100 * (std or 0.0):.1f}"


HEADER = (
    "dataset",
    "method",
    "metric",
    "test",
    "validation",
    "probe",
    "seeds",
    "epochs",
    "pretraining (s)",
    "of CPU (s)",
    "load",
    "peak (MB)",
)


def table_cells(rows: Iterable[ResultRow]) -> list[tuple[str, ...]]:
    """Cells below ``HEADER``: datasets in order of appearance, the best test score first, reference rows in italics."""
    rows = list(rows)
    order = {name: rank for rank, name in enumerate(dict.fromkeys(row.dataset for row in rows))}
    ranked = sorted(rows, key=lambda row: (order[row.dataset], _badness(row)))
    return [
        (
            row.dataset,
            f"*{row.method}*" if row.method in REFERENCE_METHODS else row.method,
            row.metric,
            format_score(row.test_mean, row.test_std, row.metric),
            format_score(row.val_mean, row.val_std, row.metric),
            ", ".join([row.probe, *_circumstances(row)]),
            str(row.seeds),
            str(row.epochs),
            f"{row.pretrain_seconds:.1f}",
            _known(row.pretrain_cpu_seconds),
            _known(row.load),
            f"{row.peak_memory_mb:.0f}",
        )
        for row in ranked
    ]


def _known(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _circumstances(row: ResultRow) -> list[str]:
    setting = "frozen" if row.setting == "supervised" else row.setting  # the method is called so, too
    config = (row.model_extra or {}).get("config", {})
    return circumstances(row.task, setting, amount(config.get("setting", {}).get("labels")))


def _badness(row: ResultRow) -> float:
    return row.test_mean if row.metric in ERROR_METRICS else -row.test_mean


def markdown_table(header: Sequence[str], cells: Iterable[Sequence[str]]) -> str:
    r"""A pipe table.

    Example:
        >>> print(markdown_table(["a", "b"], [["1", "x|y"]]))
        | a | b |
        | --- | --- |
        | 1 | x\|y |
    """
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
