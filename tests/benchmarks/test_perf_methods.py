"""``gssl perf methods``: every side is built and does its step at tiny sizes; nothing here is about time."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gssl.benchmarks.perf import methods as benchmark
from gssl.benchmarks.perf.cases import CASES, OURS, WITHOUT_PEER, Case
from gssl.benchmarks.perf.measure import Side
from gssl.benchmarks.perf.methods import Probed, probe, run, select
from gssl.benchmarks.perf.our_step import OurStep
from gssl.benchmarks.perf.peers import clones, peer
from gssl.benchmarks.perf.peers.peer import Foreign, Peer, Turns, Update, clone
from gssl.benchmarks.perf.setups import GraphSetup, NodeSetup, available_graphs
from gssl.benchmarks.perf.stand_ins import StandIn, stand_in
from gssl.cli.main import main
from gssl.common.errors import InputError
from gssl.common.seeds import derive_seed
from gssl.method import Method
from gssl.registry import METHODS
from gssl.samplers.full import FullBatch
from gssl.training.config import TrainConfig
from gssl.training.loop import pretrain

# Folder with clones of official repositories, each called owner+name; without it their steps are not tested.
SOURCES = os.environ.get("GSSL_SOURCES", "")
# Peers that train other numbers than we do.
OTHER_PARTS = {
    ("DGI", "PetarV-/DGI"),  # a bias of the discriminator
    ("DGI", "PyGCL"),  # a bias for each dimension of it
    ("MVGRL", "kavehhassani/mvgrl"),  # a bias of the discriminator, on nodes
    ("MVGRL", "PyGCL"),  # a bias for each dimension of it, on nodes
    ("MVGRL", "DIG"),  # projections, on nodes
    ("SUBG-CON", "yzjiao/Subg-Con"),  # parts that it does not use
    ("SGRL", "hedongxiao-tju/SGRL"),  # the same
    ("PolyGCL", "ChenJY-Count/PolyGCL"),  # the same
    ("DMGI", "pcy1302/DMGI"),  # a bias of the discriminator
    ("E2Neg", "hedongxiao-tju/E2Neg"),  # a slope for each dimension
}


def tiny(case: Case[Any]) -> Case[Any]:
    """The case with so few numbers that a step takes milliseconds."""
    if case.level == "hetero":
        return case.on(hidden=8, sources=SOURCES)
    if case.level == "graph":
        return case.on(graphs=8, hidden=8, layers=2, head=8, sources=SOURCES)
    wide = case.setup.out == case.setup.hidden  # layers of one width stay so
    return case.on(nodes=150, features=30, hidden=16, out=16 if wide else 8, head=8, sources=SOURCES)


def title(case: Case[Any]) -> str:
    return f"{case.method}-{case.level}"


PEERS = [(case, each) for case in CASES for each in case.peers]


@pytest.fixture
def inline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure in this process."""
    monkeypatch.setattr(benchmark, "in_fresh_process", lambda function, *args: function(*args))


