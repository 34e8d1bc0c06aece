"""AUG-MAE."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.learned_nodes import gumbel_choice
from gssl.augment.mask_node import hide_nodes
from gssl.common.card import Card
from gssl.common.options import Fraction, NonNegative, Positive, PositiveInt
from gssl.common.space import Float, Space
from gssl.graph.batch import MiniBatch
from gssl.graph.cut import CutSizes, before_last
from gssl.graph.kept import places_of, true_places
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.method import MAIN, Player
from gssl.methods.graphmae import GraphMAE, Masked
from gssl.methods.subgraphs import require_subgraphs_only
from gssl.models.encoder import Encoder
from gssl.models.known import KnownNumbers
from gssl.models.twin import twin
from gssl.objectives.uniformity import uniformity
from gssl.objectives.weights import weighted_mean
from gssl.samplers.base import Sampler


@dataclass(frozen=True, eq=False)
class Attack:
    """What the adversary and chance have hidden.

    Attributes:
        view: the batch without it, with all edges.
        target: what is to be reconstructed.
        share: of the nodes that the adversary would hide, a scalar, through which a gradient reaches it.
    """

    view: MiniBatch
    target: Masked
    share: Tensor


class AUGMAE(GraphMAE):
    """Rethinking graph masked autoencoders through alignment and uniformity (Wang et al., 2024, arXiv:2402.07225).

    As GraphMAE, but a second network of the same form chooses which nodes are hidden, by a hard Gumbel softmax. With
    each batch it first raises the reconstruction error, less a penalty, ``1 / sin(pi * share)``, that is least where it
    hides half of the nodes; then the autoencoder lowers the error. From easy to hard: the adversary decides on a share
    of the nodes that grows during training, and a random mask of ``mask_rate`` on the others shrinks. A regulariser
    keeps directions apart, those of a projection of the nodes, or of the graphs' visible nodes.

    It follows the authors' code (AzureLeon1/AUG-MAE). There ``uniformity`` is no weight: it is, times the share that
    chance still has, the inverse width of the potential, which for its small values is nearly the same. The gradient
    reaches the adversary through the features of visible nodes on which it decides, by which that code multiplies them.
    That code leaves the rate of the adversary constant where the other's follows a cosine, here both follow it; its
    option for the width of the projection is not handed on, so that it has 64 columns everywhere. It divides the share
    by a number of nodes that it has raised itself, by those that the adversary hid and was overruled on.

    Args:
        encoder: sees the masked graph; the adversary's has the same form.
        hardness: share of the nodes that the adversary decides on, at the start and at the end of training.
        hardness_power: exponent of the finished share of training, in which the first goes over into the second.
        adversary_lr: learning rate of the adversary.
        penalty: of the adversary, for hiding many nodes or few.
        uniformity: inverse width of the potential where chance decides on all nodes; 0 leaves the regulariser out.
        uniformity_dim: columns of the projection, which ends with a ReLU.
    """

    title: ClassVar[str] = "AUG-MAE"
    card: ClassVar[Card] = Card(
        family="masked reconstruction",
        views="features of some nodes, which an adversary chooses more and more of, behind a learned token",
        encoders="one; one more layer decodes; an adversary of the same form",
        objective="scaled cosine error, which the adversary raises; Gaussian potential of pairs of directions",
        time="n d f + m d, twice; n² p (p: columns of the projection); a pass of each network more",
        memory="n f + m",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        **GraphMAE.search_space,
        "hardness.0": Float(0.0, 1.0),
        "hardness.1": Float(0.0, 1.0),
        "adversary_lr": Float(1e-5, 1e-2, log=True),
        "penalty": Float(1e-4, 1.0, log=True),
        "uniformity": Float(1e-5, 1.0, log=True),
    }

    progress: Tensor

    def __init__(
        self,
        encoder: Encoder,
        *,
        hardness: tuple[Fraction, Fraction] = (0.5, 1.0),
        hardness_power: Positive = 1.0,
        adversary_lr: Positive = 1e-4,
        penalty: NonNegative = 1.0,
        uniformity: NonNegative = 1e-3,
        uniformity_dim: PositiveInt = 64,
        **inherited: Any,
    ) -> None:
        super().__init__(encoder, **inherited)
        self.hardness, self.hardness_power = hardness, hardness_power
        self.adversary_lr, self.penalty, self.uniformity = adversary_lr, penalty, uniformity
        self.adversary = nn.Sequential(twin(encoder), nn.Linear(encoder.out_dim, 2))
        self.numbers = KnownNumbers(self)
        if uniformity:
            self.spread = nn.Linear(encoder.out_dim, uniformity_dim, bias=False)

    def prepare(self, graph: Graph, seed: int) -> None:
        """The training is at its beginning."""
        self.register_buffer("progress", torch.zeros((), dtype=torch.float64))
        self.numbers.forget()

    def after_step(self, progress: float) -> None:
        self.numbers["progress"] = progress

    def check_sampler(self, sampler: Sampler) -> None:
        require_subgraphs_only(sampler, "AUG-MAE decides for each node of a batch whether it is hidden")
        super().check_sampler(sampler)

    def players(self) -> Mapping[str, Player]:
        """The adversary, then the autoencoder."""
        adversary = tuple(self.adversary.parameters())
        theirs = {id(parameter) for parameter in adversary}
        learners = tuple(p for p in self.parameters() if p.requires_grad and id(p) not in theirs)
        return {
            "adversary": Player(adversary, lr=self.adversary_lr, loss=self.adversary_loss),
            MAIN: Player(learners),
        }

    @property
    def hard(self) -> float:
        """Share of the nodes that the adversary decides on now."""
        first, last = self.hardness
        return first + math.pow(self.numbers["progress"], self.hardness_power) * (last - first)

    def attack(self, batch: MiniBatch) -> Attack:
        """Hide nodes: those that the adversary chose of its share, random ones of the rest, and one target at least."""
        nodes, targets = batch.num_nodes, batch.num_targets
        kept = gumbel_choice(self.adversary(before_last(batch, 1)), self.rng)[:, 1]
        share = weighted_mean(1 - kept[:targets], self.node_weight(batch))
        kept = kept.index_fill(0, self._some(nodes, int((1 - self.hard) * nodes)), 1.0)
        gone = kept.detach() == 0
        gone[self._some(nodes, int(self.mask_rate * (1 - self.hard) * nodes))] = True
        sizes = self._cut_sizes(batch, gone[:targets])
        rows, own = places_of(gone, gone[:targets])
        if not len(own):
            gone[self._some(targets, 1)] = True
            sizes = self._cut_sizes(batch, gone[:targets])
            rows, own = places_of(gone, gone[:targets])
        rows = rows[torch.randperm(len(rows), generator=self.rng, device=rows.device)]
        replaced, hidden = rows.tensor_split([int(self.replace_rate * len(rows))])
        view = hide_nodes(batch, self.token, replaced, hidden, self.rng)
        if kept.requires_grad:  # by ones, through which the adversary hears what its choices did
            view = view.with_x(dense_features(view.x) * kept.masked_fill(gone, 1.0).unsqueeze(1))
        here = rows < targets
        own, others = (
            rows[true_places(part, count)] for part, count in ((here, len(own)), (~here, len(rows) - len(own)))
        )
        return Attack(view, Masked.of(batch, own, others, sizes), share)

    def _cut_sizes(self, batch: MiniBatch, hidden: Tensor) -> CutSizes | None:
        """What the decoder must know of hidden targets (num_targets,), bool, of a device; None where it need not."""
        if hidden.device.type == "cpu" or self.decodes_rows or self.mixes_rows:
            return None
        return CutSizes.of(batch.blocks[-1].pattern, hidden)

    def _some(self, nodes: int, count: int) -> Tensor:
        return torch.randperm(nodes, generator=self.rng, device=self.rng.device)[:count]

    def hide(self, batch: MiniBatch) -> tuple[MiniBatch, Masked]:
        attack = self.attack(batch)
        return attack.view, attack.target

    def node_weight(self, batch: MiniBatch) -> Tensor | None:
        """Importance weight of each target, shape (num_targets,)."""
        by_node = batch.weight is None or batch.graph_ptr is None
        return batch.weight if by_node or batch.weight is None else batch.weight[batch.graph_index()]

    def loss(self, batch: MiniBatch) -> Tensor:
        view, target = self.hide(batch)
        nodes = self.encoder(self.encoded(self.drop(view, self.rng)))
        error = self.error(nodes, view, target)
        return error + self.crowding(nodes, view, target) if self.uniformity else error

    def adversary_loss(self, batch: MiniBatch) -> Tensor:
        """What the adversary lowers: its penalty less the reconstruction error, a scalar."""
        attack = self.attack(batch)
        nodes = self.encoder(self.encoded(self.drop(attack.view, self.rng)))
        error = self.error(nodes, attack.view, attack.target)
        return self.penalty * extreme(attack.share, batch.num_targets) - error

    def crowding(self, nodes: Tensor, view: MiniBatch, target: Masked) -> Tensor:
        """The regulariser, a scalar, from node embeddings (num_nodes, out_dim)."""
        items = nodes[: view.num_targets]
        if view.graph_ptr is not None:
            seen = torch.ones(len(nodes), dtype=torch.bool, device=nodes.device).index_fill(0, target.rows, False)
            offsets = F.pad(seen.cumsum(0), (1, 0))[view.graph_ptr]
            left = true_places(seen, len(nodes) - len(target.rows))
            items = self.encoder.pool(nodes[left], replace(view, graph_ptr=offsets))
        return uniformity(F.relu(self.spread(items)), t=self.uniformity * (1 - self.hard), weight=view.weight)


def extreme(share: Tensor, nodes: int) -> Tensor:
    """``1 / sin(pi * share)``, a scalar; a share of none or of all counts as half a node, with the gradient there."""
    inside = share.detach().clamp(0.5 / nodes, 1 - 0.5 / nodes)
    return 1 / torch.sin(math.pi * (share + (inside - share.detach())))
