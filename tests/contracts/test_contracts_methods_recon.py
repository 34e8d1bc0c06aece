"""Contracts of methods that reconstruct graphs, or latents of their parts."""

from gssl.methods.edgepred import EdgePred
from gssl.testing.methods import MethodContract


class TestEdgePred(MethodContract):
    method = EdgePred
    encoder_options = {"hidden_dim": 16, "num_layers": 2}


class TestEdgePredWithPlainGraphs(MethodContract):
    method = EdgePred
    options = {"negatives": 2}
    encoder = "GIN"
