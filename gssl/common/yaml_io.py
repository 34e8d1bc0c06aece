"""YAML (and therefore JSON) as presets, configuration files and ``--set`` use it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gssl.common.errors import InputError
from gssl.common.files import require_regular

MOST_BYTES = 1 << 20
MOST_NODES = 20_000  # after aliases are written out
MOST_DEPTH = 50
_PLAIN = {None, "!", *(f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "seq", "map"))}
_TIMESTAMP = "tag:yaml.org,2002:timestamp"  # JSON and the core of YAML 1.2 have none


class _Loader(yaml.SafeLoader):
    """Plain data only, with numbers as YAML 1.2 and JSON write them: PyYAML takes ``1e-3`` for a text.

    A key that stands twice in a mapping is refused, of which PyYAML takes the last one without a word.
    """

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        found: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if (key.tag, key.value) in found:
                    line = key.start_mark.line + 1
                    raise InputError(
                        f"not valid YAML or JSON: it has the key {key.value!r} twice, again in line {line}"
                    )
                found.add((key.tag, key.value))
        return node


class _Dumper(yaml.SafeDumper):
    """Puts quotes around texts that the loader would take for a number."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != _TIMESTAMP]
    for first, known in _Loader.yaml_implicit_resolvers.items()
}


def parse(text: str) -> Any:
    """A scalar, list or mapping.

    Raises:
        InputError: the text is not YAML, has a key twice, holds more than plain data, or is too large or too deeply
            nested, also by aliases that stand for much.

    Example:
        >>> parse("1e-3"), parse("[0.2, 0.4]"), parse("null"), parse("prelu")
        (0.001, [0.2, 0.4], None, 'prelu')
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"not valid YAML or JSON for settings: it has {len(text)} characters, more than {MOST_BYTES}")
    try:
        _check_events(text)
        return yaml.load(text, Loader=_Loader)
    except InputError:
        raise
    except Exception as error:  # the loader trips over scalars such as 0x_ or a number of 5,000 digits
        raise InputError(f"not valid YAML or JSON: {' '.join(str(error).split())[:500]}") from None


def _check_events(text: str) -> None:
    """Look at what stands in a text before anything is built from it."""
    sizes: dict[str, int] = {}  # of what each anchor stands for; of one that is still open there is none
    waiting: list[tuple[str | None, int]] = []  # anchors of the open collections, and the nodes before them
    nodes = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise InputError(f"not valid YAML or JSON: the alias *{event.anchor} stands for nothing, or for itself")
            nodes += sizes[event.anchor]
        elif isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag not in _PLAIN:
                raise InputError(f"not valid YAML or JSON: the tag {event.tag} stands for more than plain data")
            nodes += 1
            if isinstance(event, yaml.CollectionStartEvent):
                waiting.append((event.anchor, nodes))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = waiting.pop()
            if anchor is not None:
                sizes[anchor] = nodes - before + 1
        if nodes > MOST_NODES or len(waiting) > MOST_DEPTH:
            raise InputError(
                f"not valid YAML or JSON for settings: it has more than {MOST_NODES} values or is nested more than "
                f"{MOST_DEPTH} levels deep"
            )


def read(path: Path) -> dict[str, Any]:
    """A file that holds a mapping with text keys; an empty file holds an empty one.

    Raises:
        InputError: there is no such file, it holds something else, or is too large.
    """
    require_regular(path, 4 * MOST_BYTES)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file") from None
    try:
        data = parse(text)
    except InputError as error:
        raise InputError(f"{path} is {error}") from None
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(key, str) for key in data):
        raise InputError(f"{path} must hold a mapping such as `train: {{lr: 0.001}}`")
    return data


def dump(data: Mapping[str, object]) -> str:
    """A mapping of plain data as YAML in ASCII (PyYAML loses some characters otherwise), keys in their order."""
    text: str = yaml.dump(dict(data), Dumper=_Dumper, sort_keys=False)
    return text
