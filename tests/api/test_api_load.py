"""``gssl.load`` and ``gssl.embed``: finished runs of every kind brought back, and their encoders on other graphs."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import networkx
import pytest
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

import gssl
from gssl.api.load import RunEncoder
from gssl.common.errors import InputError
from gssl.datasets.links import random_link_split, visible_graph
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.batch import MiniBatch
from gssl.graph.storage import Graph
from gssl.method import Method
from gssl.testing.toy import toy_dataset, toy_graph, toy_graphs

if TYPE_CHECKING:
    from conftest import Lab

pytestmark = pytest.mark.usefixtures("runs")

SMALL: dict[str, Any] = {"epochs": 2, "preset": "none", "set": {"encoder.hidden_dim": 8}}


def data_of(graph: Graph, **more: Tensor) -> Data:
    return Data(x=torch.as_tensor(graph.x), edge_index=graph.block.edge_index, **more)


GRAPH = data_of(toy_graph(num_nodes=50, in_dim=6), y=torch.arange(50) % 2)
OTHER = data_of(toy_graph(num_nodes=31, in_dim=6, seed=4))


class Prepared(Method):
    """Knows the degree of every node of the graph, which enters the loss and the embedding."""

    levels = ("node", "graph")
    degree: Tensor
    noise: Tensor

    def __init__(self, encoder: Any) -> None:
        super().__init__(encoder)
        self.other = nn.Linear(encoder.out_dim, encoder.out_dim)

    def prepare(self, graph: Graph, seed: int) -> None:
        self.register_buffer("degree", graph.block.degree.float())
        self.register_buffer("noise", torch.rand(3, generator=torch.Generator().manual_seed(seed)))

    def embed(self, batch: MiniBatch) -> Tensor:
        rows: Tensor = self.other(self.encoder(batch)) + self.degree[batch.node_ids[: batch.num_targets], None]
        return rows if batch.graph_ptr is None else self.encoder.pool(rows, batch)

    def loss(self, batch: MiniBatch) -> Tensor:
        return (self.embed(batch) - self.noise.sum()).square().mean()


def test_the_encoder_is_a_module_that_gives_the_stored_embeddings() -> None:
    result = gssl.run("GRACE", GRAPH, seeds=2, **SMALL)
    loaded = gssl.load(result.run_dir)
    assert isinstance(loaded.encoder, nn.Module)
    assert torch.equal(loaded.encoder(GRAPH), result.embeddings)
    assert torch.equal(loaded.encoder_of(1)(GRAPH), result.embeddings_of(1))
    assert not loaded.encoder.training
    assert loaded.result.metrics == result.metrics
    assert loaded.config.hash == result.data["config_hash"]
    assert gssl.load(result).folder == result.run_dir


def test_graphs_that_it_has_not_seen() -> None:
    result = gssl.run("GRACE", GRAPH, **SMALL)
    encoder = gssl.load(result).encoder
    rows = encoder(OTHER)
    assert rows.shape == (31, 8)
    for way in (result.run_dir, str(result.run_dir), result, gssl.load(result)):
        assert torch.equal(gssl.embed(way, OTHER), rows)
    assert torch.equal(encoder(GRAPH), result.embeddings)  # and back
    order = torch.randperm(31, generator=torch.Generator().manual_seed(0))
    renumbered = Data(x=torch.empty_like(OTHER.x).index_copy(0, order, OTHER.x), edge_index=order[OTHER.edge_index])
    torch.testing.assert_close(encoder(renumbered)[order], rows)
    # Labels are of no concern, be they missing for some, or of nodes where graphs are embedded.
    assert torch.equal(encoder(Data(x=OTHER.x, edge_index=OTHER.edge_index, y=torch.full((31,), -1))), rows)
    labelled = Data(x=OTHER.x, edge_index=OTHER.edge_index, y=torch.arange(31))
    assert encoder([labelled, labelled]).shape == (2, 8)


@pytest.mark.parametrize("setting", ["frozen", "finetune", "auxiliary"])
def test_a_method_that_prepares_is_prepared_for_each_graph(setting: str) -> None:
    more = {"finetune.epochs": 2} if setting == "finetune" else {}
    result = gssl.run(Prepared, GRAPH, setting=setting, epochs=2, preset="none", set={"encoder.hidden_dim": 8, **more})
    encoder = gssl.load(result).encoder
    assert torch.equal(encoder(GRAPH), result.embeddings)
    assert encoder(OTHER).shape == (31, 8)
    assert torch.equal(encoder.method.get_buffer("degree"), toy_graph(num_nodes=31, in_dim=6, seed=4).block.degree)
    assert torch.equal(encoder(GRAPH), result.embeddings)


@pytest.mark.parametrize(
    ("name", "options"), [("MVGRL", {}), ("GCA", {}), ("AFGRL", {"clusters": 40}), ("AutoSSL", {"clusters": 40})]
)
def test_registered_methods_that_prepare(name: str, options: dict[str, Any]) -> None:
    """Also where the other graph is too small to be trained on."""
    result = gssl.run(name, GRAPH, **options, **SMALL)
    encoder = gssl.load(result).encoder
    assert torch.allclose(encoder(GRAPH), result.embeddings, atol=1e-6)
    assert encoder(OTHER).shape == (31, result.embeddings.shape[1])


def test_fine_tuned_encoders_of_every_split() -> None:
    dataset = toy_dataset("node", splits=("one", "two"))
    result = gssl.run("GRACE", dataset, setting="finetune", probe="P4", epochs=2, preset="none",
                      set={"encoder.hidden_dim": 8, "finetune.epochs": 3, "finetune.lr": 0.05})  # fmt: skip
    loaded = gssl.load(result)
    parts = [loaded.encoder_of(0, part)(dataset) for part in (0, 1)]
    assert torch.equal(parts[0], result.embeddings)
    assert torch.equal(parts[1], result.embeddings_of(0, 1))
    assert not torch.equal(*parts)
    with pytest.raises(InputError, match="has no seed 0 with part 2"):
        loaded.encoder_of(0, 2)


@pytest.mark.parametrize("method", ["supervised", "raw", "untrained"])
def test_reference_rows_come_back_too(method: str) -> None:
    result = gssl.run(method, GRAPH, **SMALL)
    encoder = gssl.load(result).encoder
    assert torch.equal(encoder(GRAPH), result.embeddings)
    assert encoder(OTHER).shape[0] == 31


def test_a_run_of_links_embeds_the_graph_that_it_is_given() -> None:
    """What was stored is of the training edges; the encoder takes all edges if all are given."""
    dataset = toy_dataset("node")
    result = gssl.run("GAE", dataset, task="link", epochs=2, preset="none")
    encoder = gssl.load(result).encoder
    visible = visible_graph(dataset.graph, random_link_split(dataset.graph, seed=0))
    assert torch.equal(encoder(replace(dataset, graph=visible)), result.embeddings)
    assert not torch.equal(encoder(dataset), result.embeddings)


def test_sets_of_graphs() -> None:
    dataset = toy_dataset("graph")
    result = gssl.run("GraphCL", dataset, epochs=2, preset="none", batch_size=20)
    encoder = gssl.load(result).encoder
    assert torch.equal(encoder(dataset), result.embeddings)
    few = Dataset("few", "graph", toy_graphs(num_graphs=5, seed=3), None)
    assert encoder(few).shape == (5, result.embeddings.shape[1])
    single = [Data(x=torch.eye(4), edge_index=torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]]))]
    assert encoder(single).shape == (1, result.embeddings.shape[1])
    assert torch.equal(encoder(single[0]), encoder(single)), "one Data is one graph where graphs were trained on"
    with pytest.raises(InputError, match=r"embeds whole graphs.*from_networkx"):
        encoder(networkx.path_graph(4))


def test_a_transferred_encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my_words.py").write_text(
        "from dataclasses import replace\n"
        "from gssl.graph.spec import Vocabulary\n"
        "from gssl.testing.toy import toy_dataset\n"
        "def words(seed=7):\n"
        "    return replace(toy_dataset('node', seed=seed), name='words', vocabulary=Vocabulary('words'))\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    dataset = replace(load_dataset("my_words:words"), name="target")
    result = gssl.run("GRACE", dataset, pretrain_on="my_words:words", **SMALL)
    loaded = gssl.load(result)
    assert torch.equal(loaded.encoder(dataset), result.embeddings)
    assert loaded.spec.meaning == "words"
    sys.modules.pop("my_words")


def test_a_run_whose_data_are_gone_still_loads(lab: Lab) -> None:
    result = lab.run(method="GRACE")
    (lab.folder / "graph.npz").unlink()
    loaded = gssl.load(result["run_dir"])
    assert loaded.encoder(data_of(toy_graph(num_nodes=20, in_dim=6))).shape == (20, loaded.result.embeddings.shape[1])
    assert loaded.spec.in_dim == 6
    assert "graph.npz" in lab.gssl("embed", result["run_dir"], code=2)[1]  # which embeds the data of the run


def test_another_process_loads_what_was_run_on_data_in_memory(tmp_path: Path) -> None:
    result = gssl.run("GRACE", GRAPH, **SMALL)
    torch.save(GRAPH.to_dict(), tmp_path / "graph.pt")
    code = (
        "import gssl, torch\nfrom torch_geometric.data import Data\n"
        f"graph = Data(**torch.load({str(tmp_path / 'graph.pt')!r}))\n"
        f"torch.save(gssl.embed({str(result.run_dir)!r}, graph), {str(tmp_path / 'rows.pt')!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert torch.equal(torch.load(tmp_path / "rows.pt"), result.embeddings)


def test_features_that_are_not_as_wide() -> None:
    encoder = gssl.load(gssl.run("GRACE", GRAPH, **SMALL)).encoder
    with pytest.raises(InputError, match="the encoder was trained on 6 features, but pyg has 9: give features that"):
        encoder(data_of(toy_graph(in_dim=9)))


def test_edge_attributes_that_the_encoder_uses_must_be_there() -> None:
    graph = toy_graph(num_nodes=40, in_dim=6)
    attributes = torch.rand(graph.num_edges, 3, generator=torch.Generator().manual_seed(0))
    with_bonds = data_of(graph, edge_attr=attributes)
    result = gssl.run("GRACE", with_bonds, encoder="GINE", epochs=1, preset="none")
    encoder = gssl.load(result).encoder
    assert torch.equal(encoder(with_bonds), result.embeddings)
    with pytest.raises(InputError, match="trained on 3 edge attributes, but pyg has 0"):
        encoder(data_of(graph))
    plain = gssl.load(gssl.run("GRACE", with_bonds, **SMALL)).encoder  # GCN takes none
    assert plain(data_of(graph)).shape == (40, 8)


def test_folders_that_hold_no_finished_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not the folder of a finished run"):
        gssl.load(tmp_path)
    result = gssl.run("GRACE", GRAPH, **SMALL)
    (result.run_dir / "result.json").unlink()
    with pytest.raises(InputError, match="is not the folder of a finished run"):
        gssl.load(result)


def test_a_run_of_other_options_is_refused() -> None:
    result = gssl.run("GRACE", GRAPH, **SMALL)
    file = result.run_dir / "config.yaml"
    file.write_text(file.read_text().replace("temperature: 0.", "temperature: 0.9"))
    with pytest.raises(InputError, match="made by another version of gssl"):
        gssl.load(result)


def test_a_checkpoint_of_something_else_is_refused() -> None:
    result = gssl.run("GRACE", GRAPH, **SMALL)
    other = gssl.run("untrained", GRAPH, **SMALL)
    target = result.run_dir / "seed-0" / "checkpoint.pt"
    target.write_bytes((other.run_dir / "seed-0" / "checkpoint.pt").read_bytes())
    with pytest.raises(InputError, match=r"checkpoint\.pt lacks head"):
        _ = gssl.load(result).encoder
    target.unlink()
    with pytest.raises(InputError, match="the run did not get that far"):
        _ = gssl.load(result).encoder


def test_the_encoder_can_be_a_part_of_a_model_of_ones_own() -> None:
    encoder = gssl.load(gssl.run("GRACE", GRAPH, **SMALL)).encoder
    model = nn.ModuleDict({"encoder": encoder, "head": nn.Linear(8, 2)})
    assert isinstance(encoder, RunEncoder)
    assert sum(p.numel() for p in model.parameters()) > sum(p.numel() for p in encoder.method.encoder.parameters())
    assert model["head"](model["encoder"](GRAPH)).shape == (50, 2)
