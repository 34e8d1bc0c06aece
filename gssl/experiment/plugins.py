"""Parts of a run that do not ship with the project."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import suppress

from gssl.common.errors import InputError
from gssl.common.options import texts_in
from gssl.common.resolve import import_paths, load
from gssl.config.record import RunConfig
from gssl.registry import ENCODERS, METHODS, PROBES, SAMPLERS, SETTINGS, TASKS
from gssl.results.environment import source_digest

# Packages whose versions stand in the environment.
_VERSIONED = ("gssl", "torch", "torch_geometric")


def plugin_digests(config: RunConfig) -> dict[str, str]:
    """Digest of the source file of each component that does not ship with the project, by import path."""
    parts: list[object] = [
        METHODS.get(config.method.name),
        ENCODERS.get(config.encoder.name),
        SAMPLERS.get(config.sampler.name),
        PROBES.get(config.probe.name),
        TASKS.get(config.task.name),
        SETTINGS.get(config.setting.name),
        *_named_in_options(config.method.options),
    ]
    digests = {}
    for part in parts:
        module = inspect.getmodule(part)
        file = getattr(module, "__file__", None)  # a notebook has none
        if module is None or file is None or module.__name__.partition(".")[0] in _VERSIONED:
            continue
        digests[f"{module.__name__}:{getattr(part, '__qualname__', part)}"] = source_digest(file)
    return digests


def _named_in_options(options: object) -> Iterator[object]:
    """Objectives and augmenters of the user's own that a method takes by their import paths."""
    for text in texts_in(options):
        for path in import_paths(text):
            with suppress(InputError):  # a text that only looks like a path
                yield load(path, "part")
