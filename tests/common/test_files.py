import errno
import os
from pathlib import Path
from typing import BinaryIO

import pytest

from gssl.common.errors import InputError
from gssl.common.files import inside, parse_json, read_json, write_json, write_whole


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


@pytest.mark.parametrize(
    "name", ["../a", "a/../../b", "a/..", "/a", "\\a", "C:/a", "c:a", "..\\a", "", ".", "a\0b", "a" * 300, None, 3]
)
def test_names_that_lead_out_of_their_folder(name: object) -> None:
    with pytest.raises(InputError, match="the archive names"):
        inside(Path("root"), name, "the archive")


@pytest.mark.parametrize("name", ["a", "a/b.txt", "a\\b.txt", ".hidden", "a..b/c", "./a", "time:12.log"])
def test_names_that_stay_in_their_folder(name: str) -> None:
    assert inside(Path("root"), name, "the archive").is_relative_to("root")


@pytest.mark.parametrize("text", ["[" * 100_000, b'{"a":' * 100_000, "{", b"\xff", "1" * 5000])
def test_json_that_is_none_is_one_kind_of_error(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  whatever it says
        parse_json(text)
