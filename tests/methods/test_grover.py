"""GROVER's properties against RDKit and strings, its loss against loops, and what it refuses."""

import importlib.util
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.functional_groups import functional_groups
from gssl.datasets.load import load_dataset
from gssl.datasets.ogb_import import without_update_check
from gssl.datasets.types import Dataset
from gssl.graph.spec import GraphSpec
from gssl.graph.storage import Graph
from gssl.methods.contexts import Contexts, Vocabularies, frequent, groups_of, looked_up
from gssl.methods.grover import GROVER
from gssl.models.gcn import GCN
from gssl.models.gine import GINE
from gssl.testing.compare import parameters_of

Chem = pytest.importorskip("rdkit.Chem")
CPU = torch.device("cpu")
SMILES = (
    "CC(=O)Oc1ccccc1C(=O)O",  # aspirin
    "C[N+](C)(C)CC([O-])=O",  # charges
    "c1cc[nH]c1C#N",  # a hydrogen on an aromatic nitrogen
    "O=[N+]([O-])c1ccc(Cl)cc1",
    "C/C=C/C(=O)N",  # stereo
    r"C/C=C\C(=O)N",
    "CC=CC(=O)N",
    "NS(=O)(=O)c1ccsc1",
    "C1CNCCN1C(=O)OC",
    "OC[C@H](N)C(=O)O",
    "C",  # an atom without bonds
    "[Na+].[Cl-]",
    "CN1CCOCC1",
    "COP(=O)(OC)SC",
    "C[CH2]",  # a radical
    "[2H]OC",  # a hydrogen that is an atom
)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dataset]:
    folder: Path = tmp_path_factory.mktemp("molecules")
    table = folder / "some.smi"
    table.write_text("\n".join(SMILES))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GSSL_DATA", str(folder / "data"))
        patch.delenv("GSSL_MIRROR", raising=False)
        yield load_dataset(str(table))


def molecules() -> list[Any]:
    return [Chem.MolFromSmiles(text) for text in SMILES]


def method_of(data: Dataset, **options: Any) -> GROVER:
    torch.manual_seed(0)
    method = GROVER(GINE.for_graph(data.spec, hidden_dim=8, num_layers=2, norm="none"), **options)
    method.prepare(data.graph, 0)
    return method


def atom_text(atom: Any) -> str:
    """As GROVER's paper writes it: an element and counts of neighbors by element and bond."""
    around = Counter(f"{n.GetSymbol()}-{bond_of(atom, n).GetBondType()}" for n in atom.GetNeighbors())
    return "_".join([atom.GetSymbol(), *(f"{name}{count}" for name, count in sorted(around.items()))])


def bond_text(bond: Any) -> str:
    ends, own = (bond.GetBeginAtom(), bond.GetEndAtom()), bond.GetIdx()
    around = Counter(
        f"{end.GetSymbol()}-{b.GetBondType()}-{b.GetStereo()}"
        for end in ends
        for b in end.GetBonds()
        if b.GetIdx() != own
    )
    return "_".join([f"{bond.GetBondType()}-{bond.GetStereo()}", *(f"{n}{c}" for n, c in sorted(around.items()))])


def bond_of(one: Any, other: Any) -> Any:
    return one.GetOwningMol().GetBondBetweenAtoms(one.GetIdx(), other.GetIdx())


def texts() -> tuple[list[str], list[str]]:
    """Of all atoms, and of all bonds in the order of their ends."""
    atoms, bonds = [], []
    for molecule in molecules():
        atoms += [atom_text(atom) for atom in molecule.GetAtoms()]
        ends = {(min(p), max(p)): b for b in molecule.GetBonds() for p in [(b.GetBeginAtomIdx(), b.GetEndAtomIdx())]}
        bonds += [bond_text(ends[pair]) for pair in sorted(ends)]
    return atoms, bonds


