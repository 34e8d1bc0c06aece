"""The table of ``gssl variance`` as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gssl.common.errors import InputError
from gssl.variance.measure import SamplerError


def draw(errors: Mapping[str, SamplerError], path: Path, *, title: str) -> None:
    """Stacked bars of bias and variance for each sampler.

    Args:
        errors: sampler name to its error.
        path: where to write; the suffix says in which format.
        title: of the picture.

    Raises:
        InputError: matplotlib is missing, does not know the format, or the file cannot be written.
    """
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise InputError("a plot needs matplotlib: pip install 'gssl[plot]', or leave out --plot") from None
    names = list(errors)
    bias = [errors[name].total.bias2 for name in names]
    variance = [errors[name].total.variance for name in names]
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(names)), layout="constrained")
    axes = figure.subplots()
    axes.barh(names, bias, label="bias²")
    axes.barh(names, variance, left=bias, label="variance")
    axes.invert_yaxis()
    axes.set_xlabel("relative to the squared norm of the full gradient")
    axes.set_title(title)
    axes.legend()
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be drawn: {error}") from None
