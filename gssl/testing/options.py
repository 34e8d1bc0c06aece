"""What every component's options must satisfy."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields

from gssl.common.options import INHERITED, options_of, validate
from gssl.common.space import Choice, Space
from gssl.config.options import replaced
from gssl.training.config import TrainConfig


def check_options(component: type | Callable[..., object], *, first: str | Sequence[str] | None) -> None:
    """Fail where the signature of a component cannot serve as its configuration.

    Args:
        component: class or function.
        first: name of the only positional parameter, or names of several; None if there is none.
    """
    function = component.__init__ if inspect.isclass(component) else component
    bare = function is object.__init__  # a class without options; its signature reads (*args, **kwargs)
    parameters = [] if bare else [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
    positional = [p.name for p in parameters if p.kind is not inspect.Parameter.KEYWORD_ONLY and p.name != INHERITED]
    expected = [first] if isinstance(first, str) else list(first or ())
    assert positional == expected, f"options must be keyword-only; found positional {positional}"
    # A subclass need not repeat what its base says of inherited options.
    docs = "\n".join(base.__doc__ or "" for base in getattr(component, "__mro__", (component,)) if base is not object)
    for option in options_of(component).values():
        assert not option.required, f"option {option.name!r} has no default"
        validate(component, {option.name: option.default}, what=component.__name__)
        documented = re.search(rf"^\s*{option.name}\b.*:", docs, re.MULTILINE)
        assert documented, f"option {option.name!r} is not in the docstring of {component.__name__}"


def check_search_space(space: Mapping[str, Space], method: type, encoder: type) -> None:
    """Fail where a search space names no option, or offers a value that the option refuses.

    Args:
        space: keys as ``--set`` takes them: ``name``, ``name.0``, ``encoder.name``, ``train.name``.
        method: class with the space.
        encoder: its default encoder.
    """
    train = {field.name for field in fields(TrainConfig)}
    for key, choice in space.items():
        values = choice.values if isinstance(choice, Choice) else (choice.low, choice.high)
        owner, _, rest = key.partition(".")
        if owner == "train":
            assert rest in train, f"search space: TrainConfig has no {rest!r}"
            for value in values:
                validate(TrainConfig, {rest: value}, what="training")
            continue
        component, name = (encoder, rest) if owner == "encoder" else (method, key)
        name, _, position = name.partition(".")
        options = options_of(component)
        assert name in options, f"search space: {component.__name__} has no option {name!r}"
        for value in values:
            whole = replaced(options[name].default, position, value, key) if position else value
            validate(component, {name: whole}, what=component.__name__)
