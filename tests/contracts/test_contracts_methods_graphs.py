"""Contracts of methods of graphs."""

from gssl.methods.rgcl import RGCL
from gssl.methods.simgrace import SimGRACE
from gssl.testing.methods import MethodContract


class TestSimGRACE(MethodContract):
    method = SimGRACE
    options = {"eta": 0.5}


class TestRGCL(MethodContract):
    method = RGCL
    options = {"generator_dim": 8, "generator_layers": 2}
