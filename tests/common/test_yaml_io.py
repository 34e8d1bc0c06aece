import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gssl.common import yaml_io
from gssl.common.errors import InputError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
DATA = st.dictionaries(
    st.text(min_size=1),
    st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8),
)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_are_read_as_python_and_json_write_them(value: float) -> None:
    for text in (repr(value), json.dumps(value), f"{value:.17e}"):
        read = yaml_io.parse(text)
        assert isinstance(read, float)
        assert read == value


@settings(deadline=None)
@given(DATA)
@example({"a": "1e5", "b": ".5e-3", "c": "null", "d": 1e5})
def test_what_is_dumped_is_read_back(data: dict[str, object]) -> None:
    assert yaml_io.parse(yaml_io.dump(data)) == data


@given(
    st.dictionaries(
        st.text(st.characters(codec="ascii"), min_size=1),
        st.integers() | st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_json_is_yaml(data: dict[str, object]) -> None:
    assert yaml_io.parse(json.dumps(data)) == data


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "[1", "a: b: c"]
)
def test_code_and_broken_text_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="not valid YAML or JSON"):
        yaml_io.parse(text)


def test_files_hold_mappings(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("")
    assert yaml_io.read(file) == {}
    for content, message in (("[1]", "must hold a mapping"), ("1: 2", "must hold a mapping"), ("{", "is not valid")):
        file.write_text(content)
        with pytest.raises(InputError, match=message):
            yaml_io.read(file)
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not a text file"):
        yaml_io.read(file)
    with pytest.raises(InputError, match="cannot read"):
        yaml_io.read(tmp_path)


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + former] * 9)}]\n" for former, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(BOMB, id="aliases"),
        pytest.param("&a [*a]", id="an alias of itself"),
        pytest.param("*a", id="an alias of nothing"),
        pytest.param("[" * 1000 + "]" * 1000, id="flow lists"),
        pytest.param("[" * 100_000, id="open lists"),
        pytest.param("{a: " * 1000 + "}" * 1000, id="flow mappings"),
        pytest.param("- " * 1000 + "x", id="block lists"),
        pytest.param("x" * (yaml_io.MOST_BYTES + 1), id="a long text"),
        pytest.param("[" + "1," * yaml_io.MOST_NODES + "1]", id="a long list"),
        pytest.param("0x_", id="0x_"),
        pytest.param("1" * 5000, id="5,000 digits"),
        pytest.param("!!timestamp x", id="timestamp"),
        pytest.param("!!int ''", id="empty int"),
        pytest.param("!!binary AAAA", id="binary"),
        pytest.param("!!set {a, b}", id="set"),
        pytest.param("? [a, b]\n: c", id="list as key"),
        pytest.param("\0", id="nul"),
    ],
)
def test_what_would_break_the_loader_is_one_error(text: str) -> None:
    with pytest.raises(InputError, match="not valid YAML or JSON"):
        yaml_io.parse(text)


def test_dates_are_texts_and_few_aliases_are_fine() -> None:
    assert yaml_io.parse("2001-99-99") == "2001-99-99"
    assert yaml_io.parse("2001-01-01") == "2001-01-01"
    assert yaml_io.parse("a: &a [1, 2]\nb: *a\nc: {<<: &m {d: 1}, e: *a}") == {
        "a": [1, 2], "b": [1, 2], "c": {"d": 1, "e": [1, 2]},
    }  # fmt: skip


def test_a_file_without_an_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(InputError, match="no regular file"):
            yaml_io.read(path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("seeds: 1\nlr: 2\nseeds: 3", "'seeds' twice, again in line 3"),
        ("a: {x: 1, 'x': 2}", "'x' twice"),
        ('{"a": [{"b": 1, "b": 1}]}', "'b' twice"),
    ],
)
def test_a_key_that_stands_twice_is_refused(text: str, key: str) -> None:
    with pytest.raises(InputError, match=key):
        yaml_io.parse(text)


def test_a_merged_mapping_may_be_written_over() -> None:
    assert yaml_io.parse("a: &base {x: 1, y: 2}\nb: {<<: *base, x: 3}") == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 3, "y": 2},
    }
    assert yaml_io.parse("a: {x: 1}\nb: {x: 2}") == {"a": {"x": 1}, "b": {"x": 2}}
