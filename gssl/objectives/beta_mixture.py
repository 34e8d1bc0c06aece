"""A mixture of two beta distributions: which similarities are those of true negatives, and which of false ones."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gssl.common.errors import TrainingError
from gssl.graph.crossing import sent

_EPS = 1e-12


@dataclass(frozen=True, eq=False)
class BetaMixture:
    """Two beta distributions on (0, 1), the one with the lower mean first where fitting began so.

    Attributes:
        alpha: first parameter of each, shape (2,), float64, positive.
        beta: second parameter of each, shape (2,), float64, positive.
        share: of each in the mixture, shape (2,), float64, of sum 1.
    """

    alpha: Tensor
    beta: Tensor
    share: Tensor

    @classmethod
    def start(cls, upper_share: float) -> BetaMixture:
        """Where ProGCL's code begins to fit: means of 1/3 and 2/3, the upper one with a share of ``upper_share``."""
        one, two = 1.0, 2.0
        alpha, beta, share = ([one, two], [two, one], [1 - upper_share, upper_share])
        return cls(*(torch.tensor(values, dtype=torch.float64) for values in (alpha, beta, share)))

    def sent(self, device: torch.device) -> BetaMixture:
        """The mixture on a device, for which nobody waits."""
        return BetaMixture(sent(self.alpha, device), sent(self.beta, device), sent(self.share, device))

    def joint(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Density of the mixture that each of the two contributes, each of the shape and dtype of ``values``.

        Args:
            values: in [0, 1], of any shape, float.
        """
        values = values.clamp(_EPS, 1 - torch.finfo(values.dtype).eps)
        low, high = values.log(), (-values).log1p()
        alpha, beta = self.alpha.to(values), self.beta.to(values)
        constant = self.share.to(values).log() + (alpha + beta).lgamma() - alpha.lgamma() - beta.lgamma()
        first, second = (torch.addcmul(constant[k] + (alpha[k] - 1) * low, high, beta[k] - 1).exp_() for k in (0, 1))
        return first, second

    def lower(self, values: Tensor) -> Tensor:
        """Probability that each value is from the first distribution; 0 where both densities are next to nothing."""
        first, second = self.joint(values)
        return first / second.add_(first).add_(_EPS)

    def fitted(self, values: Tensor, *, steps: int) -> BetaMixture:
        """The mixture after some steps of expectation and maximisation, the latter by moments (ProGCL's code).

        A second parameter of the upper distribution below 1, whose density would rise without bound towards 1, is
        made 1.01.

        Args:
            values: in [0, 1], shape (n,), float.
            steps: at least 1.

        Raises:
            TrainingError: the values are all the same, so that no distribution fits them.
        """
        values = values.double().clamp(_EPS, 1 - _EPS)
        mixture = self
        for _ in range(steps):
            joint = torch.stack(mixture.joint(values)).clamp(min=_EPS)
            own = joint / joint.sum(0)
            count = own.sum(1)
            mean = own @ values / count
            variance = (own * (values - mean[:, None]).square()).sum(1) / count
            alpha = mean * (mean * (1 - mean) / variance - 1)
            beta = alpha * (1 - mean) / mean
            beta[1] = beta[1].where(beta[1] >= 1, 1.01)
            mixture = BetaMixture(alpha, beta, count / count.sum())
        fits = torch.cat([mixture.alpha, mixture.beta]).isfinite().all() & (mixture.alpha > 0).all()
        if not bool(fits):
            raise TrainingError(
                "the similarities of nodes are all the same or all at the ends, so that they cannot be told apart by a "
                "mixture of beta distributions; the embeddings have collapsed, or there are too few nodes; ProGCL with "
                "--set start=1 needs none"
            )
        return mixture
