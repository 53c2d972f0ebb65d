"""Whatever a stranger writes into the header of an .npy file is refused as one kind of error, by all that read it."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.instruments.sent import Sent
from neuroanp.profiles.tables import read_table
from neuroanp.tables.npy import read_header
from neuroanp.training.configure import configure
from neuroanp.training.from_file import read_inputs

WELL = "{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"
DAMAGED = {
    "a bracket that nothing closes": WELL.replace(",), }", ", "),
    "a string that nothing closes": WELL.replace("'shape'", "'shape"),
    "a null byte": WELL.replace("(3,)", "(\0,)"),
    "a null byte on a line of its own": WELL + "\n\0 1L",
    "a sum": WELL.replace("(3,)", "(1<<60,)"),
    "a call": WELL.replace("(3,)", "exit()"),
    "brackets in brackets": "(" * 5000 + ")" * 5000,
    "an indent that fits none": "if x:\n    y\n  z",
    "a length that is no number": WELL.replace("(3,)", "(True, 3)"),
    "lengths that cancel out": WELL.replace("(3,)", "(-1, -3)"),
    "a length below nothing": WELL.replace("(3,)", "(0, -5)"),
    "more dimensions than there are": WELL.replace("(3,)", f"(3, {100 * '1, '})"),
    "an essay": WELL + 20_000 * " ",
    "a key less": "{'descr': '<f8', 'shape': (3,)}",
    "no type": WELL.replace("<f8", "no such type"),
    "nothing": "",
}


def written(header: str, version: tuple[int, int] = (1, 0)) -> bytes:
    length = len(header).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + length + header.encode("latin1") + bytes(24)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
@pytest.mark.parametrize("header", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_header_is_one_kind_of_error(header: str, version: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r".") as caught:
        read_header(io.BytesIO(written(header, version)))
    assert type(caught.value) is ValueError
    assert 0 < len(str(caught.value)) <= 120
    assert "\n" not in str(caught.value)
    assert not str(caught.value).startswith("(")  # an error's arguments, as Python writes them


def test_versions_that_nobody_writes_are_none() -> None:
    with pytest.raises(ValueError, match=r"^version 9\.9 of the format is not known$"):
        read_header(io.BytesIO(written(WELL, (9, 9))))


def test_a_header_of_python_2_is_read_without_a_word(recwarn: pytest.WarningsRecorder) -> None:
    assert read_header(io.BytesIO(written(WELL.replace("3,", "3L,"))))[0] == (3,)
    assert [str(each.message) for each in recwarn] == []


@given(st.text(alphabet="{}()[]'\"\0\n\\ ,:<f8123Laif_", max_size=40))
def test_whatever_stands_there(header: str) -> None:
    try:
        shape, fortran, dtype = read_header(io.BytesIO(written(header)))
    except ValueError:
        return
    assert (type(shape), type(fortran), type(dtype).__mro__[-2]) == (tuple, bool, np.dtype)


@pytest.mark.parametrize("version", [(1, 0), (2, 0)])
def test_what_numpy_writes_is_read(version: tuple[int, int]) -> None:
    stream = io.BytesIO()
    array = np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3))
    np.lib.format.write_array(stream, array, version)
    stream.seek(0)
    assert read_header(stream) == ((2, 3), True, np.dtype(">i2"))
    assert stream.read() == array.tobytes("F")


def of_inputs(folder: Path, content: bytes) -> None:
    (folder / "x.npy").write_bytes(content)
    read_inputs(folder / "x.npy", configure({"task": "copy"}))


def of_a_profile(folder: Path, content: bytes) -> None:
    with zipfile.ZipFile(folder / "t.npz", "w") as archive:
        archive.writestr("a.npy", content)
    read_table(folder / "t.npz")


def of_an_instrument(folder: Path, content: bytes) -> None:
    (folder / "sent.npy").write_bytes(content)
    Sent((1, 3), folder / "sent.npy")


@pytest.mark.parametrize("header", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize(
    ("reader", "kind"), [(of_inputs, InputError), (of_a_profile, ValueError), (of_an_instrument, InputError)]
)
def test_readers_refuse_it_by_name(
    tmp_path: Path, reader: Callable[[Path, bytes], None], kind: type[Exception], header: str
) -> None:
    """A profile's reader says ValueError, which validation makes a problem of the profile."""
    with pytest.raises(kind, match=str(tmp_path)) as caught:
        reader(tmp_path, written(header))
    assert type(caught.value) is kind


def test_an_archive_is_no_count_of_pulses(tmp_path: Path) -> None:
    np.savez(tmp_path / "sent.npz", counts=np.zeros((1, 3), np.int64))
    with pytest.raises(InputError, match="is not the count of this instrument's pulses"):
        Sent((1, 3), (tmp_path / "sent.npz").rename(tmp_path / "sent.npy"))
