"""What every export goes through: the network of a run, the directory that appears whole, and what was lost."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp import api
from neuroanp.backends.network import TwinBackend
from neuroanp.backends.neuron import LIF
from neuroanp.backends.protocol import Request
from neuroanp.backends.rate import RateBackend
from neuroanp.errors import InputError, RunError
from neuroanp.export.directory import MARK, check_free, whole
from neuroanp.export.finetune import Tuned
from neuroanp.export.importing import bring
from neuroanp.export.model import Traces, reference
from neuroanp.export.protocol import EXPORTERS, Exported, Exporter
from neuroanp.export.report import mismatches
from neuroanp.export.source import model_of
from neuroanp.export.writing import READ_BACK, REPORT, exporter, write
from neuroanp.noise import PassStreams, Streams
from neuroanp.training.config import configure
from neuroanp.training.evaluate import SILENT
from neuroanp.training.launch import launch
from tests.close import close

SPIKING = {
    "task": {"name": "xor", "start": 2, "pulse": 5, "gap": 2, "delay": 2, "window": 5, "test_size": 8},
    "backend": "lif",
    "network": {"hidden": 10},
    "training": {"updates": 3, "batch": 4, "controls": False},
}
RATE = {**SPIKING, "backend": "rate", "task": {"name": "copy", "test_size": 8}}


class Rounded(Exporter):
    """Write weights as text, rounded."""

    holds, reader, lost = "everything", "numpy", "digits"
    digits: int = 2
    fails: bool = False

    def check(self, model) -> None:
        if not model.spiking:
            raise InputError("rounded cannot hold this network; nothing was written", ["backend: tanh units"])

    def export(self, model, folder: Path) -> Exported:
        held = {name: np.round(W, self.digits) for name, W in model.weights.items()}
        for name, W in held.items():
            np.savetxt(folder / f"{name}.txt", W)
        if self.fails:
            raise KeyboardInterrupt
        truth = reference(model)
        assert truth.s is not None
        late = Traces(truth.y + 0.5, np.roll(truth.s, 1, 0), truth.v)
        return Exported(("w.txt",), held, late, {"membrane": (0.9, 0.875)}, ("a limit",), "cat w.txt", {"digits": 2})


@pytest.fixture(autouse=True)
def _registered(monkeypatch):
    monkeypatch.setitem(EXPORTERS._registered, "rounded", Rounded)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    store = tmp_path_factory.mktemp("runs")
    return {name: launch(configure(plain), store) for name, plain in (("spiking", SPIKING), ("rate", RATE))}


@pytest.mark.parametrize(
    "changes",
    [
        {}, {"bias": True}, {"spikes_in": True}, {"spikes_in": True, "bias": True},
        {"neuron": LIF(reset="subtract", refractory=0)}, {"neuron": LIF(integration="euler", refractory=5e-3)},
        {"neuron": LIF(tau_s=0, input_gain=12)}, {"neuron": LIF(decoder="count"), "bias": True},
        {"spiking": False}, {"spiking": False, "bias": True},
    ],
    ids=str,
)  # fmt: skip
def test_the_reference_is_the_backend_without_noise(make_network, changes):
    """The loop that exports are compared with, against the simulator that trains, spike for spike."""
    model = make_network((3, 20, 2), **changes)
    options = {} if model.neuron is None else {"spikes_in": model.spikes_in}
    kind = RateBackend if model.neuron is None else TwinBackend
    backend = kind(model.dt, 16, **options)
    substrate = exact(model)
    inputs = torch.from_numpy(model.inputs)
    streams = PassStreams(Streams(0), "test", 0)
    chunks = list(backend.run(Request(substrate, substrate.prepare(), inputs, SILENT, streams, book=False)))
    truth = reference(model)
    np.testing.assert_allclose(truth.y, torch.cat([c.y for c in chunks])[:, 0].numpy(), rtol=0, atol=1e-10)
    if truth.s is not None:
        assert truth.s.sum() > 20
        np.testing.assert_array_equal(truth.s, torch.cat([c.layers["hidden"].spikes for c in chunks])[:, 0].numpy())


def exact(model):
    """Return a substrate that holds the weights exactly and makes no noise."""
    from neuroanp.trajectory import Weights

    from ..learning.conftest import ExactSubstrate

    arrays = {name: torch.from_numpy(W) for name, W in model.weights.items()}
    return ExactSubstrate(Weights.one_layer(arrays, model.bias, model.neuron), 0.0)


def test_the_network_of_a_run(runs):
    for name, record in runs.items():
        model = model_of(record)
        assert model.spiking == (name == "spiking")
        y = reference(model).y
        assert model.score(y)["loss"] == close(record.result["test_loss_noise_free"], rel=1e-4)


def test_an_export_is_a_directory_with_its_report(runs, tmp_path):
    report = api.export(runs["spiking"].path, "rounded", tmp_path / "out", digits=1)
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert files == {REPORT, READ_BACK, MARK, "w.txt", "w_in.txt", "w_out.txt"}
    assert json.loads((tmp_path / "out" / REPORT).read_text()) == json.loads(json.dumps(report.plain()))
    assert 0 < report.weights["w"]["max"] <= 0.05
    assert report.decays["membrane"]["error"] == close(-0.025)
    assert report.outputs["max"] == close(0.5)
    assert report.spikes is not None
    assert report.spikes["mismatches"] > 0
    assert report.score["before"]["loss"] != report.score["after"]["loss"]
    assert [p.name for p in tmp_path.iterdir()] == ["out"]


def test_mismatches_are_counted_by_place():
    one, two = np.zeros((4, 2, 3), int), np.zeros((4, 2, 3), int)
    one[2, 0, 1] = one[3, 1, 2] = two[3, 1, 2] = 1
    assert mismatches(one, two) == {"mismatches": 1, "of": 24, "spikes": 1, "first_step": 2}


def test_what_cannot_be_held_is_refused_before_anything_is_written(runs, tmp_path):
    with pytest.raises(InputError, match="tanh units"):
        api.export(runs["rate"].path, "rounded", tmp_path / "out")
    with pytest.raises(InputError, match="did you mean 'rounded'"):
        api.export(runs["rate"].path, "roundet", tmp_path / "out")
    with pytest.raises(InputError, match="digitz"):
        api.export(runs["spiking"].path, "rounded", tmp_path / "out", digitz=1)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_export_leaves_nothing_and_what_was_there(runs, tmp_path):
    model = model_of(runs["spiking"])
    with pytest.raises(KeyboardInterrupt):
        write(model, "rounded", exporter("rounded", {"fails": True}), tmp_path / "out")
    assert not list(tmp_path.iterdir())
    write(model, "rounded", exporter("rounded"), tmp_path / "out")
    before = (tmp_path / "out" / "w.txt").read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write(model, "rounded", exporter("rounded", {"fails": True}), tmp_path / "out", force=True)
    assert (tmp_path / "out" / "w.txt").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_only_an_export_is_replaced_and_only_by_force(runs, tmp_path):
    model, rounded = model_of(runs["spiking"]), exporter("rounded")
    write(model, "rounded", rounded, tmp_path / "out")
    with pytest.raises(InputError, match="is there already"):
        write(model, "rounded", rounded, tmp_path / "out")
    write(model, "rounded", exporter("rounded", {"digits": 4}), tmp_path / "out", force=True)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("all of it")
    (tmp_path / "mine" / REPORT).write_text("{}")
    (tmp_path / "out" / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"holds notes\.txt, which neuroanp did not write"):
        write(model, "rounded", rounded, tmp_path / "out", force=True)
    for force in (False, True):
        with pytest.raises(InputError, match="-o"):
            write(model, "rounded", rounded, tmp_path / "mine", force=force)
    assert (tmp_path / "mine" / "thesis.tex").read_text() == "all of it"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["mine", "out"]


def test_a_run_without_a_checkpoint_or_with_equations_is_refused(tmp_path):
    with pytest.raises(InputError):
        api.export(tmp_path / "none", "rounded", tmp_path / "out")


def test_what_the_device_made_of_it_is_told(tmp_path):
    """Scores before are those of what is exported: the digital weights, and units that are all alike."""
    device = {**SPIKING, "profile": "mixed_signal_neurons", "training": {**SPIKING["training"], "updates": 1}}
    record = launch(configure(device), tmp_path / "runs")
    said = api.export(record.path, "rounded", tmp_path / "out").limits
    assert "the units of the run's device differ in tau_m, tau_s, threshold; those exported are all alike" in said
    assert any("was scored had a loss of" in line and "; --weights" not in line for line in said)


def test_what_came_while_an_export_ran_is_kept(tmp_path):
    """A file of the user's in the empty directory that is being replaced; parents made for nothing go again."""
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(InputError, match=r"holds notes\.txt, which neuroanp did not write"), whole(out):
        (out / "notes.txt").write_text("mine")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == ["out", "out/notes.txt"]
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "a" / "b" / "c"):
        raise KeyboardInterrupt
    assert not (tmp_path / "a").exists()


