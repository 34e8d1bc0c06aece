"""What means that there is no value: one rule for the readers of all formats."""

from __future__ import annotations

import numpy as np

# What pandas, numpy and SQL write where there is nothing. NA is not among them: it is also a country, a chemical
# element and a class of its own.
MISSING = ("nan", "NaN", "None", "<NA>", "null", "NULL", "N/A", "n/a", "#N/A")


def is_nothing(value: object) -> bool:
    """Whether a label or a word stands for no value.

    Example:
        >>> [is_nothing(value) for value in (None, float("nan"), "", "None", "NA", "none", 0)]
        [True, True, True, True, False, False, False]
    """
    return (
        value is None
        or (isinstance(value, str) and (value == "" or value in MISSING))
        or (isinstance(value, float | np.floating) and value != value)
    )
