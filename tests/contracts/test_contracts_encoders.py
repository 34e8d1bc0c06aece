"""Every registered encoder keeps the contract that plug-in authors test theirs with."""

from gssl.models.gat import GAT
from gssl.models.gcn import GCN
from gssl.models.gin import GIN
from gssl.models.gine import GINE
from gssl.models.han import HAN
from gssl.models.metapath import MetaPathGCN
from gssl.models.mlp import MLPEncoder
from gssl.models.resgcn import ResGCN
from gssl.models.rgcn import RGCN
from gssl.models.sage import SAGE
from gssl.registry import ENCODERS
from gssl.testing.encoders import EncoderContract


class TestGCN(EncoderContract):
    encoder = GCN
    options = {"hidden_dim": 8}


class TestGCNWide(EncoderContract):
    """The other order of the products, with every part switched on."""

    encoder = GCN
    options = {"hidden_dim": 64, "num_layers": 3, "norm": "batch", "activation": "prelu", "jk": "cat", "dropout": 0.2}


class TestSAGE(EncoderContract):
    encoder = SAGE
    options = {"hidden_dim": 8}


class TestGIN(EncoderContract):
    encoder = GIN
    options = {"hidden_dim": 8}


class TestGINE(EncoderContract):
    encoder = GINE
    options = {"hidden_dim": 8}


class TestGAT(EncoderContract):
    encoder = GAT
    options = {"hidden_dim": 8}


class TestMLP(EncoderContract):
    encoder = MLPEncoder
    options = {"hidden_dim": 8}
    uses_edges = False


class TestMLPResidual(EncoderContract):
    encoder = MLPEncoder
    options = {
        "hidden_dim": 8, "num_layers": 3, "norm": "batch", "final_activation": False, "residual": True,
        "last_norm": True, "dropout": 0.2,
    }  # fmt: skip
    uses_edges = False


class TestResGCN(EncoderContract):
    encoder = ResGCN
    options = {"hidden_dim": 8}


class TestMetaPathGCN(EncoderContract):
    encoder = MetaPathGCN
    options = {"hidden_dim": 8, "dropout": 0.1, "attention_dropout": 0.2}


class TestMetaPathGCNOfDMGI(EncoderContract):
    encoder = MetaPathGCN
    options = {
        "hidden_dim": 8,
        "project": False,
        "in_dropout": 0.2,
        "activation": "relu",
        "join": "node",
        "self_weight": 4,
    }


class TestMetaPathGCNOfOnePath(EncoderContract):
    encoder = MetaPathGCN
    options = {"hidden_dim": 8, "join": "mean", "paths": ["paper-author-paper"]}


class TestHAN(EncoderContract):
    encoder = HAN
    options = {"hidden_dim": 8, "heads": 2, "dropout": 0.1}


class TestRGCN(EncoderContract):
    encoder = RGCN
    options = {"hidden_dim": 8, "dropout": 0.1}


def test_every_registered_encoder_has_its_contract() -> None:
    covered = {
        value.encoder
        for value in list(globals().values())
        if isinstance(value, type) and issubclass(value, EncoderContract) and value is not EncoderContract
    }
    assert covered == {ENCODERS.get(name) for name in ENCODERS.names()}
