import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.util import find_spec
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gssl.benchmarks.perf import (
    footprint,
    grace_step,
    graphs,
    inference,
    infonce,
    measure,
    memory,
    mvs,
    neighbor,
    prefetch,
    spmm,
    torchrun,
)
from gssl.benchmarks.perf.grace_peers import LIBRARIES, Library
from gssl.benchmarks.perf.measure import Side, in_fresh_process, take_turns
from gssl.benchmarks.perf.result import PerfResult
from gssl.benchmarks.perf.setups import NodeSetup, available_data
from gssl.common.errors import InputError, TrainingError
from gssl.config.components import sampler_factory
from gssl.graph.sparse import SparseMatrix
from gssl.samplers.base import Sampler
from gssl.testing.toy import toy_graph


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process: starting others takes seconds, and infonce's test does it."""
    monkeypatch.setattr(measure, "in_fresh_process", lambda function, *args: function(*args))


TINY = NodeSetup(nodes=60, features=40, hidden=16, out=8)


def headline(result: PerfResult) -> dict[str, object]:
    """What DESIGN fixes, after a check that all of it is JSON."""
    data = json.loads(json.dumps(result.mapping(), allow_nan=False))
    return {key: data[key] for key in ("name", "ours", "peer", "ratio", "memory_ratio", "peer_name")}


def test_both_gcns_compute_the_same() -> None:
    figures = spmm.agreement(spmm.Size(nodes=300, edges=3_000, dim=16))
    assert figures["output_difference"] < 1e-5
    assert figures["gradient_difference"] < 1e-5


def test_both_infonces_compute_the_same() -> None:
    figures = infonce.agreement(infonce.Size(rows=1_200, dim=32, temperature=0.4))
    assert figures["loss_difference"] < 1e-6
    assert figures["gradient_difference"] < 1e-5


def test_the_random_graph_has_the_shape_of_the_real_one(mirror: Path) -> None:
    assert available_data() == "Cora"
    random, real = NodeSetup(data="random").graph(), NodeSetup(data="Cora").graph()
    assert random.num_nodes == real.num_nodes
    assert random.in_dim == real.in_dim
    assert random.num_edges == pytest.approx(real.num_edges, rel=0.02)
    assert isinstance(random.x, SparseMatrix)
    assert isinstance(real.x, SparseMatrix)
    assert random.x.pattern.nnz == pytest.approx(real.x.pattern.nnz, rel=0.02)


