"""``gssl.load`` and ``gssl.embed``: a finished run brought back, and its encoder on graphs that it has not seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data, HeteroData

from gssl.api.given import without_labels
from gssl.api.run import RunResult, training_folder
from gssl.common import yaml_io
from gssl.common.errors import InputError
from gssl.common.files import read_json
from gssl.common.seeds import derive_seed
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, resolve
from gssl.datasets.convert import as_dataset
from gssl.datasets.declared import NOTHING, Declared
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.graph.precision import single_precision
from gssl.graph.spec import GraphSpec
from gssl.method import Method
from gssl.models.typed import TypedEncoder
from gssl.registry import SETTINGS
from gssl.settings.parts import new_method
from gssl.training.checkpoint import load_weights
from gssl.training.embed import device_of, embed_dataset


class RunEncoder(nn.Module):
    """The trained method of a run as a plain module, in evaluation mode: ``encoder(data)`` gives embeddings.

    Args:
        method: with its weights.
        spec: of the data that it was trained on.
        seed: of the run.
        of_graphs: whether its items were graphs, so that one ``Data`` is a set of one graph.
    """

    def __init__(self, method: Method, spec: GraphSpec, seed: int, *, of_graphs: bool = False) -> None:
        super().__init__()
        self.method = method
        self.spec = spec
        self.seed, self.of_graphs = seed, of_graphs
        self.eval()

    @single_precision()
    def forward(self, data: Any) -> Tensor:
        """Embed all nodes of a graph, or all graphs of a set; one ``Data`` is one graph where graphs were trained on.

        Features are taken as they are: where the dataset of the run was normalised by its loader, others must be too.

        Args:
            data: a PyG ``Data``, ``HeteroData`` or list of ``Data``, a networkx graph, a ``Dataset``, or the name or
                path of one. The target type and the meta-paths of a ``HeteroData`` are those of the run.

        Returns:
            Shape (num_items, dim), float32, on the CPU.

        Raises:
            InputError: its features, or the edge attributes that the encoder uses, have another number of columns than
                those that it was trained on, or it has other types of nodes or relations than the encoder reads; or
                it is one graph with names of its own where graphs were trained on.
        """
        if self.of_graphs and type(data) is Data:
            data = [data]
        named = isinstance(data, str | Path)
        facts = self._declared(data)
        dataset = load_dataset(str(data)) if named else as_dataset(without_labels(data), declared=facts)
        self._check(dataset)
        self.method.prepare(dataset.graph, derive_seed(self.seed, "prepare"))
        return embed_dataset(self.method.eval().to(device_of(self.method)), dataset)

    def _declared(self, data: Any) -> Declared:
        """What is known of a ``HeteroData`` from the run."""
        types = self.spec.hetero
        if types is None or not isinstance(data, HeteroData):
            return NOTHING
        ends = f"{types.target}-", f"-{types.target}"
        named = all(path.startswith(ends[0]) and path.endswith(ends[1]) for path in types.meta_paths)
        return Declared(target_type=types.target, meta_paths="+".join(types.meta_paths) if named else None)

    def _check(self, dataset: Dataset) -> None:
        if self.of_graphs and dataset.level == "node":
            raise InputError(
                f"the run embeds whole graphs, but {dataset.name} is one graph whose nodes are its items: give a list "
                "of PyG's Data, [torch_geometric.utils.from_networkx(graph)] for one of networkx"
            )
        encoder, types = self.method.encoder, dataset.spec.hetero
        if isinstance(encoder, TypedEncoder) and (types is None or encoder.read(types) != encoder.read(encoder.types)):
            raise InputError(
                f"the encoder was trained on other types of nodes, relations or meta-paths than those of "
                f"{dataset.name}; it reads {encoder.read(encoder.types)}, and ids are no features of another graph"
            )
        if self.method.structural:
            return
        widths = [("features", self.spec.in_dim, dataset.spec.in_dim)]
        if self.method.encoder.uses_edge_attr:
            widths.append(("edge attributes", self.spec.edge_dim, dataset.spec.edge_dim))
        for what, trained, given in widths:
            if trained != given:
                raise InputError(
                    f"the encoder was trained on {trained} {what}, but {dataset.name} has {given}: give {what} that "
                    "mean the same"
                )


@dataclass(frozen=True, eq=False)
class LoadedRun:
    """A run that was finished some time ago.

    Attributes:
        folder: of the run.
        config: its full configuration.
        spec: of the data that it was trained on.
        result: what it found.
    """

    folder: Path
    config: RunConfig
    spec: GraphSpec
    result: RunResult

    @cached_property
    def encoder(self) -> RunEncoder:
        """The encoder of the first seed."""
        return self.encoder_of(self.config.seeds[0])

    @single_precision()
    def encoder_of(self, seed: int, part: int = 0) -> RunEncoder:
        """That of another seed, or of another of several splits that were trained apart.

        Raises:
            InputError: the run has no such seed or part, or its checkpoint cannot be used.
        """
        file = training_folder(self.folder, seed, part) / "checkpoint.pt"
        weights = load_weights(file, config_key=None)
        if weights is None:
            raise InputError(f"there is no {file}: the run did not get that far")
        torch.manual_seed(derive_seed(seed, "init"))
        method = new_method(self.config, self.spec)
        inner = SETTINGS.get(self.config.setting.name).inner
        own = {name.removeprefix(inner): value for name, value in weights.items() if name.startswith(inner)}
        known = method.state_dict()
        # What a method prepared for the graph of its training is made anew for another one.
        missing, _ = method.load_state_dict({k: v for k, v in own.items() if k in known}, strict=False)
        if missing:
            raise InputError(f"{file} lacks {missing[0]}: another version of the program or of a plug-in wrote it")
        return RunEncoder(method, self.spec, seed, of_graphs=self.config.task.name == "graph")


def load(run_dir: str | Path | RunResult) -> LoadedRun:
    """A finished run.

    Args:
        run_dir: its folder, or what :func:`gssl.run` returned.

    Raises:
        InputError: the folder holds no finished run, or another version of gssl made it.
    """
    folder = run_dir.run_dir if isinstance(run_dir, RunResult) else Path(run_dir)
    file, result = folder / "config.yaml", folder / "result.json"
    if not file.is_file() or not result.is_file():
        raise InputError(f"{folder} is not the folder of a finished run: it has no {file.name} with a {result.name}")
    record = yaml_io.read(file)
    config = _config(record, file)
    if config.hash != record.get("config_hash"):
        raise InputError(f"{folder} was made by another version of gssl, whose options differ; use that version")
    return LoadedRun(folder, config, _spec(record), RunResult({**read_json(result), "run_dir": str(folder)}))


def embed(run: str | Path | RunResult | LoadedRun, data: Any) -> Tensor:
    """Embeddings of a graph that the run has not seen; see :meth:`RunEncoder.forward`."""
    loaded = run if isinstance(run, LoadedRun) else load(run)
    found: Tensor = loaded.encoder(data)
    return found


def _config(record: Mapping[str, Any], file: Path) -> RunConfig:
    try:
        method, data = str(record["method"]["name"]), str(record["dataset"])
    except (KeyError, TypeError):
        raise InputError(f"{file} is not the configuration of a run") from None
    known = record.get("data") or {}
    facts = record.get("declared") or {}
    if "level" not in known:  # of a version that did not keep it
        dataset = load_dataset(data)
        known = {"level": dataset.level, "probe": dataset.probe, "name": dataset.name}
    name = known.get("name", data)
    subject = Subject(str(name), data, known["level"], str(known["probe"]), facts)
    return resolve(Request(method, file=file, preset="none"), subject)


def _spec(record: Mapping[str, Any]) -> GraphSpec:
    known = (record.get("data") or {}).get("spec")
    return load_dataset(str(record["dataset"])).spec if known is None else GraphSpec.from_mapping(known)
