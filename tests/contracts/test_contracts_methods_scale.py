"""The contracts of methods that are made for large graphs."""

from gssl.methods.ggd import GGD
from gssl.methods.gmi import GMI
from gssl.methods.simmlp import SimMLP
from gssl.methods.subgcon import SUBGCON
from gssl.methods.sugrl import SUGRL
from gssl.testing.methods import MethodContract


class TestGGD(MethodContract):
    method = GGD


class TestGGDOfSeveralMaps(MethodContract):
    method = GGD
    options = {"drop_edge": 0.3, "projector_layers": 3, "power": 0, "normalize": True}


class TestGMI(MethodContract):
    method = GMI
    options = {"negatives": 2}


class TestSUBGCON(MethodContract):
    method = SUBGCON
    options = {"subgraph_size": 6, "centers": 30}


class TestSUGRL(MethodContract):
    method = SUGRL
    encoder_options = {"hidden_dim": 16, "final_activation": False}


class TestSimMLP(MethodContract):
    method = SimMLP
    options = {"predictor_dim": 16}
    encoder_options = {
        "hidden_dim": 16,
        "norm": "batch",
        "final_activation": False,
        "last_norm": True,
        "residual": True,
    }