def test_contexts_are_the_same_number_exactly_if_they_read_the_same(data: Dataset) -> None:
    found, wanted = Contexts.of(data.graph.full_batch(), data.spec), texts()
    assert found.ends.shape == (2, len(wanted[1]))
    for keys, names in ((found.atoms, wanted[0]), (found.bonds, wanted[1])):
        pairs = set(zip(keys.tolist(), names, strict=True))
        assert len(pairs) == len({key for key, _ in pairs}) == len({name for _, name in pairs})
    assert len(set(wanted[0])) > 30
    assert len(set(wanted[1])) > 30


def test_contexts_of_a_batch_are_those_of_its_molecules(data: Dataset) -> None:
    """In other company, and with dense features, as encoders of numbers take them."""
    whole, chosen = Contexts.of(data.graph.full_batch(), data.spec), torch.tensor([4, 0, 4])
    batch = data.graph.graph_batch(chosen)
    part = Contexts.of(batch, data.spec)
    assert torch.equal(part.atoms, whole.atoms[batch.node_ids])
    x = batch.x
    assert not isinstance(x, Tensor)
    dense = Contexts.of(replace(batch, x=x.to_dense()), data.spec)
    assert torch.equal(dense.atoms, part.atoms)
    assert torch.equal(dense.bonds, part.bonds)


def test_stereo_counts_for_bonds_alone(data: Dataset) -> None:
    found, ptr = Contexts.of(data.graph.full_batch(), data.spec), data.graph.ptr
    assert ptr is not None
    trans, cis, unknown = (found.atoms[ptr[number] : ptr[number + 1]] for number in (4, 5, 6))
    assert torch.equal(trans, cis)
    assert torch.equal(trans, unknown)
    bonds = [found.bonds[(found.ends[0] >= ptr[n]) & (found.ends[0] < ptr[n + 1])] for n in (4, 5, 6)]
    assert len({int(values[1]) for values in bonds}) == 3  # the double bond of each


def test_the_vocabulary_holds_the_most_frequent(data: Dataset) -> None:
    keys = torch.tensor([5, 3, 3, 9, 9, 1, 7])
    assert frequent(keys, 2).tolist() == [3, 9]
    assert frequent(keys, 3).tolist() == [1, 3, 9]  # of equally frequent ones the smaller
    assert frequent(keys, 99).tolist() == [1, 3, 5, 7, 9]
    assert looked_up(torch.tensor([9, 2, 1, 100]), frequent(keys, 3)).tolist() == [2, 3, 0, 3]
    assert looked_up(torch.tensor([9]), frequent(keys, 0)).tolist() == [0]
    known, names = Vocabularies.of(data.graph, data.spec, atoms=7, bonds=5), texts()
    assert (len(known.atoms), len(known.bonds)) == (7, 5)
    everywhere = Contexts.of(data.graph.full_batch(), data.spec)
    for keys, vocabulary, texts_ in (
        (everywhere.atoms, known.atoms, names[0]),
        (everywhere.bonds, known.bonds, names[1]),
    ):
        covered = int((looked_up(keys, vocabulary) < len(vocabulary)).sum())
        assert covered == sum(count for _, count in Counter(texts_).most_common(len(vocabulary)))


def test_functional_groups_are_those_that_rdkit_finds_in_smiles(data: Dataset) -> None:
    from rdkit.Chem import Fragments

    wanted = torch.tensor([[count(molecule) > 0 for _, count in Fragments.fns] for molecule in molecules()])
    found = groups_of(data.graph, data.spec)
    assert torch.equal(found, wanted)
    assert int(found.any(0).sum()) > 20


def test_functional_groups_from_the_categories_of_ogb(data: Dataset) -> None:
    """Whose codes mean other elements, and other bonds."""
    with without_update_check():
        from ogb.utils.features import atom_to_feature_vector, bond_to_feature_vector
    graphs = []
    for molecule in molecules():
        atoms = torch.tensor([atom_to_feature_vector(atom) for atom in molecule.GetAtoms()])
        ends = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in molecule.GetBonds()]
        codes = [bond_to_feature_vector(b) for b in molecule.GetBonds()]
        edges = torch.tensor([*ends, *((v, u) for u, v in ends)], dtype=torch.int64).reshape(-1, 2).T
        attr = categories.bonds(torch.tensor(codes * 2, dtype=torch.int64).reshape(-1, 3), categories.OGB)
        x, ptr = categories.atoms(atoms, categories.OGB), torch.tensor([0, len(atoms)])
        graphs.append(Graph.from_edge_index(edges, x, edge_attr=attr, ptr=ptr))
    found = torch.cat([groups_of(graph, GraphSpec.of(graph, categories.OGB)) for graph in graphs])
    # A radical and an explicit hydrogen are no categories that groups look at.
    assert torch.equal(found, groups_of(data.graph, data.spec))


