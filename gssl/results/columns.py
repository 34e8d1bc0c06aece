"""What columns of the results store hold as JSON."""

from __future__ import annotations

import json
from typing import Any


def json_object(text: str) -> dict[str, Any]:
    """The object in a column; nothing where another program wrote it."""
    try:
        data = json.loads(text)
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def probe_options(config: str) -> str:
    """The options of the probe in a configuration, as canonical text; its name is a column of its own."""
    probe = json_object(config).get("probe")
    options = {k: v for k, v in probe.items() if k != "name"} if isinstance(probe, dict) else {}
    return json.dumps(options, sort_keys=True)
