"""Datasets that are drawn from a model of another one: they look like it, know no label, and find their way to runs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gssl.common.errors import InputError
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.assemble import Arrays, build
from gssl.datasets.generators import dcsbm
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset, Labels
from gssl.experiment.prepare import prepare
from gssl.generate.blocks import from_blocks
from gssl.generate.data import generated
from gssl.generate.features import in_proportion, mixed_columns
from gssl.generate.latent import _joined, _shift
from gssl.generate.spectral import from_spectra
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.spec import Vocabulary
from gssl.settings.problem import Problem, make_problem
from gssl.testing.toy import toy_dataset

MODELS = ("dcsbm", "vgae")


def planted(nodes: int = 400, seed: int = 0) -> Dataset:
    """Four communities with features of their own."""
    made = dcsbm(nodes=nodes, classes=4, degree=12, homophily=0.9, features=8, signal=6.0, seed=seed)
    return replace(made, name="planted", vocabulary=Vocabulary("planted"))


def of(dataset: Dataset) -> Callable[[str], Dataset]:
    return lambda name: dataset


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def set_of_graphs() -> Dataset:
    return replace(toy_dataset("graph", name="toys"), vocabulary=Vocabulary("toys"))


@pytest.mark.parametrize("model", MODELS)
def test_a_drawn_graph_is_like_the_data(model: str) -> None:
    """Undirected and simple, with the mean degree and the spread of features, and as homophilous in them."""
    source = planted()
    drawn = generated(of(source), data="planted", model=model, seed=1)  # type: ignore[arg-type]
    pattern, real = drawn.graph.block.pattern, source.graph.block.pattern
    assert bool((pattern.reverse >= 0).all())
    start, end = drawn.graph.block.edge_index
    assert not bool((start == end).any())
    assert len((start * 400 + end).unique()) == pattern.nnz
    assert pattern.nnz / real.nnz == pytest.approx(1, abs=0.1)
    degrees = [each.counts.float().std().item() for each in (pattern, real)]
    assert 0.5 < degrees[0] / degrees[1] < 2
    x, real_x = dense_features(drawn.graph.x), dense_features(source.graph.x)
    assert x.shape == real_x.shape
    torch.testing.assert_close(x.std(0), real_x.std(0), rtol=0.3, atol=0.0)

    def alike(features: torch.Tensor, edges: torch.Tensor) -> float:
        return float(torch.nn.functional.cosine_similarity(features[edges[0]], features[edges[1]]).mean())

    there = alike(real_x, source.graph.block.edge_index)
    assert alike(x, torch.stack([start, end])) > 0.5 * there > 0.25
    assert not bool((x[:, None] == real_x).all(2).any()), "no node is a copy"


@pytest.mark.parametrize("model", MODELS)
def test_nothing_follows_from_labels(model: str) -> None:
    source = planted(nodes=120)
    assert source.labels is not None
    other = replace(source, labels=Labels(source.labels.y.flip(0), "multiclass", 4), splits=())
    none = replace(source, labels=None)
    found = [generated(of(each), data="x", model=model) for each in (source, other, none)]  # type: ignore[arg-type]
    assert len({each.checksum for each in found}) == 1
    assert all(each.labels is None and not each.splits for each in found)


@pytest.mark.parametrize("model", MODELS)
def test_the_seed_decides_and_the_global_stream_does_not_matter(model: str) -> None:
    source = planted(nodes=120)
    torch.manual_seed(0)
    first = generated(of(source), data="x", model=model)  # type: ignore[arg-type]
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert generated(of(source), data="x", model=model).checksum == first.checksum  # type: ignore[arg-type]
    assert torch.equal(state, torch.get_rng_state())
    assert generated(of(source), data="x", model=model, seed=1).checksum != first.checksum  # type: ignore[arg-type]


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("size", [60, 300])
def test_another_size_at_the_same_mean_degree(model: str, size: int) -> None:
    source = planted(nodes=120)
    drawn = generated(of(source), data="x", model=model, size=size)  # type: ignore[arg-type]
    assert drawn.num_items == size
    per_node = [each.graph.num_edges / each.num_items for each in (drawn, source)]
    assert per_node[0] / per_node[1] == pytest.approx(1, abs=0.25)


def test_edges_of_the_block_model_stay_between_their_blocks() -> None:
    """Two cliques have no edge between them in any draw, and each as many edges as before."""
    clique = torch.ones(12, 12) - torch.eye(12)
    edges = torch.block_diag(clique, clique).nonzero().T
    source = build(
        Arrays(edge_index=edges, x=torch.eye(2).repeat_interleave(12, 0)),
        name="cliques",
        level="node",
        labels=None,
        metric="accuracy",
    )
    for seed in range(5):
        found, x = from_blocks(source.graph, rng(seed), nodes=24, blocks=2)
        rows = dense_features(x)
        first = rows[:, 0] == 1  # features say whose block it is
        assert torch.equal(rows[:, 1], 1 - rows[:, 0])
        ends = first[torch.from_numpy(found)]
        assert torch.equal(ends[0], ends[1])


def test_columns_come_from_donors_and_are_mixed() -> None:
    x = torch.arange(40.0).reshape(10, 4) + 1
    donors = torch.tensor([[0, 1], [5, 5], [7, 9]])
    for features in (x, SparseMatrix.from_dense(x)):
        found = mixed_columns(features, donors, rng())
        assert isinstance(found, SparseMatrix) == isinstance(features, SparseMatrix)
        rows = dense_features(found)
        assert torch.equal(rows[1], x[5])
        for row, pair in zip(rows, donors, strict=True):
            assert bool(((row == x[pair[0]]) | (row == x[pair[1]])).all())
    picked = mixed_columns(x, torch.tensor([[0, 1]] * 2000), rng())
    first = dense_features(picked) == x[0]
    assert float(first.float().mean()) == pytest.approx(0.5, abs=0.03)
    assert abs(float(torch.corrcoef(first.T.float())[0, 1])) < 0.1


def test_rows_that_are_proportions_are_so_again() -> None:
    x = torch.tensor([[1.0, 3.0], [0.0, 0.0], [2.0, 2.0]])
    for features in (x, SparseMatrix.from_dense(x)):
        assert dense_features(in_proportion(features)).tolist() == [[0.25, 0.75], [0, 0], [0.5, 0.5]]


def test_the_decoder_is_moved_to_the_wanted_number_of_edges() -> None:
    code = torch.randn(300, 4, generator=torch.Generator().manual_seed(0))
    pairs = (code @ code.T)[torch.ones(300, 300, dtype=torch.bool).triu(1)]
    for wanted in (200.0, 3000.0, 20_000.0):
        assert float((pairs + _shift(code, wanted)).sigmoid().sum()) == pytest.approx(wanted, rel=0.02)
        counts = [_joined(code, rng(seed), wanted).shape[1] for seed in range(5)]
        assert sum(counts) / 5 == pytest.approx(wanted, rel=0.1)


def test_all_eigenvalues_give_the_graph_itself_and_fewer_another() -> None:
    source = set_of_graphs()
    drawn = from_spectra(source.graph, rng(), graphs=30, rank=1.0, neighbors=1)
    known = {}
    for number in range(source.graph.num_graphs):
        batch = source.graph.graph_batch(torch.tensor([number]))
        known[number] = {tuple(sorted(edge)) for edge in batch.blocks[0].edge_index.T.tolist() if edge[0] != edge[1]}
    assert source.graph.ptr is not None
    for first, last in zip(drawn.ptr[:-1].tolist(), drawn.ptr[1:].tolist(), strict=True):
        inside = (drawn.edges[0] >= first) & (drawn.edges[0] < last)
        edges = {tuple(sorted(edge)) for edge in (drawn.edges[:, inside] - first).T.tolist()}
        number = int(torch.searchsorted(source.graph.ptr, drawn.like[first], right=True)) - 1
        assert edges == known[number]
        assert torch.equal(drawn.like[first:last], torch.arange(*source.graph.ptr[number : number + 2].tolist()))
    rough = from_spectra(source.graph, rng(), graphs=30, rank=0.3, neighbors=3)
    assert rough.edges.shape != drawn.edges.shape or not torch.equal(rough.edges, drawn.edges)


def test_a_drawn_set_is_like_the_data_in_its_attributes_too() -> None:
    source = set_of_graphs()
    block = source.graph.block
    pair = block.edge_index.sort(0).values
    attributes = torch.stack([pair[0], pair[1]], dim=1).float()
    source = replace(source, graph=replace(source.graph, block=replace(block, edge_attr=attributes)))
    drawn = generated(of(source), data="toys", size=80)
    assert drawn.level == "graph"
    assert drawn.num_items == 80
    edges, attr = drawn.graph.block.edge_index, drawn.graph.block.edge_attr
    assert attr is not None
    assert edges.shape[1] / 80 == pytest.approx(block.num_edges / source.num_items, rel=0.35)
    value = dict(zip(map(tuple, edges.T.tolist()), map(tuple, attr.tolist()), strict=True))
    assert all(value[end, start] == found for (start, end), found in value.items())
    assert drawn.spec == source.spec


def test_degree_features_are_those_of_the_new_graph() -> None:
    source = set_of_graphs()
    bare = build(
        Arrays(edge_index=source.graph.block.edge_index, num_nodes=source.graph.num_nodes, ptr=source.graph.ptr),
        name="bare", level="graph", labels=None, metric="accuracy",
    )  # fmt: skip
    drawn = generated(of(bare), data="bare", rank=0.3)
    degree = drawn.graph.block.pattern.counts.long().clamp(max=drawn.graph.in_dim - 1)
    assert torch.equal(dense_features(drawn.graph.x).argmax(1), degree)
    assert drawn.graph.in_dim == bare.graph.in_dim


def test_by_name_with_options_and_back() -> None:
    drawn = load_dataset("generated:csbm, size=40 ,seed=3")
    assert drawn.name == "generated:csbm,size=40,seed=3"
    assert drawn.num_items == 40
    assert (
        load_dataset(drawn.name).checksum
        == load_dataset("Generated:data=csbm,size=40,seed=3").checksum
        == drawn.checksum
    )
    config, dataset = prepare(Request("DGI", preset="none"), drawn.name)
    assert config.dataset == dataset.name == drawn.name


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("generated", "say which, as in generated:Cora"),
        ("generated:seed=1", "say which"),
        ("generated:csbm,vgae", "write options of generated as"),
        ("generated:csbm,model=spectral", "model=spectral is not one of node-level data"),
        ("generated:digit-graphs,model=vgae", "graph-level data, as digit-graphs is; use spectral"),
        ("generated:csbm,model=gan", "model"),
        ("generated:csbm,sise=3", "size"),
        ("generated:Coar", "Cora"),
        ("generated:csbm,size=60000,model=vgae", "60,000 of them are too many .* use model=dcsbm"),
    ],
)
def test_bad_names(name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_dataset(name)


def test_data_that_no_model_fits() -> None:
    source = planted(nodes=40)
    block = source.graph.block
    weighted = replace(source.graph, block=replace(block, weight=torch.ones(block.num_edges)))
    bare = build(Arrays(edge_index=torch.zeros(2, 0, dtype=torch.int64), x=torch.eye(4)), name="bare", level="node", labels=None, metric="accuracy")  # fmt: skip  # noqa: E501
    for dataset, message in (
        (replace(source, graph=weighted), "attributes or weights of edges"),
        (bare, "bare has no edges"),
    ):
        with pytest.raises(InputError, match=message):
            generated(of(dataset), data="x")


@pytest.mark.parametrize("model", ["dcsbm", "vgae"])
def test_data_whose_columns_nobody_explains_are_like_those_that_they_are_drawn_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    """A file of the user's own: what is drawn from it has its columns, what is drawn from another one need not."""
    monkeypatch.setenv("GSSL_DATA", str(tmp_path / "data"))
    rng = np.random.default_rng(0)
    for name in ("mine", "other"):
        ends = rng.integers(0, 40, (2, 160))
        x = rng.normal(size=(40, 5)).astype(np.float32)
        np.savez(tmp_path / f"{name}.npz", edge_index=ends, x=x, y=np.arange(40) % 2)
    mine = load_dataset(tmp_path / "mine.npz")
    subject = Subject("mine", "mine", "node", "LBFGS")

    def problem(source: str) -> Problem:
        given = ("encoder.hidden_dim=8", "train.epochs=1")
        request = Request("DGI", preset="none", pretrain_on=source, assignments=given)
        return make_problem(resolve(request, subject), mine)

    before, _ = problem(f"generated:{tmp_path}/mine.npz,model={model}").trainings(0)
    assert before.dataset.fitted_to == "mine"
    assert problem(f"{tmp_path}/mine.npz").trainings(0)[0].dataset.checksum == mine.checksum
    with pytest.raises(InputError, match="nothing says that the features"):
        problem(f"generated:{tmp_path}/other.npz,model={model}")


def test_it_is_pretrained_on_in_place_of_the_data_but_not_for_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model of all edges has seen those that a task of links holds out."""
    source = planted(nodes=80)
    monkeypatch.setattr("gssl.settings.problem.load_dataset", lambda name: generated(of(source), data=name))
    given = ("encoder.hidden_dim=8", "train.epochs=1")
    request = Request("DGI", preset="none", pretrain_on="planted", assignments=given)
    problem = make_problem(resolve(request, Subject("planted", "planted", "node", "LBFGS")), source)
    before, judged = problem.trainings(0)
    assert before.dataset.fitted_to == judged.dataset.name == "planted"
    assert before.dataset.labels is None
    with pytest.raises(InputError, match="its model was fitted to all edges of planted"):
        make_problem(resolve(replace(request, task="link"), Subject("planted", "planted", "node", "LBFGS")), source)