def test_no_molecules_have_no_groups() -> None:
    assert functional_groups(categories.PYG.meaning, [], 0).shape == (0, 85)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", [(512, 512), (4, 3)])
def test_loss_is_that_of_a_loop(data: Dataset, sizes: tuple[int, int], weighted: bool) -> None:
    """Over what is drawn, in float64, with texts in place of hashes and RDKit's own groups."""
    from rdkit.Chem import Fragments

    weights = (0.5, 2.0, 3.0)
    options = dict(zip(("atom_weight", "bond_weight", "motif_weight"), weights, strict=True))
    method = method_of(data, rate=0.3, atom_vocabulary=sizes[0], bond_vocabulary=sizes[1], **options).double()
    batch = data.graph.full_batch()
    of_graph = [1.0 + number % 3 for number in range(batch.num_graphs)] if weighted else [1.0] * batch.num_graphs
    if weighted:
        batch = replace(batch, weight=torch.tensor(of_graph, dtype=torch.float64))
    x = batch.x
    assert not isinstance(x, Tensor)
    batch = replace(batch, x=x.to_dense().double())
    method.reseed(3, CPU)
    _, target = method.pretext(batch)
    rows, graph = method.encoder(batch), batch.graph_index().tolist()
    everywhere, names = Contexts.of(batch, data.spec), texts()
    known = method.vocabularies()
    bond_names = dict(zip(map(tuple, everywhere.ends.T.tolist()), names[1], strict=True))
    place = [
        dict(zip(texts_, looked_up(keys, vocabulary).tolist(), strict=True))
        for texts_, keys, vocabulary in (
            (names[0], everywhere.atoms, known.atoms),
            (names[1], everywhere.bonds, known.bonds),
        )
    ]
    assert method.atom_head is not None
    assert method.bond_head is not None
    assert method.motif_head is not None

    def entropy(logits: Tensor, code: int) -> float:
        return -math.log(logits.softmax(0)[code].item())

    def mean(terms: list[tuple[float, float]]) -> float:
        return sum(w * value for w, value in terms) / sum(w for w, _ in terms)

    atoms, bonds, motifs = [], [], []
    for row in target.atoms.tolist():
        logits = method.atom_head(rows[row])[: len(known.atoms) + 1]
        atoms.append((of_graph[graph[row]], entropy(logits, place[0][names[0][row]])))
    for u, v in target.bonds.T.tolist():
        logits = method.bond_head(rows[u] + rows[v])[: len(known.bonds) + 1]
        bonds.append((of_graph[graph[u]], entropy(logits, place[1][bond_names[u, v]])))
    for number, molecule in enumerate(molecules()):
        members = [row for row in range(batch.num_nodes) if graph[row] == number]
        chance = method.motif_head(rows[members].mean(0)).sigmoid()
        has = [count(molecule) > 0 for _, count in Fragments.fns]
        terms = [-math.log(c.item() if h else 1 - c.item()) for c, h in zip(chance, has, strict=True)]
        motifs.append((of_graph[number], sum(terms) / 85))
    expected = sum(w * mean(terms) for w, terms in zip(weights, (atoms, bonds, motifs), strict=True))
    method.reseed(3, CPU)
    assert method.loss(batch).item() == pytest.approx(expected, rel=1e-9)


