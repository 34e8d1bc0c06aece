"""YAML (and therefore JSON) as presets, configuration files and ``--set`` use it."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gssl.common.errors import InputError


class _Loader(yaml.SafeLoader):
    """Plain data only, with numbers as YAML 1.2 and JSON write them: PyYAML takes ``1e-3`` for a text."""


class _Dumper(yaml.SafeDumper):
    """Puts quotes around texts that the loader would take for a number."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float",
        re.compile(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)[eE][-+]?[0-9]+$"),
        list("-+.0123456789"),
    )


def parse(text: str) -> Any:
    """A scalar, list or mapping.

    Raises:
        InputError: the text is not YAML.

    Example:
        >>> parse("1e-3"), parse("[0.2, 0.4]"), parse("null"), parse("prelu")
        (0.001, [0.2, 0.4], None, 'prelu')
    """
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"not valid YAML or JSON: {' '.join(str(error).split())}") from None


def read(path: Path) -> dict[str, Any]:
    """A file that holds a mapping with text keys; an empty file holds an empty one.

    Raises:
        InputError: there is no such file, or it holds something else.
    """
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
