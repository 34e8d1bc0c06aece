"""Every registered method keeps the contract that plug-in authors test theirs with."""

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gssl.common.options import validate
from gssl.datasets.types import Level
from gssl.graph.spec import Category, GraphSpec
from gssl.method import Method
from gssl.methods.adgcl import ADGCL
from gssl.methods.afgrl import AFGRL
from gssl.methods.arga import ARGA, ARGVA
from gssl.methods.attrmask import AttrMask
from gssl.methods.autossl import AutoSSL
from gssl.methods.bgrl import BGRL
from gssl.methods.contextpred import ContextPred
from gssl.methods.contrast import Contrast
from gssl.methods.dgi import DGI
from gssl.methods.gae import GAE
from gssl.methods.gca import GCA
from gssl.methods.grace import GRACE
from gssl.methods.graphcl import GraphCL
from gssl.methods.graphmae import GraphMAE
from gssl.methods.infograph import InfoGraph
from gssl.methods.joao import JOAO, JOAOv2
from gssl.methods.labelled import Labelled
from gssl.methods.maskgae import MaskGAE
from gssl.methods.mvgrl import MVGRL
from gssl.methods.reference import Raw, Untrained
from gssl.methods.s2gae import S2GAE
from gssl.methods.supervised import Supervised
from gssl.methods.vgae import VGAE
from gssl.registry import ENCODERS, METHODS
from gssl.testing.methods import EmbeddingContract, MethodContract
from gssl.testing.toy import Kind, toy_batch, toy_dataset, toy_graph
from gssl.training.embed import over_items


class TestDGI(MethodContract):
    method = DGI


class TestGRACE(MethodContract):
    method = GRACE
    options = {"projector_dim": 16}


class TestContrast(MethodContract):
    method = Contrast
    options = {"projector_dim": 16}


class TestContrastOfOtherParts(MethodContract):
    """Views that drop nodes, no head, and an objective without negatives."""

    method = Contrast
    options = {
        "views": [["mask_attribute", {"drop_node": {"ratio": 0.1}}], ["perturb_edge"], []],
        "objective": "vicreg",
        "objective_options": {"covariance": 0.5},
        "projector_dim": 0,
    }


class TestBGRL(MethodContract):
    method = BGRL
    options = {"predictor_dim": 16, "momentum": 0.9}


class TestGAE(MethodContract):
    method = GAE


class TestVGAE(MethodContract):
    method = VGAE


class TestARGA(MethodContract):
    method = ARGA


class TestARGVA(MethodContract):
    method = ARGVA


class TestMaskGAE(MethodContract):
    method = MaskGAE
    options = {"alpha": 0.01}


class TestMaskGAEOfEdges(MethodContract):
    method = MaskGAE
    options = {"mask": "edge", "decoder": "dot", "embedding": "last", "normalize": True}


class TestS2GAE(MethodContract):
    method = S2GAE
    options = {"decoder_dim": 16}


class TestGraphMAE(MethodContract):
    method = GraphMAE


class TestGraphCL(MethodContract):
    method = GraphCL


class TestJOAO(MethodContract):
    method = JOAO


class TestJOAOv2(MethodContract):
    method = JOAOv2


class TestADGCL(MethodContract):
    method = ADGCL
    options = {"augmenter_dim": 8, "augmenter_layers": 2}


class TestInfoGraph(MethodContract):
    method = InfoGraph


class TestMVGRL(MethodContract):
    method = MVGRL


class TestGCA(MethodContract):
    method = GCA
    options = {"projector_dim": 16}


class TestAttrMask(MethodContract):
    method = AttrMask

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        return of_categories(self, kind, seed)


class TestContextPred(MethodContract):
    method = ContextPred
    encoder_options = {"hidden_dim": 16, "num_layers": 2}  # toy graphs are small

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        return of_categories(self, kind, seed)


class TestAFGRL(MethodContract):
    method = AFGRL
    options = {"clusters": 4, "cluster_runs": 1, "predictor_dim": 16}

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        method = super().build(kind, seed=seed).eval()
        graph = toy_graph()
        method.prepare(graph, 0)
        method.begin_epoch(0, lambda function: over_items(function, graph))
        return method.train()


class TestAutoSSL(MethodContract):
    method = AutoSSL


class TestRaw(EmbeddingContract):
    method = Raw


class TestUntrained(EmbeddingContract):
    method = Untrained


class TestSupervised(MethodContract):
    method = Supervised

    def build(self, kind: Kind, *, seed: int = 0) -> Method:
        method = super().build(kind, seed=seed)
        assert isinstance(method, Supervised)
        level: Level = "graph" if kind == "graph" else "node"
        dataset = toy_dataset(level)
        assert dataset.labels is not None
        # Items of the toy batches, so that every weight of the contract's tests meets a label.
        method.fit_labels(dataset.labels, replace(dataset.splits[0], train=torch.arange(12)))
        return method


def of_categories(contract: EmbeddingContract, kind: Kind, seed: int) -> Method:
    """The method of a contract whose encoder is told that the columns of toy features are those of one category."""
    torch.manual_seed(seed)
    dim = toy_batch(kind).in_dim
    spec = GraphSpec(dim, nodes=(Category("kind", dim),), meaning="toy")
    maker = ENCODERS.get(contract.method.default_encoder)
    encoder = maker.for_graph(spec, **validate(maker, contract.encoder_options, what="encoder"))
    return contract.method(encoder, **validate(contract.method, contract.options, what="method"))


def contracts() -> list[type[EmbeddingContract]]:
    """Those of this file, and of the files beside it whose names begin like its name."""
    here = Path(__file__)
    others = [runpy.run_path(str(path)) for path in sorted(here.parent.glob(f"{here.stem}_*.py"))]
    values = [value for names in (globals(), *others) for value in names.values() if isinstance(value, type)]
    found = dict.fromkeys(value for value in values if issubclass(value, EmbeddingContract))
    return [value for value in found if value not in (EmbeddingContract, MethodContract)]


CONTRACTS = contracts()


def test_every_registered_method_has_its_contract() -> None:
    covered = {contract.method for contract in CONTRACTS}
    assert covered == {METHODS.get(name) for name in METHODS.names()}


def test_methods_that_train_have_the_whole_contract() -> None:
    for contract in CONTRACTS:
        assert issubclass(contract, MethodContract) == contract.method.trains, contract


@pytest.mark.parametrize("contract", CONTRACTS)
def test_methods_get_no_labels_unless_they_say_so(contract: type[EmbeddingContract]) -> None:
    assert contract.method.needs_labels == issubclass(contract.method, Labelled)


def test_every_registered_method_has_a_card() -> None:
    missing = [name for name in METHODS.names() if METHODS.get(name).card is None]
    assert not missing, f"a Card says the place in the framework and the costs of {', '.join(missing)}"
