"""Static pictures of a study: history, importance, slices, intermediate scores or the Pareto front."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from optuna import Study
from optuna.exceptions import ExperimentalWarning
from optuna.trial import TrialState

from gssl.search.job import Job


def draw(job: Job, study: Study, folder: Path) -> list[Path]:
    """Draw what can be drawn of a study, as SVG.

    Args:
        job: names the objectives.
        study: at least one trial is complete.
        folder: where the files go.

    Returns:
        The files; none without matplotlib.
    """
    try:
        import matplotlib as mpl
    except ModuleNotFoundError:
        job.say("no pictures were drawn, they need matplotlib: pip install 'gssl[plot]'")
        return []
    # Optuna draws with pyplot and its own style; neither must outlive this function.
    with mpl.rc_context({"backend": "Agg", "svg.hashsalt": "gssl"}), warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        warnings.simplefilter("ignore", UserWarning)
        return [_save(name, plot, folder) for name, plot in _pictures(job, study).items()]


def _pictures(job: Job, study: Study) -> dict[str, Callable[[], Any]]:
    from optuna.visualization import matplotlib as plots

    complete = len(study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    several = len(job.objectives) > 1
    target = (lambda trial: trial.values[0]) if several else None
    named: dict[str, Any] = {"target": target, "target_name": f"validation {job.metric}"}
    found: dict[str, Callable[[], Any]] = {
        "history": lambda: plots.plot_optimization_history(study, **named),
        "slice": lambda: plots.plot_slice(study, **named),
    }
    if complete > 1:
        found["importance"] = lambda: plots.plot_param_importances(study, **named)
    if several:
        found["pareto"] = lambda: plots.plot_pareto_front(study, target_names=[job.metric, "seconds"])
    elif job.rungs:
        found["reports"] = lambda: plots.plot_intermediate_values(study)
    return found


def _save(name: str, plot: Callable[[], Any], folder: Path) -> Path:
    from matplotlib import pyplot as plt

    axes = plot()
    figure = (axes.flat[0] if hasattr(axes, "flat") else axes).get_figure()
    path = folder / f"{name}.svg"
    try:
        figure.savefig(path, bbox_inches="tight")
    finally:
        plt.close(figure)
    return path
