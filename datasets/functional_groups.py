"""Functional groups of molecules, counted by RDKit from the categories of their atoms and bonds."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from joblib import Parallel, cpu_count, delayed
from torch import Tensor

from gssl.datasets.molecule_codes import require_rdkit
from gssl.datasets.translate import WORDS

NUM_GROUPS = 85
CHUNK = 2000  # molecules that a process takes at a time, some seconds' work
_FEW = 10_000  # for fewer it does not pay to start processes
_NUMBERS = ("atomic_num", "formal_charge", "num_hs")


def tells_molecules(meaning: str | None) -> bool:
    """Whether the codes of a vocabulary tell elements, charges, hydrogens and types of bonds."""
    return meaning in WORDS


@dataclass(frozen=True, eq=False)
class MoleculeCodes:
    """Some molecules side by side, as codes of a vocabulary.

    Attributes:
        atoms: codes of each category of the atoms, by its name, shape (num_atoms,), int64.
        ptr: offsets of the molecules in the atoms, shape (num_molecules + 1,), int64.
        ends: atoms of each bond, once for each bond, row 0 ascending, shape (2, num_bonds), int64.
        kinds: code of the type of each bond, shape (num_bonds,), int64.
    """

    atoms: Mapping[str, np.ndarray]
    ptr: np.ndarray
    ends: np.ndarray
    kinds: np.ndarray


def functional_groups(meaning: str, molecules: Iterable[MoleculeCodes], count: int) -> Tensor:
    """Which of RDKit's 85 functional groups (``rdkit.Chem.Fragments``, in its order) each molecule has.

    They are GROVER's motifs (Rong et al., 2020, arXiv:2007.02835). A molecule is put together from its categories, as
    it is, so that one that RDKit would not read from SMILES has groups, too.

    Args:
        meaning: of the vocabulary, one that :func:`tells_molecules`.
        molecules: about ``CHUNK`` at a time.
        count: how many there are in all; where it pays, several processes share them.

    Returns:
        Shape (count, 85), bool.

    Raises:
        InputError: RDKit is not installed.
    """
    require_rdkit("what functional groups a molecule has")
    jobs = 1 if count < _FEW else cpu_count()
    found = Parallel(n_jobs=jobs)(delayed(_groups_of)(meaning, part) for part in molecules)
    return torch.from_numpy(np.concatenate([np.zeros((0, NUM_GROUPS), dtype=bool), *found]))


def _groups_of(meaning: str, some: MoleculeCodes) -> np.ndarray:
    """The functional groups of some molecules, shape (num_molecules, 85), bool."""
    from rdkit import Chem, rdBase
    from rdkit.Chem import Fragments

    known = Chem.BondType.names
    types = [known.get(word, Chem.BondType.UNSPECIFIED) for word in WORDS[meaning]["bond_type"]]
    # What OGB calls "misc" is a dummy atom here, no charge, no hydrogens, and a bond of no type.
    values = {name: np.array([w if isinstance(w, int) else 0 for w in WORDS[meaning][name]]) for name in _NUMBERS}
    columns = [values[name][some.atoms[name]] for name in _NUMBERS]
    atoms = np.stack([*columns, some.atoms["is_aromatic"]], axis=1).tolist()
    bonds = [(u, v, types[kind]) for u, v, kind in zip(*some.ends.tolist(), some.kinds.tolist(), strict=True)]
    first = np.searchsorted(some.ends[0], some.ptr)
    found = np.zeros((len(some.ptr) - 1, NUM_GROUPS), dtype=bool)
    with rdBase.BlockLogs():
        for number, (start, end) in enumerate(itertools.pairwise(some.ptr.tolist())):
            molecule = _molecule(atoms[start:end], bonds[first[number] : first[number + 1]], start)
            found[number] = [count(molecule) > 0 for _, count in Fragments.fns]
    return found


def _molecule(atoms: list[list[int]], bonds: list[tuple[int, int, Any]], first: int) -> Any:
    """A molecule whose hydrogens, charges and aromaticity are those that it is told, whatever valences say.

    Args:
        atoms: element, charge, hydrogens and whether it is aromatic, of each atom.
        bonds: both ends and RDKit's type, of each bond.
        first: number of the first atom in the ends.
    """
    from rdkit import Chem

    molecule = Chem.RWMol()
    for number, charge, hydrogens, aromatic in atoms:
        atom = Chem.Atom(number)
        atom.SetFormalCharge(charge)
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(hydrogens)
        atom.SetIsAromatic(bool(aromatic))
        molecule.AddAtom(atom)
    for one, other, kind in bonds:
        molecule.AddBond(one - first, other - first, kind)
        if kind == Chem.BondType.AROMATIC:
            molecule.GetBondBetweenAtoms(one - first, other - first).SetIsAromatic(True)
    molecule.UpdatePropertyCache(strict=False)
    Chem.GetSymmSSSR(molecule)
    return molecule
