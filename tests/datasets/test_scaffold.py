"""The scaffold split against a plain reading of its definition, by hand and on real molecules."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from gssl.common.errors import InputError
from gssl.datasets import categories
from gssl.datasets.load import load_dataset
from gssl.datasets.scaffold import scaffold_split, scaffolds
from gssl.datasets.types import Dataset, Split
from gssl.graph.spec import GraphSpec, misfit
from gssl.testing.toy import toy_dataset

pytest.importorskip("rdkit")

BENZENES = [f"c1ccccc1{'C' * n}" for n in range(6)]
PYRIDINES = [f"c1ccncc1{'C' * n}" for n in range(3)]
CHAINS = ["CC", "CCC", "CCO"]
RINGS = ["C1CC1", "C1CCC1", "C1CCCC1", "C1CCCCC1"]


def molecules(smiles: list[str]) -> Dataset:
    graphs = toy_dataset("graph")
    return replace(graphs, smiles=tuple(smiles), splits=())


def reference(smiles: tuple[str, ...], shares: tuple[float, float], *, chirality: bool) -> list[list[int]]:
    """Repeatedly take the largest group that is left (of equals the one whose first member comes last)."""
    from rdkit import Chem
    from rdkit.Chem.Scaffolds import MurckoScaffold

    core_of: Callable[..., Any] = MurckoScaffold.GetScaffoldForMol
    groups: dict[str, list[int]] = {}
    for number, text in enumerate(smiles):
        core = core_of(Chem.MolFromSmiles(text))
        groups.setdefault(Chem.MolToSmiles(core, isomericSmiles=chirality), []).append(number)
    parts: list[list[int]] = [[], [], []]
    while groups:
        best = max(groups, key=lambda name: (len(groups[name]), groups[name][0]))
        group = groups.pop(best)
        if len(parts[0]) + len(group) <= shares[0] * len(smiles):
            parts[0] += group
        elif len(parts[0]) + len(parts[1]) + len(group) <= sum(shares) * len(smiles):
            parts[1] += group
        else:
            parts[2] += group
    return [sorted(part) for part in parts]


def ids(split: Split) -> list[list[int]]:
    return [part.tolist() for part in (split.train, split.val, split.test)]


def test_scaffolds_are_rings_and_what_links_them() -> None:
    found = scaffolds(("Cc1ccccc1", "CCO", "c1ccccc1CCC1CC1C", "C[C@H]1CC[C@@H](C)C1"))
    assert found == ("c1ccccc1", "", "c1ccc(CCC2CC2)cc1", "C1CCCC1")


def test_by_hand() -> None:
    """Of 16 molecules 12.8 may train and 14.4 train or validate; of equal groups the one that begins later is first."""
    split = scaffold_split(molecules([*BENZENES, *CHAINS, *PYRIDINES, *RINGS]))
    assert ids(split) == [[*range(12)], [14, 15], [12, 13]]
    assert split.name == "scaffold"


def test_a_group_that_does_not_fit_goes_on_and_a_smaller_one_fills_up() -> None:
    data = molecules([*BENZENES, *PYRIDINES, *RINGS[:3]])
    split = scaffold_split(data, train=0.6, val=0.25)  # room for 7.2 and 10.2
    assert ids(split) == [[0, 1, 2, 3, 4, 5, 11], [6, 7, 8], [9, 10]]


def test_shares_are_not_lost_to_rounding() -> None:
    data = molecules([*BENZENES, RINGS[0], *PYRIDINES[:2], RINGS[1]])
    assert ids(scaffold_split(data, train=0.7, val=0.2)) == [[0, 1, 2, 3, 4, 5, 9], [7, 8], [6]]


def test_mirror_images_are_two_scaffolds_or_one() -> None:
    left, right = "C1CC[C@H]2CCCC[C@@H]2C1", "C1CC[C@H]2CCCC[C@H]2C1"
    assert len(set(scaffolds((left, right)))) == 2
    assert len(set(scaffolds((left, right), chirality=False))) == 1


@pytest.mark.parametrize(("name", "chirality"), [("BBBP", True), ("ESOL", False)])
def test_real_molecules(mirror: Path, processed: Path, name: str, chirality: bool) -> None:
    data = load_dataset(name, root=processed)
    assert data.splits == ()  # the protocols that draw splits stay what they are
    split = scaffold_split(data, chirality=chirality)
    assert ids(split) == reference(data.smiles, (0.8, 0.1), chirality=chirality)
    names = scaffolds(data.smiles, chirality=chirality)
    parts = [{names[i] for i in part} for part in ids(split)]
    assert sum(len(part) for part in parts) == len(set(names))  # no scaffold is in two parts
    assert scaffold_split(data, chirality=chirality).hash == split.hash
    if name == "BBBP":
        assert [len(part) for part in ids(split)] == [1631, 204, 204]


def test_a_published_split_is_kept() -> None:
    items = torch.arange(6).split(2)
    own = Split("scaffold", *items)
    data = replace(toy_dataset("graph"), splits=(own,))
    assert scaffold_split(data) is own
    with pytest.raises(InputError, match="does not hold molecules"):
        scaffold_split(data, train=0.7)


def test_what_cannot_be_split() -> None:
    with pytest.raises(InputError, match="toy cannot be split by scaffold: it does not hold molecules"):
        scaffold_split(toy_dataset("graph"))
    unknown = replace(toy_dataset("graph"), vocabulary=categories.ZINC)
    with pytest.raises(InputError, match="its molecules are not known"):
        scaffold_split(unknown)
    with pytest.raises(InputError, match="too few scaffolds"):
        scaffold_split(molecules(BENZENES))
    with pytest.raises(InputError, match="leave some for the test"):
        scaffold_split(molecules(BENZENES), train=0.9, val=0.1)


def test_molecules_of_other_libraries_do_not_fit() -> None:
    pyg = GraphSpec(177, 30, categories.PYG.nodes, categories.PYG.edges, categories.PYG.meaning)
    ogb = GraphSpec(174, 13, categories.OGB.nodes, categories.OGB.edges, categories.OGB.meaning)
    assert misfit(pyg, pyg, source_name="MOSES", target_name="BBBP") is None
    reason = misfit(pyg, ogb, source_name="MOSES", target_name="ogbg-molhiv") or ""
    assert "mean different things" in reason
    assert "chirality 9" in reason
    assert "chirality 5" in reason
