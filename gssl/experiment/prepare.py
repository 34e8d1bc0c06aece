"""From a request and the name of a dataset to a configuration and the loaded data."""

from __future__ import annotations

from pathlib import Path

from gssl.common.errors import InputError
from gssl.config.record import RunConfig
from gssl.config.resolve import Request, Subject, declared_in, resolve
from gssl.datasets.catalog import DatasetSpec, find_spec
from gssl.datasets.declared import NOTHING
from gssl.datasets.load import load_dataset
from gssl.datasets.types import Dataset
from gssl.registry import METHODS


def prepare(request: Request, data: str) -> tuple[RunConfig, Dataset]:
    """The full configuration and the dataset.

    A dataset of the catalogue is loaded (or downloaded) only after the request was found to be right; of any other
    the level is not known before.

    Args:
        request: what the user asked for.
        data: name of a dataset or path of the user's own.

    Raises:
        InputError: something in the request is wrong, or the data cannot be loaded.
    """
    METHODS.canonical(request.method)
    spec, declared = _spec(data), declared_in(request)
    if spec is not None and declared == NOTHING:
        config = resolve(request, Subject(spec.name, spec.name, spec.level, spec.probe))
        return config, load_dataset(spec.name)
    dataset = load_dataset(data, declared=declared)
    path = Path(data)
    return resolve(request, Subject.of(dataset, str(path.absolute()) if path.exists() else data)), dataset


def _spec(data: str) -> DatasetSpec | None:
    try:
        return find_spec(data)
    except InputError:  # a path, or the name of a folder in OGB's layout: the loader knows
        return None
