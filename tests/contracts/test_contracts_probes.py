"""Every registered probe keeps the contract that plug-in authors test theirs with."""

from gssl.datasets.types import Dataset
from gssl.evaluate.base import Probe
from gssl.evaluate.heco import HeCoProbe
from gssl.evaluate.lbfgs import LbfgsProbe
from gssl.evaluate.liblinear import BgrlProbe, GraceProbe, WikiCSProbe
from gssl.evaluate.linear import GcaProbe, PublicLinear
from gssl.evaluate.ogb import OgbProbe
from gssl.evaluate.semi import SemiSupervisedFolds
from gssl.evaluate.svm import LinearSvm, RbfSvm
from gssl.registry import PROBES
from gssl.testing.probes import ProbeContract
from gssl.testing.toy import toy_dataset


class TestPublicLinear(ProbeContract):
    probe = PublicLinear
    options = {"steps": 50, "restarts": 2}


class TestPublicLinearAsDGI(ProbeContract):
    probe = PublicLinear
    options = {"steps": 50, "restarts": 2, "select": "last", "init": "xavier", "weight_decay": (0.0, 0.01)}


class TestGrace(ProbeContract):
    probe = GraceProbe
    options = {"repeats": 1}


class TestBgrl(ProbeContract):
    probe = BgrlProbe


class TestGca(ProbeContract):
    probe = GcaProbe
    options = {"steps": 100}


class TestHeCo(ProbeContract):
    probe = HeCoProbe
    options = {"steps": 50, "restarts": 2}


class TestWikiCS(ProbeContract):
    probe = WikiCSProbe

    def dataset(self) -> Dataset:
        return toy_dataset("node", splits=("0", "1", "2"))


class TestRbfSvm(ProbeContract):
    probe = RbfSvm
    options = {"largest_c": 10.0}


class TestLinearSvm(ProbeContract):
    probe = LinearSvm
    options = {"largest_c": 0.1}


class TestOgb(ProbeContract):
    probe = OgbProbe


class TestOgbOnTasks(TestOgb):
    def dataset(self) -> Dataset:
        return toy_dataset("graph", kind="multilabel")


class TestLbfgs(ProbeContract):
    probe = LbfgsProbe


class TestSemiSupervisedFolds(ProbeContract):
    probe = SemiSupervisedFolds
    options = {"folds": 4}


class TestLbfgsOnTasks(TestLbfgs):
    def dataset(self) -> Dataset:
        return toy_dataset("graph", kind="multilabel")


class TestLbfgsOnTargets(TestLbfgs):
    def dataset(self) -> Dataset:
        return toy_dataset("graph", kind="regression")


class TestLbfgsWithoutPresetSplits(TestLbfgs):
    def dataset(self) -> Dataset:
        return toy_dataset("node", splits=())


def test_every_registered_probe_has_its_contract() -> None:
    covered = {
        value.probe
        for value in list(globals().values())
        if isinstance(value, type) and issubclass(value, ProbeContract) and value is not ProbeContract
    }
    of_items = {probe for probe in map(PROBES.get, PROBES.names()) if issubclass(probe, Probe)}
    assert covered == of_items  # judges of links and clusters have tests of their own
