"""Contracts of methods that are made of several others."""

import torch
from torch import Tensor

from gssl.methods.merged import Merged
from gssl.methods.paretognn import ParetoGNN
from gssl.testing.methods import MethodContract, train
from gssl.testing.toy import Kind, toy_batch


class TestParetoGNN(MethodContract):
    method = ParetoGNN
    options = {"methods": ("DGI", "GRACE", "GAE"), "options": {"GRACE": {"projector_dim": 16}}}


class TestParetoGNNDescent(TestParetoGNN):
    options = {**TestParetoGNN.options, "normalize": "losses"}
    repeats = 8

    def test_training_lowers_the_loss(self, kind: Kind) -> None:
        """Weights follow the lengths of gradients, so that their sum says less than the losses themselves."""
        method, batch = self.build(kind), toy_batch(kind)
        assert isinstance(method, ParetoGNN)

        def losses() -> Tensor:
            method.reseed(1000, batch.device)
            with torch.no_grad():
                return method.terms(batch)

        before = losses()
        train(method, batch, steps=self.steps, lr=self.lr)
        assert bool((losses() < before).all())


class TestMerged(MethodContract):
    method = Merged
    options = {"methods": ("DGI", "GAE"), "merge": "arithmetic"}
    encoder_options = {"hidden_dim": 16, "norm": "layer", "activation": "prelu"}


class TestMergedExperts(MethodContract):
    method = Merged
    options = {"methods": ("DGI", "GAE"), "merge": "experts", "router_dim": 4}
    encoder_options = {"hidden_dim": 16, "norm": "layer", "activation": "prelu"}