def test_no_data_means_a_random_graph(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GSSL_DATA", str(tmp_path))
    monkeypatch.delenv("GSSL_MIRROR", raising=False)
    assert available_data() == "random"


def test_peers_see_the_same_graph_as_we_do() -> None:
    graph, (edge_index, x) = TINY.graph(), TINY.plain()
    assert edge_index.shape == (2, graph.num_edges)
    dense = torch.zeros(60, 60)
    dense[edge_index[1], edge_index[0]] = 1
    assert torch.equal(dense.sum(1), graph.block.degree)
    assert x.shape == (60, 40)
    assert int(x.count_nonzero()) > 0


def test_infonce_reports_its_figures_and_the_large_case() -> None:
    result = infonce.run(rows=200, large_rows=400, dim=16, repeats=3, threads=1)
    assert headline(result) == {
        "name": "infonce",
        "ours": result.ours,
        "peer": result.peers[0].seconds,
        "ratio": pytest.approx(result.peers[0].seconds / result.ours),
        "memory_ratio": pytest.approx(result.peers[0].memory_mb / result.ours_memory_mb),
        "peer_name": "logsumexp of the stored matrix",
    }
    assert len(result.ours_times) == len(result.peers[0].times) == 3
    assert set(result.figures) == {
        "loss_difference",
        "gradient_difference",
        "large_rows",
        "large_seconds",
        "large_memory_mb",
    }
    assert result.config["rows"] == 200
    assert result.config["threads"] == result.environment["threads"] == 1


@pytest.mark.usefixtures("inline")
def test_spmm_names_its_peer() -> None:
    result = spmm.run(nodes=200, edges=2_000, dim=8, repeats=2, threads=1)
    assert headline(result)["peer_name"] == "PyG GCN on edge_index"
    assert result.config == {"nodes": 200, "edges": 2_000, "dim": 8, "repeats": 2, "threads": 1}
    assert "torch" in str(result.environment["libraries"])


@pytest.mark.usefixtures("inline")
def test_peers_that_are_not_installed_are_named_as_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = [Library(p.name, "no_such_package", p.distribution, p.build, p.loss) for p in LIBRARIES]
    monkeypatch.setattr(grace_step, "LIBRARIES", missing)
    result = grace_step.run(data="random", nodes=50, repeats=2, threads=1)
    assert headline(result) | {"ours": None} == {
        "name": "grace-step",
        "ours": None,
        "peer": None,
        "ratio": None,
        "memory_ratio": None,
        "peer_name": None,
    }
    assert result.ours > 0
    assert result.absent == {
        "PyGCL": "pip install --no-deps PyGCL",
        "DIG": "pip install --no-deps dive-into-graphs",
    }


def test_installed_peers_step_and_their_losses_are_ours_or_differ_as_documented() -> None:
    peers = [library for library in LIBRARIES if library.installed]
    if not peers:
        pytest.skip("neither peer is installed: pip install --no-deps PyGCL dive-into-graphs")
    sides = [Side(peer.name, partial(peer.build, TINY)) for peer in peers]
    times, figures = in_fresh_process(take_turns, sides, partial(grace_step.agreement, peers, TINY), 1, 1)
    assert all(len(seconds) == 1 and seconds[0] > 0 for seconds in times)
    if "DIG loss_difference" in figures:
        assert figures["DIG loss_difference"] < 1e-5
        assert figures["DIG gradient_difference"] < 1e-4
    if "PyGCL loss_difference" in figures:  # its anchors are negatives of their own: a little more in each denominator
        assert 1e-5 < figures["PyGCL loss_difference"] < 0.1


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("installed", [False, True])
def test_neighbor_reports_both_fanouts_and_the_floor(installed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if installed and find_spec("torch_sparse") is None:
        pytest.skip("the peer is not installed: pip install --no-deps a wheel of torch-sparse")
    if not installed:
        monkeypatch.setattr(neighbor, "find_spec", lambda name: None)
    for module in (neighbor, measure):
        monkeypatch.setattr(module, "in_fresh_process", lambda function, *args: function(*args))
    monkeypatch.setattr(neighbor, "_GATHERS", 1000)
    result = neighbor.run(nodes=300, degree=6, fanouts=(3, 2), batch_size=20, batches=2, repeats=2)
    figures = result.figures
    assert headline(result)["peer_name"] == (neighbor.PEER if installed else None)
    assert set(result.absent) == (set() if installed else {neighbor.PEER})
    assert figures["nanoseconds_per_edge"] == pytest.approx(1e9 / float(figures["edges_per_second"]))
    assert float(figures["random_gather_nanoseconds"]) > 0
    assert float(figures["second_edges_per_batch"]) > float(figures["edges_per_batch"])
    if installed:
        assert figures["first_hop_difference"] == figures["second_first_hop_difference"] == 0
        assert result.ratio == pytest.approx(figures["ratio"])


def test_mvs_finds_a_small_pool_before_it_measures() -> None:
    with pytest.raises(InputError, match=r"rmat_gamma=0\.01 of 100000 nodes is fewer than a batch of 1024"):
        mvs.run(nodes=100_000)


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize("real", [False, True])
def test_mvs_reports_batches_checkpoints_and_probabilities(real: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    small = partial(toy_graph, num_nodes=400)
    monkeypatch.setattr(mvs, "in_fresh_process", lambda function, *args: function(*args))
    monkeypatch.setattr(mvs, "real_graph_is_there", lambda: real)
    monkeypatch.setattr(graphs, "load_dataset", lambda name: SimpleNamespace(graph=small()))
    sizes = {"nodes": 300, "degree": 6, "features": 8, "batch_size": 20, "batches": 3}
    result = mvs.run(**sizes, gamma=0.5, rmat_gamma=0.5, norms=5000, repeats=2)
    figures = {key: float(value) for key, value in result.figures.items()}
    assert headline(result)["peer_name"] == mvs.PEER
    assert result.config["graph"] == ("ogbn-wordnet" if real else "rmat")
    assert result.ratio == pytest.approx(1 / figures["cost"])
    assert figures["checkpoint_amortised_milliseconds"] == pytest.approx(figures["checkpoint_milliseconds"] / 3)
    assert ("rmat_cost" in figures) == real
    assert 0 < figures["probability_with_ties_milliseconds"] <= figures["probability_with_ties_median_milliseconds"]


@pytest.mark.usefixtures("inline")
def test_prefetching_is_compared_with_itself_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch, "in_fresh_process", lambda function, *args: function(*args))
    monkeypatch.setattr(prefetch, "real_graph_is_there", lambda: False)
    depths = set[tuple[str, int]]()

    def watched(name: str) -> Callable[..., Sampler]:
        def make(*args: Any, **options: Any) -> Sampler:
            depths.add((name, options["prefetch"]))
            return sampler_factory(name)(*args, **options)

        return make

    monkeypatch.setattr(prefetch, "sampler_factory", watched)
    sizes = {"nodes": 300, "degree": 6, "features": 8, "hidden": 4, "batch_size": 30, "batches": 2}
    result = prefetch.run(**sizes, depth=3, repeats=1)
    assert headline(result)["peer_name"] == prefetch.PEER
    assert depths == {(name, depth) for name in ("graphsage", "labor", "minvar+adjoint", "mvs") for depth in (0, 3)}
    assert all(float(result.figures[f"{name}_ratio"]) > 0 for name in ("labor", "minvar+adjoint", "mvs"))
    assert {"slow_device_ratio", "handover_ratio", "handover_plain_ratio", "two_copies_ratio"} <= result.figures.keys()


@pytest.mark.usefixtures("inline")
def test_inference_is_compared_on_the_same_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "in_fresh_process", lambda function, *args: function(*args))
    result = inference.run(nodes=300, degree=6, features=8, hidden=4, batch_size=20, batches=2, repeats=2, threads=1)
    assert headline(result)["peer_name"] == inference.PEER
    figures = {key: float(value) for key, value in result.figures.items()}
    assert figures["perceptron_difference"] < 1e-5
    assert figures["network_difference"] < 1e-4
    assert figures["whole_graph_ratio"] == pytest.approx(
        figures["whole_graph_peer_milliseconds"] / figures["whole_graph_milliseconds"]
    )
    assert figures["milliseconds_per_request"] == pytest.approx(1e3 * result.ours / 2)


def test_memory_tells_apart_what_a_process_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "in_fresh_process", lambda function, *args: function(*args))
    monkeypatch.setattr(footprint, "_WARM", 2)
    sizes = {"degree": 6, "features": 8, "hidden": 4, "batch_size": 32, "pool": 100, "checkpoint_batch": 32}
    result = memory.run(nodes=(300, 600), **sizes, checkpoint_every=2, repeats=4)
    figures, mib = result.figures, 2**20
    assert headline(result)["peer_name"] == "300 nodes"
    assert result.ratio == pytest.approx(result.peers[0].seconds / result.ours)
    assert figures["online_600_features_mb"] == 600 * 8 * 4 / mib
    assert figures["online_600_history_mb"] == 4 * 600 * (4 * 2 + 4) / mib  # two views, online and target
    edges = 600 * 6
    assert figures["online_600_graph_mb"] == (4 * edges + 4 * 601 + 4 * 600) / mib
    waiting = 20 * (4 + 8) * 2 * 32  # norms and ids of the batches before a renewal
    assert 4 * 600 <= float(figures["online_600_tables_mb"]) * mib < 4 * 600 + waiting
    assert float(figures["online_600_largest_batch_nodes"]) <= 600
    assert float(figures["checkpoint_600_checkpoint_milliseconds"]) > 0
    assert "online_600_checkpoint_milliseconds" not in figures
    assert "1,615,685,872" in str(figures["papers100M_statement"])


