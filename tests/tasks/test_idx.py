"""IDX files: what is there is read, and what only pretends is refused before it takes memory."""

import gzip
import os
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError
from neuroanp.tasks.idx import MOST, RATIO, read_idx
from tests.tasks.idx_files import idx_bytes

shapes = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def by_hand(path: Path) -> np.ndarray:
    """Read an unpacked file with numpy alone."""
    raw = np.fromfile(path, dtype=np.uint8)
    n = int(raw[3])
    return raw[4 + 4 * n :].reshape(raw[4 : 4 + 4 * n].view(">i4"))


@given(shape=shapes, seed=st.integers(0, 99), packed=st.booleans())
def test_bytes_come_back(tmp_path_factory, shape, seed, packed):
    values = np.random.default_rng(seed).integers(256, size=shape)
    path = tmp_path_factory.mktemp("idx") / "some"
    path.write_bytes(idx_bytes(values))
    np.testing.assert_array_equal(by_hand(path), values)
    if packed:
        path.write_bytes(gzip.compress(path.read_bytes()))
    found = read_idx(path, len(shape), "images")
    np.testing.assert_array_equal(found.values, values)
    assert found.values.dtype == np.uint8
    assert not found.values.flags.writeable


def test_a_file_packed_in_two_parts_is_one(tmp_path):
    whole = idx_bytes(np.arange(12).reshape(3, 2, 2))
    path = tmp_path / "two.gz"
    path.write_bytes(gzip.compress(whole[:17]) + gzip.compress(whole[17:]))
    np.testing.assert_array_equal(read_idx(path, 3, "images").values.ravel(), np.arange(12))


def header(*sizes: int, kind: int = 0x08) -> bytes:
    return struct.pack(f">BBBB{len(sizes)}I", 0, 0, kind, len(sizes), *sizes)


WHOLE = idx_bytes(np.arange(60).reshape(15, 2, 2))
PACKED = gzip.compress(WHOLE)
SAID = "its header says 15 x 2 x 2 = 60 bytes, and it has"
HOSTILE = {
    "empty": (b"", "not an IDX file (it begins with nothing); name one of images"),
    "text": (b"5,0,4,1,9", "not an IDX file (it begins with 35 2c 30 2c)"),
    "another magic number": (b"\1\0\x08\3" + WHOLE[4:], "not an IDX file (it begins with 01 00 08 03)"),
    "no such type": (b"\0\0\x07\3" + WHOLE[4:], "not an IDX file"),
    "no dimensions": (b"\0\0\x08\0\0", "not an IDX file (it begins with 00 00 08 00)"),
    "floats": (header(15, 2, 2, kind=0x0D) + WHOLE[16:], "its numbers are of type float; images are of unsigned bytes"),
    "labels": (idx_bytes(np.arange(9)), "it has 1 dimensions, images have 3; is it the right file?"),
    "cut in the header": (WHOLE[:13], "cut off in its header"),
    "cut in the data": (WHOLE[:-1], f"{SAID} fewer"),
    "no data": (WHOLE[:16], f"{SAID} fewer"),
    "a byte too many": (WHOLE + b"\0", f"{SAID} more"),
    "nothing in it": (header(0, 28, 28), "it holds no images (0 x 28 x 28)"),
    "images without pixels": (header(9, 0, 28), "it holds no images (9 x 0 x 28)"),
    "huge": (header(2**32 - 1, 2**32 - 1, 2**32 - 1) + WHOLE, "bytes, more than the 256 MiB allowed"),
    "as large as may be": (header(MOST >> 10, 32, 32) + WHOLE, "and it has fewer"),
    "packed, cut": (PACKED[:-9], "packed by gzip, and damaged"),
    "packed, its end missing": (PACKED[:-2], "packed by gzip, and damaged"),
    "packed, a bit flipped in its sum": (PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:], "CRC check failed"),
    "packed, no deflate": (b"\x1f\x8b\x08\0\0\0\0\0\0\3" + b"\xff" * 40, "packed by gzip, and damaged"),
    "packed, another method": (b"\x1f\x8b\x63\0\0\0\0\0\0\3" + b"\0" * 40, "packed by gzip, and damaged"),
    "packed, of text": (gzip.compress(b"5,0,4"), "not an IDX file"),
    "packed, too few": (gzip.compress(WHOLE[:-1]), f"{SAID} fewer"),
    "packed, too many": (gzip.compress(WHOLE + b"\0"), f"{SAID} more"),
    "packed, cut in the header": (gzip.compress(WHOLE[:9]), "cut off in its header"),
    "packed twice": (gzip.compress(PACKED), "not an IDX file (it begins with 1f 8b"),
    "packed, announcing what cannot be in it": (gzip.compress(header(MOST >> 10, 32, 32)), "and it has fewer"),
}


@pytest.mark.parametrize(("content", "said"), HOSTILE.values(), ids=HOSTILE)
def test_what_is_no_such_file_is_refused_and_takes_no_memory(tmp_path, content, said):
    path = tmp_path / "images"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError) as refused:
            read_idx(path, 3, "images")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert said in str(refused.value)
    assert str(refused.value).startswith(f"{path}: ")
    assert peak < 2**20


@given(data=st.data(), packed=st.booleans())
def test_whatever_is_damaged_is_read_as_announced_or_refused(tmp_path_factory, data, packed):
    """Bytes changed, cut or added anywhere: no other exception, and never an array that is not what the file says."""
    content = bytearray(PACKED if packed else WHOLE)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    content = content[: data.draw(st.integers(1, len(content)))] + data.draw(st.binary(max_size=3))
    path = tmp_path_factory.mktemp("idx") / "damaged"
    path.write_bytes(content)
    try:
        found = read_idx(path, 3, "images")
    except InputError as error:
        said = str(error)
    else:
        path.write_bytes(gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content)
        np.testing.assert_array_equal(found.values, by_hand(path))
        return
    assert said.startswith(f"{path}: ")


def test_a_bomb_is_unpacked_no_further_than_announced(tmp_path):
    path, held = tmp_path / "bomb.gz", 64 * 2**20
    path.write_bytes(gzip.compress(header(10, 2, 2) + bytes(held), compresslevel=9))
    assert path.stat().st_size < held // 900
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="10 x 2 x 2 = 40 bytes, and it has more"):
            read_idx(path, 3, "images")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < held // 16


def test_the_most_that_deflate_can_shorten_is_still_read(tmp_path):
    path, values = tmp_path / "white.gz", np.zeros((4000, 28, 28))
    path.write_bytes(gzip.compress(idx_bytes(values), compresslevel=9))
    assert values.size / path.stat().st_size > 0.97 * RATIO
    assert read_idx(path, 3, "images").values.shape == values.shape


def test_what_is_no_file_is_said(tmp_path):
    with pytest.raises(InputError, match="none: no such file"):
        read_idx(tmp_path / "none", 3, "images")
    with pytest.raises(InputError, match="a folder; name a file of labels"):
        read_idx(tmp_path, 1, "labels")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="pipe: not a regular file; name a file of images"):
        read_idx(tmp_path / "pipe", 3, "images")
    with pytest.raises(InputError, match="cannot be opened"):
        read_idx(Path("a\0b"), 3, "images")


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path):
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(header(9, 2, 2))
        file.truncate(MOST + 1)  # sparse: takes no room on the disk
    with pytest.raises(InputError, match="more than the 256 MiB allowed"):
        read_idx(path, 3, "images")
