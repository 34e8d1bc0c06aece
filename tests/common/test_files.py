import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from gssl.common.errors import InputError
from gssl.common.files import read_json, write_json, write_whole


def test_file_is_replaced_only_when_complete(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    write_json(file, {"a": 1})

    def half(target: BinaryIO) -> None:
        target.write(b'{"a":')
        assert read_json(file) == {"a": 1}  # readers see the former file meanwhile
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(InputError, match=r"No space left.*free some space"):
        write_whole(file, half)
    assert read_json(file) == {"a": 1}
    assert [entry.name for entry in tmp_path.iterdir()] == ["result.json"]


def test_interruption_leaves_nothing_behind(tmp_path: Path) -> None:
    def stop(target: BinaryIO) -> None:
        target.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(tmp_path / "x", stop)
    assert list(tmp_path.iterdir()) == []


def test_numbers_that_are_not_finite_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "x.json", {"a": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", ["", "[1]", '{"a": 1', "\x00"])
def test_damaged_json_is_named(tmp_path: Path, content: str) -> None:
    file = tmp_path / "metrics.json"
    file.write_text(content)
    with pytest.raises(InputError, match=r"metrics\.json is damaged"):
        read_json(file)
