"""Contracts of masked autoencoders."""

from gssl.methods.augmae import AUGMAE
from gssl.methods.bandana import Bandana
from gssl.methods.gigamae import GiGaMAE
from gssl.methods.graphmae2 import GraphMAE2
from gssl.testing.methods import MethodContract


class TestGraphMAE2(MethodContract):
    method = GraphMAE2
    options = {"projector_dim": 8, "momentum": 0.9}


class TestGraphMAE2OfFixedCodes(MethodContract):
    method = GraphMAE2
    encoder = "GCN"
    options = {"decoder": "GIN", "remask": "fixed", "latent_weight": 0.0, "drop_edge": 0.2}


class TestAUGMAE(MethodContract):
    method = AUGMAE
    options = {"uniformity": 0.1, "replace_rate": 0.2}


class TestAUGMAEOfAnAdversaryAlone(MethodContract):
    method = AUGMAE
    encoder = "GIN"
    options = {"hardness": (1.0, 1.0), "decoder": "GIN", "uniformity": 0.0}


class TestBandana(MethodContract):
    method = Bandana
    options = {"temperature": 0.5, "decoder_dim": 16, "normalize": True}


class TestBandanaOfAttention(MethodContract):
    method = Bandana
    encoder = "GAT"
    options = {"embedding": "last", "decoder_layers": 1}


class TestGiGaMAE(MethodContract):
    method = GiGaMAE
    options = {"structure_dim": 8, "feature_dim": 6, "walk_epochs": 2}


class TestGiGaMAEOfTheFeaturesThemselves(MethodContract):
    method = GiGaMAE
    encoder = "GCN"
    options = {"structure_dim": 8, "feature_dim": None, "walk_epochs": 1, "temperature": 0.1, "mask_edge": 0.3}
