"""Every registered augmenter keeps the contract that plug-in authors test theirs with."""

import torch

from gssl.augment.add_edge import AddEdge
from gssl.augment.bandwidth import Bandwidth
from gssl.augment.base import Identity
from gssl.augment.diffuse_batch import DiffuseBatch
from gssl.augment.drop_edge import DropEdge
from gssl.augment.drop_node import DropNode
from gssl.augment.ego_net import EgoNet
from gssl.augment.mask_attribute import MaskAttribute
from gssl.augment.mask_entry import MaskEntry
from gssl.augment.mask_feature import MaskFeature
from gssl.augment.noise_node import NoiseNode
from gssl.augment.perturb_edge import PerturbEdge
from gssl.augment.redraw_edge import RedrawEdge
from gssl.augment.restart_walk import RestartWalk
from gssl.augment.shuffle import Shuffle
from gssl.augment.spectral import SpectralFilter
from gssl.augment.subgraph import WalkSubgraph
from gssl.registry import AUGMENTERS
from gssl.testing.augmenters import AugmenterContract, generator
from gssl.testing.toy import Kind


class TestIdentity(AugmenterContract):
    augmenter = Identity
    random = False


class TestDropEdge(AugmenterContract):
    augmenter = DropEdge
    options = {"p": 0.4}


class TestDropNode(AugmenterContract):
    augmenter = DropNode
    options = {"ratio": 0.3}


class TestWalkSubgraph(AugmenterContract):
    augmenter = WalkSubgraph
    options = {"keep": 0.5}


class TestNoiseNode(AugmenterContract):
    augmenter = NoiseNode
    options = {"ratio": 0.3}
    changes_features = True


class TestAddEdge(AugmenterContract):
    augmenter = AddEdge
    options = {"ratio": 0.4}
    adds_edges = True


class TestAddDirectedEdge(TestAddEdge):
    options = {"ratio": 0.4, "undirected": False}


class TestEgoNet(AugmenterContract):
    augmenter = EgoNet
    options = {"hops": 1}


class TestRestartWalk(AugmenterContract):
    augmenter = RestartWalk
    options = {"steps": 12}


class TestDiffuseBatch(AugmenterContract):
    augmenter = DiffuseBatch
    random = False
    adds_edges = True

    def test_edges_and_their_attributes_belong_together(self, kind: Kind) -> None:
        """The new edges have weights of their own and no attributes."""
        (block,) = self.build()(self.batch(kind), generator(0)).blocks
        assert block.edge_attr is None
        assert block.weight is not None
        assert len(block.edge_index.unique(dim=1).T) == block.num_edges


class TestDiffuseBatchExactly(TestDiffuseBatch):
    options = {"kernel": "heat", "exact": True, "top_k": 5, "normalized": False}


class TestPerturbEdge(AugmenterContract):
    augmenter = PerturbEdge
    options = {"ratio": 0.3}
    adds_edges = True


class TestBandwidth(AugmenterContract):
    augmenter = Bandwidth
    options = {"temperature": 0.5}

    def test_edges_and_their_attributes_belong_together(self, kind: Kind) -> None:
        """Edges and attributes stay as they are, weights are shares of one into each node."""
        batch = self.batch(kind)
        (block,), (before,) = self.build()(batch, generator(0)).blocks, batch.blocks
        assert torch.equal(block.edge_index, before.edge_index)
        assert block.edge_attr is before.edge_attr
        torch.testing.assert_close(block.degree, (before.pattern.counts > 0).float())


class TestRedrawEdge(AugmenterContract):
    augmenter = RedrawEdge
    options = {"ratio": 0.5, "blocks": 3}
    adds_edges = True


class TestMaskFeature(AugmenterContract):
    augmenter = MaskFeature
    options = {"p": 0.4}
    changes_features = True


class TestMaskEntry(AugmenterContract):
    augmenter = MaskEntry
    options = {"p": 0.4}
    changes_features = True


class TestMaskAttribute(AugmenterContract):
    augmenter = MaskAttribute
    options = {"ratio": 0.4, "fill": "zero"}
    changes_features = True


class TestMaskAttributeNoise(AugmenterContract):
    augmenter = MaskAttribute
    options = {"ratio": 0.4, "fill": "noise"}
    changes_features = True
    kinds = ("node", "graph")


class TestShuffle(AugmenterContract):
    augmenter = Shuffle
    changes_features = True


class TestSpectralFilter(AugmenterContract):
    augmenter = SpectralFilter
    options = {"kind": "high", "order": 3}
    random = False
    changes_features = True


def test_every_registered_augmenter_has_its_contract() -> None:
    covered = {
        value.augmenter
        for value in list(globals().values())
        if isinstance(value, type) and issubclass(value, AugmenterContract) and value is not AugmenterContract
    }
    assert covered == {AUGMENTERS.get(name) for name in AUGMENTERS.names()}