def test_the_current_directory_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for place in (".", str(tmp_path), "..", "/"):
        with pytest.raises(InputError, match="you are in or below"):
            check_free(Path(place), force=True)
    assert not list(tmp_path.iterdir())


def exported(folder: Path, text: str, force: bool = False) -> Path:
    """Put a directory of one file at `folder`."""
    with whole(folder, force) as building:
        (building / "a.txt").write_text(text)
    return folder


def content(folder: Path) -> dict[str, str]:
    """Return the files below a directory, marks aside; of an empty directory its name."""
    paths = [path for path in sorted(folder.rglob("*")) if path.name != MARK]
    files = [path for path in paths if path.is_file() or not any(path.iterdir())]
    return {path.relative_to(folder).as_posix(): path.read_text() if path.is_file() else "" for path in files}


@pytest.mark.parametrize("force", [False, True])
def test_what_came_while_it_was_fine_tuned_is_kept(runs, tmp_path, force):
    """Of the user's in any case, an export without --force."""
    model, out = model_of(runs["spiking"]), tmp_path / "out"

    def tune(model):
        exported(out, "another export")
        if force:
            (out / "thesis.txt").write_text("mine")
        return Tuned(model, {})

    with pytest.raises(InputError, match=r"holds thesis\.txt" if force else "replace it with --force"):
        write(model, "rounded", exporter("rounded"), out, force=force, tune=tune)
    mine = {"out/thesis.txt": "mine"} if force else {}
    assert content(tmp_path) == {"out/a.txt": "another export", **mine}


