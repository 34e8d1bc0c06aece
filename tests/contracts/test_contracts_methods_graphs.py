"""Contracts of methods of graphs."""

import torch

from gssl.common.options import validate
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.autogcl import AutoGCL
from gssl.methods.gcc import GCC
from gssl.methods.rgcl import RGCL
from gssl.methods.simgrace import SimGRACE
from gssl.registry import ENCODERS
from gssl.testing.methods import MethodContract
from gssl.testing.toy import Kind, toy_batch


class TestSimGRACE(MethodContract):
    method = SimGRACE
    options = {"eta": 0.5}


class TestRGCL(MethodContract):
    method = RGCL
    options = {"generator_dim": 8, "generator_layers": 2}


class TestAutoGCL(MethodContract):
    method = AutoGCL
    options = {"generator_dim": 8}


class TestAutoGCLThatMasksAndRemoves(MethodContract):
    method = AutoGCL
    options = {"generator_dim": 8, "mask": True, "remove": True}


class TestGCC(MethodContract):
    """With a queue; its encoder is made for a graph, so that another one like it can be made."""

    method = GCC
    options = {"dim": 8, "positions": 4, "steps": 16, "queue": 8, "momentum": 0.5}

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        torch.manual_seed(seed)
        maker, batch = ENCODERS.get(self.method.default_encoder), toy_batch(kind)
        encoder = maker.for_graph(GraphSpec(batch.in_dim), **validate(maker, self.encoder_options, what="encoder"))
        method = self.method(encoder, **validate(self.method, self.options, what="method"))
        x = batch.x if isinstance(batch.x, SparseMatrix) else dense_features(batch.x)
        method.prepare(Graph(batch.blocks[0], x, batch.graph_ptr), seed)
        return method


class TestGCCEndToEnd(TestGCC):
    options = {"dim": 8, "positions": 4, "steps": 16, "queue": 0}
