"""The search space of a study: what method and encoder declare, the epochs, what a file adds, without what is fixed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, ValidationError, model_validator

from gssl.common import yaml_io
from gssl.common.errors import InputError, unknown
from gssl.common.options import options_of
from gssl.common.space import Choice, Float, Int, Space
from gssl.config import components
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve

Value = bool | int | float | str | None
_GIVEN = ("setting.labels", "setting.pretrain_on")
_SHORTEST = 10  # the shortest training is this part of that of the preset


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class _Range(_Entry):
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        low, high = self.low, self.high  # type: ignore[attr-defined]  # both kinds of range have them
        if low >= high:
            raise ValueError(f"low ({low}) must be below high ({high})")
        if self.log and low <= 0:
            raise ValueError(f"low ({low}) must be above zero on a logarithmic scale")
        return self


class _FloatEntry(_Range):
    type: Literal["float"]
    low: FiniteFloat
    high: FiniteFloat

    def space(self) -> Space:
        return Float(self.low, self.high, self.log)


class _IntEntry(_Range):
    type: Literal["int"]
    low: int
    high: int

    def space(self) -> Space:
        return Int(self.low, self.high, self.log)


class _ChoiceEntry(_Entry):
    type: Literal["choice"]
    values: Annotated[list[bool | int | FiniteFloat | str | None], Field(min_length=1)]

    @model_validator(mode="after")
    def _different(self) -> Self:
        if len({json.dumps(value) for value in self.values}) < len(self.values):
            raise ValueError("a value is there twice")
        return self

    def space(self) -> Space:
        return Choice(tuple(self.values))


_ENTRIES: dict[str, TypeAdapter[Any]] = {
    "float": TypeAdapter(_FloatEntry),
    "int": TypeAdapter(_IntEntry),
    "choice": TypeAdapter(_ChoiceEntry),
}


def read_space(path: Path) -> dict[str, Space | None]:
    """The content of a ``--space`` file: parameter name to range, or to None for one that is not to be searched.

    ::

        temperature: {type: float, low: 0.1, high: 1.0}
        projector_dim: {type: int, low: 32, high: 512, log: true}
        train.optimizer: {type: choice, values: [adam, adamw]}
        train.weight_decay: null

    Raises:
        InputError: no such file, an unknown kind, or a range that is none.
    """
    return {key: _entry(data, f"{path}: {key}") for key, data in yaml_io.read(path).items()}


def search_space(
    request: Request, subject: Subject, file: Path | None = None, say: Callable[[str], None] = lambda _: None
) -> dict[str, Space]:
    """What a study searches.

    To what method and encoder declare come the epochs, from a tenth of those of the preset to all of them: the loss of
    a self-supervised method does not tell when its embeddings are best, and other values reach that point sooner.
    Methods that keep the weights of the best epoch anyway (those that learn from labels, or with patience) and methods
    that declare a range of their own are exempt.

    A parameter that the request gives a value for is not searched. What a method declares for an option that the
    chosen encoder lacks is left out; what the file declares must exist.

    Args:
        request: the base of every trial.
        subject: its dataset.
        file: more parameters, other ranges, or ``null`` for parameters to leave alone.
        say: told what is left out.

    Returns:
        Parameter name, as for ``--set``, to range.

    Raises:
        InputError: an unknown parameter, a range that its option refuses, or nothing to search.
    """
    base = resolve(request, subject)
    space, fixed = _declared(base, say), _fixed(request)
    for key in [key for key in space if _is_fixed(key, fixed)]:
        say(f"{key} is not searched, it was given a value")
        del space[key]
    for key, entry in (read_space(file) if file is not None else {}).items():
        _merge(space, key, entry, fixed, str(file))
    for key, entry in space.items():
        _check(request, subject, key, entry)
    if not space:
        raise InputError(
            f"there is nothing to search for {base.method.name}: it declares no search space, or every parameter was "
            "given a value; name parameters with --space FILE"
        )
    return space


def with_values(request: Request, values: Mapping[str, Value]) -> Request:
    """The request with the values of a trial."""
    return replace(request, assignments=(*request.assignments, *(f"{k}={json.dumps(v)}" for k, v in values.items())))


def value_of(config: RunConfig, key: str) -> Any:
    """The value that a parameter has in a configuration."""
    section, dot, rest = key.partition(".")
    parts: dict[str, Mapping[str, Any]] = {
        "train": vars(config.train),
        "encoder": config.encoder.options,
        "sampler": config.sampler.options,
        "setting": config.setting.options,
        "finetune": {} if config.finetune is None else vars(config.finetune),
    }
    options, name = (parts[section], rest) if dot and section in parts else (config.method.options, key)
    name, *path = name.split(".")
    value: Any = options[name]
    for step in path:
        value = value[step] if isinstance(value, Mapping) else value[int(step)]
    return value


def nearest(space: Space, value: Any) -> Value:
    """The value of the space that is nearest to ``value``.

    Raises:
        LookupError: there is none, as for a text that is no choice.

    Example:
        >>> nearest(Float(1e-6, 1e-3, log=True), 0.0), nearest(Int(2, 5), 9), nearest(Choice((64, 128)), 128)
        (1e-06, 5, 128)
    """
    if isinstance(space, Choice):
        if value not in space.values:
            raise LookupError(value)
        return space.values[space.values.index(value)]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise LookupError(value)
    return min(max(value, space.low), space.high)


def space_data(space: Mapping[str, Space]) -> dict[str, Any]:
    """The space as plain data, in the layout of a ``--space`` file."""
    return {key: {"type": type(entry).__name__.lower(), **_plain(entry)} for key, entry in space.items()}


def _plain(entry: Space) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(entry).items()}


def _entry(data: object, what: str) -> Space | None:
    if data is None:
        return None
    if not isinstance(data, dict) or "type" not in data:
        raise InputError(
            f"{what} must look like {{type: float, low: 0.1, high: 1.0}}, {{type: choice, values: [a, b]}} or null "
            f"(got {data!r})"
        )
    if not isinstance(data["type"], str) or data["type"] not in _ENTRIES:
        raise InputError(f"{what}: {unknown('type of parameter', str(data['type']), _ENTRIES)}")
    try:
        space: Space = _ENTRIES[data["type"]].validate_python(data).space()
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        message = str(first["msg"]).removeprefix("Value error, ")
        raise InputError(f"{what}{f', {where}' if where else ''}: {message[0].lower()}{message[1:]}") from None
    return space


def _declared(base: RunConfig, say: Callable[[str], None]) -> dict[str, Space]:
    method, encoder = components.method_class(base.method.name), components.encoder_factory(base.encoder.name)
    own = getattr(encoder, "search_space", {})
    found: dict[str, Space] = {**{f"encoder.{key}": entry for key, entry in own.items()}, **method.search_space}
    if found and method.trains and not method.needs_labels and base.train.patience is None:
        found = _epochs(base.train.epochs) | found
    known = options_of(encoder)
    for key in list(found):
        section, _, rest = key.partition(".")
        if section == "encoder" and rest.partition(".")[0] not in known:
            say(f"{key} is not searched, the encoder {base.encoder.name} does not have it")
            del found[key]
    return found


def _epochs(most: int) -> dict[str, Space]:
    least = max(1, most // _SHORTEST)
    return {"train.epochs": Int(least, most, log=True)} if least < most else {}


def _fixed(request: Request) -> set[str]:
    fixed = {text.partition("=")[0].strip() for text in request.assignments}
    fixed |= {"train.epochs"} if request.epochs is not None else set()
    return fixed | ({"train.batch_size"} if request.batch_size is not None else set())


def _is_fixed(key: str, fixed: set[str]) -> bool:
    """Whether it, or a list or mapping that it is in, was given a value."""
    return any(key == given or key.startswith(f"{given}.") for given in fixed)


def _merge(space: dict[str, Space], key: str, entry: Space | None, fixed: set[str], file: str) -> None:
    if key.partition(".")[0] == "probe":
        raise InputError(f"{file}: {key}: the judge of the trials is not searched; give it a value with --set")
    if key.partition(".")[0] == "task" or key in _GIVEN:
        raise InputError(f"{file}: {key}: what the trials may see is not searched; give it a value with --set")
    if entry is None:
        if key not in space:
            raise InputError(f"{file}: {unknown('parameter to leave out', key, space)}")
        del space[key]
    elif _is_fixed(key, fixed):
        raise InputError(f"{file} searches {key}, but the command gives it a value; keep one")
    else:
        space[key] = entry


def _check(request: Request, subject: Subject, key: str, entry: Space) -> None:
    for value in entry.values if isinstance(entry, Choice) else (entry.low, entry.high):
        try:
            resolve(with_values(request, {key: value}), subject)
        except InputError as error:
            raise InputError(f"search space, {key}: {error}") from None
