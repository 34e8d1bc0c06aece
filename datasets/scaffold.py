"""The scaffold split: molecules of the test have another skeleton than those of the training."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache

import torch
from joblib import Parallel, cpu_count, delayed

from gssl.common.errors import InputError
from gssl.datasets.molecule_codes import require_rdkit
from gssl.datasets.splits import preset_split
from gssl.datasets.types import Dataset, Split

NAME = "scaffold"
_CHUNK = 4000  # molecules that a process takes at a time, some seconds' work
_ROUNDING = 1e-6  # so that shares of 0.7 and 0.2 are nine tenths
_FEW = 20_000  # for fewer it does not pay to start processes


def scaffold_split(dataset: Dataset, *, train: float = 0.8, val: float = 0.1, chirality: bool = True) -> Split:
    """Molecules by Bemis-Murcko scaffold, the most frequent scaffolds in the training part.

    Scaffolds come in order of their molecules, most first, and of two with equally many the one that occurs later in
    the data. Each goes whole to the training part if it has room, else to the validation part, else to the test. That
    is the split of DeepChem, of Hu et al. (2020, arXiv:1905.12265) and, as published with it, of OGB; nothing in it is
    random.

    Args:
        dataset: molecules; one that comes with a preset split of this name keeps it at the default shares.
        train, val: shares of all molecules, which the parts may fall short of, never exceed.
        chirality: whether mirror images are two scaffolds, as in Hu et al.'s code; DeepChem's default is that they are
            one.

    Raises:
        InputError: shares that are none, a dataset that holds no molecules, or a part without any.
    """
    if not (train > 0 and val >= 0 and train + val < 1):
        raise InputError(f"shares {train} and {val} of a scaffold split must be positive and leave some for the test")
    if not dataset.smiles:
        return _preset(dataset, usual=(train, val) == (0.8, 0.1))
    require_rdkit(f"the scaffolds of {dataset.name}")
    count = len(dataset.smiles)
    first, second = train * count + _ROUNDING, (train + val) * count + _ROUNDING
    parts: tuple[list[int], list[int], list[int]] = [], [], []
    for members in _by_size(scaffolds(dataset.smiles, chirality=chirality)):
        if len(parts[0]) + len(members) <= first:
            parts[0].extend(members)
        elif len(parts[0]) + len(parts[1]) + len(members) <= second:
            parts[1].extend(members)
        else:
            parts[2].extend(members)
    if not all(part for part, share in zip(parts, (train, val, 1.0), strict=True) if share):
        raise InputError(
            f"the {count} molecules of {dataset.name} have too few scaffolds to fill three parts; use a random split"
        )
    return preset_split(NAME, count, *(torch.tensor(part, dtype=torch.int64) for part in parts))


@lru_cache(maxsize=8)
def scaffolds(smiles: tuple[str, ...], *, chirality: bool = True) -> tuple[str, ...]:
    """SMILES of the Bemis-Murcko scaffold (ring systems and what links them) of each molecule; empty without rings."""
    chunks = [smiles[start : start + _CHUNK] for start in range(0, len(smiles), _CHUNK)]
    jobs = 1 if len(smiles) < _FEW else min(cpu_count(), len(chunks))
    found = Parallel(n_jobs=jobs)(delayed(_of_chunk)(chunk, chirality) for chunk in chunks)
    return tuple(scaffold for part in found for scaffold in part)


def _of_chunk(smiles: tuple[str, ...], chirality: bool) -> list[str]:
    from rdkit import rdBase
    from rdkit.Chem.Scaffolds import MurckoScaffold

    of_smiles: Callable[..., str] = MurckoScaffold.MurckoScaffoldSmiles
    with rdBase.BlockLogs():
        return [of_smiles(smiles=text, includeChirality=chirality) for text in smiles]


def _by_size(names: tuple[str, ...]) -> list[list[int]]:
    members: dict[str, list[int]] = defaultdict(list)
    for number, name in enumerate(names):
        members[name].append(number)
    return sorted(members.values(), key=lambda ids: (len(ids), ids[0]), reverse=True)


def _preset(dataset: Dataset, *, usual: bool) -> Split:
    for split in dataset.splits:
        if split.name == NAME and usual:
            return split
    raise InputError(
        f"{dataset.name} cannot be split by scaffold: its molecules are not known"
        if dataset.vocabulary is not None and dataset.vocabulary.nodes
        else f"{dataset.name} cannot be split by scaffold: it does not hold molecules; use a MoleculeNet set or SMILES"
    )
