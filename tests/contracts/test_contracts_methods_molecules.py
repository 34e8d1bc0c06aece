"""Contracts of methods of molecules, and of generated attributes and edges."""

import torch

from gssl.common.options import validate
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.spec import Category, GraphSpec
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.methods.gptgnn import GPTGNN
from gssl.methods.grover import GROVER
from gssl.registry import ENCODERS
from gssl.testing.methods import MethodContract
from gssl.testing.toy import Kind, toy_batch


class TestGROVER(MethodContract):
    """On contexts alone: toy graphs are no molecules (tests/methods/test_grover.py has some)."""

    method = GROVER
    options = {"atom_vocabulary": 12, "bond_vocabulary": 4, "motif_weight": 0.0}

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        torch.manual_seed(seed)
        batch = toy_batch(kind)
        spec = GraphSpec(batch.in_dim, nodes=(Category("kind", batch.in_dim),), meaning="toy")
        encoder = ENCODERS.get("GINE").for_graph(spec, **validate(ENCODERS.get("GINE"), self.encoder_options, what=""))
        method = self.method(encoder, **validate(self.method, self.options, what="method"))
        x = batch.x if isinstance(batch.x, SparseMatrix) else dense_features(batch.x)
        method.prepare(Graph(batch.blocks[0], x, batch.graph_ptr), seed)
        return method


class TestGPTGNN(MethodContract):
    method = GPTGNN
    options = {"negatives": 12, "queue": 16}


class TestGPTGNNWithoutQueue(MethodContract):
    method = GPTGNN
    options = {"negatives": 100, "queue": 0, "attribute_weight": 0.2}