def test_a_share_of_every_molecule_is_drawn_rounded_up(data: Dataset) -> None:
    """Also where a share is a whole number that floating point misses."""
    method = method_of(data, rate=0.15)
    method.reseed(0, CPU)
    batch = data.graph.full_batch()
    _, target = method.pretext(batch)
    sizes, graph = batch.graph_ptr.diff().tolist(), batch.graph_index()  # type: ignore[union-attr]
    assert torch.bincount(graph[target.atoms], minlength=len(sizes)).tolist() == [math.ceil(0.15 * n) for n in sizes]
    bonds = [molecule.GetNumBonds() for molecule in molecules()]
    drawn = torch.bincount(graph[target.bonds[0]], minlength=len(sizes)).tolist()
    assert drawn == [math.ceil(round(0.15 * n, 9)) for n in bonds]
    assert drawn[SMILES.index("C")] == 0
    method.rate = 0.1
    assert int(method._drawn(torch.tensor([0, 30]), 30).sum()) == 3  # 0.1 * 30 is more than 3 in floating point
    method.reseed(1, CPU)
    assert not torch.equal(method.pretext(batch)[1].atoms, target.atoms)


def test_a_task_without_weight_has_no_head_and_no_need(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    method = method_of(data, motif_weight=0, bond_weight=0)
    assert {name.split(".")[0] for name in parameters_of(method)} == {"encoder", "atom_head"}
    assert math.isfinite(method.loss(data.graph.full_batch()).item())
    graph = replace(data.graph)  # the same molecules, whose groups nobody knows yet
    method = method_of(data)
    method.prepare(graph, 0)
    with pytest.raises(InputError, match=r"functional groups a molecule has is read with RDKit, .*gssl\[chem\]"):
        method.loss(graph.full_batch())


def test_what_is_only_embedded_is_not_looked_at(data: Dataset) -> None:
    graph = replace(data.graph)
    method = method_of(data)
    method.prepare(graph, 0)
    method.eval().embed(graph.full_batch())
    assert "_derived" not in vars(graph)
    method.loss(graph.full_batch())
    assert len(vars(graph)["_derived"]) == 2


def test_it_learns_groups_and_contexts(data: Dataset) -> None:
    method = GROVER(GINE.for_graph(data.spec, hidden_dim=32, num_layers=2, norm="none"))
    method.prepare(data.graph, 0)
    optimizer = torch.optim.Adam(method.parameters(), lr=0.01)
    for step in range(300):
        method.reseed(step, CPU)
        optimizer.zero_grad()
        method.loss(data.graph.full_batch()).backward()
        optimizer.step()
    assert method.motif_head is not None
    told = method.motif_head(method.embed(data.graph.full_batch())) > 0
    motifs = method.motifs()
    assert float((told == motifs).float().mean()) > 0.5 + 0.5 * float((~motifs).float().mean())  # guessing: none
    nodes = method.encoder(data.graph.full_batch())
    assert method.atom_head is not None
    codes = looked_up(Contexts.of(data.graph.full_batch(), data.spec).atoms, method.vocabularies().atoms)
    assert float((method.atom_head(nodes).argmax(1) == codes).float().mean()) > 0.9


def test_what_it_cannot_learn_from_is_refused(data: Dataset) -> None:
    zinc = GraphSpec(28, 4, categories.ZINC.nodes, categories.ZINC.edges, categories.ZINC.meaning)
    with pytest.raises(InputError, match=r"which atom and bond types of ZINC do not tell; set motif_weight=0"):
        GROVER(GINE.for_graph(zinc))
    GROVER(GINE.for_graph(zinc), motif_weight=0)
    with pytest.raises(InputError, match=r"nothing to learn where atom_weight, bond_weight and motif_weight are all 0"):
        method_of(data, atom_weight=0, bond_weight=0, motif_weight=0)
    with pytest.raises(InputError, match="GROVER needs nodes that are described by categories"):
        GROVER(GINE.for_graph(GraphSpec(7, 5)))
    with pytest.raises(InputError, match="GROVER must know the categories of the nodes"):
        GROVER(GCN(7))
    with pytest.raises(InputError, match="GROVER knows no graphs yet"):
        GROVER(GINE.for_graph(data.spec)).loss(data.graph.full_batch())
