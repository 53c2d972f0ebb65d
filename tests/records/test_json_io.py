"""JSON from a run directory is read within limits."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.records.json_io import MAX_BYTES, finite, parse, read_object, write_object


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"[1]", b"NaN", b'{"a": NaN}', b'{"a": Infinity}', b'{"a": 1e999}', b"\xff\xfe", b'{"a": 1} tail',
        b'{"a":' * 40 + b"1" + b"}" * 40, b"[" * 200_000, b'{"a":' + b"9" * 5000 + b"}",
    ],
)  # fmt: skip
def test_junk_is_an_input_error_that_names_the_file(tmp_path, content):
    path = tmp_path / "manifest.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        read_object(path)


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "manifest.json"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match="writes at most"):
        read_object(path)


def test_a_pipe_is_refused_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "manifest.json")
    with pytest.raises(InputError, match="not a regular file"):
        read_object(tmp_path / "manifest.json")


@given(st.dictionaries(st.text(), st.floats() | st.text() | st.lists(st.floats(), max_size=3), max_size=4))
def test_what_is_written_reads_back_with_null_for_what_json_cannot_say(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_object(path, data)
    assert read_object(path) == finite(data)


@given(st.text())
def test_any_text_is_a_value_or_a_value_error(text):
    try:
        parse(text)
    except ValueError:
        return
