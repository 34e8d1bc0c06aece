"""Contracts of the cross-view methods that came after GRACE and GCA."""

import torch

from gssl.method import Method
from gssl.methods.costa import COSTA
from gssl.methods.graphacl import GraphACL
from gssl.methods.progcl import ProGCL
from gssl.testing.methods import MethodContract
from gssl.testing.toy import Kind, toy_graph
from gssl.training.embed import over_items


class TestProGCL(MethodContract):
    """From the start epoch on."""

    method = ProGCL
    options = {"projector_dim": 16, "start_epoch": 0}

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        method, graph = super().build(kind, seed=seed).eval(), toy_graph()
        method.begin_epoch(0, lambda function: over_items(function, graph, torch.device("cpu")))
        return method.train()


class TestProGCLMix(TestProGCL):
    options = {"projector_dim": 16, "start_epoch": 0, "mode": "mix", "synthetic": 10}


class TestCOSTA(MethodContract):
    method = COSTA
    options = {"projector_dim": 16}


class TestCOSTAOfOneView(MethodContract):
    method = COSTA
    options = {"projector_dim": 16, "mode": "single", "ratio": 1.0}


class TestGraphACL(MethodContract):
    method = GraphACL
