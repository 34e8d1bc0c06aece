"""What columns of the results store hold as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gssl.common.files import parse_json
from gssl.results.seed import Metrics


def json_object(text: str) -> dict[str, Any]:
    """The object in a column; nothing where another program wrote it."""
    try:
        data = parse_json(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def probe_options(config: str) -> str:
    """The options of the probe in a configuration, as canonical text; its name is a column of its own."""
    probe = json_object(config).get("probe")
    options = {k: v for k, v in probe.items() if k != "name"} if isinstance(probe, dict) else {}
    return json.dumps(options, sort_keys=True)


def part_option(config: Mapping[str, Any], part: str, option: str) -> Any:
    """An option of a part of a configuration; None where it is not set."""
    options = config.get(part)
    return options.get(option) if isinstance(options, dict) else None


def metrics_text(metrics: Metrics) -> str:
    """Metrics as JSON: name to a list of validation and test value.

    Example:
        >>> metrics_text({"accuracy": (None, 0.5)})
        '{"accuracy": [null, 0.5]}'
    """
    return json.dumps(metrics)


def metrics_of(text: str) -> Metrics:
    """From what :func:`metrics_text` returned; without what is not a pair of numbers.

    Example:
        >>> metrics_of('{"accuracy": [null, 0.5], "x": 1}')
        {'accuracy': (None, 0.5)}
    """
    return {
        name: (pair[0], pair[1])
        for name, pair in json_object(text).items()
        if isinstance(pair, list) and len(pair) == 2 and all(x is None or isinstance(x, int | float) for x in pair)
    }
