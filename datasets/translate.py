"""Molecules that are described in one vocabulary, told in the words of another one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from torch_geometric.utils.smiles import e_map, x_map

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.types import Dataset
from gssl.graph.block import Block
from gssl.graph.sparse import Pattern, SparseMatrix
from gssl.graph.spec import Category, Vocabulary
from gssl.graph.storage import Graph

Words = Mapping[str, Sequence[object]]

_MISC = "misc"
# What the codes of OGB's vocabulary stand for (ogb.utils.features), by the names of categories here.
OGB: Words = {
    "atomic_num": [*range(1, 119), _MISC],
    "chirality": ["CHI_UNSPECIFIED", "CHI_TETRAHEDRAL_CW", "CHI_TETRAHEDRAL_CCW", "CHI_OTHER", _MISC],
    "degree": [*range(11), _MISC],
    "formal_charge": [*range(-5, 6), _MISC],
    "num_hs": [*range(9), _MISC],
    "num_radical_electrons": [*range(5), _MISC],
    "hybridization": ["SP", "SP2", "SP3", "SP3D", "SP3D2", _MISC],
    "is_aromatic": [False, True],
    "is_in_ring": [False, True],
    "bond_type": ["SINGLE", "DOUBLE", "TRIPLE", "AROMATIC", _MISC],
    "stereo": ["STEREONONE", "STEREOZ", "STEREOE", "STEREOCIS", "STEREOTRANS", "STEREOANY"],
    "is_conjugated": [False, True],
}
WORDS: Mapping[str, Words] = {categories.PYG.meaning: {**x_map, **e_map}, categories.OGB.meaning: OGB}


def translated(dataset: Dataset, vocabulary: Vocabulary) -> Dataset:
    """Molecules with the columns of another vocabulary, both being PyG's or OGB's.

    A value that the other one does not name becomes its "misc"; all others mean the same afterwards.

    Args:
        dataset: molecules.
        vocabulary: the other one.

    Returns:
        The dataset itself if it is told in these words already, or if one of the two vocabularies is another one.

    Raises:
        InputError: some molecule has a value that the other vocabulary has no word for.
    """
    own = dataset.vocabulary
    if own is None or own.meaning == vocabulary.meaning or not {own.meaning, vocabulary.meaning} <= WORDS.keys():
        return dataset
    x, attr = dataset.graph.full_batch().x, dataset.graph.block.edge_attr
    if not isinstance(x, SparseMatrix):
        return dataset
    atoms = _table(own.nodes, vocabulary.nodes, WORDS[own.meaning], WORDS[vocabulary.meaning])
    col = atoms[x.pattern.col.long()]
    _require_words(col, dataset, vocabulary)
    width = sum(category.size for category in vocabulary.nodes)
    block = dataset.graph.block
    graph = Graph(
        Block(block.pattern, block.weight, None if attr is None else _bonds(attr, dataset, own, vocabulary)),
        SparseMatrix(Pattern(x.pattern.rowptr, col.to(x.pattern.col.dtype), width), x.value),
        dataset.graph.ptr,
    )
    told = hashlib.sha256(f"{dataset.checksum} {vocabulary.meaning}".encode()).hexdigest()[:16]
    note = f"told as {vocabulary.meaning}"
    return replace(dataset, graph=graph, vocabulary=vocabulary, checksum=told, notes=(*dataset.notes, note))


def _table(own: Sequence[Category], others: Sequence[Category], words: Words, other_words: Words) -> Tensor:
    """Column of the other vocabulary for each one-hot column of the own one, shape (columns,), int64; -1 for none."""
    first = dict(zip((c.name for c in others), _starts(others), strict=True))
    places = []
    for category in own:
        known = list(other_words[category.name])
        for word in words[category.name]:
            word = word if word in known else _MISC
            places.append(first[category.name] + known.index(word) if word in known else -1)
    return torch.tensor(places, dtype=torch.int64)


def _starts(some: Sequence[Category]) -> list[int]:
    sizes = torch.tensor([category.size for category in some])
    starts: list[int] = (sizes.cumsum(0) - sizes).tolist()
    return starts


def _bonds(attr: Tensor, dataset: Dataset, own: Vocabulary, vocabulary: Vocabulary) -> Tensor:
    """Columns of bonds in the other vocabulary, shape (num_edges, columns), dtype of ``attr``."""
    table = _table(own.edges, vocabulary.edges, WORDS[own.meaning], WORDS[vocabulary.meaning])
    used = (attr != 0).any(0).nonzero().squeeze(1)
    _require_words(table[used], dataset, vocabulary)
    told = attr.new_zeros(len(attr), sum(category.size for category in vocabulary.edges))
    for column in used.tolist():
        told[:, table[column]] += attr[:, column]
    return told


def _require_words(columns: Tensor, dataset: Dataset, vocabulary: Vocabulary) -> None:
    if bool((columns < 0).any()):
        raise InputError(
            f"some molecules of {dataset.name} have a value that the {vocabulary.meaning} have no word for, so they "
            "cannot be told as these; use molecules of one vocabulary"
        )