@pytest.fixture
def undisturbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a clone changes in this process, it changes for one test."""
    before = dict(sys.modules)
    for kind in (Tensor, nn.Module):
        monkeypatch.setattr(kind, "cuda", kind.cuda)
    yield
    for name in [name for name, module in sys.modules.items() if name not in before and isinstance(module, StandIn)]:
        del sys.modules[name]
    sys.modules.update(before)


def test_cases_are_registered_methods_each_once_at_a_level() -> None:
    titles = [title(case) for case in CASES]
    assert len(set(titles)) == len(titles)
    names = {case.method for case in CASES}
    assert names | set(WITHOUT_PEER) <= set(METHODS.names())
    assert not names & set(WITHOUT_PEER)
    for case in CASES:
        assert len({each.name for each in case.peers}) == len(case.peers) > 0
        assert METHODS.get(case.method) is type(case.make(case.setup, tiny(case).setup.graph()))


@pytest.mark.parametrize("case", CASES, ids=title)
def test_our_step_trains(case: Case[Any]) -> None:
    (side,) = tiny(case).sides(())
    step: Any = side.build()
    trained = [parameter for update in step.updates for parameter in update.trained]
    before = [parameter.detach().clone() for parameter in trained]
    assert math.isfinite(step())
    changed = [not torch.equal(*pair) for pair in zip(before, trained, strict=True)]
    assert sum(changed) > len(changed) / 2
    assert step.parameters > 0


@pytest.mark.usefixtures("undisturbed")
@pytest.mark.parametrize(("case", "each"), PEERS, ids=[f"{title(c)}-{p.name.replace('/', '+')}" for c, p in PEERS])
def test_a_peer_that_is_here_steps_and_trains_as_many_numbers_as_we_do(case: Case[Any], each: Peer[Any]) -> None:
    small = tiny(case)
    if (why := each.absence(SOURCES)) is not None:
        pytest.skip(f"{each.name} is not here: {why}")
    steps: list[Any] = [side.build() for side in small.sides((each,))]
    ours, theirs = steps
    value = theirs()
    if isinstance(theirs, Update | Turns):
        assert math.isfinite(value) or each.name == "junxia97/ProGCL"  # its mixture needs more nodes than these
    assert theirs() is not None
    if case.level == "graph" or (case.method, each.name) not in OTHER_PARTS:
        assert theirs.parameters == ours.parameters


@pytest.mark.parametrize(("name", "epochs"), [("ARGA", 1), ("AFGRL", 2), ("BGRL", 2)])
def test_our_step_is_that_of_the_training_loop(name: str, epochs: int) -> None:
    """With players, with what is made before an epoch, and with what follows a step, whose moving average is that in
    the middle of the training: the first of two epochs.
    """
    (case,) = select([name])
    setup = tiny(case).setup
    graph = setup.graph()
    made: list[Method] = []
    for _ in range(2):
        torch.manual_seed(0)
        made.append(case.make(setup, graph))
    stepped, trained = made
    step = OurStep(stepped, graph)
    stepped.reseed(derive_seed(0, "augment", 0), torch.device("cpu"))
    torch.default_generator.manual_seed(derive_seed(0, "epoch", 0))
    step()

    seen: list[float] = []

    def watch(loss: float) -> bool:
        seen.append(loss)
        return len(seen) == 2

    trained.prepare(graph, 0)
    config = TrainConfig(epochs=epochs, lr=1e-3, weight_decay=0.0)
    pretrain(trained, FullBatch(graph), config, seed=0, watch=watch)
    for one, other in zip(stepped.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6)


def test_random_graphs_are_like_those_of_mutag(mirror: Path) -> None:
    assert available_graphs() == "MUTAG"
    real, random = GraphSetup(data="MUTAG"), GraphSetup(data="random")
    assert real.graph().num_graphs == random.graph().num_graphs == 128
    assert random.graph().num_nodes == pytest.approx(real.graph().num_nodes, rel=0.1)
    assert random.graph().num_edges == pytest.approx(real.graph().num_edges, rel=0.1)
    assert random.graph().in_dim == real.graph().in_dim


def test_peers_see_the_same_graphs_as_we_do() -> None:
    setup = GraphSetup(graphs=5)
    graph, plain, batch = setup.graph(), setup.plain(), setup.batch()
    assert graph.ptr is not None
    assert [each.num_nodes for each in plain] == graph.ptr.diff().tolist()
    assert isinstance(graph.x, Tensor)
    assert torch.equal(batch.x, graph.x)
    ours = {tuple(edge) for edge in graph.block.edge_index.T.tolist()}
    assert {tuple(edge) for edge in batch.edge_index.T.tolist()} == ours
    assert len(ours) == graph.num_edges == batch.num_edges


@pytest.mark.usefixtures("inline")
def test_json_has_a_result_for_each_method_and_says_what_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "find_spec", lambda name: None)
    table = run(methods=("dgi", "InfoGraph"), data="random", nodes=50, graphs=4, repeats=2, threads=1)
    data = json.loads(json.dumps(table.mapping(), allow_nan=False))
    assert data["name"] == "methods"
    assert data["compared"] == 1
    assert data["config"] == {"repeats": 2, "threads": 1}
    assert {"git_hash", "processor", "threads", "libraries", "peers", "sources"} <= set(data["environment"])
    dgi, infograph = data["results"]
    assert (dgi["name"], dgi["peer_name"], infograph["name"]) == ("DGI", "PyG", "InfoGraph")
    assert dgi["ratio"] == pytest.approx(dgi["peer"] / dgi["ours"])
    assert len(dgi["ours_times"]) == len(dgi["peers"][0]["times"]) == 2
    assert dgi["figures"]["gssl parameters"] == dgi["figures"]["PyG parameters"] > 0
    assert dgi["config"]["data"] == "random"
    assert dgi["config"]["nodes"] == 50
    assert "sources" not in dgi["config"]
    assert dgi["absent"] == {
        "PetarV-/DGI": "clone PetarV-/DGI as SOURCES/PetarV-+DGI, --set sources=SOURCES",
        "PyGCL": "pip install --no-deps PyGCL",
    }
    assert infograph["ratio"] is None
    assert infograph["absent"]["PyGCL"] == "pip install --no-deps PyGCL torch-scatter torch-sparse"
    assert data["slower"] == [f"DGI against {p['name']}" for p in dgi["peers"] if p["ratio"] < 1]


@pytest.mark.usefixtures("inline")
def test_the_command_shows_a_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peer, "find_spec", lambda name: None)
    sizes = ["methods=[GAE, GCA]", "data=random", "nodes=40", "repeats=1", "threads=1"]
    assert main(["perf", "methods", *(part for size in sizes for part in ("--set", size))]) == 0
    shown = capsys.readouterr().out
    assert "a training step of 2 methods against 1 peers" in shown
    assert "times faster" in shown
    assert "GCA against CRIPAC-DIG/GCA: clone CRIPAC-DIG/GCA" in shown


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"methods": ("GRAC",)}, "GRACE"),
        ({"methods": ("CCA-SSG",)}, "CCA-SSG has no peer to be measured against: the authors' code needs dgl"),
        ({"methods": ("raw",)}, "raw has no peer to be measured against; choose from AD-GCL"),
        ({"sources": "no/such/folder"}, "sources=no/such/folder is not a folder"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        run(**options)


def test_a_method_on_nodes_and_graphs_is_measured_on_both() -> None:
    assert [case.level for case in select(["MVGRL"])] == ["node", "graph"]
    assert len(select([])) == len(CASES)


def broken(_: NodeSetup) -> Any:
    """A peer that does not work here."""
    raise KeyError("what it looks for")


@pytest.mark.usefixtures("inline")
def test_a_peer_that_fails_is_told_and_does_not_end_the_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    (case,) = select(["GAE"])
    monkeypatch.setattr(
        benchmark, "CASES", (Case("GAE", case.setup, case.make, (Peer("broken", broken), *case.peers)),)
    )
    (result,) = run(data="random", nodes=40, repeats=1, threads=1).results
    assert result.absent == {"broken": "it fails here with KeyError: 'what it looks for'"}
    assert [each.name for each in result.peers] == ["PyG"]


def test_our_own_failure_is_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        probe(Side(OURS, lambda: 1 // 0), 1)  # type: ignore[arg-type,return-value]
    assert probe(Side("other", lambda: 1 // 0), 1) == (  # type: ignore[arg-type,return-value]
        "it fails here with ZeroDivisionError: integer division or modulo by zero"
    )


def test_a_probe_counts_what_is_trained() -> None:
    layer = nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    again = layer.weight
    assert isinstance(again, nn.Parameter)
    found = probe(Side("x", lambda: Update(lambda: layer(torch.ones(1, 3)).sum(), layer, again)), 1)
    assert isinstance(found, Probed)
    assert found.parameters == 6
    assert found.memory_mb >= 1


def test_updates_take_turns() -> None:
    calls: list[str] = []
    weight = nn.Parameter(torch.ones(()))

    def loss(name: str) -> Tensor:
        calls.append(name)
        return weight * 1.0

    def update(name: str) -> Update:
        return Update(lambda: loss(name), weight, after=lambda: calls.append(f"after {name}"))

    assert Turns(update("first"), update("second"))() == pytest.approx(0.999, abs=1e-4)  # Adam's step is its rate
    assert calls == ["first", "after first", "second", "after second"]
    assert Foreign(lambda: "loss", torch.optim.Adam([weight])).parameters == 1


@pytest.fixture
def written(tmp_path: Path) -> str:
    """Two clones with modules of the same name, which parse arguments, write files and import what is not here."""
    for repository, number in (("one/code", 1), ("two/code", 2)):
        folder = clone(str(tmp_path), repository) / "src"
        folder.mkdir(parents=True)
        (folder / "part.py").write_text(f"NUMBER = {number}\n")
        (folder / "model.py").write_text(
            "import sys, warnings\nimport no_such_package.inner\nfrom part import NUMBER\n"
            "open('log.txt', 'w').close()\nwarnings.warn = None\nARGUMENTS = sys.argv[1:]\n"
        )
    return str(tmp_path)


@pytest.mark.usefixtures("undisturbed")
def test_modules_of_the_same_name_come_from_their_own_clone(written: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import warnings

    monkeypatch.setattr(sys, "argv", ["gssl", "--option"])
    here, paths, warn = Path.cwd(), list(sys.path), warnings.warn
    missing = ("no_such_package", "no_such_package.inner")
    for number, repository in enumerate(("one/code", "two/code"), 1):
        (model,) = clones.load(written, repository, "model", folders=("src",), missing=missing)
        assert (number, []) == (model.NUMBER, model.ARGUMENTS)
    assert (Path.cwd(), sys.path, warnings.warn, sys.argv) == (here, paths, warn, ["gssl", "--option"])
    assert not list(Path(written).rglob("log.txt"))
    assert not (here / "log.txt").exists()
    assert "no_such_package" not in sys.modules  # or others would take it for installed


@pytest.mark.usefixtures("undisturbed")
def test_a_module_within_a_package_gets_a_stand_in() -> None:
    stand_in("scipy.no_such_module", "scipy.no_such_module.inner", "scipy.sparse")
    assert isinstance(sys.modules["scipy.no_such_module.inner"], StandIn)
    assert not isinstance(sys.modules["scipy.sparse"], StandIn)


def test_the_matrix_of_gcn_is_symmetric_with_self_loops() -> None:
    matrix = clones.normalized(torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]), 4).to_dense()
    degrees = torch.tensor([2.0, 3.0, 2.0, 1.0])
    adjacency = torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    torch.testing.assert_close(matrix, adjacency / (degrees[:, None] * degrees).sqrt())


def test_commits_of_clones_are_known_where_git_knows_them(tmp_path: Path) -> None:
    place = clone(str(tmp_path), "one/code")
    place.mkdir()
    assert benchmark._commit(str(tmp_path), "one/code") == benchmark._commit("", "one/code") == ""
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for command in (["init", "-q"], [*who, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", "-C", str(place), *command], check=True)
    assert len(benchmark._commit(str(tmp_path), "one/code")) == 40
