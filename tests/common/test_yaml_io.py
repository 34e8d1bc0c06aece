import json
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
