"""What a user says of their own data, so that nothing has to be guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from gssl.common.errors import InputError
from gssl.common.files import parse_json, require_regular
from gssl.common.options import options_of, validate
from gssl.datasets.catalog import Normalize
from gssl.datasets.types import LabelKind, Metric


@dataclass(frozen=True, kw_only=True)
class Declared:
    """Facts about a dataset of the user's own; None leaves a fact to what the arrays look like.

    Attributes:
        task: what kind of labels there are.
        metric: how predictions are scored, for example ``"roc_auc"``.
        undirected: True adds the reverse of every edge, False says that the edges are directed.
        normalize: how features are scaled: ``row`` divides each row by its sum, ``standard`` gives each column mean 0
            and variance 1.
        target_type: of a ``HeteroData``, the type of nodes that is embedded; the others and all relations are there for
            heterogeneous methods.
        meta_paths: how nodes of the target type are joined, types with ``-`` between them and paths with ``+``, for
            example ``"paper-author-paper+paper-term-paper"``.
    """

    task: LabelKind | None = None
    metric: Metric | None = None
    undirected: bool | None = None
    normalize: Normalize | None = None
    target_type: str | None = None
    meta_paths: str | None = None

    def mapping(self) -> dict[str, Any]:
        """The facts that were declared, by name."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    def over(self, weaker: Declared) -> Declared:
        """These facts and, where they say nothing, those of a weaker source."""
        return replace(weaker, **self.mapping())


FACTS = tuple(options_of(Declared))
_MOST_BYTES = 1 << 20  # of a file that declares facts
NOTHING = Declared()


def declared(values: Mapping[str, Any], origin: str) -> Declared:
    """Facts from plain values, as a file or an archive holds them.

    Args:
        values: names of facts to values; texts, truth values, or arrays and tensors with a single one.
        origin: how messages name the source.

    Raises:
        InputError: an unknown fact, or a value that it cannot have.
    """
    return Declared(**validate(Declared, {key: _scalar(value) for key, value in values.items()}, what=origin))


def beside(path: Path) -> tuple[Declared, tuple[str, ...]]:
    """What the JSON beside a file or folder says: ``graph.npz.json`` or ``graph.json`` for ``graph.npz``; and a note.

    A ``graph.json`` without any fact, or name that is nearly one, is something else, and the note says so.

    Raises:
        InputError: it is damaged, states a fact twice, or not facts alone.
    """
    notes: tuple[str, ...] = ()
    for file in (path.with_name(f"{path.name}.json"), path.with_name(f"{path.stem}.json")):
        if not file.is_file() or file == path:
            continue
        own = file.name == f"{path.name}.json"
        if own:
            require_regular(file, _MOST_BYTES)
        if file.stat().st_size > _MOST_BYTES:
            notes = (f"{file.name} beside the data is too large to declare facts: not read",)
            continue
        text = file.read_text(encoding="utf-8", errors="replace")
        try:
            values = parse_json(text, no_key_twice=True)
        except ValueError as error:
            if own or any(f'"{fact}"' in text for fact in FACTS):
                raise InputError(f"{file} is not JSON: {error}") from None
            notes = (f"{file.name} beside the data is not JSON: not read",)
            continue
        if isinstance(values, dict) and (own or _are_facts(values)):
            return declared(values, str(file)), ()
        if own:
            raise InputError(f'{file} must be an object such as {{"task": "regression"}}')
        notes = (f"{file.name} beside the data declares no fact ({', '.join(FACTS)}): not read",)
    return NOTHING, notes


def _are_facts(values: Mapping[str, Any]) -> bool:
    """Whether a name is one of a fact, or a few plain values have a name that is nearly one."""
    plain = all(isinstance(value, str | bool | int | float) or value is None for value in values.values())
    nearly = any(get_close_matches(key.lower(), FACTS, n=1) for key in values)
    return any(key in FACTS for key in values) or (plain and nearly)


def split_off(values: Mapping[str, Any], origin: str) -> tuple[dict[str, Any], Declared]:
    """Arrays without the facts that stand among them, and these."""
    facts = {key: value for key, value in values.items() if key in FACTS and _is_scalar(value)}
    return {key: value for key, value in values.items() if key not in facts}, declared(facts, origin)


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | bool | int | float) or getattr(value, "ndim", None) == 0


def _scalar(value: object) -> object:
    return value.item() if isinstance(value, np.ndarray | np.generic | Tensor) else value
