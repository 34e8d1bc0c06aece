"""Typed options: the configuration of a component is its keyword-only ``__init__`` signature."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import BeforeValidator, ConfigDict, Field, PydanticUserError, TypeAdapter, ValidationError

from gssl.common.errors import InputError, unknown

Probability = Annotated[float, Field(ge=0, lt=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveInt = Annotated[int, Field(ge=1)]
NonNegativeInt = Annotated[int, Field(ge=0)]


def _share_or_number(value: object) -> object:
    """The value, where its type says what is meant.

    2.0 is no share, and would otherwise be taken for the number 2, as a truth value or a text would be for either.
    """
    wrong = (isinstance(value, float) and not 0 < value <= 1) or (isinstance(value, int) and value < 1)
    if wrong or isinstance(value, bool | str):
        raise ValueError("must be a share above 0 and at most 1, or a whole number of at least 1")
    return value


# Labels that are trained on: a share of the training items (real), or a number for each class (integer).
Amount = Annotated[PositiveInt | Annotated[float, Field(gt=0, le=1)], BeforeValidator(_share_or_number)]

INHERITED = "inherited"
"""What the variable keywords of an ``__init__`` are called that go to the base's."""


@dataclass(frozen=True)
class Neutral:
    """Marks an option of which one value does what the component did before it had the option.

    ``Annotated[bool | None, Neutral(None)]``: at this value the option stays out of the hash of a configuration, so
    that a new option orphans no result.
    """

    value: object


@dataclass(frozen=True)
class UsedWith:
    """Marks an option that changes nothing unless another one has some of its values.

    ``Annotated[Positive, UsedWith("kernel", "heat")]``: whoever sets it beside another kernel is told so.

    Attributes:
        option: name of the other option of the same component.
        values: of the other option, with which this one is used.
    """

    option: str
    values: tuple[object, ...]

    def __init__(self, option: str, *values: object) -> None:
        object.__setattr__(self, "option", option)
        object.__setattr__(self, "values", values)


@dataclass(frozen=True)
class KeyedBy:
    """Marks an option that is a mapping whose keys are among the values of another one, a list of names.

    ``Annotated[Mapping[str, Any], KeyedBy("methods")]``: whoever names other values there need not take away what a
    weaker source, such as a preset, says of its own.

    Attributes:
        option: name of the list.
    """

    option: str


@dataclass(frozen=True)
class Option:
    """One keyword-only parameter: its annotation and default (``inspect.Parameter.empty`` if required)."""

    name: str
    annotation: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


def key_option_of(option: Option) -> str | None:
    """The list that the keys of an option come from, where it is so marked."""
    marks = getattr(option.annotation, "__metadata__", ())
    return next((mark.option for mark in marks if isinstance(mark, KeyedBy)), None)


def neutral_of(option: Option) -> Neutral | None:
    """The mark of an option that has one.

    Example:
        >>> neutral_of(Option("depth", Annotated[int, Neutral(0)], 0))
        Neutral(value=0)
    """
    marks = getattr(option.annotation, "__metadata__", ())
    return next((mark for mark in marks if isinstance(mark, Neutral)), None)


def idle_options(
    component: Callable[..., object], values: Mapping[str, object], given: Iterable[str]
) -> tuple[str, ...]:
    """What to say of options that were given and change nothing, one sentence each.

    Args:
        component: whose options they are.
        values: of all of them.
        given: names of those that somebody chose.

    Example:
        >>> def diffuse(*, kernel: str = "ppr", time: Annotated[float, UsedWith("kernel", "heat")] = 5.0) -> None: ...
        >>> idle_options(diffuse, {"kernel": "ppr", "time": 3.0}, ["time"])
        ("option 'time' changes nothing here: it is used with kernel=heat, but kernel is ppr",)
    """
    options, told = options_of(component), []
    for name in dict.fromkeys(given):
        marks = getattr(options[name].annotation, "__metadata__", ()) if name in options else ()
        for mark in marks:
            if isinstance(mark, UsedWith) and values[mark.option] not in mark.values:
                fitting = " or ".join(f"{mark.option}={'null' if value is None else value}" for value in mark.values)
                told.append(
                    f"option {name!r} changes nothing here: it is used with {fitting}, but {mark.option} is "
                    f"{values[mark.option]}"
                )
    return tuple(told)


