"""netx files from strangers: what lies elsewhere, lies about its size or is no plain array is refused."""

from __future__ import annotations

import os

import numpy as np
import pytest

from neuroanp.errors import InputError
from neuroanp.export import netx

h5py = pytest.importorskip("h5py", reason="pip install 'neuroanp[loihi]'")


@pytest.fixture
def path(tmp_path):
    """Return a network of 2 inputs, 3 units and 1 output."""
    import torch

    from neuroanp.backends.loihi import Block, Cuba, CubaNetwork

    def units(n: int) -> Cuba:
        return Cuba(100, 200, 500, torch.zeros(n, dtype=torch.int64))

    w_in, w, w_out = (torch.full(shape, 2, dtype=torch.int64) for shape in ((3, 2), (3, 3), (1, 3)))
    netx.write(tmp_path / "a.net", CubaNetwork((Block(w_in, w, units(3)),), Block(w_out, None, units(1))))
    (layer,) = netx.read(tmp_path / "a.net").layers
    assert layer.recurrent is not None
    assert layer.recurrent.tolist() == w.tolist()
    return tmp_path / "a.net"


def _text(group, name):
    group.create_dataset("type", data=np.array(["dense_rec"], dtype=h5py.string_dtype()))


def _link(group, name):
    group[name] = h5py.ExternalLink("/etc/passwd", "/x")


def _virtual(group, name):
    layout = h5py.VirtualLayout((3, 3), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3, 3))
    group.create_virtual_dataset(name, layout)


def _packed(group, name):
    group.create_dataset(name, data=np.full((3, 3), 2, "f4"), compression="gzip")


def _elsewhere(group, name):
    group.create_dataset(name, (3, 3), "f4", external=[("raw", 0, 36)])


def _unwritten(group, name):
    group.create_dataset(name, (3, 3), "f4")


def _ragged(group, name):
    group.create_dataset(name, (3, 3), h5py.vlen_dtype(np.float32))


def _enumeration(group, name):
    group.create_dataset(name, data=np.zeros((3, 3), "i4"), dtype=h5py.enum_dtype({"a": 0}, "i4"))


@pytest.mark.parametrize(
    ("name", "spoil", "said"),
    [
        ("type", _text, "not an array of the type"),
        ("weight_rec", _link, "is missing, or a link"),
        ("weight_rec", _virtual, "not stored as plain bytes"),
        ("weight_rec", _packed, "not stored as plain bytes"),
        ("weight_rec", _elsewhere, "not stored as plain bytes"),
        ("weight_rec", _unwritten, "not stored as plain bytes"),
        ("weight_rec", _ragged, "not an array of the type"),
        ("weight_rec", _enumeration, "not an array of the type"),
    ],
)
def test_what_is_stored_otherwise_is_refused(path, name, spoil, said):
    with h5py.File(path, "r+") as file:
        group = file["layer/0"]
        del group[name]
        spoil(group, name)
    with pytest.raises(InputError, match=said):
        netx.read(path)


def test_what_is_no_file_is_refused(path, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", tmp_path / "none"):
        with pytest.raises(InputError, match=r"not a file|cannot be read"):
            netx.read(place)


def test_damaged_files_are_read_or_refused(path):
    good, rng, refused = path.read_bytes(), np.random.default_rng(0), 0
    for k in range(100):
        bad = bytearray(good[: rng.integers(len(good))] if k % 3 == 0 else good)
        for at in rng.integers(len(bad), size=10) if len(bad) else ():
            bad[at] = rng.integers(256)
        path.write_bytes(bad)
        try:
            netx.read(path)
        except InputError:
            refused += 1
    assert refused > 30
