"""Molecules in the words of PyG and of OGB: the same as what either library says of the same SMILES."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch_geometric.utils import from_smiles

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.translate import OGB, WORDS, translated
from gssl.datasets.types import Dataset
from gssl.graph.sparse import SparseMatrix, dense_features
from gssl.graph.spec import Vocabulary
from gssl.graph.storage import Graph

pytest.importorskip("rdkit")
SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "C[N+](C)(C)C[C@H](O)[O-]", r"C/C=C\C#N", "C/C=C/[CH2]", "S(F)(F)(F)(F)(F)F", "C")
IONS = "[Na+].[Cl-]"  # whose hybridization OGB has no name for


def in_words(vocabulary: Vocabulary, *more: str) -> Dataset:
    """The molecules as PyG's or OGB's own function tells them."""
    with without_update_check():
        from ogb.utils import smiles2graph
    graphs: list[tuple[Tensor, Tensor, Tensor]] = []
    for text in (*SMILES, *more):
        if vocabulary is categories.PYG:
            data = from_smiles(text)
            graphs.append((data.edge_index, data.x, data.edge_attr))
        else:
            found = smiles2graph(text)
            index, x, attr = (torch.from_numpy(found[name]) for name in ("edge_index", "node_feat", "edge_feat"))
            graphs.append((index, x, attr))
    ptr = torch.tensor([0, *(len(x) for _, x, _ in graphs)]).cumsum(0)
    edges = torch.cat([index + first for (index, _, _), first in zip(graphs, ptr, strict=False)], dim=1)
    atoms = categories.atoms(torch.cat([x for _, x, _ in graphs]).long(), vocabulary)
    bonds = categories.bonds(torch.cat([a.reshape(-1, 3) for _, _, a in graphs]).long(), vocabulary)
    graph = Graph.from_edge_index(edges, atoms, edge_attr=bonds, ptr=ptr)
    return Dataset("some", "graph", graph, None, vocabulary=vocabulary, checksum="c", smiles=(*SMILES, *more))


def columns(dataset: Dataset) -> tuple[Tensor, Tensor, Tensor]:
    """Edges with their attributes, in one order, and features."""
    index, attr = dataset.graph.block.edge_index, dataset.graph.block.edge_attr
    assert attr is not None
    return index, attr.float(), dense_features(dataset.graph.full_batch().x)


@pytest.mark.parametrize(
    ("own", "other", "more"), [(categories.PYG, categories.OGB, (IONS,)), (categories.OGB, categories.PYG, ())]
)
def test_a_translation_is_what_the_other_library_says(
    own: Vocabulary, other: Vocabulary, more: tuple[str, ...]
) -> None:
    before = in_words(own, *more)
    found, wanted = translated(before, other), in_words(other, *more)
    for one, two in zip(columns(found), columns(wanted), strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=0)
    assert found.spec == wanted.spec
    assert found.notes == (f"told as {other.meaning}",)
    assert found.checksum not in ("", "c")
    assert before.vocabulary is own
    assert columns(before)[2].shape[1] != columns(found)[2].shape[1]


def test_the_words_are_those_of_both_libraries() -> None:
    with without_update_check():
        from ogb.utils.features import allowable_features
    theirs = list(allowable_features.values())
    assert [list(words) for words in OGB.values()] == theirs
    for vocabulary in (categories.PYG, categories.OGB):
        for category in (*vocabulary.nodes, *vocabulary.edges):
            assert len(WORDS[vocabulary.meaning][category.name]) == category.size


def test_a_value_without_a_name_is_misc_or_refused() -> None:
    """A dummy atom is element 0 for PyG and no element for OGB, whose "misc" PyG does not know."""
    dummy = in_words(categories.PYG)
    x = dummy.graph.full_batch().x
    assert isinstance(x, SparseMatrix)
    dense = x.to_dense()
    dense[0, : categories.PYG.nodes[0].size] = 0
    dense[0, 0] = 1
    graph = Graph(dummy.graph.block, SparseMatrix.from_dense(dense), dummy.graph.ptr)
    told = translated(replace(dummy, graph=graph), categories.OGB)
    assert int(columns(told)[2][0, : categories.OGB.nodes[0].size].argmax()) == 118
    for unknown in (told, in_words(categories.OGB, IONS)):
        with pytest.raises(InputError, match="some molecules of some have a value that the atoms and bonds of torch_g"):
            translated(unknown, categories.PYG)


def test_other_words_stay_as_they_are() -> None:
    found = in_words(categories.PYG)
    assert translated(found, categories.PYG) is found
    assert translated(found, categories.ZINC) is found
    bare = replace(found, vocabulary=None)
    assert translated(bare, categories.OGB) is bare
