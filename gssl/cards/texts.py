"""Values in words; nothing heavy is imported."""

from __future__ import annotations

import json
import re

_EXPONENT = re.compile(r"(?<=\d)e([+-])0*(?=\d)")  # 1e-05 as people write it


def value_text(value: object) -> str:
    """A value as ``--set`` would take it.

    Example:
        >>> value_text(None), value_text(0.0), value_text((0.2, 0.4)), value_text("prelu")
        ('null', '0.0', '[0.2, 0.4]', 'prelu')
        >>> value_text(1e-5)
        '1e-5'
    """
    return value if isinstance(value, str) else _as_written(json.dumps(value, default=str))


def number_text(value: float, digits: int = 6) -> str:
    """A number with a few digits as people write it.

    Example:
        >>> number_text(0.1), number_text(1e-5), number_text(256), number_text(2 / 3, 2)
        ('0.1', '1e-5', '256', '0.67')
    """
    return _as_written(f"{value:.{digits}g}")


def _as_written(text: str) -> str:
    return _EXPONENT.sub(r"e\1", text).replace("e+", "e")
