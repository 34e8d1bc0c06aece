"""Validation score at equal seconds and at equal steps, for every named sampler and the variance-reduced ones::

    python -m gssl.benchmarks.time_to_accuracy supervised ogbn-wordnet --seconds 8 --steps 200

Every sampler first gets its own best batch size and learning rate: all of them are tried on seed 0 (and further ones
with ``--search-seeds``), and the best at equal seconds and the best at equal steps are kept. These are then trained on
three fresh seeds, which make the tables: the one at equal seconds of what was chosen at equal seconds, the other
likewise.
Trainings are kept in ``METHOD-DATASET-choice.jsonl`` and ``METHOD-DATASET.jsonl`` of the folder, beside the table
(``.md``) and the curves (``.svg``), and are not repeated. Seconds are of processor time, so that two such commands
can run side by side.

The best of many on three seeds is in part the luckiest. ``--confirm 9`` therefore trains two samplers of the table at
equal seconds, the best that draws by gradient norm and the best that does not, on nine more seeds, in turns
(``METHOD-DATASET-confirm.jsonl``); :mod:`gssl.benchmarks.sampler_overview` tests the difference.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from rich.console import Console
from torch import Tensor

from gssl.benchmarks.rows import markdown_table
from gssl.config.resolve import Request
from gssl.convergence.comparison import SamplerChoice, SamplerComparison, trainings
from gssl.convergence.plot import draw
from gssl.convergence.record import Cell, Trajectory
from gssl.convergence.summary import By, Candidate, Score, candidates, chosen
from gssl.convergence.watch import ObservationPlan
from gssl.datasets.load import load_dataset

_MINVAR = "norms=online draw=fixed mix=0 floor=0.5"
# What the papers of the samplers propose, with two layers.
_NAMED = (
    "graphsage fanouts=[5,5]",
    "graphsage fanouts=[10,10]",
    "labor fanouts=[5,5]",
    "fastgcn",
    "ladies",
    "vrgcn",
    "gas",
    "lmc",
    "clustergcn",
    "graphsaint",
    "shadow",
)
# Ten neighbors, the default, make an update of a method with several views take seconds.
_WITH_VIEWS = {"shadow": "shadow neighbors=5"}
_REDUCED = (
    "uniform+history",
    "uniform+adjoint",
    f"minvar+history {_MINVAR}",
    f"minvar+exact {_MINVAR}",
    f"minvar+exact {_MINVAR} cost=0.5",
    f"minvar+adjoint {_MINVAR}",
    f"minvar+labor {_MINVAR} fanouts=[5,5]",
    f"minvar+neighbor {_MINVAR} fanouts=[5,5]",
    f"minvar+ladies {_MINVAR}",
    f"minvar+vrgcn {_MINVAR}",
)
# Samplers whose first layer may read features that were aggregated once; where views leave features alone, and
# features are dense.
_PRECOMPUTED = (
    "uniform+neighbor weights=ht fanouts=5 precompute=true",
    "uniform+exact precompute=true",
    "labor fanouts=[5,5] precompute=true",
    "vrgcn precompute=true",
    "uniform+history precompute=true",
    "uniform+adjoint precompute=true",
    f"minvar+history {_MINVAR} precompute=true",
    f"minvar+exact {_MINVAR} precompute=true",
    f"minvar+exact {_MINVAR} cost=0.5 precompute=true",
    f"minvar+adjoint {_MINVAR} precompute=true",
    f"minvar+neighbor {_MINVAR} weights=ht fanouts=5 precompute=true",
    f"minvar+labor {_MINVAR} fanouts=[5,5] precompute=true",
    f"minvar+vrgcn {_MINVAR} precompute=true",
)
BY_NORM = ("mvs", "minvar")
_SETTINGS = ("encoder.hidden_dim=256",)
# Without normalisation both learn next to nothing in such short trainings, and BGRL collapses. Batch normalisation is
# what its paper has; GRACE's has none, so it gets that which acts on each row alone.
_OWN = {
    "supervised": ("method.dropout=0",),
    "BGRL": ("encoder.norm=batch",),
    "GRACE": ("encoder.norm=layer",),
}
_AXES: tuple[By, By] = ("seconds", "steps")
_FRESH = (1, 2, 3)  # seed 0 chooses
_MORE = 101  # the first seed of those that choose together with it
_AT_ONCE = ObservationPlan(1e-3, 0, 1, "cpu")
_CONSOLE = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Race:
    """What is trained, for how long, with which batch sizes, learning rates and gamma of MVS.

    ``plan`` is that of the tables, ``search`` that of the choice before, which is made on ``search_seeds``.
    """

    method: str
    data: str
    plan: ObservationPlan
    search: ObservationPlan
    sizes: tuple[int, ...]
    rates: tuple[float, ...]
    gamma: float
    probe_items: int | None
    search_seeds: tuple[int, ...] = (0,)

    @property
    def samplers(self) -> tuple[str, ...]:
        more = _PRECOMPUTED if self.method == "supervised" and self._dense else ()
        named = _NAMED if self.method == "supervised" else (_WITH_VIEWS.get(name, name) for name in _NAMED)
        return (*named, f"mvs gamma={self.gamma:g}", *_REDUCED, *more)

    @cached_property
    def _dense(self) -> bool:
        return isinstance(load_dataset(self.data).graph.x, Tensor)

    def comparison(self) -> SamplerComparison:
        """Everything that is tried for the choice."""
        given = (*_SETTINGS, *_OWN.get(self.method, ()))
        base = Request(method=self.method, encoder="GCN", preset="none", assignments=given)
        choices = tuple(SamplerChoice(name, tuple(options)) for name, *options in map(str.split, self.samplers))
        seeds, plan = self.search_seeds, self.search
        return SamplerComparison(base, self.data, choices, self.sizes, self.rates, seeds, plan, False, self.probe_items)

    def choose(self, out: Path) -> dict[By, frozenset[Cell]]:
        """The best setting of every sampler on the seeds of the choice, by seconds and by steps."""
        every = candidates(trainings(self.comparison(), out, _CONSOLE.print))
        return {by: frozenset(setting.cell for setting in chosen(every, by)) for by in _AXES}

    def judge(self, kept: Mapping[By, Collection[Cell]], out: Path) -> Iterator[Trajectory]:
        """The kept settings on fresh seeds, each once; all on one seed before the next, so that a machine which is
        slower for some minutes is so for all of them.
        """
        wanted = frozenset(cell for by in _AXES for cell in kept[by])
        return trainings(replace(self.comparison(), plan=self.plan, seeds=_FRESH, only=wanted), out, _CONSOLE.print)

    def confirm(self, pair: Collection[Cell], count: int, out: Path) -> list[Trajectory]:
        """Two settings, in turns on further seeds; observed as for the tables."""
        seeds = tuple(range(_FRESH[-1] + 1, _FRESH[-1] + 1 + count))
        again = replace(self.comparison(), plan=self.plan, seeds=seeds, only=frozenset(pair))
        return list(trainings(again, out, _CONSOLE.print))

    def untrained(self, out: Path) -> Score:
        """What the weights score before training, on the fresh seeds; they are the same with every sampler."""
        first = replace(self.comparison(), plan=_AT_ONCE, seeds=_FRESH)
        one = replace(first, samplers=first.samplers[:1], batch_sizes=self.sizes[:1], rates=self.rates[:1])
        (setting,) = candidates(trainings(one, out))
        assert setting.at_steps is not None
        return setting.at_steps


def table(race: Race, kept: Mapping[By, Collection[Cell]], found: Sequence[Trajectory], untrained: Score) -> str:
    """Both orders of the samplers, in Markdown."""
    limits: dict[By, str] = {
        "seconds": f"{race.plan.seconds:g} s of processor time",
        "steps": f"{race.plan.steps} steps",
    }
    lines = []
    for by, limit in limits.items():
        what = f"Best validation {found[0].metric} within {limit}"
        lines += [f"{what}: {race.method} on {race.data}, {len(_FRESH)} seeds", ""]
        ranked = chosen(candidates(t for t in found if t.cell in kept[by]), by)
        cells = [
            (s.sampler, f"{s.batch_size}", f"{s.lr:g}", f"{s.score(by) or 'none'}", f"{s.steps_per_second:.0f}")
            for s in ranked
        ]
        lines += [markdown_table(("sampler", "batch", "rate", "validation", "steps/s"), cells)]
        lines += [f"| no training | | | {untrained} | |", "", _lead(ranked, by, found), ""]
    return "\n".join(lines)


def leaders(ranked: Sequence[Candidate]) -> tuple[Candidate, Candidate]:
    """The best sampler that draws by gradient norm, and the best that does not.

    Args:
        ranked: the best first.
    """
    drawn = next(s for s in ranked if s.sampler.startswith(BY_NORM))
    return drawn, next(s for s in ranked if not s.sampler.startswith(BY_NORM))


def _lead(ranked: Sequence[Candidate], by: By, found: Sequence[Trajectory]) -> str:
    """One of the leaders against the other, on each seed."""
    drawn, other = leaders(ranked)
    first, second = ({t.seed: t.best(by=by) for t in found if t.cell == s.cell} for s in (drawn, other))
    both = ((first[seed], second[seed]) for seed in sorted(first.keys() & second.keys()))
    differences = ", ".join("none" if a is None or b is None else f"{a - b:+.4f}" for a, b in both)
    return f"Best by gradient norm less best without ({drawn.sampler}, {other.sampler}), seed by seed: {differences}"


def main(arguments: Sequence[str] | None = None) -> None:
    """Choose, judge, write."""
    parser = argparse.ArgumentParser(description="time to accuracy of samplers")
    parser.add_argument("method")
    parser.add_argument("data")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--points", type=int, default=3, help="observations in each of the two; 1 for the end alone")
    parser.add_argument("--search-points", type=int, default=1, help="the same for the choice")
    parser.add_argument("--search-seeds", type=int, default=1, help="how many seeds the choice is made on")
    parser.add_argument("--probe-items", type=int, help="as for gssl converge")
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512])
    parser.add_argument("--rates", type=float, nargs="+", default=[0.001, 0.01])
    parser.add_argument("--gamma", type=float, default=0.1, help="of MVS: its V_S must not be smaller than a batch")
    parser.add_argument("--confirm", type=int, default=0, help="further seeds for the two best at equal seconds")
    parser.add_argument("--folder", type=Path, default=Path("benchmarks/results/samplers"))
    given = parser.parse_args(arguments)
    plan = ObservationPlan(given.seconds, given.steps, given.points, "cpu", first=given.points > 1)
    search = replace(plan, points=given.search_points, first=False)
    sizes, rates = tuple(given.sizes), tuple(given.rates)
    seeds = (0, *range(_MORE, _MORE + given.search_seeds - 1))
    race = Race(given.method, given.data, plan, search, sizes, rates, given.gamma, given.probe_items, seeds)
    name = f"{given.method}-{given.data}"
    kept = race.choose(given.folder / f"{name}-choice.jsonl")
    found = list(race.judge(kept, given.folder / f"{name}.jsonl"))
    text = table(race, kept, found, race.untrained(given.folder / f"{name}.jsonl"))
    (given.folder / f"{name}.md").write_text(text, encoding="utf-8")
    draw(found, given.folder / f"{name}.svg", title=f"{given.method} on {given.data}", kept=kept)
    sys.stdout.write(text)
    if given.confirm:
        ranked = chosen(candidates(t for t in found if t.cell in kept["seconds"]), "seconds")
        pair = [setting.cell for setting in leaders(ranked)]
        race.confirm(pair, given.confirm, given.folder / f"{name}-confirm.jsonl")


if __name__ == "__main__":
    main()
