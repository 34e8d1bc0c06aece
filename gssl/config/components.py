"""The classes behind the names of a configuration, checked for what they are."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from torch import nn

from gssl.common.errors import InputError
from gssl.common.options import options_of, validate
from gssl.common.resolve import Resolver
from gssl.config.refusals import wrong_level
from gssl.evaluate.base import Judge, Probe
from gssl.method import Method
from gssl.models.adapter import adapt
from gssl.models.encoder import Encoder
from gssl.registry import ENCODERS, METHODS, PROBES, SAMPLERS
from gssl.samplers.base import Sampler

# The runner gives these to a sampler; they are not options of ``sampler.NAME``.
SAMPLER_RESERVED = ("batch_size", "items", "seed", "num_layers")


def method_class(name: str) -> type[Method]:
    """The method called ``name`` (or at an import path).

    Raises:
        InputError: no such method, or the object is not a method.
    """
    return cast("type[Method]", _subclass(METHODS.get(name), Method, name, "method"))


def encoder_factory(name: str) -> Callable[..., Encoder]:
    """What builds the encoder called ``name``: an encoder class, or any PyG module behind the adapter.

    It takes the feature dimension first and its options by keyword.

    Raises:
        InputError: no such encoder, or the object is neither.
    """
    found: Any = ENCODERS.get(name)
    if isinstance(found, type) and issubclass(found, nn.Module) and not issubclass(found, Encoder):
        return adapt(found)
    return cast("Callable[..., Encoder]", _subclass(found, Encoder, name, "encoder"))


def probe_class(name: str) -> type[Judge]:
    """The probe called ``name``; raises InputError as :func:`method_class` does."""
    return cast("type[Judge]", _subclass(PROBES.get(name), Judge, name, "probe"))


def probe_from(name: str, options: Mapping[str, object]) -> Judge:
    """The probe called ``name`` with checked options.

    Raises:
        InputError: there is no such probe or option, a value is out of range, or a required option is missing.
    """
    found = PROBES.get(name)
    what = f"probe {PROBES.canonical(name)}"
    if not (inspect.isclass(found) and issubclass(found, Judge)) or inspect.isabstract(found):
        raise InputError(
            f"{name!r} is no probe: it must be a subclass of gssl.evaluate.base:Probe with all its methods"
        )
    missing = [option.name for option in options_of(found).values() if option.required and option.name not in options]
    if missing:
        raise InputError(f"{what} needs the option {missing[0]!r}: give it with --set probe.{missing[0]}=VALUE")
    return found(**validate(found, options, what=what))


def sampler_factory(name: str) -> Callable[..., Sampler]:
    """What builds the sampler called ``name``: a class, or the maker of a pair ``SELECTION+PROPAGATION``.

    Raises:
        InputError: no such sampler, or the object is not one.
    """
    found: Any = SAMPLERS.get(name)
    if isinstance(found, type) or not callable(found):
        found = _subclass(found, Sampler, name, "sampler")
    return cast("Callable[..., Sampler]", found)


def item_probe(name: str, options: Mapping[str, object]) -> Probe:
    """As :func:`probe_from`, for a probe of labelled items.

    Raises:
        InputError: it judges something else.
    """
    found = probe_from(name, options)
    if isinstance(found, Probe):
        return found
    raise InputError(f"probe {name} judges {' and '.join(found.tasks())} tasks, not labelled items; use --probe LBFGS")


def check_task(name: str, task: str) -> None:
    """Whether a probe judges a task.

    Raises:
        InputError: it does not; the message names those that do.
    """
    if task in probe_class(name).tasks():
        return
    raise InputError(
        f"probe {name} judges {' and '.join(probe_class(name).tasks())} tasks, but the task is {task}; probes that "
        f"fit: {', '.join(probes_of(task))}"
    )


def probes_of(task: str) -> list[str]:
    """Names of the registered probes that judge a task."""
    return [name for name in PROBES.names() if task in probe_class(name).tasks()]


def check_level(kind: str, name: str, levels: Sequence[str], level: str, family: Resolver[Any]) -> None:
    """Whether a method or probe works on items of this level.

    Raises:
        InputError: it does not; the message names those that do.
    """
    if level not in levels:
        raise wrong_level(kind, name, levels, level, _fitting(level, family))


def takes_types(name: str) -> bool:
    """Whether a method trains encoders that read types of nodes and their relations."""
    try:
        method = method_class(name)
    except InputError:  # a plug-in that cannot be imported takes nothing
        return False
    return method.needs_types or method.takes_types


def _fitting(level: str, family: Resolver[Any]) -> list[str]:
    names = []
    for name in family.names():
        try:
            if level in family.get(name).levels:
                names.append(name)
        except InputError:  # a plug-in that cannot be imported fits nothing
            continue
    return names


def _subclass(found: Any, base: type[Any], name: str, kind: str) -> Any:
    if isinstance(found, type) and issubclass(found, base):
        return found
    raise InputError(f"{name} is not a {kind}: it must be a subclass of {base.__module__}.{base.__name__}")
