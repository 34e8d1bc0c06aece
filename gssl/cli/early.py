"""Errors that names and the index of shipped parts show, told before anything heavy is imported."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from typing import Any

from gssl.cards import index
from gssl.common.errors import InputError, unknown
from gssl.common.resolve import Resolver
from gssl.config.layer import Layer, from_assignments
from gssl.config.refusals import unknown_key, wrong_level
from gssl.datasets.catalog import DatasetSpec, find_spec
from gssl.registry import ENCODERS, METHODS, PROBES, SAMPLERS, SETTINGS, TASKS

_NAMED: dict[str, Resolver[Any]] = {
    "sampler": SAMPLERS,
    "encoder": ENCODERS,
    "probe": PROBES,
    "task": TASKS,
    "setting": SETTINGS,
}


def refuse_early(args: Namespace) -> None:
    """Refuse what is certain to be refused later: a wrong name, level or option.

    Nothing is said of parts of the user's own, of data of their own, and of what a file of settings decides; the
    configuration is checked as a whole later in any case.

    Args:
        args: of a command that takes a method and a dataset.

    Raises:
        InputError: as :func:`gssl.config.resolve.resolve` would.
    """
    name = METHODS.canonical(args.method)
    line = from_assignments(args.set)
    for kind, family in _NAMED.items():
        given = getattr(args, kind, None)
        if isinstance(given, str):
            family.canonical(given)
    method, spec = index.stored("method", name), _spec(args.dataset)
    if method is None or spec is None:
        return
    if spec.level not in method["levels"] and (fitting := _fitting(spec.level)) is not None:
        raise wrong_level("method", name, method["levels"], spec.level, fitting)
    _refuse_options(args, line, method, spec)


def _refuse_options(args: Namespace, line: Layer, method: dict[str, Any], spec: DatasetSpec) -> None:
    own, training = _names(method["options"]), index.training_options()
    wrong = [bare for key in line.section("method").options if (bare := key.partition(".")[0]) not in own]
    if training is None:
        return
    if not wrong:
        train = _names(training["train"])
        for key in line.section("train").options:
            if key.partition(".")[0] not in train:
                raise unknown("option of train", key, train)
        return
    named = {
        "encoder": getattr(args, "encoder", None) or method["default_encoder"],
        "probe": getattr(args, "probe", None) or spec.probe,
        "task": getattr(args, "task", None) or spec.level,
        "setting": getattr(args, "setting", None) or ("supervised" if method["needs_labels"] else "frozen"),
    }
    parts = {kind: index.stored(kind, _NAMED[kind].canonical(name)) for kind, name in named.items()}
    known: dict[str, list[str]] = {"train": _names(training["train"])}
    for kind, part in parts.items():
        if part is None:  # of the user's own: its options are known once it is imported
            return
        known[kind] = _names(part["options"])
    raise unknown_key(f"method {method['name']}", wrong[0], own, known)


def _names(options: Iterable[dict[str, Any]]) -> list[str]:
    return [option["name"] for option in options]


def _fitting(level: str) -> list[str] | None:
    """Methods for a level; None where not all are known."""
    found = {name: index.stored("method", name) for name in METHODS.names()}
    if any(part is None for part in found.values()):
        return None
    return [name for name, part in found.items() if part is not None and level in part["levels"]]


def _spec(data: str) -> DatasetSpec | None:
    try:
        return find_spec(data)
    except InputError:
        return None
