"""Options that are declared once, in a base class."""

import inspect
from typing import Any

import pytest

from gssl.common.errors import InputError
from gssl.common.options import PositiveInt, Probability, options_of, validate
from gssl.models.gin import GIN
from gssl.models.stack import StackedEncoder


class Base:
    def __init__(
        self, in_dim: int, *, width: PositiveInt = 8, depth: PositiveInt = 2, dropout: Probability = 0.0
    ) -> None:
        self.values = (in_dim, width, depth, dropout)


class Changed(Base):
    """Two options of its own, and another default of one that it inherits."""

    def __init__(self, in_dim: int, *, heads: int = 4, depth: PositiveInt = 3, eps: float, **inherited: Any) -> None:
        super().__init__(in_dim, depth=depth, **inherited)
        self.own = (heads, eps)


class Grandchild(Changed):
    def __init__(self, in_dim: int, *, dropout: Probability = 0.5, **inherited: Any) -> None:
        super().__init__(in_dim, dropout=dropout, **inherited)


class Plain(Changed):
    """No ``__init__`` of its own."""


class Closed(Base):
    """The explicit signature, which has nothing but what it says."""

    def __init__(self, in_dim: int, *, width: PositiveInt = 9) -> None:
        super().__init__(in_dim, width=width)


class OtherKeywords(Base):
    """Keywords that are no options."""

    def __init__(self, in_dim: int, *, width: PositiveInt = 9, **module_options: Any) -> None:
        super().__init__(in_dim, width=width)


def defaults(component: type) -> dict[str, object]:
    return {option.name: option.default for option in options_of(component).values()}


def test_inherited_options_keep_their_place_and_new_ones_stand_where_they_are_declared() -> None:
    required = inspect.Parameter.empty
    assert list(defaults(Changed).items()) == [
        ("heads", 4),
        ("width", 8),
        ("depth", 3),
        ("eps", required),
        ("dropout", 0.0),
    ]
    assert defaults(Plain) == defaults(Changed)
    assert list(defaults(Grandchild).items()) == [*list(defaults(Changed).items())[:-1], ("dropout", 0.5)]


def test_an_order_that_contradicts_the_base_gives_each_option_once() -> None:
    class Turned(Base):
        def __init__(self, *, dropout: Probability = 0.1, width: PositiveInt = 3, **inherited: Any) -> None:
            super().__init__(1, dropout=dropout, width=width, **inherited)

    assert list(defaults(Turned).items()) == [("width", 3), ("depth", 2), ("dropout", 0.1)]


@pytest.mark.parametrize("component", [Closed, OtherKeywords])
def test_explicit_signatures_inherit_nothing(component: type) -> None:
    assert defaults(component) == {"width": 9}


def test_inherited_options_are_checked_and_reach_the_base() -> None:
    values = validate(Grandchild, {"width": "16", "eps": "0.25", "depth": 5}, what="encoder X")
    made = Grandchild(7, **values)
    assert made.values == (7, 16, 5, 0.5)
    assert made.own == (4, 0.25)
    with pytest.raises(InputError, match="option 'dropout' of encoder X"):
        validate(Changed, {"dropout": 1.5}, what="encoder X")
    with pytest.raises(InputError, match="did you mean 'width'"):
        validate(Changed, {"widht": 3}, what="encoder X")
    with pytest.raises(TypeError, match="widht"):
        Changed(7, eps=0.0, widht=3)


def test_types_are_those_of_the_module_that_declares_them() -> None:
    """GIN imports neither the types of the options that it inherits nor their defaults."""
    base, own = options_of(StackedEncoder), options_of(GIN)
    assert own.keys() > base.keys()
    for name in ("out_dim", "dropout", "readout", "norm_momentum"):
        assert own[name] == base[name]
    assert (base["hidden_dim"].default, own["hidden_dim"].default) == (256, 32)


@pytest.mark.parametrize(
    ("annotation", "value", "message"),
    [
        (tuple[Probability, Probability], 0.3, r"must be a list of 2, as in p=\[0.3, 0.3\]; .* p.0=0.3"),
        (tuple[Probability, Probability] | None, [0.3], "must be a list of 2 "),
        (tuple[Probability, Probability], [0.3, 0.3, 0.3], "must be a list of 2 "),
        (tuple[int, ...], 3, r"must be a list, as in p=\[3, 3\]"),
        (tuple[tuple[str, ...], ...], ["a", "b"], r"each of its items must be a list, too, as in p.0=\[a\]"),
        (tuple[tuple[str, ...], ...], [["a"], "b"], r"each of its items must be a list, too, as in p.1=\[b\]"),
        (tuple[Probability, Probability], [0.3, 2.0], "less than 1"),
    ],
    ids=str,
)
def test_where_a_list_is_wanted_it_is_shown(annotation: Any, value: object, message: str) -> None:
    def component(*, p: Any = None) -> None: ...

    component.__annotations__["p"] = annotation
    with pytest.raises(InputError, match=message):
        validate(component, {"p": value}, what="part")
