"""GraphCL."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from gssl.augment.base import Augmenter, Identity
from gssl.augment.choice import RandomChoice
from gssl.augment.drop_node import DropNode
from gssl.augment.mask_attribute import MaskAttribute
from gssl.augment.perturb_edge import PerturbEdge
from gssl.augment.subgraph import WalkSubgraph
from gssl.common.card import Card
from gssl.common.options import Fraction, Neutral, Positive, Probability
from gssl.common.space import Choice, Float, Int, Space
from gssl.datasets.types import Level
from gssl.methods.pairwise import PairwiseMethod, pair_objective
from gssl.models.encoder import Encoder
from gssl.models.heads import mlp_head

View = Literal["none", "dropN", "permE", "subgraph", "maskN", "random2", "random3", "random4"]


class GraphCL(PairwiseMethod):
    """Graph contrastive learning with augmentations (You et al., 2020, arXiv:2010.13902).

    Two augmented views of each graph of a batch agree, against the other graphs of the batch (NT-Xent).

    This is the paper's method. The unsupervised code (Shen-Lab/GraphCL, unsupervised_TU) differs where the paper says
    nothing of it or something else: it adds a self-loop to every node but the last of a graph, in the view that it
    does not augment and in what it embeds (a slip of a range, left out here); its ``permE`` removes edges and adds
    none; it shuffles the graphs once and not before each epoch; and sets without node labels have one constant
    feature there, one-hot degrees here, so that all methods see the same data.

    Args:
        encoder: shared by both views.
        view1: augmentation of the first view, by the names of GraphCL's code: none, node dropping, edge
            perturbation, subgraph, attribute masking, or a random one of the first 2, 3 or 4 of dropN, subgraph,
            permE, maskN, drawn for every graph anew.
        view2: augmentation of the second view.
        ratio: share of nodes dropped, of edges replaced, of nodes masked.
        keep: share of nodes kept by ``subgraph``.
        temperature: of the cosine similarity.
        symmetric: whether graphs of both views are anchors; the paper's are of the first view only.
        objective: NT-Xent, or another objective of two views by its name; it gets the temperature and ``symmetric`` if
            it has them.
    """

    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GIN"
    card: ClassVar[Card] = Card(
        family="cross-view",
        views="two of: the graph, nodes dropped, edges perturbed, a random walk's subgraph, attributes masked",
        encoders="one for both views, with a projection head",
        objective="NT-Xent of a graph in both views, the other graphs of the batch as negatives",
        time="n² d; m log v for views by random walks",
        memory="n²",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "view1": Choice(("none", "dropN", "permE", "subgraph", "maskN", "random4")),
        "view2": Choice(("dropN", "permE", "subgraph", "maskN", "random2", "random3", "random4")),
        "ratio": Float(0.05, 0.5),
        "keep": Float(0.1, 0.9),
        "temperature": Float(0.1, 1.0),
        "encoder.num_layers": Int(2, 5),
        "train.lr": Float(1e-4, 1e-2, log=True),
        "train.epochs": Int(10, 100, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        # The unsupervised code augments one view by a tenth and leaves the other as it is; the paper says 0.2.
        view1: View = "none",
        view2: View = "random4",
        ratio: Probability = 0.2,
        keep: Fraction = 0.2,
        temperature: Positive = 0.2,
        symmetric: bool = False,
        objective: Annotated[str, Neutral("nt_xent")] = "nt_xent",
        objective_options: Annotated[Mapping[str, Any] | None, Neutral(None)] = None,
    ) -> None:
        super().__init__(
            encoder,
            [make_view(view, ratio, keep) for view in (view1, view2)],
            head=mlp_head(encoder.out_dim, encoder.out_dim, encoder.out_dim, glorot=True),
            objective=pair_objective(objective, objective_options, temperature=temperature, symmetric=symmetric),
        )


def make_view(view: View, ratio: float, keep: float) -> Augmenter:
    """The augmenter behind one of GraphCL's names."""
    options = {
        "dropN": DropNode(ratio=ratio),
        "subgraph": WalkSubgraph(keep=keep),
        "permE": PerturbEdge(ratio=ratio),
        "maskN": MaskAttribute(ratio=ratio),
    }
    if view == "none":
        return Identity()
    if view in options:
        return options[view]
    return RandomChoice(*list(options.values())[: int(view[-1])])
