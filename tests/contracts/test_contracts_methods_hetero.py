"""Methods of heterogeneous graphs keep the contract of methods."""

from gssl.methods.dgi import DGI
from gssl.methods.dmgi import DMGI
from gssl.methods.heco import HeCo
from gssl.methods.metapathpred import MetaPathPred
from gssl.methods.reference import Untrained
from gssl.testing.methods import EmbeddingContract, MethodContract

OF_DMGI = {"hidden_dim": 16, "project": False, "in_dropout": 0.2, "activation": "relu", "self_weight": 4}


class TestHeCo(MethodContract):
    method = HeCo
    options = {"neighbors": {"author": 3, "subject": 1}}


class TestDMGI(MethodContract):
    method = DMGI
    encoder_options = {**OF_DMGI, "join": "mean"}


class TestDMGIWithAttention(MethodContract):
    method = DMGI
    encoder_options = {**OF_DMGI, "join": "node"}


class TestMetaPathPred(MethodContract):
    method = MetaPathPred
    options = {"pairs": 200, "head_dim": 8}


class TestMetaPathPredOfOnePath(MethodContract):
    method = MetaPathPred
    options = {"pairs": 200, "head_dim": 8, "meta_paths": ("paper-subject-paper",)}
    encoder = "HAN"


class TestDGIOfRelations(MethodContract):
    method = DGI
    encoder = "HAN"


class TestUntrainedOfRelations(EmbeddingContract):
    method = Untrained
    encoder = "RGCN"
