"""What every node of a cluster must see, and suites on a cluster of two nodes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gssl.benchmarks.bench.cell import Cell
from gssl.benchmarks.bench.cluster import require_seen, shown_to_nodes
from gssl.common.errors import InputError
from gssl.results.cells import Cells
from gssl.results.store import Store

if TYPE_CHECKING:
    from conftest import Lab

SUITE = """\
seeds: 3
budget: {epochs: 20}
groups:
  - methods: ['tiny:Denoise']
    datasets: [./graph.npz]
"""


@pytest.fixture
def suite(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """The laboratory with the suite ``mine.yaml``."""
    (lab.folder / "mine.yaml").write_text(SUITE)
    monkeypatch.setenv("GSSL_RUNS", str(lab.folder / "runs"))
    monkeypatch.setenv("GSSL_MIRROR", str(lab.folder))
    monkeypatch.setenv("PYTHONPATH", f"{lab.folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    return lab


def other_runs(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.rmtree(lab.folder / "runs")
    (lab.folder / "runs").mkdir()


def other_data(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.folder / "graph.npz").write_bytes(b"other")


def other_plugin(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    (lab.folder / "tiny.py").write_text("other")


def no_mirror(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GSSL_MIRROR", str(lab.folder / "none"))


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        (other_runs, "results store sqlite:///.*, the folder of runs"),
        (other_data, r"command: data \./graph\.npz;"),
        (other_plugin, "command: plug-in tiny;"),
        (no_mirror, "command: data in GSSL_MIRROR;"),
    ],
)
def test_what_a_node_does_not_see_is_named(
    suite: Lab, monkeypatch: pytest.MonkeyPatch, change: Callable[[Lab, pytest.MonkeyPatch], None], faults: str
) -> None:
    (suite.folder / "runs").mkdir()
    db = f"sqlite:///{suite.folder}/runs/results.db"
    with shown_to_nodes(db, [Cell("tiny:Denoise", "./graph.npz", 0)]) as sight:
        require_seen(sight)
        change(suite, monkeypatch)
        with pytest.raises(InputError, match=faults):
            require_seen(sight)


def test_a_token_is_of_one_command_and_leaves_no_trace(suite: Lab) -> None:
    (suite.folder / "runs").mkdir()
    db = f"sqlite:///{suite.folder}/runs/results.db"
    with shown_to_nodes(db, []) as sight, pytest.raises(InputError):
        require_seen(replace(sight, token="token of another"))
    assert [path.name for path in (suite.folder / "runs").iterdir()] == ["results.db"]
    with pytest.raises(InputError, match="results store"):
        require_seen(sight)


@pytest.fixture
def ray() -> Iterator[Any]:
    ray = pytest.importorskip("ray", reason="the extra gssl[ray] is not installed")
    yield ray
    ray.shutdown()


def test_a_node_with_folders_of_its_own_is_refused(suite: Lab, ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second node is in a mount namespace in which the folder of runs is another one."""
    if os.geteuid() or not shutil.which("unshare") or subprocess.run(["unshare", "-m", "true"], check=False).returncode:
        pytest.skip("no mount namespace can be made here")
    from ray.cluster_utils import Cluster

    (suite.folder / "runs").mkdir()
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    script = 'mount -t tmpfs none "$1" && shift && exec "$@"'
    start = "import sys; from ray.scripts.scripts import main; sys.exit(main())"
    words = ["start", f"--address={cluster.address}", "--num-cpus=1", "--block"]
    command = [
        "unshare",
        "-m",
        "sh",
        "-c",
        script,
        "sh",
        str(suite.folder / "runs"),
        sys.executable,
        "-c",
        start,
        *words,
    ]
    node = subprocess.Popen(command, stdout=-3, stderr=-3, start_new_session=True)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        deadline = time.monotonic() + 120
        while len([found for found in ray.nodes() if found["Alive"]]) < 2 and time.monotonic() < deadline:
            time.sleep(0.5)
        ray.shutdown()
        _, err = suite.gssl("bench", "mine.yaml", "--engine", "ray", code=2)
    finally:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()
        ray.shutdown()
        cluster.shutdown()
    assert "does not see the same as this command: the results store" in err
    assert "the folder of runs" in err


def test_a_killed_node_costs_no_cell(suite: Lab, ray: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("TINY_PAUSE", "0.2")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)

    def kill() -> None:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and len(list((suite.folder / "runs").glob("*/seed-*/checkpoint.pt"))) < 2:
            time.sleep(0.1)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        out, _ = suite.gssl("bench", "mine.yaml", "--engine", "ray", "--json")
    finally:
        killer.join()
        ray.shutdown()
        cluster.shutdown()
    assert json.loads(out)["counts"]["done"] == 3
    with Store(f"sqlite:///{suite.folder}/runs/results.db") as store:
        rows = Cells(store).rows().values()
        assert sum(row.attempts for row in rows) <= 4
        assert sorted(row.seed for row in store.rows()) == [0, 1, 2]
