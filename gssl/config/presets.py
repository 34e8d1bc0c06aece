"""Published hyperparameters per dataset: one YAML file beside each method, read without importing the method."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from gssl.common import yaml_io
from gssl.common.errors import InputError, unknown
from gssl.config.layer import Layer, from_mapping
from gssl.registry import METHODS

DEFAULT = "default"
NONE = "none"

Named = tuple[str | None, str | None]
"""A name that is asked for, if one is, and the usual one."""


def presets_of(method: str) -> dict[str, Layer]:
    """The presets of a method, by name; a method without a file has none.

    The file is ``presets/<method in lower case>.yaml`` in the folder of the method's module, so that an installed
    plug-in can bring its own.

    Args:
        method: registered name or import path.

    Raises:
        InputError: no such method, or the file is not as it should be.
    """
    file = preset_file(method)
    if file is None:
        return {}
    presets = {}
    for name, data in yaml_io.read(file).items():
        if not isinstance(data, dict):
            raise InputError(f"{file}: preset {name!r} must be a mapping with sections such as method and train")
        presets[name] = from_mapping(data, f"preset {name!r} of {method}")
    return presets


def choose(
    method: str, dataset: str, wanted: str | None, *, purposes: Sequence[str] = (), level: str | None = None
) -> tuple[str, Layer] | None:
    """The preset that applies, with its name.

    Args:
        method: registered name or import path.
        dataset: name of the dataset; its own preset comes before the one called ``default``.
        wanted: name of a preset, ``none`` for no preset, or None for the automatic choice.
        purposes: a setting, a task or a probe other than the usual ones: a preset ``<dataset>-<purpose>`` comes first.
        level: of the dataset, if it is known: ``default-<level>`` comes before ``default``.

    Raises:
        InputError: the wanted preset does not exist.
    """
    if wanted is not None and wanted.lower() == NONE:
        return None
    presets = presets_of(method)
    by_lower = {name.lower(): name for name in presets}
    special = [f"{name}-{purpose}" for name in (dataset, DEFAULT) for purpose in purposes]
    of_level = [] if level is None else [f"{DEFAULT}-{level}"]
    candidates = [*special, dataset, *of_level, DEFAULT] if wanted is None else [wanted]
    for candidate in candidates:
        if candidate.lower() in by_lower:
            name = by_lower[candidate.lower()]
            return name, presets[name]
    if wanted is not None:
        raise unknown(f"preset of {method}", wanted, [*presets, NONE])
    return None


def purposes(*, probe: Named, setting: Named, task: Named) -> tuple[str, ...]:
    """What a preset may be for beside its dataset: a probe, a setting or a task other than the usual one.

    Args:
        probe: name of that which is asked for, None for the usual one, and name of the usual one.
        setting: the same.
        task: the same.

    Returns:
        As :func:`choose` takes them, a probe first: it belongs to a task.
    """
    named = [(name.lower(), (usual or "").lower()) for name, usual in (probe, setting, task) if name is not None]
    return tuple(name for name, usual in named if name != usual)


def is_default(preset: str) -> bool:
    """Whether a preset is for all data of some level: ``default``, ``default-node`` or ``default-graph``."""
    return preset.lower() in (DEFAULT, f"{DEFAULT}-node", f"{DEFAULT}-graph")


def preset_file(method: str) -> Path | None:
    """Where the presets of a method are kept; None if it has none."""
    canonical = METHODS.canonical(method)
    module, _, attribute = METHODS.paths.get(canonical, canonical).partition(":")
    try:
        spec = importlib.util.find_spec(module)
    except (ModuleNotFoundError, ValueError):  # the resolver says what is wrong with the path
        return None
    if spec is None or spec.origin is None:
        return None
    short = attribute if ":" in canonical else canonical
    file = Path(spec.origin).parent / "presets" / f"{short.lower()}.yaml"
    return file if file.is_file() else None