def options_of(component: Callable[..., object]) -> dict[str, Option]:
    """The keyword-only parameters of a class or function, in order of declaration.

    A class whose ``__init__`` takes ``**inherited`` and hands it to its base has the options of the base too. One that
    it declares under the same name keeps its place among them with another default or type; one that is new stands
    behind the option that it is declared after.

    Example:
        >>> class Stack:
        ...     def __init__(self, *, width: int = 8, depth: int = 2, dropout: float = 0.0) -> None: ...
        >>> class Attention(Stack):
        ...     def __init__(self, *, depth: int = 3, heads: int = 1, **inherited: Any) -> None:
        ...         super().__init__(depth=depth, **inherited)
        >>> {option.name: option.default for option in options_of(Attention).values()}
        {'width': 8, 'depth': 3, 'heads': 1, 'dropout': 0.0}
    """
    return _options_along(component.__mro__) if inspect.isclass(component) else _declared(component)


def _options_along(order: Sequence[type]) -> dict[str, Option]:
    """Options of the first of some classes, each of which may inherit from those behind it."""
    place = next(i for i, owner in enumerate(order) if "__init__" in vars(owner))
    function = vars(order[place])["__init__"]
    own = _declared(function)
    rest = inspect.signature(function).parameters.get(INHERITED)
    if rest is None or rest.kind is not inspect.Parameter.VAR_KEYWORD:
        return own
    base = _options_along(order[place + 1 :])
    names: list[str] = []
    waiting = list(base)
    for name in own:
        if name in waiting:
            place = waiting.index(name)
            names, waiting = names + waiting[:place], waiting[place + 1 :]
        names.append(name)
    both = base | own
    return {name: both[name] for name in names + waiting}


def _declared(function: Callable[..., object]) -> dict[str, Option]:
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters.values()
    return {
        p.name: Option(p.name, hints.get(p.name, Any), p.default)
        for p in parameters
        if p.kind is inspect.Parameter.KEYWORD_ONLY
    }


def texts_in(value: object) -> Iterator[str]:
    """Every text in a value of nested lists and mappings, keys too.

    Example:
        >>> list(texts_in([{"drop_edge": {"p": 0.2}}, "mask_feature"]))
        ['drop_edge', 'p', 'mask_feature']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from (*texts_in(key), *texts_in(item))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from texts_in(item)


def validate(component: Callable[..., object], values: Mapping[str, object], *, what: str) -> dict[str, Any]:
    """Check option values against the signature of ``component`` and convert them to its types.

    Args:
        component: a class or function with keyword-only parameters.
        values: option name to value; numbers may be strings, as they come from a command line.
        what: how messages name the component, for example ``"method GRACE"``.

    Returns:
        The converted values, for exactly the keys that were given.

    Raises:
        InputError: an unknown key (the nearest valid key is named), a wrong type or a value out of range.
    """
    options = options_of(component)
    checked = {}
    for name, value in values.items():
        if name not in options:
            raise unknown(f"option of {what}", name, options)
        checked[name] = _convert(options[name], value, what)
    return checked


def _convert(option: Option, value: object, what: str) -> Any:
    try:
        return _adapter(option.annotation).validate_python(value)
    except ValidationError as error:
        first = error.errors()[0]
        told = _list_hint(option, value, first) or first["msg"].removeprefix("Value error, ").lower()
        given = "nothing" if value is None else repr(value)
        raise InputError(f"option {option.name!r} of {what}: {told} (got {given})") from None


def _list_hint(option: Option, value: object, error: Mapping[str, Any]) -> str:
    """What to write where a list is wanted and a single value or a list of another length was given."""
    parts, kind = _fixed_length(option.annotation), error["type"]
    if kind in ("tuple_type", "list_type"):
        within = [step for step in error["loc"] if isinstance(step, int)]
        if within:  # the value is a list, but one of its items is none
            place = ".".join(map(str, (option.name, *within)))
            return f"each of its items must be a list, too, as in {place}=[{error['input']}]"
        shown = value if isinstance(value, int | float | str) else "VALUE"
        items = ", ".join([str(shown)] * (parts or 2))
        told = f"a list of {parts}" if parts else "a list"
        return f"must be {told}, as in {option.name}=[{items}]; one item of it is set by {option.name}.0={shown}"
    if kind in ("missing", "too_long") and parts:
        return f"must be a list of {parts}"
    return ""


def _fixed_length(annotation: Any) -> int:
    """How many values a tuple of fixed length has, also within unions and marks; 0 for any other type."""
    if get_origin(annotation) is tuple:
        parts = get_args(annotation)
        return 0 if Ellipsis in parts else len(parts)
    return max(map(_fixed_length, get_args(annotation)), default=0)


def _adapter(annotation: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(annotation, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError:  # the type brings its own configuration
        return TypeAdapter(annotation)
