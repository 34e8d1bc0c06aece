"""Held-out edges reach nothing but the score."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.links import _keys, _unranked
from gssl.datasets.types import Dataset, LinkSplit
from gssl.evaluate.links import Dot
from gssl.graph.sparse import dense_features
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.settings.problem import Problem, make_problem
from gssl.tasks.link import LinkTask, links_of
from gssl.testing.toy import toy_dataset
from gssl.training.embed import embed_dataset
from gssl.training.loop import pretrain

NUM_NODES = 80
# Methods that look at edges in different ways, on the whole graph and on batches of it.
RUNS = {
    "GAE": Request("GAE"),
    "MaskGAE": Request("MaskGAE"),
    "S2GAE": Request("S2GAE", assignments=("encoder.out_dim=16", "decoder_dim=16")),
    "ARGA": Request("ARGA"),
    "GAE, clusters": Request("GAE", sampler="clustergcn", assignments=("sampler.num_parts=8",), batch_size=30),
    "GAE, history": Request("GAE", sampler="minvar+history", assignments=("sampler.gamma=0.5",), batch_size=30),
    "GRACE, neighbors": Request("GRACE", sampler="graphsage", batch_size=30),
    "DGI, walks": Request("DGI", sampler="graphsaint", batch_size=30),
}


def dataset_of(keys: Tensor, features: Tensor) -> Dataset:
    """A graph with the pairs of these numbers, in both directions."""
    pairs = torch.from_numpy(_unranked(keys.numpy()))
    edges = torch.cat([pairs, pairs.flip(0)], dim=1)
    return replace(toy_dataset("node"), name="pairs", graph=Graph.from_edge_index(edges, features), splits=())


def twins(seed: int = 0) -> tuple[Dataset, Dataset]:
    """Two datasets whose random split has the same training pairs and not one held-out pair in common.

    Pairs are dealt out by their place in the order of their numbers. The first graph has even numbers only; adding one
    to each held-out number makes another pair and leaves the order.
    """
    rng = torch.Generator().manual_seed(0)
    total = NUM_NODES * (NUM_NODES - 1) // 2
    even = 2 * torch.randperm(total // 2, generator=rng)[:300].sort().values
    features = torch.rand(NUM_NODES, 12, generator=rng)
    first = dataset_of(even, features)
    (split,) = LinkTask(first, Dot()).splits(seed)
    held_out = torch.from_numpy(_keys(torch.cat([split.val, split.test], dim=1).numpy()))
    second = dataset_of(torch.where(torch.isin(even, held_out), even + 1, even), features)
    return first, second


def config(request: Request) -> RunConfig:
    """For the link task with small widths and few epochs, whatever presets say."""
    small = ("encoder.hidden_dim=16", "train.epochs=3", "train.lr=0.01")
    request = replace(request, task="link", preset="none", assignments=(*small, *request.assignments))
    return resolve(request, Subject("pairs", "pairs", "node", "P1"))


def problem_of(request: Request, dataset: Dataset) -> Problem:
    return make_problem(config(request), dataset)


def trained(problem: Problem) -> Method:
    """The method after the one training of seed 0."""
    (training,) = problem.trainings(0)
    method = training.method()
    pretrain(method, training.sampler(method), training.train, seed=0)
    return method


def same(first: Method, second: Method) -> bool:
    ours, theirs = first.state_dict(), second.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in ours.items())


def pairs_of(pairs: Tensor) -> set[frozenset[int]]:
    return {frozenset(pair) for pair in pairs.T.tolist()}


def test_the_twins_differ_in_every_held_out_pair_and_in_nothing_else() -> None:
    splits = [LinkTask(dataset, Dot()).splits(0)[0] for dataset in twins()]
    assert torch.equal(splits[0].train, splits[1].train)
    held = [pairs_of(split.val) | pairs_of(split.test) for split in splits]
    assert len(held[0]) == len(held[1]) == 45
    assert not held[0] & held[1]


@pytest.mark.parametrize("name", RUNS)
def test_other_held_out_edges_leave_every_bit_of_the_weights(name: str) -> None:
    methods = [trained(problem_of(RUNS[name], dataset)) for dataset in twins()]
    assert same(*methods)


@pytest.mark.parametrize("name", ["GAE", "GRACE, neighbors"])
def test_the_comparison_would_see_a_held_out_edge(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were the whole graph trained on, the weights would differ."""
    monkeypatch.setattr(LinkTask, "visible", lambda task, split: replace(task.dataset, labels=None))
    methods = [trained(problem_of(RUNS[name], dataset)) for dataset in twins()]
    assert not same(*methods)


