"""What a method says of itself in fields, for its card and for tables over many methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal[
    "cross-view",
    "cross-scale",
    "bootstrap",
    "redundancy reduction",
    "margin",
    "distillation",
    "reconstruction",
    "masked reconstruction",
    "invariance",
    "property prediction",
    "pseudo-labels",
    "combination of tasks",
    "reference",
]

_CONTRASTIVE = ("cross-view", "cross-scale", "bootstrap", "redundancy reduction", "margin", "distillation")


@dataclass(frozen=True)
class Card:
    """Place of a method in the framework of the survey (Xie et al., arXiv:2102.10757), and what a step of it costs.

    Costs are formulas in the letters n (items of a batch: nodes, or graphs), m (edges of it), v (nodes of a batch of
    graphs), d (width of the embedding), f (columns of the features) and those that the formula explains. They leave out
    what every method pays, that is to say one pass of the encoder and one step of the optimizer for each view.

    Attributes:
        family: of methods that share its idea.
        views: what the encoder sees, for example "edges dropped, columns of features masked; twice".
        encoders: which there are, and which weights they share.
        objective: what is compared with what, and how.
        time: of a step, for example "n² d".
        memory: of a step, for example "n²".
        whole_graph: why it trains on whole graphs only, as a sentence; None if it trains by sampled batches, too.
    """

    family: Family
    views: str
    encoders: str
    objective: str
    time: str
    memory: str
    whole_graph: str | None = None

    @property
    def kind(self) -> Literal["contrastive", "predictive", "reference"]:
        """Which half of the survey's framework the family belongs to; references learn nothing of themselves."""
        if self.family == "reference":
            return "reference"
        return "contrastive" if self.family in _CONTRASTIVE else "predictive"
