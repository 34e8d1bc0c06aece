"""GROVER."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.augment.graphwise import graph_offsets, random_rank, segment_index
from gssl.common.card import Card
from gssl.common.errors import InputError
from gssl.common.options import NonNegative, PositiveInt, Probability
from gssl.common.space import Choice, Float, Space
from gssl.datasets.functional_groups import NUM_GROUPS, tells_molecules
from gssl.datasets.types import Level
from gssl.graph.batch import MiniBatch
from gssl.graph.crossing import sent
from gssl.graph.kept import places_of
from gssl.graph.storage import Graph
from gssl.method import PredictiveMethod
from gssl.methods.attrmask import code_error
from gssl.methods.categories import categorical
from gssl.methods.contexts import Contexts, Vocabularies, groups_of, looked_up
from gssl.models.encoder import Encoder
from gssl.objectives.weights import weighted_mean


@dataclass(frozen=True, eq=False)
class Properties:
    """What is to be predicted of a batch.

    Attributes:
        atoms: drawn ones, shape (n,), int64, and the places of their contexts in the vocabulary, ``atom_codes``.
        bonds: the ends of drawn ones, shape (2, k), int64, and the places of their contexts, ``bond_codes``.
        groups: which functional groups each graph has, shape (num_graphs, 85), bool; None if nobody asks.
    """

    atoms: Tensor
    atom_codes: Tensor
    bonds: Tensor
    bond_codes: Tensor
    groups: Tensor | None


class GROVER(PredictiveMethod[Properties]):
    """GROVER's two tasks on molecules: contexts and functional groups (Rong et al., 2020, arXiv:2007.02835).

    Of some atoms and bonds of every molecule, linear heads predict what is around them, as one of the most frequent
    contexts of the data (:class:`~gssl.methods.contexts.Contexts`; cross-entropy), and of the whole molecule another
    head predicts which of RDKit's 85 functional groups it has (binary cross-entropy). Nothing is hidden, as in the
    authors' code (tencent-ailab/grover): the tasks are to keep in an embedding what is around it.

    The tasks alone are GROVER's. Its encoder, the GTransformer, embeds atoms and bonds from two sides, each with heads
    of its own that are kept near each other; here there is the encoder of this project that is asked for, one head for
    each task, and a bond is embedded as the sum of its ends. The code keeps every context that occurs; here the rarest
    count as one.

    Args:
        encoder: sees the molecules as they are.
        rate: share of the atoms, and of the bonds, of each molecule that are predicted, rounded up.
        atom_vocabulary: contexts of atoms that are told apart, the most frequent ones; the others count as one.
        bond_vocabulary: the same for bonds.
        atom_weight: of the contexts of atoms in the loss.
        bond_weight: of the contexts of bonds.
        motif_weight: of the functional groups, which need RDKit and data that tell elements; 0 leaves them out.
    """

    levels: ClassVar[tuple[Level, ...]] = ("graph",)
    default_encoder: ClassVar[str] = "GINE"
    card: ClassVar[Card] = Card(
        family="property prediction",
        views="the molecules",
        encoders="one, with a linear head for atoms, bonds and molecules each",
        objective="cross-entropy of the contexts of drawn atoms and bonds, binary of a molecule's functional groups",
        time="r d c + n d g (r drawn atoms and bonds, c contexts, g = 85 groups); once, a search for each group",
        memory="r c + n g",
    )
    search_space: ClassVar[Mapping[str, Space]] = {
        "rate": Float(0.05, 0.5),
        "motif_weight": Float(0.1, 10.0, log=True),
        "encoder.hidden_dim": Choice((64, 128, 300)),
        "train.lr": Float(1e-4, 1e-2, log=True),
    }

    def __init__(
        self,
        encoder: Encoder,
        *,
        rate: Probability = 0.15,
        atom_vocabulary: PositiveInt = 512,
        bond_vocabulary: PositiveInt = 512,
        atom_weight: NonNegative = 1.0,
        bond_weight: NonNegative = 1.0,
        motif_weight: NonNegative = 1.0,
    ) -> None:
        super().__init__(encoder)
        self.spec = categorical(encoder, self.title)
        if not (atom_weight or bond_weight or motif_weight):
            raise InputError("GROVER has nothing to learn where atom_weight, bond_weight and motif_weight are all 0")
        if motif_weight and not tells_molecules(self.spec.meaning):
            raise InputError(
                f"GROVER's functional groups need the elements of atoms, which {self.spec.meaning} do not tell; set "
                "motif_weight=0, or use a MoleculeNet set, MOSES, ogbg-molhiv, ogbg-molpcba or a file of SMILES"
            )
        self.rate, self.sizes = rate, (atom_vocabulary, bond_vocabulary)
        self.weights = (atom_weight, bond_weight, motif_weight)
        dim = encoder.out_dim
        # One more: what is not in the vocabulary.
        self.atom_head = nn.Linear(dim, atom_vocabulary + 1) if atom_weight else None
        self.bond_head = nn.Linear(dim, bond_vocabulary + 1) if bond_weight else None
        self.motif_head = nn.Linear(dim, NUM_GROUPS) if motif_weight else None
        self.graph: Graph | None = None
        self._moved: dict[str, tuple[Tensor, Tensor]] = {}

    def prepare(self, graph: Graph, seed: int) -> None:
        # What is predicted is made when a loss asks for it: data that are only embedded, or fine-tuned on, need none.
        self.graph = graph

    def pretext(self, batch: MiniBatch) -> tuple[MiniBatch, Properties]:
        known, contexts = self.vocabularies(), Contexts.of(batch, self.spec)
        offsets = graph_offsets(batch)
        ends = torch.searchsorted(contexts.ends[0].contiguous(), offsets)
        drawn = self._drawn(offsets, batch.num_nodes), self._drawn(ends, len(contexts.bonds))
        atoms, bonds = places_of(*drawn)
        groups = None
        if self.motif_head is not None:
            assert batch.graph_ids is not None
            groups = self._there("motifs", self.motifs(), batch.device)[batch.graph_ids]
        return batch, Properties(
            atoms,
            looked_up(contexts.atoms[atoms], self._there("atoms", known.atoms, batch.device)),
            contexts.ends[:, bonds],
            looked_up(contexts.bonds[bonds], self._there("bonds", known.bonds, batch.device)),
            groups,
        )

    def error(self, embedding: Tensor, view: MiniBatch, target: Properties) -> Tensor:
        known, total = self.vocabularies(), embedding.new_zeros(())
        if self.atom_head is not None:
            logits = self.atom_head(embedding[target.atoms])[:, : len(known.atoms) + 1]
            weight = _of_graphs(view, target.atoms)
            total = total + self.weights[0] * code_error(logits, target.atom_codes, weight)
        if self.bond_head is not None:
            both = embedding[target.bonds[0]] + embedding[target.bonds[1]]
            logits = self.bond_head(both)[:, : len(known.bonds) + 1]
            weight = _of_graphs(view, target.bonds[0])
            total = total + self.weights[1] * code_error(logits, target.bond_codes, weight)
        if self.motif_head is not None and target.groups is not None:
            logits = self.motif_head(self.encoder.pool(embedding, view))
            terms = F.binary_cross_entropy_with_logits(logits, target.groups.to(logits), reduction="none").mean(1)
            total = total + self.weights[2] * weighted_mean(terms, view.weight)
        return total

    def vocabularies(self) -> Vocabularies:
        """The contexts that are frequent in the graphs that are trained on; the graph keeps them."""
        graph, (atoms, bonds) = self._graph(), self.sizes
        key = f"contexts, {atoms} of atoms and {bonds} of bonds"
        return graph.derived(key, lambda: Vocabularies.of(graph, self.spec, atoms=atoms, bonds=bonds))

    def motifs(self) -> Tensor:
        """Which functional groups each of the graphs has that are trained on, shape (num_graphs, 85), bool."""
        graph = self._graph()
        return graph.derived("functional groups", lambda: groups_of(graph, self.spec))

    def _graph(self) -> Graph:
        if self.graph is None:
            raise InputError("GROVER knows no graphs yet; call prepare(graph, seed) first")
        return self.graph

    def _there(self, name: str, values: Tensor, device: torch.device) -> Tensor:
        """What was made on the CPU, on a device, where it stays."""
        moved = self._moved.get(name)
        if moved is None or moved[0] is not values or moved[1].device != device:
            self._moved[name] = moved = values, sent(values, device)
        return moved[1]

    def _drawn(self, offsets: Tensor, total: int) -> Tensor:
        """A share of the items of each segment, rounded up, shape (total,), bool."""
        count = (offsets.diff().double() * self.rate - 1e-9).ceil().long()
        return random_rank(offsets, self.rng, total) < count[segment_index(offsets, total)]


def _of_graphs(view: MiniBatch, rows: Tensor) -> Tensor | None:
    """Weight of the graph of each row, shape (n,), float."""
    return None if view.weight is None else view.weight[view.graph_index()[rows]]
