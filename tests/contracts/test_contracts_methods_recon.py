"""Contracts of methods that reconstruct graphs, or latents of their parts."""

from gssl.methods.edgepred import EdgePred
from gssl.methods.gala import GALA
from gssl.methods.graphjepa import GraphJEPA
from gssl.methods.lagraph import LaGraph
from gssl.methods.mgae import MGAE
from gssl.testing.methods import EmbeddingContract, MethodContract


class TestEdgePred(MethodContract):
    method = EdgePred
    encoder_options = {"hidden_dim": 16, "num_layers": 2}


class TestEdgePredWithPlainGraphs(MethodContract):
    method = EdgePred
    options = {"negatives": 2}
    encoder = "GIN"


class TestLaGraph(MethodContract):
    """With batch norm, as the authors have it: without a norm embeddings shrink until no noise moves them."""

    method = LaGraph
    options = {"mask_ratio": 0.3}
    encoder_options = {"hidden_dim": 16, "norm": "batch", "activation": "prelu"}


class TestLaGraphWithFeatures(MethodContract):
    method = LaGraph
    options = {"mask_ratio": 0.3, "decoder_layers": 2, "rectified": False, "features": True}
    encoder_options = {"hidden_dim": 16, "jk": "cat", "norm": "batch"}


class TestGALA(MethodContract):
    method = GALA
    encoder_options = {"hidden_dim": 16, "out_dim": 8}


class TestGALAOfAnyFeatures(MethodContract):
    method = GALA
    options = {"rectified": False}
    encoder_options = {"hidden_dim": 16, "num_layers": 1}


class TestMGAE(EmbeddingContract):
    method = MGAE
    options = {"num_layers": 2}


class TestGraphJEPA(MethodContract):
    """At a small rate, as the authors': its targets move, and at a great one faster than they are learnt."""

    method = GraphJEPA
    lr = 1e-3
    options = {"targets": 2, "positions": 4, "layers": 1, "heads": 2}
    encoder = "GIN"


class TestGraphJEPAOfCutGraphs(MethodContract):
    """With fewer patches than nodes, where METIS decides."""

    method = GraphJEPA
    lr = 1e-3
    options = {"patches": 3, "targets": 2, "positions": 4, "layers": 2, "heads": 2}
    encoder_options = {"hidden_dim": 16, "num_layers": 3}