@pytest.mark.parametrize("force", [False, True])
def test_what_comes_at_the_last_moment_is_kept(tmp_path, monkeypatch, force):
    out, rename = tmp_path / "out", os.rename
    if force:
        exported(out, "old")

    def late(source, target):
        if target == out and "old" not in os.fspath(source):
            out.mkdir()
            (out / "thesis.txt").write_text("mine")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(InputError, match=r"holds thesis\.txt"):
        exported(out, "new", force)
    assert content(tmp_path) == {"out/thesis.txt": "mine"}


def test_what_comes_between_the_check_and_the_renames_is_kept(tmp_path, monkeypatch):
    out, rename = exported(tmp_path / "out", "old"), os.rename

    def late(source, target):
        if source == out:
            (out / "thesis.txt").write_text("mine")
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    with pytest.raises(InputError, match=r"holds thesis\.txt"):
        exported(out, "new", force=True)
    assert content(tmp_path) == {"out/a.txt": "old", "out/thesis.txt": "mine"}


def test_a_taken_place_is_neither_worked_for_nor_moved(tmp_path, monkeypatch):
    out, rename, moved = exported(tmp_path / "out", "old"), os.rename, []

    def watched(source, target):
        rename(source, target)
        moved.append(source)

    monkeypatch.setattr(os, "rename", watched)
    with pytest.raises(InputError, match="is there already"), whole(out):
        pytest.fail("the work began")
    assert moved == []
    with pytest.raises(InputError, match="is there already"), whole(tmp_path / "two"):
        exported(tmp_path / "two", "another")
    assert tmp_path / "two" not in moved


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_interrupted_rename_leaves_the_old_export_or_the_new(tmp_path, monkeypatch, number, after):
    out, rename, calls = exported(tmp_path / "out", "old"), os.rename, []

    def interrupted(source, target):
        calls.append(target)
        if after or len(calls) != number:
            rename(source, target)
        if len(calls) == number:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        exported(out, "new", force=True)
    monkeypatch.undo()
    left = content(tmp_path)
    assert left.pop("out/a.txt") == ("new" if (number, after) == (3, True) else "old")
    assert not left or (number, after) == (1, False)
    exported(out, "next", force=True)
    assert content(tmp_path)["out/a.txt"] == "next"


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("failing", [1, 2, 3])
def test_a_rename_that_fails_keeps_the_old_export_and_is_told(tmp_path, monkeypatch, failing, number):
    out, rename, calls = exported(tmp_path / "out", "old"), os.rename, []

    def fails(source, target):
        calls.append(target)
        if len(calls) == failing:
            raise OSError(number, os.strerror(number), os.fspath(source))
        rename(source, target)

    monkeypatch.setattr(os, "rename", fails)
    with pytest.raises(RunError, match=rf"^{re.escape(str(out))}: .*repeat the command$"):
        exported(out, "new", force=True)
    assert content(tmp_path) == {"out/a.txt": "old"}


