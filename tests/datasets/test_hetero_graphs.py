"""``HeteroData`` of one's own: around one type, or as one graph."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch_geometric.data import HeteroData

import gssl
from gssl.common.errors import InputError
from gssl.datasets.convert import as_dataset, from_arrays
from gssl.datasets.declared import Declared
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.sparse import Pattern, dense_features

WRITES = [(0, 0), (0, 1), (1, 1), (1, 2), (2, 3), (2, 0)]  # author, paper
ABOUT = [(0, 0), (1, 0), (2, 1), (3, 1)]  # paper, term
CITES = [(0, 3), (1, 0)]  # citing paper, cited paper


def hetero() -> HeteroData:
    data = HeteroData()
    data["paper"].x, data["paper"].y = torch.arange(8.0).view(4, 2), torch.tensor([0, 1, 0, 1])
    data["author"].x = torch.randn(3, 5)
    data["term"].num_nodes = 3
    data["author", "writes", "paper"].edge_index = torch.tensor(WRITES).T
    data["paper", "about", "term"].edge_index = torch.tensor(ABOUT).T
    data["paper", "cites", "paper"].edge_index = torch.tensor(CITES).T
    return data


def around(data: HeteroData, **facts: Any) -> Dataset:
    return as_dataset(data, name="mine", declared=Declared(target_type="paper", **facts))


def places(pattern: Pattern) -> set[tuple[int, int]]:
    return set(zip(pattern.row.tolist(), pattern.col.tolist(), strict=True))


def walks(*steps: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
    """How many walks lead from one end to another, step by step, without those that come back."""
    found: dict[tuple[int, ...], int] = dict.fromkeys(steps[0], 1)
    for step in steps[1:]:
        found = _longer(found, step)
    return {ends: count for ends, count in found.items() if ends[0] != ends[1]}  # type: ignore[misc]  # two ends


def _longer(found: dict[tuple[int, ...], int], step: list[tuple[int, int]]) -> dict[tuple[int, ...], int]:
    longer: dict[tuple[int, ...], int] = {}
    for (start, end), count in found.items():
        for a, b in step:
            if a == end:
                longer[start, b] = longer.get((start, b), 0) + count
    return longer


def turned(step: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(b, a) for a, b in step]


def test_the_graph_is_that_of_the_target_type() -> None:
    data = around(hetero())
    assert (data.num_items, data.level) == (4, "node")
    assert torch.equal(dense_features(data.graph.x), torch.arange(8.0).view(4, 2))
    assert data.labels is not None
    assert data.labels.y.tolist() == [0, 1, 0, 1]
    assert data.declared == {"target_type": "paper"}
    parts = data.graph.hetero
    assert parts is not None
    assert parts.spec(2).types == (("paper", 2), ("author", 5), ("term", 3))
    assert torch.equal(dense_features(parts.others[1].x), torch.eye(3))  # ids
    assert parts.spec(2).relations[0] == ("author", "writes", "paper")
    assert places(parts.relations[0].pattern) == set(turned(WRITES))  # rows are destinations
    assert places(parts.neighbors["author"]) == set(turned(WRITES))
    assert places(parts.neighbors["term"]) == set(ABOUT)


def test_paths_over_one_relation_and_back_are_the_default_and_it_is_said() -> None:
    data = around(hetero())
    parts = data.graph.hetero
    assert parts is not None
    counts = {path.name: path for path in parts.meta_paths}
    assert list(counts) == ["cites", "paper-author-paper", "paper-term-paper"]
    assert places(counts["cites"].pattern) == set(turned(CITES))
    for name, steps in {
        "paper-author-paper": (turned(WRITES), WRITES), "paper-term-paper": (ABOUT, turned(ABOUT)),
    }.items():  # fmt: skip
        path, expected = counts[name], walks(*steps)
        assert path.count is not None
        found = zip(path.pattern.row.tolist(), path.pattern.col.tolist(), path.count.tolist(), strict=True)
        assert {(a, b): n for a, b, n in found} == expected
    assert places(data.graph.block.pattern) == set().union(*(places(path.pattern) for path in parts.meta_paths))
    told = " ".join(data.notes)
    assert "joined where one of the meta-paths cites, paper-author-paper, paper-term-paper does" in told
    assert "meta-paths are all that lead from the target over one relation and back" in told
    assert "nodes of type term have no features, so their ids serve" in told
    assert "directed" not in told, "no advice that would be refused"


def test_declared_paths_are_walked_in_both_directions_of_relations() -> None:
    text = "paper-author-paper-term-paper + paper-paper"
    parts = around(hetero(), meta_paths=text).graph.hetero
    assert parts is not None
    long, direct = parts.meta_paths
    expected = walks(turned(WRITES), WRITES, ABOUT, turned(ABOUT))
    assert long.count is not None
    found = zip(long.pattern.row.tolist(), long.pattern.col.tolist(), long.count.tolist(), strict=True)
    assert {(a, b): n for a, b, n in found} == expected
    assert (long.name, direct.name) == ("paper-author-paper-term-paper", "paper-paper")
    assert places(direct.pattern) == {*CITES, *turned(CITES)}


def test_features_of_all_types_are_normalised_as_declared() -> None:
    data = hetero()
    data["author"].x = torch.tensor([[1.0, 3.0], [2.0, 2.0], [4.0, 0.0]])
    parts = around(data, normalize="row").graph.hetero
    assert parts is not None
    assert dense_features(parts.others[0].x).sum(1).tolist() == [1, 1, 1]


def test_splits_and_labels_are_those_of_the_target_type() -> None:
    data = hetero()
    for part, ids in (("train", [0, 1]), ("val", [2]), ("test", [3])):
        data["paper"][f"{part}_mask"] = torch.isin(torch.arange(4), torch.tensor(ids))
    data["author"].age = torch.arange(3)
    data["author", "writes", "paper"].edge_weight = torch.ones(6)
    found = around(data)
    assert [split.train.tolist() for split in found.splits] == [[0, 1]]
    assert "attributes of other types and of relations that are not read: age, edge_weight" in found.notes


WRONG: list[tuple[Any, dict[str, Any], str]] = [
    (None, {"target_type": "papers"}, "type of nodes 'papers'.*'paper'"),
    (None, {"target_type": "paper", "meta_paths": "paper-author"}, "does not lead from paper to paper"),
    (
        None,
        {"target_type": "paper", "meta_paths": "paper-venue-paper"},
        "no relation joins paper and venue; joined are",
    ),
    (None, {"target_type": "paper", "meta_paths": "paper-term-paper+paper-term-paper"}, "a path twice"),
    (None, {"target_type": "paper", "undirected": True}, "undirected has no meaning"),
    (None, {"meta_paths": "paper-author-paper"}, "declare target_type"),
    (lambda d: d["term"].pop("num_nodes"), {"target_type": "paper"}, "number of nodes of type 'term'"),
    (lambda d: d["paper"].update({"y": torch.ones(3)}), {"target_type": "paper"}, "different numbers of nodes"),
    (
        lambda d: d["paper", "about", "term"].update({"edge_index": torch.tensor([[0], [3]])}),
        {"target_type": "paper"},
        "holds node 3, but type 'term' has 3 nodes",
    ),
    (
        lambda d: d["paper", "about", "term"].update({"edge_index": torch.rand(2, 3)}),
        {"target_type": "paper"},
        "must hold node ids",
    ),
    (
        lambda d: d["author"].update({"x": torch.full((3, 2), torch.nan)}),
        {"target_type": "paper"},
        "x of 'author' has 6 values that are NaN",
    ),
    (
        lambda d: d["lonely"].update({"num_nodes": 2}),
        {"target_type": "lonely"},
        "no relation has nodes of type 'lonely'",
    ),
]


@pytest.mark.parametrize(("change", "facts", "message"), WRONG, ids=range(len(WRONG)))
def test_what_does_not_fit_is_refused(change: Any, facts: dict[str, Any], message: str) -> None:
    data = hetero()
    if change is not None:
        change(data)
    with pytest.raises(InputError, match=message):
        as_dataset(data, declared=Declared(**facts))


def test_paths_that_join_nobody_are_refused() -> None:
    data = HeteroData()
    data["a"].x, data["b"].x = torch.rand(3, 2), torch.rand(3, 2)
    data["a", "to", "b"].edge_index = torch.tensor([[0, 1, 2], [0, 1, 2]])
    with pytest.raises(InputError, match="joins two nodes of type 'a'"):
        as_dataset(data, declared=Declared(target_type="a"))


def test_more_paths_than_the_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Memory:
        available = 1 << 20

    data = HeteroData()
    data["a"].num_nodes, data["hub"].num_nodes = 2000, 1
    data["a", "to", "hub"].edge_index = torch.stack([torch.arange(2000), torch.zeros(2000, dtype=torch.int64)])
    monkeypatch.setattr("psutil.virtual_memory", Memory)
    with pytest.raises(InputError, match=r"'a-hub-a' has 4e\+06 paths"):
        as_dataset(data, declared=Declared(target_type="a"))


def test_types_of_different_widths_are_no_one_graph_and_what_to_say_is_named() -> None:
    with pytest.raises(InputError, match=r"no one graph: give all the same width.*--data target_type=paper"):
        as_dataset(hetero())


def test_data_with_one_type_have_no_target() -> None:
    arrays = {"edge_index": torch.tensor([[0], [1]]), "x": torch.eye(2)}
    with pytest.raises(InputError, match="target_type can be declared of a HeteroData alone"):
        from_arrays(arrays, name="mine", declared=Declared(target_type="paper"))


def test_a_file_says_beside_itself_which_type_is_meant(tmp_path: Path) -> None:
    torch.save(hetero(), tmp_path / "mine.pt")
    (tmp_path / "mine.pt.json").write_text('{"target_type": "paper", "meta_paths": "paper-author-paper"}')
    found = load_dataset(tmp_path / "mine.pt")
    assert found.graph.hetero is not None
    assert [path.name for path in found.graph.hetero.meta_paths] == ["paper-author-paper"]


@pytest.fixture
def big() -> HeteroData:
    rng = torch.Generator().manual_seed(0)
    data = HeteroData()
    data["paper"].x, data["paper"].y = torch.randn(60, 6, generator=rng), torch.arange(60) % 2
    data["author"].x = torch.randn(20, 4, generator=rng)
    data["author", "writes", "paper"].edge_index = torch.stack(
        [torch.randint(20, (150,), generator=rng), torch.randint(60, (150,), generator=rng)]
    )
    return data


@pytest.mark.parametrize("method", ["HeCo", "DMGI", "untrained"])
def test_a_hetero_data_is_trained_on_and_its_run_loaded(
    big: HeteroData, method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GSSL_RUNS", str(tmp_path))
    encoder = "MetaPathGCN" if method == "untrained" else None
    result = gssl.run(
        method, big, declared={"target_type": "paper"}, encoder=encoder, epochs=2, set={"encoder.hidden_dim": 8}
    )
    assert result.embeddings.shape == (60, 8)
    assert result.data["test_mean"] is not None
    if method == "DMGI":
        with pytest.raises(InputError, match="DMGI learns an embedding of each node"):
            gssl.embed(result, big)
        return
    torch.testing.assert_close(gssl.embed(result, big), result.embeddings)
    other = big.clone()
    other["author", "knows", "author"].edge_index = torch.tensor([[0], [1]])
    torch.testing.assert_close(gssl.embed(result, other), result.embeddings)  # of authors it reads nothing
    other["paper"].x = other["paper"].x[:, :5]
    with pytest.raises(InputError, match="trained on other types of nodes"):
        gssl.embed(result, other)
