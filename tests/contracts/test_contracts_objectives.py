"""Every registered objective keeps the contract that plug-in authors test theirs with."""

import torch
from torch import Tensor

from gssl.graph.hetero import pattern_of
from gssl.objectives.bootstrap import bootstrap_cosine
from gssl.objectives.decorrelation import barlow_twins, cca_ssg, vicreg
from gssl.objectives.edges import edge_reconstruction
from gssl.objectives.groups import group_discrimination
from gssl.objectives.hard_negatives import debiased_info_nce, hard_info_nce
from gssl.objectives.hyperbola import hyperbola_error
from gssl.objectives.info_nce import info_nce
from gssl.objectives.invariance import root_mean_square
from gssl.objectives.jsd import jsd
from gssl.objectives.kl import gaussian_kl
from gssl.objectives.margin import margin_ranking, multi_margin_triplet, triplet_margin
from gssl.objectives.nt_xent import nt_xent
from gssl.objectives.positives import multi_positive_nce
from gssl.objectives.queue_info_nce import candidate_info_nce, queue_info_nce
from gssl.objectives.rationale import rationale_contrast
from gssl.objectives.scaled_cosine import scaled_cosine_error
from gssl.objectives.scattering import scattering
from gssl.objectives.uniformity import uniformity
from gssl.registry import OBJECTIVES
from gssl.testing.objectives import Inputs, ObjectiveContract


class TestInfoNCE(ObjectiveContract):
    objective = info_nce


class TestInfoNCEBetweenViews(TestInfoNCE):
    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        return info_nce(*inputs, weight=weight, intra=False, temperature=0.2)


class TestDebiasedInfoNCE(ObjectiveContract):
    objective = debiased_info_nce


class TestHardInfoNCE(ObjectiveContract):
    objective = hard_info_nce


class TestHardInfoNCEBetweenViews(TestHardInfoNCE):
    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        return hard_info_nce(*inputs, weight=weight, intra=False, temperature=0.4, class_prior=0.3, concentration=0.5)


class TestNTXent(ObjectiveContract):
    objective = nt_xent


class TestNTXentSymmetric(TestNTXent):
    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        return nt_xent(*inputs, weight=weight, symmetric=True, positive_in_denominator=True)


class TestBarlowTwins(ObjectiveContract):
    objective = barlow_twins


class TestVICReg(ObjectiveContract):
    objective = vicreg


class TestCCASSG(ObjectiveContract):
    objective = cca_ssg


class TestScattering(ObjectiveContract):
    objective = scattering
    differentiable = (0,)

    def draw(self, rng: torch.Generator) -> Inputs:
        return (torch.randn(6, 4, generator=rng, dtype=torch.float64),)


class TestBootstrapCosine(ObjectiveContract):
    objective = bootstrap_cosine
    differentiable = (0,)


class TestHyperbolaError(ObjectiveContract):
    objective = hyperbola_error
    differentiable = (0,)

    def draw(self, rng: torch.Generator) -> Inputs:
        prediction = torch.randn(6, 2, generator=rng, dtype=torch.float64)
        return prediction, torch.randn(6, 4, generator=rng, dtype=torch.float64)


class TestRootMeanSquare(ObjectiveContract):
    objective = root_mean_square


class TestScaledCosineError(ObjectiveContract):
    objective = scaled_cosine_error


class TestUniformity(ObjectiveContract):
    objective = uniformity
    differentiable = (0,)

    def draw(self, rng: torch.Generator) -> Inputs:
        return super().draw(rng)[:1]


class TestMultiPositiveNCE(ObjectiveContract):
    """Items of the same group, which the third input says, are positives of each other."""

    objective = multi_positive_nce

    def draw(self, rng: torch.Generator) -> Inputs:
        return (*super().draw(rng), torch.tensor([0, 1, 1, 2, 0, 3]))

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        first, second, group = inputs
        row, col = (group[:, None] == group).nonzero(as_tuple=True)
        positives = pattern_of(row, col, len(group), len(group))
        return multi_positive_nce(first, second, positives=positives, temperature=0.6, balance=0.3, weight=weight)


class TestGaussianKL(ObjectiveContract):
    objective = gaussian_kl


class TestJSD(ObjectiveContract):
    objective = jsd

    def draw(self, rng: torch.Generator) -> Inputs:
        return tuple(torch.randn(6, generator=rng, dtype=torch.float64) for _ in range(2))

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        return jsd(*inputs, positive_weight=weight, negative_weight=weight)


class TestGroupDiscrimination(ObjectiveContract):
    objective = group_discrimination


class TestMarginRanking(ObjectiveContract):
    objective = margin_ranking

    def draw(self, rng: torch.Generator) -> Inputs:
        return tuple(torch.randn(6, generator=rng, dtype=torch.float64) for _ in range(2))


class TestTripletMargin(ObjectiveContract):
    objective = triplet_margin
    differentiable = (0, 1, 2)

    def draw(self, rng: torch.Generator) -> Inputs:
        return tuple(torch.randn(6, 4, generator=rng, dtype=torch.float64) for _ in range(3))


class TestMultiMarginTriplet(ObjectiveContract):
    """Anchors and positives have no gradient from the bound, so that finite differences are not theirs."""

    objective = multi_margin_triplet
    differentiable = (2, 3)

    def draw(self, rng: torch.Generator) -> Inputs:
        return tuple(torch.randn(6, 4, generator=rng, dtype=torch.float64) for _ in range(4))


class TestEdgeReconstruction(ObjectiveContract):
    """Items are pairs of ends: what an edge between them and a non-edge between them cost."""

    objective = edge_reconstruction

    def draw(self, rng: torch.Generator) -> Inputs:
        return tuple(torch.randn(6, 3, generator=rng, dtype=torch.float64) for _ in range(4))

    differentiable = (0, 1, 2, 3)

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        z = torch.cat(inputs)
        ends = torch.arange(len(z)).view(4, -1)
        return edge_reconstruction(z, ends[:2], ends[2:], positive_weight=weight, negative_weight=weight)


class TestRationaleContrast(ObjectiveContract):
    objective = rationale_contrast
    differentiable = (0, 1, 2)

    def draw(self, rng: torch.Generator) -> Inputs:
        return tuple(torch.randn(6, 4, generator=rng, dtype=torch.float64) for _ in range(3))


class TestRationaleContrastApart(TestRationaleContrast):
    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        return rationale_contrast(*inputs, weight=weight, separate=True, independence=1.0)


class TestQueueInfoNCE(ObjectiveContract):
    objective = queue_info_nce

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        queue = torch.randn(5, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        query, key = inputs
        return queue_info_nce(query, key, queue, temperature=0.5, weight=weight)


class TestCandidateInfoNCE(ObjectiveContract):
    objective = candidate_info_nce

    def value(self, inputs: Inputs, weight: Tensor | None) -> Tensor:
        candidates = torch.randn(5, 4, generator=torch.Generator().manual_seed(9), dtype=torch.float64)
        query, key = inputs
        return candidate_info_nce(query, key, candidates, temperature=0.5, weight=weight)


def test_every_registered_objective_has_its_contract() -> None:
    covered = {
        vars(value)["objective"]
        for value in list(globals().values())
        if isinstance(value, type) and issubclass(value, ObjectiveContract) and "objective" in vars(value)
    }
    assert covered == {OBJECTIVES.get(name) for name in OBJECTIVES.names()}
