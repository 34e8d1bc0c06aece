from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gssl.common.errors import InputError
from gssl.datasets.types import LabelKind, Labels, Split
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.methods.supervised import Supervised
from gssl.models.gcn import GCN

N = 12
NONE = torch.empty(0, dtype=torch.int64)
SPLIT = Split("toy", torch.tensor([7, 0, 3, 9]), torch.tensor([1, 2]), torch.tensor([4, 5, 6]))


def labels_of(task: LabelKind, seed: int = 0) -> Labels:
    rng = torch.Generator().manual_seed(seed)
    if task == "multiclass":
        return Labels(torch.randint(3, (N,), generator=rng), task, 3)
    y = torch.randn(N, 2, generator=rng) * 5 + 3
    y = (y > 3).float() if task == "multilabel" else y
    y[0, 1] = y[9, 0] = torch.nan
    return Labels(y, task, 2)


def collection() -> Graph:
    """Twelve graphs of three nodes each."""
    rng = torch.Generator().manual_seed(1)
    edges = torch.randint(3, (2, N, 5), generator=rng) + 3 * torch.arange(N)[None, :, None]
    return Graph.from_edge_index(edges.flatten(1), torch.randn(3 * N, 4, generator=rng), ptr=torch.arange(N + 1) * 3)


def single() -> Graph:
    rng = torch.Generator().manual_seed(2)
    return Graph.from_edge_index(torch.randint(N, (2, 40), generator=rng), torch.randn(N, 4, generator=rng))


def make(labels: Labels, split: Split = SPLIT, dropout: float = 0.0) -> Supervised:
    torch.manual_seed(0)
    method = Supervised(GCN(4, hidden_dim=5), dropout=dropout)
    method.fit_labels(labels, split)
    return method


GRAPHS = pytest.mark.parametrize("graph", [single(), collection()], ids=["node", "graph"])
TASKS = pytest.mark.parametrize("task", ["multiclass", "multilabel", "regression"])


@GRAPHS
@TASKS
def test_loss_is_the_plain_mean_over_known_training_labels(graph: Graph, task: LabelKind) -> None:
    labels = labels_of(task)
    method = make(labels)
    batch = graph.full_batch()
    logits = method.head(method.embed(batch))
    terms = []
    for item in SPLIT.train.tolist():
        if task == "multiclass":
            terms.append(-logits[item].log_softmax(0)[labels.y[item]])
            continue
        for column in range(2):
            known = labels.y[SPLIT.train, column]
            known = known[~known.isnan()]
            value = labels.y[item, column]
            if value.isnan():
                continue
            if task == "multilabel":
                terms.append(-F.logsigmoid(logits[item, column] * (2 * value - 1)))
            else:
                terms.append((logits[item, column] - (value - known.mean()) / known.std(correction=0)) ** 2)
    torch.testing.assert_close(method.loss(batch), torch.stack(terms).mean())


@GRAPHS
@TASKS
def test_a_weight_means_repeats(graph: Graph, task: LabelKind) -> None:
    """Weights 3, 1, 0 and 2 on the training items equal the loss of items that are there so many times."""
    labels = labels_of(task)
    method = make(labels)
    batch = graph.full_batch()
    weight = torch.rand(N)
    weight[SPLIT.train] = torch.tensor([3.0, 1.0, 0.0, 2.0])
    weighted = method.loss(replace(batch, weight=weight))

    def alone(item: int, column: int | None) -> Tensor:
        """Loss of a single label, from the method itself."""
        single_known = torch.zeros_like(method.known)
        single_known[item if column is None else (item, column)] = True
        original, method.known = method.known, single_known
        value = method.loss(batch)
        method.known = original
        return value

    copies = [7] * 3 + [0] + [9] * 2
    columns = [None] if task == "multiclass" else [0, 1]
    terms = [
        alone(item, column)
        for item in copies
        for column in columns
        if bool(method.known[item] if column is None else method.known[item, column])
    ]
    torch.testing.assert_close(weighted, torch.stack(terms).mean())


