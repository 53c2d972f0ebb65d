"""NIR files from strangers: links, bombs, lies about sizes and damage are refused, in little memory."""

from __future__ import annotations

import tracemalloc
import zlib

import numpy as np
import pytest

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export import nir_import
from neuroanp.export.model import Model
from neuroanp.export.nir import FILE, Nir

nir = pytest.importorskip("nir", reason="pip install 'neuroanp[nir]'")
h5py = pytest.importorskip("h5py", reason="pip install 'neuroanp[nir]'")


@pytest.fixture
def plain(make_network) -> Model:
    return make_network(neuron=LIF(tau_s=0.0, refractory=0.0, synapse_gain=30.0), batch=1)


def _write(model, folder) -> None:
    Nir().export(model, folder)


def _external(file, tmp_path):
    file["node/nodes/w/weight"] = h5py.ExternalLink("/etc/passwd", "/x")


def _soft(file, tmp_path):
    file["node/nodes/w/weight"] = h5py.SoftLink("/node/nodes/w_in/weight")


def _cycle(file, tmp_path):
    file["node/nodes/w/weight"] = file["node"]


def _virtual(file, tmp_path):
    layout = h5py.VirtualLayout((32, 32), "f8")
    layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "x", (32, 32))
    file["node/nodes/w"].create_virtual_dataset("weight", layout)


def _stored_elsewhere(file, tmp_path):
    (tmp_path / "raw").write_bytes(bytes(32 * 32 * 8))
    file["node/nodes/w"].create_dataset("weight", (32, 32), "f8", external=[(str(tmp_path / "raw"), 0, 8192)])


def _ragged(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (32, 32), h5py.vlen_dtype(np.float64))


def _compound(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (32, 32), [("a", "f8"), ("b", "f8")])


def _huge(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (1 << 30, 1 << 30), "f8", chunks=(32, 32))


def _huge_whole(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (1 << 20, 1 << 20), "f8")


def _holes(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (1000, 1000), "f8", chunks=(500, 500))


def _hole(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (1000, 1000), "f8")


def _crumbs(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (1000, 1000), "f8", chunks=(1, 1))