def test_embeddings_are_those_of_the_training_edges() -> None:
    """Held-out edges are not there when the method is asked for its embeddings either."""
    found = []
    for dataset in twins():
        problem = problem_of(RUNS["GAE"], dataset)
        (training,) = problem.trainings(0)
        found.append(embed_dataset(trained(problem), training.dataset))
    assert torch.equal(*found)


def test_held_out_edges_are_gone_in_both_directions_and_nothing_else_is() -> None:
    dataset, _ = twins()
    task = LinkTask(dataset, Dot())
    (split,) = task.splits(3)
    edges = task.visible(split).graph.block.edge_index
    left = set(map(tuple, edges.T.tolist()))
    everything = set(map(tuple, dataset.graph.block.edge_index.T.tolist()))
    gone = set(map(tuple, torch.cat([split.val, split.test], dim=1).T.tolist()))
    assert left == everything - gone - {(v, u) for u, v in gone}
    assert len(everything - left) == 2 * len(gone)


def test_each_seed_holds_out_other_edges_and_trains_on_a_graph_of_its_own() -> None:
    dataset, _ = twins()
    problem = problem_of(RUNS["GAE"], dataset)
    (first,), (second,) = problem.trainings(0), problem.trainings(1)
    assert first.key != second.key
    assert not torch.equal(first.dataset.graph.block.edge_index, second.dataset.graph.block.edge_index)


def test_no_label_of_a_node_is_handed_on() -> None:
    dataset, _ = twins()
    assert dataset.labels is not None
    (training,) = problem_of(RUNS["GAE"], dataset).trainings(0)
    assert training.dataset.labels is None


def test_features_that_count_edges_are_counted_anew() -> None:
    """One-hot degrees of the whole graph would tell how many edges of each node are held out."""
    first, second = twins()
    graphs = []
    for dataset in (first, second):
        degree = dataset.graph.block.degree.long()
        x = torch.nn.functional.one_hot(degree, 40).float()
        noted = replace(
            dataset, graph=Graph(dataset.graph.block, x), notes=("degree features: it has none of its own",)
        )
        graphs.append(LinkTask(noted, Dot()))
    seen = [task.visible(task.splits(0)[0]).graph for task in graphs]
    first_x, second_x = (dense_features(graph.x) for graph in seen)
    assert torch.equal(first_x, second_x)
    assert torch.equal(first_x.argmax(1), seen[0].block.degree.long())


class TestSealed:
    """What a search sees."""

    def test_no_test_edge_is_in_it(self) -> None:
        dataset, _ = twins()
        task = LinkTask(dataset, Dot())
        (split,), sealed = task.splits(0), task.sealed(0)
        (blind,) = sealed.splits(0)
        assert blind.test.equal(split.val)
        assert blind.test_negatives.equal(split.val_negatives)
        known = [
            sealed.dataset.graph.block.edge_index,
            *(getattr(blind, part) for part in ("train", "val", "test", "val_negatives", "test_negatives")),
        ]
        assert not pairs_of(torch.cat(known, dim=1)) & pairs_of(split.test)
        assert sealed.dataset.labels is None
        assert sealed.shown() == split.train.shape[1] + split.val.shape[1]

    def test_its_scores_are_the_validation_score(self) -> None:
        dataset, _ = twins()
        task = LinkTask(dataset, Dot())
        embeddings = torch.randn(NUM_NODES, 5, generator=torch.Generator().manual_seed(1))
        score = task.score(embeddings, task.splits(0)[0], 0)
        sealed = task.sealed(0)
        blind = sealed.score(embeddings, sealed.splits(0)[0], 0)
        assert blind.val == blind.test == score.val
        assert score.test != score.val

    def test_it_shares_no_test_edge_with_its_own_split_but_with_those_of_other_seeds(self) -> None:
        dataset, _ = twins()
        task = LinkTask(dataset, Dot())
        sealed = task.sealed(0)
        assert sealed.overlap(task.splits(0)) == 0
        others = task.splits(1)[0]
        known = pairs_of(torch.cat([task.splits(0)[0].train, task.splits(0)[0].val], dim=1))
        share = len(pairs_of(others.test) & known) / others.test.shape[1]
        assert sealed.overlap([others]) == pytest.approx(share)

    def test_it_trains_as_the_run_does(self) -> None:
        dataset, _ = twins()
        problem = problem_of(RUNS["GAE"], dataset)
        assert same(trained(problem), trained(problem.sealed(0)))


