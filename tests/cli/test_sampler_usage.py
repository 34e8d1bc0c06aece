"""Samplers on the command line: what cannot be drawn is answered before any work, what is odd still trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gssl.registry import PROPAGATIONS, SELECTIONS


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("graphsage", "--batch-size", "121"), "a batch of 121 cannot be drawn from a population of 120 nodes"),
        (("minvar+exact", "--batch-size", "20", "--set", "sampler.gamma=1.5"), "'gamma'"),
        (("minvar+exact", "--batch-size", "20", "--set", "sampler.gamma=0.1"), "raise gamma to 0.167 or more"),
        (("minvar+exact", "--batch-size", "5", "--set", "sampler.checkpoint_every=0"), "'checkpoint_every'"),
        (("minvar+exact", "--batch-size", "5", "--set", "sampler.floor=-1"), "'floor'"),
        (("minvar+exact", "--batch-size", "5", "--set", "sampler.mix=2"), "'mix'"),
        (("minvar+exact", "--batch-size", "5", "--set", "sampler.staleness=1"), "'staleness'"),
        (("graphsage", "--batch-size", "20", "--set", "sampler.fanouts=[5,5,5]"), "fewer layers than blocks"),
        (
            ("graphsage", "--batch-size", "20", "--set", "sampler.fanouts=[5,5]", "--set", "encoder.num_layers=3"),
            "more layers than blocks",
        ),
        (("graphsage", "--batch-size", "20", "--set", "sampler.fanouts=0"), "a fan-out must be positive"),
        (("graphsage", "--batch-size", "20", "--set", "sampler.weights=pyg"), "'weights'"),
        (("unifrom+exact", "--batch-size", "20"), "unknown target selection 'unifrom'; did you mean 'uniform'?"),
        (("uniform+exat", "--batch-size", "20"), "unknown propagation 'exat'; did you mean 'exact'?"),
        (("grafsage", "--batch-size", "20"), "did you mean 'graphsage'"),
        (("gas", "--batch-size", "20", "--set", "sampler.num_parts=500"), "num_parts=500 does not suit"),
    ],
    ids=str,
)
def test_wrong_input_is_answered(words: tuple[str, ...], message: str, lab: Any) -> None:
    assert message in lab.refused("--sampler", *words)
    assert not (lab.folder / "runs").exists(), "nothing is left behind"


@pytest.mark.parametrize(
    ("method", "sampler", "fitting"),
    [
        ("GAE", "graphsage", "--sampler clustergcn"),
        ("VGAE", "labor", "--sampler clustergcn"),
        ("GraphMAE", "mvs", "decoder=linear"),
    ],
)
def test_methods_that_would_learn_something_else_name_what_fits(
    method: str, sampler: str, fitting: str, lab: Any
) -> None:
    words = ("--sampler", sampler, "--batch-size", "8", "--epochs", "1", "--set", "encoder.hidden_dim=8")
    _, err = lab.gssl("run", method, "graph.npz", *words, code=2)
    assert fitting in err


PAIRS = [f"uniform+{p}" for p in PROPAGATIONS.names()] + [f"{s}+neighbor" for s in SELECTIONS.names()]


@pytest.mark.parametrize("pair", PAIRS)
def test_a_directed_graph_with_nodes_that_have_no_edges(pair: str, lab: Any) -> None:
    """Sources without in-edges, sinks without out-edges, and three nodes alone."""
    rng = np.random.default_rng(0)
    edges = np.stack([rng.integers(0, 30, 90), rng.integers(20, 57, 90)])
    edges = np.unique(edges[:, edges[0] < edges[1]], axis=1)
    np.savez(
        lab.folder / "directed.npz",
        edge_index=edges,
        x=rng.normal(size=(60, 6)).astype("float32"),
        y=np.arange(60) % 3,
    )
    gamma = ("--set", "sampler.gamma=0.5") if pair.startswith("minvar") else ()
    found = lab.run("--sampler", pair, "--batch-size", "12", *gamma, data="directed.npz")
    assert 0 <= found["val_mean"] <= 1


def test_empty_draws_do_not_stop_a_training(lab: Any) -> None:
    """A Poisson draw of one expected node is empty more often than not every third time."""
    found = lab.run("--sampler", "degree+exact", "--batch-size", "1", method="BGRL")
    assert found["epochs"] == 5
