"""Contracts of methods that keep columns uncorrelated, or embeddings apart, or follow a target: none has negatives."""

from gssl.methods.cca_ssg import CCASSG
from gssl.methods.gbt import GBT
from gssl.methods.vicreg import VICReg
from gssl.testing.methods import MethodContract


class TestCCASSG(MethodContract):
    method = CCASSG


class TestGBT(MethodContract):
    method = GBT


class TestVICReg(MethodContract):
    method = VICReg
    options = {"expander_dim": 16}


class TestVICRegWithoutExpander(MethodContract):
    method = VICReg
    options = {"expander_dim": 0}
