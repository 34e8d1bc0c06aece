"""Molecules from SMILES as category codes of their atoms and bonds, those of ``torch_geometric.utils.smiles``."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from joblib import Parallel, cpu_count, delayed
from torch_geometric.utils.smiles import e_map, x_map

from gssl.common.errors import InputError
from gssl.datasets import categories

Codes = dict[Any, int]

_ATOM = np.array(categories.sizes_of(categories.PYG.nodes))
_BOND = np.array(categories.sizes_of(categories.PYG.edges))
_LEAST_CHARGE = x_map["formal_charge"][0]
_UNKNOWN = 255
_CHUNK = 2000  # molecules that a process takes at a time, a second's work
_FEW = 20_000  # for fewer it does not pay to start processes


@dataclass(frozen=True, eq=False)
class Molecules:
    """Molecules side by side; hydrogens are not atoms of their own.

    Attributes:
        kept: number of the SMILES of each molecule, shape (num_molecules,), int64, ascending.
        sizes: atoms of each molecule, shape (num_molecules,), int64.
        atoms: codes of the atoms in RDKit's order, shape (num_atoms, 9), uint8.
        degrees: bonds of each atom, shape (num_atoms,), int64.
        neighbors: the atoms at the other ends of these bonds, atom by atom and ascending, as numbers within their
            molecule, shape (2 * num_bonds,), int32.
        bonds: codes of these bonds, shape (2 * num_bonds, 3), uint8.
        unreadable: how many SMILES RDKit refuses, or are of no atoms.
        foreign: how many molecules have an atom or a bond with a value outside the vocabulary, and are left out.
    """

    kept: np.ndarray
    sizes: np.ndarray
    atoms: np.ndarray
    degrees: np.ndarray
    neighbors: np.ndarray
    bonds: np.ndarray
    unreadable: int
    foreign: int


def require_rdkit(what: str) -> None:
    """Refuse to go on without RDKit.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("rdkit") is None:
        raise InputError(f"{what} is read with RDKit, which is not installed: pip install 'gssl[chem]'")


def is_molecule(text: str) -> bool:
    """Whether RDKit reads a molecule in it."""
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        molecule = Chem.MolFromSmiles(text)
    return molecule is not None and molecule.GetNumAtoms() > 0


def read_molecules(smiles: Sequence[str]) -> Molecules:
    """The molecules of many SMILES, by as many processes as there are cores where that pays."""
    chunks = [smiles[start : start + _CHUNK] for start in range(0, max(len(smiles), 1), _CHUNK)]
    jobs = 1 if len(smiles) < _FEW else min(cpu_count(), len(chunks))
    return _joined(Parallel(n_jobs=jobs)(delayed(read_chunk)(chunk) for chunk in chunks))


def read_chunk(smiles: Sequence[str]) -> Molecules:
    """The molecules of some SMILES, by this process; RDKit's complaints are counted and not shown."""
    from rdkit import Chem, rdBase

    kept: list[int] = []
    starts = [0]
    atoms: list[int] = []
    ends: list[int] = []
    bonds: list[int] = []
    with rdBase.BlockLogs():
        for number, text in enumerate(smiles):
            molecule = Chem.MolFromSmiles(text.strip())
            if molecule is None or molecule.GetNumAtoms() == 0:
                continue
            _add_codes(molecule, starts[-1], atoms, ends, bonds)
            kept.append(number)
            starts.append(starts[-1] + molecule.GetNumAtoms())
    codes = np.array(atoms).reshape(-1, len(_ATOM)), np.array(bonds).reshape(-1, len(_BOND))
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    return _arranged(np.array(kept, dtype=np.int64), np.diff(starts), *codes, pairs, len(smiles))


def _add_codes(molecule: Any, first: int, atoms: list[int], ends: list[int], bonds: list[int]) -> None:
    """Append the codes of a molecule's atoms and bonds, and the numbers that its bonds' atoms have in the chunk."""
    chirality, hybridization, bond_type, stereo = _codes()
    for atom in molecule.GetAtoms():
        atoms += (
            atom.GetAtomicNum(),
            chirality[atom.GetChiralTag()],
            atom.GetTotalDegree(),
            atom.GetFormalCharge() - _LEAST_CHARGE,
            atom.GetTotalNumHs(),
            atom.GetNumRadicalElectrons(),
            hybridization[atom.GetHybridization()],
            atom.GetIsAromatic(),
            atom.IsInRing(),
        )
    for bond in molecule.GetBonds():
        ends += (first + bond.GetBeginAtomIdx(), first + bond.GetEndAtomIdx())
        bonds += (bond_type[bond.GetBondType()], stereo[bond.GetStereo()], bond.GetIsConjugated())


@cache
def _codes() -> tuple[Codes, Codes, Codes, Codes]:
    """RDKit's values to codes, by their names: their numbers are RDKit's own."""
    from rdkit.Chem import rdchem

    kinds = (
        (rdchem.ChiralType, x_map["chirality"]),
        (rdchem.HybridizationType, x_map["hybridization"]),
        (rdchem.BondType, e_map["bond_type"]),
        (rdchem.BondStereo, e_map["stereo"]),
    )
    first, second, third, fourth = (
        {value: names.index(name) if name in names else _UNKNOWN for name, value in kind.names.items()}
        for kind, names in kinds
    )
    return first, second, third, fourth


def _arranged(
    kept: np.ndarray, sizes: np.ndarray, atoms: np.ndarray, bonds: np.ndarray, ends: np.ndarray, total: int
) -> Molecules:
    """Bonds in both directions, atom by atom, without the molecules that have unknown codes."""
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    known = np.ones(len(sizes), dtype=bool)
    known[molecule[((atoms < 0) | (atoms >= _ATOM)).any(1)]] = False
    known[molecule[ends[((bonds < 0) | (bonds >= _BOND)).any(1), 0]]] = False
    here, there = np.concatenate([ends, ends[:, ::-1]]).T
    order = np.lexsort((there, here))
    order = order[known[molecule[here[order]]]]
    stays = known[molecule]
    within = there[order] - (np.cumsum(sizes) - sizes)[molecule[there[order]]]
    return Molecules(
        kept=kept[known],
        sizes=sizes[known],
        atoms=atoms[stays].astype(np.uint8),
        degrees=np.bincount(here, minlength=len(atoms))[stays],
        neighbors=within.astype(np.int32),
        bonds=np.tile(bonds, (2, 1))[order].astype(np.uint8),
        unreadable=total - len(sizes),
        foreign=int((~known).sum()),
    )


def _joined(parts: Sequence[Molecules]) -> Molecules:
    arrays = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("sizes", "atoms", "degrees", "neighbors", "bonds")
    }
    kept = np.concatenate([part.kept + number * _CHUNK for number, part in enumerate(parts)])
    unreadable, foreign = sum(part.unreadable for part in parts), sum(part.foreign for part in parts)
    return Molecules(kept=kept, **arrays, unreadable=unreadable, foreign=foreign)