@TASKS
def test_equal_weights_give_the_plain_loss(task: LabelKind) -> None:
    method, batch = make(labels_of(task)), single().full_batch()
    torch.testing.assert_close(method.loss(replace(batch, weight=torch.full((N,), 0.3))), method.loss(batch))


@TASKS
def test_graph_batches_look_their_targets_up_by_id(task: LabelKind) -> None:
    method, graph = make(labels_of(task)), collection()
    parts = [method.loss(graph.graph_batch(torch.tensor([item]))) for item in SPLIT.train.tolist()]
    counts = method.known[SPLIT.train].float().reshape(len(parts), -1).sum(1)
    together = method.loss(graph.graph_batch(torch.tensor([1, 9, 0, 11, 3, 7])))
    torch.testing.assert_close(together, (torch.stack(parts) * counts).sum() / counts.sum())


def test_sampled_batches_learn_from_their_targets_only() -> None:
    """Node 3 is in the batch as a neighbour, not as a target, so its label is not used."""
    labels = labels_of("multiclass")
    method = make(labels)
    x = torch.randn(3, 4)
    ids = torch.tensor([9, 5, 3])
    sub = Graph.from_edge_index(torch.tensor([[2, 1, 2], [0, 0, 1]]), x).full_batch()
    batch = MiniBatch(x=sub.x, blocks=sub.blocks, node_ids=ids, num_targets=2)
    logits = method.head(method.encoder(batch))
    torch.testing.assert_close(method.loss(batch), F.cross_entropy(logits[:1], labels.y[[9]]))


@TASKS
def test_a_batch_without_training_items_changes_nothing(task: LabelKind) -> None:
    method = make(labels_of(task))
    loss = method.loss(collection().graph_batch(torch.tensor([1, 4])))
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in method.parameters())


@TASKS
def test_only_training_labels_are_held(task: LabelKind) -> None:
    labels, other = labels_of(task), labels_of(task, seed=1)
    mixed = other.y.clone()
    mixed[SPLIT.train] = labels.y[SPLIT.train]
    one, two = make(labels), make(Labels(mixed, task, labels.num_classes))
    tensors = [
        {name: value for name, value in vars(module).items() if isinstance(value, Tensor)}
        | dict(module.named_buffers())
        for module in (one, two)
    ]
    assert tensors[0].keys() == tensors[1].keys() >= {"targets", "known", "shift", "scale"}
    for name, value in tensors[0].items():
        assert torch.equal(value, tensors[1][name])
    assert not set(one.state_dict()) & {"targets", "known"}


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_an_item_without_label_is_left_out(task: LabelKind) -> None:
    labels = labels_of(task)
    labels.y[7] = -1 if task == "multiclass" else torch.nan
    fewer = Split("fewer", torch.tensor([0, 3, 9]), NONE, NONE)
    batch = single().full_batch()
    torch.testing.assert_close(make(labels).loss(batch), make(labels, fewer).loss(batch))


def test_no_label_at_all_is_an_error() -> None:
    labels = Labels(torch.full((N, 2), torch.nan), "multilabel", 2)
    with pytest.raises(InputError, match="split 'toy' has no labelled training item"):
        make(labels)


def test_values_come_back_on_the_scale_of_the_labels() -> None:
    labels = Labels(torch.full((N, 1), 250.0), "regression", 1)
    labels.y[SPLIT.train] = torch.tensor([[100.0], [200.0], [300.0], [400.0]])
    method = make(labels).eval()
    nn.init.zeros_(method.head.weight)
    nn.init.ones_(method.head.bias)
    expected = 250 + labels.y[SPLIT.train].std(correction=0)
    torch.testing.assert_close(method.predict(single().full_batch()), expected.expand(N, 1))


def test_dropout_is_off_in_evaluation() -> None:
    method, batch = make(labels_of("multiclass"), dropout=0.9), single().full_batch()
    assert not torch.equal(method.predict(batch), method.predict(batch))
    method.eval()
    assert torch.equal(method.predict(batch), method.predict(batch))