class TestBadInput:
    def test_too_few_edges(self) -> None:
        path = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]])
        edges = torch.cat([path, path.flip(0)], dim=1)
        dataset = replace(toy_dataset("node"), graph=Graph.from_edge_index(edges, torch.rand(5, 3)), splits=())
        problem = problem_of(RUNS["GAE"], dataset)
        with pytest.raises(InputError, match=r"joins 4 pairs of nodes, too few for a share of 0\.05"):
            problem.trainings(0)

    def test_too_few_pairs_without_an_edge(self) -> None:
        edges = (1 - torch.eye(30)).nonzero().T
        dataset = replace(toy_dataset("node"), graph=Graph.from_edge_index(edges, torch.rand(30, 3)), splits=())
        with pytest.raises(InputError, match="too dense"):
            problem_of(RUNS["GAE"], dataset).trainings(0)

    def test_sets_of_graphs(self) -> None:
        with pytest.raises(InputError, match="is a set of graphs; use --task graph"):
            LinkTask(toy_dataset("graph"), Dot())

    def test_sets_of_graphs_in_a_run(self) -> None:
        request = Request("GraphCL", task="link", preset="none")
        dataset = toy_dataset("graph")
        with pytest.raises(InputError, match="set of graphs"):
            make_problem(resolve(request, Subject("toy", "toy", "graph", "P5-RBF")), dataset)

    @pytest.mark.parametrize("probe", ["P1", "LBFGS", "KMeans"])
    def test_a_probe_of_something_else(self, probe: str) -> None:
        with pytest.raises(InputError, match=r"the task is link; probes that fit: Dot, Hadamard, Decoder"):
            config(replace(RUNS["GAE"], probe=probe))

    def test_a_probe_of_links_for_nodes(self) -> None:
        request = Request("GAE", task="node", probe="Dot")
        with pytest.raises(InputError, match="Dot judges link tasks, but the task is node"):
            resolve(request, Subject("pairs", "pairs", "node", "P1"))

    @pytest.mark.parametrize("option", ["task.val=0", "task.test=1", "task.test=-0.1", "task.val=many"])
    def test_a_share_out_of_range(self, option: str) -> None:
        with pytest.raises(InputError, match=option.partition("=")[0].partition(".")[2]):
            config(replace(RUNS["GAE"], assignments=(option,)))

    def test_shares_that_leave_no_edge_to_train_on(self) -> None:
        dataset, _ = twins()
        request = replace(RUNS["GAE"], assignments=("task.val=0.5", "task.test=0.5"))
        with pytest.raises(InputError, match="below 1 together"):
            problem_of(request, dataset).trainings(0)

    def test_an_option_that_there_is_not(self) -> None:
        with pytest.raises(InputError, match="negative"):
            config(replace(RUNS["GAE"], assignments=("task.negatives=3",)))

    @pytest.mark.parametrize("setting", ["finetune", "auxiliary"])
    def test_settings_with_labels(self, setting: str) -> None:
        dataset, _ = twins()
        with pytest.raises(InputError, match="no labels to train on"):
            problem_of(replace(RUNS["GAE"], setting=setting), dataset).trainings(0)


def test_shares_are_those_that_were_asked_for() -> None:
    dataset, _ = twins()
    request = replace(RUNS["GAE"], assignments=("task.val=0.2", "task.test=0.3"))
    split = links_of(problem_of(request, dataset).splits(0)[0])
    assert isinstance(split, LinkSplit)
    assert [part.shape[1] for part in (split.train, split.val, split.test)] == [150, 60, 90]


def test_the_decoder_of_the_method_judges_where_it_is_asked_for() -> None:
    """Its weights decide the score; a method without one is refused before it is trained."""
    asked = Request("MaskGAE", probe="Decoder", assignments=("embedding=last", "normalize=false"))
    (training,) = problem_of(asked, twins()[0]).trainings(0)
    method = training.method()
    result = pretrain(method, training.sampler(method), training.train, seed=0)
    embeddings = embed_dataset(method, training.dataset)
    (before,) = training.scores(method, result, embeddings)
    with torch.no_grad():
        dict(method.named_parameters())["decoder.mlp.lins.1.weight"].neg_()  # what was likely is unlikely
    (after,) = training.scores(method, result, embeddings)
    assert before.test != 0.5
    assert after.test == pytest.approx(1 - before.test, abs=1e-6)
    (training,) = problem_of(Request("GRACE", probe="Decoder"), twins()[0]).trainings(0)
    with pytest.raises(InputError, match="has no decoder of pairs of its embeddings"):
        training.method()
