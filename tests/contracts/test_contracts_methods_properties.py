"""The contracts of methods that predict properties of nodes and of pairs of nodes, and of self-training."""

from dataclasses import replace

import torch

from gssl.method import Method
from gssl.methods.clustering import Clustering
from gssl.methods.completion import Completion
from gssl.methods.distance2clusters import Distance2Clusters
from gssl.methods.edge_mask import EdgeMask
from gssl.methods.m3s import M3S
from gssl.methods.node_property import NodeProperty
from gssl.methods.pairwise_attr_sim import PairwiseAttrSim
from gssl.methods.pairwise_distance import PairwiseDistance
from gssl.methods.partitioning import Partitioning
from gssl.methods.s2grl import S2GRL
from gssl.testing.methods import MethodContract
from gssl.testing.toy import Kind, toy_dataset


class TestNodeProperty(MethodContract):
    method = NodeProperty


class TestNodePropertyAsNumber(MethodContract):
    method = NodeProperty
    options = {"bounds": None}


class TestEdgeMask(MethodContract):
    method = EdgeMask
    options = {"p": 0.3}


class TestPairwiseDistance(MethodContract):
    method = PairwiseDistance
    options = {"pairs": 200, "anchors": 20}


class TestS2GRL(MethodContract):
    method = S2GRL
    options = {"hops": 3, "contexts": 4, "anchors": 40}


class TestDistance2Clusters(MethodContract):
    method = Distance2Clusters
    options = {"clusters": 4}


class TestPairwiseAttrSim(MethodContract):
    method = PairwiseAttrSim
    options = {"pairs": 400}


class TestClustering(MethodContract):
    method = Clustering
    options = {"clusters": 4}


class TestPartitioning(MethodContract):
    method = Partitioning
    options = {"parts": 6}


class TestCompletion(MethodContract):
    method = Completion
    options = {"dim": 5}


class TestM3S(MethodContract):
    method = M3S
    options = {"clusters": 6, "additions": 3}

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        method = super().build(kind, seed=seed)
        assert isinstance(method, M3S)
        dataset = toy_dataset("node")
        assert dataset.labels is not None
        # Items of the toy batches, so that every weight of the contract's tests meets a label.
        method.fit_labels(dataset.labels, replace(dataset.splits[0], train=torch.arange(12)))
        return method
