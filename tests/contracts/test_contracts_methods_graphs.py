"""Contracts of methods of graphs."""

from gssl.methods.simgrace import SimGRACE
from gssl.testing.methods import MethodContract


class TestSimGRACE(MethodContract):
    method = SimGRACE
    options = {"eta": 0.5}
