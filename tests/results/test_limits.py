"""What no results store can hold is refused before the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gssl.common.errors import InputError
from gssl.results.limits import LONGEST_NAMES, require_names

if TYPE_CHECKING:
    from conftest import Lab


def test_a_seed_beyond_64_bits(lab: Lab) -> None:
    assert "seed 9223372036854775808 is too large" in lab.refused("--seed", str(2**63 - 1), "--seeds", "2")
    assert not (lab.folder / "runs").exists()


def test_the_largest_seed_and_a_long_path_are_stored(lab: Lab) -> None:
    folder = lab.folder / ("long" * 50) / ("path" * 50)
    folder.mkdir(parents=True)
    (lab.folder / "graph.npz").rename(folder / "graph.npz")
    result = lab.run("--seed", str(2**63 - 1), data=str(folder / "graph.npz"))
    assert result["per_seed"][0]["seed"] == 2**63 - 1


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ({"dataset": "a\udc80.npz"}, r"the dataset .*udc80.npz' cannot be stored"),
        ({"dataset": "a\0b"}, "cannot be stored"),
        (
            {"method": "A", "dataset": "ü" * (LONGEST_NAMES // 2)},
            r"dataset is too long \(1000 characters\)",
        ),
    ],
)
def test_names(names: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        require_names(**names)
