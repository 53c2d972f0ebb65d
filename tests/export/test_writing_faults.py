"""What an export leaves when others write beside it, renames fail, it is killed, or the disk is full."""

from __future__ import annotations

import errno
import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from neuroanp.errors import InputError, RunError
from neuroanp.export.directory import whole
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from tests.export.folders import SPIKING, content, exported


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


@pytest.mark.long
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