KILLED = """
import os, sys
from pathlib import Path
from neuroanp.export.directory import whole
rename, calls, number = os.rename, [], int(sys.argv[2])
def killed(source, target):
    calls.append(target)
    if len(calls) == number:
        os.kill(os.getpid(), 9)
    rename(source, target)
os.rename = killed
with whole(Path(sys.argv[1]), force=True) as building:
    (building / "a.txt").write_text("new")
    if number == 0:
        os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("number", [0, 2, 3])
def test_the_next_export_clears_what_killed_ones_left(tmp_path, number):
    """Killed while it was made, before and between the two renames; what the last one moved aside comes back."""
    out = exported(tmp_path / "out", "old")
    (tmp_path / ".out.neuroanp-mine.tmp").write_text("no directory")
    (tmp_path / ".out.x.tmp").mkdir()
    mine = {".out.neuroanp-mine.tmp": "no directory", ".out.x.tmp": ""}
    killed = subprocess.run([sys.executable, "-c", KILLED, str(out), str(number)], check=False)
    assert killed.returncode == -9
    assert len(content(tmp_path)) > 3
    with pytest.raises(InputError, match="is there already"):
        exported(out, "no", force=False)
    assert content(tmp_path) == {"out/a.txt": "old", **mine}
    exported(out, "next", force=True)
    assert content(tmp_path) == {"out/a.txt": "next", **mine}


def test_an_export_that_is_alive_is_not_cleared(tmp_path):
    out = tmp_path / "out"
    with whole(out, force=True) as one:
        (one / "a.txt").write_text("last")
        exported(out, "first")
        assert one.is_dir()
    assert content(tmp_path) == {"out/a.txt": "last"}


def _by_system(path: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))  # as the system says it: of no path


def _of_path(path: Path) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path / "a"))


def _by_record(path: Path) -> None:
    from neuroanp.records.atomic import write_bytes

    write_bytes(path / "a", bytes(20000))


@pytest.mark.parametrize("fails", [_by_system, _of_path, _by_record])
def test_a_full_disk_is_told_of_the_export_and_of_no_temporary_name(tmp_path, fails):
    out = exported(tmp_path / "out", "old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10000, hard))
    try:
        with pytest.raises(RunError) as caught, whole(out, force=True) as building:
            fails(building)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    reason = r"the disk is full \(No space .*\)|the file would pass the size limit \(File too large\)"
    said = (
        f"{re.escape(str(out))}: not written, ({reason}); what was there before is intact. "
        "Free some space, or give another place with -o, and repeat the command"
    )
    assert re.fullmatch(said, str(caught.value))
    assert content(tmp_path) == {"out/a.txt": "old"}


def test_what_is_not_of_the_export_keeps_its_own_words(tmp_path):
    with pytest.raises(FileNotFoundError, match="elsewhere"), whole(tmp_path / "out"):
        (tmp_path / "elsewhere").read_text()
    with pytest.raises(InputError, match="one of mine"), whole(tmp_path / "out"):
        raise InputError("one of mine") from OSError(errno.ENOSPC, "full")
    assert not list(tmp_path.iterdir())


def test_files_are_flushed_before_they_take_their_name(tmp_path, monkeypatch):
    def full(handle):
        if Path(f"/proc/self/fd/{handle}").resolve().name == "a.txt":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="the disk is full"):
        exported(tmp_path / "out", "new")
    assert not list(tmp_path.iterdir())


@pytest.fixture(scope="module")
def for_chips(tmp_path_factory):
    """Return a run that NIR and Loihi hold."""
    return launch(configure(SPIKING, target="loihi"), tmp_path_factory.mktemp("chips"))


@pytest.mark.parametrize(("format", "needs"), [("nir", "nir"), ("loihi", "h5py")])
def test_hdf5_on_a_full_disk_ends_in_one_message(for_chips, tmp_path, format, needs):
    """HDF5 itself ends the process by SIGSEGV there."""
    pytest.importorskip(needs)

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))

    words = [sys.executable, "-B", "-m", "neuroanp", "export", str(for_chips.path), "-f", format, "-o", "out"]
    done = subprocess.run(words, cwd=tmp_path, preexec_fn=limit, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"error: out: not written, the file would pass the size limit [^\n]*\n", done.stderr)
    assert not list(tmp_path.iterdir())


def test_a_network_that_was_imported_is_replaced_by_force(for_chips, tmp_path):
    pytest.importorskip("nir")
    api.export(for_chips.path, "nir", tmp_path / "out")
    task, mine = {"task": SPIKING["task"]}, tmp_path / "mine"
    for force in (False, True):
        bring(tmp_path / "out" / "network.nir", mine, overrides=task, force=force)
    with pytest.raises(InputError, match="replace it with --force"):
        bring(tmp_path / "out" / "network.nir", mine, overrides=task)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "out"]
