"""Contracts of methods of graphs."""

from gssl.methods.autogcl import AutoGCL
from gssl.methods.rgcl import RGCL
from gssl.methods.simgrace import SimGRACE
from gssl.testing.methods import MethodContract


class TestSimGRACE(MethodContract):
    method = SimGRACE
    options = {"eta": 0.5}


class TestRGCL(MethodContract):
    method = RGCL
    options = {"generator_dim": 8, "generator_layers": 2}


class TestAutoGCL(MethodContract):
    method = AutoGCL
    options = {"generator_dim": 8}


class TestAutoGCLThatMasksAndRemoves(MethodContract):
    method = AutoGCL
    options = {"generator_dim": 8, "mask": True, "remove": True}
