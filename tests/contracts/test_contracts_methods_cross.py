"""Contracts of the cross-view methods that came after GRACE and GCA."""

from gssl.method import Method
from gssl.methods.costa import COSTA
from gssl.methods.e2neg import E2Neg
from gssl.methods.graphacl import GraphACL
from gssl.methods.polygcl import PolyGCL
from gssl.methods.progcl import ProGCL
from gssl.testing.methods import MethodContract
from gssl.testing.toy import Kind, toy_graph
from gssl.training.embed import over_items


class TestProGCL(MethodContract):
    """From where hardness counts."""

    method = ProGCL
    options = {"projector_dim": 16, "start": 0.0}

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        method, graph = super().build(kind, seed=seed).eval(), toy_graph()
        method.begin_epoch(0, lambda function: over_items(function, graph))
        return method.train()


class TestProGCLMix(TestProGCL):
    options = {"projector_dim": 16, "start": 0.0, "mode": "mix", "synthetic": 10}


class TestCOSTA(MethodContract):
    method = COSTA
    options = {"projector_dim": 16}


class TestCOSTAOfOneView(MethodContract):
    method = COSTA
    options = {"projector_dim": 16, "mode": "single", "ratio": 1.0}


class TestGraphACL(MethodContract):
    method = GraphACL


class TestPolyGCL(MethodContract):
    method = PolyGCL
    options = {"order": 3, "drop_features": 0.2, "drop_filtered": 0.2}
    encoder_options = {"hidden_dim": 16, "num_layers": 1}


class TestPolyGCLWithNorm(TestPolyGCL):
    options = {"order": 3, "norm": True, "filter_rate": 0.5, "filter_decay": 0.01}


class TestE2Neg(MethodContract):
    method = E2Neg
    options = {"clusters": 8, "neighbors": 5, "least_neighbors": 3}
    encoder_options = {"hidden_dim": 16, "num_layers": 1}


class TestE2NegOfTwoViewsAndLayers(MethodContract):
    method = E2Neg
    options = {"clusters": 8, "neighbors": 5, "shuffled": "second", "spectrum": "low"}