def _wide_chunks(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", (32, 32), "f8", chunks=(4096, 4096), maxshape=(None, None))


def _bomb(file, tmp_path):
    made = file["node/nodes/w"].create_dataset("weight", (32, 32), "f8", chunks=(32, 32), compression="gzip")
    made.id.write_direct_chunk((0, 0), zlib.compress(bytes(200 << 20)))


def _lzf(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", data=np.ones((32, 32)), compression="lzf")


def _not_finite(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", data=np.full((32, 32), np.inf))


def _one_column(file, tmp_path):
    file["node/nodes/w"].create_dataset("weight", data=np.ones((32, 31)))


def _group(file, tmp_path):
    file["node/nodes/w"].create_group("weight")


HOSTILE = [
    (_external, r"'weight' is a link \(ExternalLink\); links are not followed"),
    (_soft, r"'weight' is a link \(SoftLink\)"),
    (_cycle, "node 'w', weight: not an array"),
    (_group, "node 'w', weight: not an array"),
    (_virtual, "data outside this dataset"),
    (_stored_elsewhere, "data outside this dataset"),
    (_ragged, "holds object; allowed: floats and whole numbers"),
    (_compound, "holds .*; allowed: floats and whole numbers"),
    (_huge, "over the limit on all"),
    (_huge_whole, "over the limit on all"),
    (_holes, "a chunk lies outside the file, or is missing"),
    (_hole, "says 8000000 bytes and has 0"),
    (_crumbs, "1000000 chunks of 8 bytes"),
    (_wide_chunks, "1 chunks of 134217728 bytes"),
    (_bomb, "a chunk has 8193 bytes, and should have 8192"),
    (_lzf, "HDF5 filter 32000; allowed: gzip and shuffle"),
    (_not_finite, "has values that are not finite"),
    (_one_column, r"w: weight has shape \(32, 31\), and needs \(32, 32\)"),
]


@pytest.mark.parametrize(("spoil", "words"), HOSTILE, ids=[spoil.__name__ for spoil, _ in HOSTILE])
def test_hostile_files_are_refused_in_little_memory(plain, tmp_path, spoil, words):
    _write(plain, tmp_path)
    with h5py.File(tmp_path / FILE, "r+") as file:
        del file["node/nodes/w/weight"]
        spoil(file, tmp_path)
    tracemalloc.start()
    with pytest.raises(InputError, match=words):
        nir_import.read(tmp_path / FILE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * nir_import.MiB


def test_damaged_files_are_read_or_refused(plain, tmp_path):
    """Bytes overwritten at random, and files cut short: nothing but InputError comes out."""
    _write(plain, tmp_path)
    good, rng, refused = (tmp_path / FILE).read_bytes(), np.random.default_rng(0), 0
    for k in range(150):
        bad = bytearray(good[: rng.integers(len(good))] if k % 3 == 0 else good)
        for at in rng.integers(len(bad), size=10) if len(bad) else ():
            bad[at] = rng.integers(256)
        (tmp_path / "bad.nir").write_bytes(bad)
        try:
            nir_import.read(tmp_path / "bad.nir")
        except InputError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (0, (1 << 31).to_bytes(4, "little"), "a text is missing in its heap"),
        (4, (1 << 40).to_bytes(8, "little"), "a text lies outside the file"),
        (4, (8).to_bytes(8, "little"), "a text is missing in its heap"),
        (12, (60000).to_bytes(4, "little"), "a text is missing in its heap"),
    ],
)
def test_texts_that_point_to_nowhere_are_refused(plain, tmp_path, at, value, words):
    """A cell is (length, address, number) of a text in a heap; HDF5 itself can loop for ever on a bad one."""
    _write(plain, tmp_path)
    with h5py.File(tmp_path / FILE) as file:
        start = file["node/edges"].id.get_offset() + at
    bad = bytearray((tmp_path / FILE).read_bytes())
    bad[start : start + len(value)] = value
    (tmp_path / FILE).write_bytes(bad)
    with pytest.raises(InputError, match=words):
        nir_import.read(tmp_path / FILE)


def _spoiled(plain, folder, **weights):
    """Write the network with other weights of w, and no metadata."""
    _write(plain, folder)
    with h5py.File(folder / FILE, "r+") as file:
        for name, W in weights.items():
            del file[f"node/nodes/{name}/weight"]
            file[f"node/nodes/{name}/weight"] = W
    return folder / FILE


@pytest.mark.parametrize("value", [1e300, -1e20, 1e16])
def test_weights_that_cannot_be_learned_with_are_refused(plain, tmp_path, value):
    W = np.zeros((32, 32))
    W[1, 2] = value
    path = _spoiled(plain, tmp_path, w=W)
    with pytest.raises(InputError, match=r"w: 1 of 1024 weights are up to .* thresholds, at most 1e\+15"):
        nir_import.read(path, tau_r=20e-3, own_units=False)


@pytest.mark.parametrize(
    ("value", "said"),
    [(1e9, "w: 1 of 1024 weights are over 1000 thresholds, up to 1e+09"), (5e-324, "weights are below 1.2e-38")],
)
def test_odd_weights_are_told(plain, tmp_path, value, said):
    W = np.zeros((32, 32))
    W[1, 2] = value
    notes = nir_import.read(_spoiled(plain, tmp_path, w=W), tau_r=20e-3, own_units=False).notes
    assert any(said in note for note in notes)


@pytest.mark.parametrize(("tau_r", "said"), [(1e300, "tau_r: 1e\\+300 s is over"), (1e-4, "longer than one step")])
def test_time_constants_that_no_step_resolves_are_refused(plain, tmp_path, tau_r, said):
    _write(plain, tmp_path)
    with pytest.raises(InputError, match=said):
        nir_import.read(tmp_path / FILE, tau_r=tau_r, own_units=False)
