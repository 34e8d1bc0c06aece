"""Contracts of methods that keep columns uncorrelated, or embeddings apart, in place of negatives."""

from gssl.methods.cca_ssg import CCASSG
from gssl.testing.methods import MethodContract


class TestCCASSG(MethodContract):
    method = CCASSG