def test_several_processes_take_turns_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both sides in threads of this process, where a group is of one."""
    asked = []

    @contextmanager
    def side(work: torchrun.Work, world: int) -> Iterator[list[Any]]:
        asked.append((world, work.batch_size))
        mine, theirs = Pipe()
        thread = Thread(target=torchrun.serve, args=(work, {}, theirs))
        thread.start()
        assert mine.recv() is None
        yield [mine]
        mine.close()
        thread.join()

    monkeypatch.setattr(torchrun, "side", side)
    monkeypatch.setattr(torchrun, "in_fresh_process", lambda function, *args: function(*args))
    monkeypatch.setattr(torchrun, "real_graph_is_there", lambda: False)
    sizes = {"nodes": 300, "degree": 6, "features": 8, "hidden": 4, "batch_size": 30, "batches": 2}
    result = torchrun.run(**sizes, processes=3, repeats=2)
    assert asked == [(1, 30), (3, 30), (3, 90)]
    assert float(result.figures["grown_ratio"]) > 0
    assert headline(result)["peer_name"] == torchrun.PEER
    assert len(result.ours_times) == 2
    assert result.figures["loss_of_one"] == pytest.approx(result.figures["loss_of_several"])


def test_a_process_that_ends_is_an_error() -> None:
    mine, theirs = Pipe()
    theirs.close()
    with pytest.raises(TrainingError, match="a process of the benchmark ended"):
        torchrun.repeat([mine])
