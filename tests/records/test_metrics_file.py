"""metrics.csv while it is written: exact numbers, whole rows, and two files of which either restores the other."""

import errno
import math
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.errors import InputError, RunError
from neuroanp.records import RunDir
from neuroanp.records.metrics import Metrics
from neuroanp.records.metrics_file import COPY, NAME, MetricsFile
from neuroanp.records.seal import Seal

numbers = st.floats(allow_nan=False) | st.integers(min_value=-(2**53), max_value=2**53)
ROWS = [{"update": n, "train_loss": 1 / n} for n in range(1, 21)]


def both(root: Path) -> list[bytes]:
    return [(root / name).read_bytes() for name in (NAME, COPY)]


@given(st.lists(st.tuples(numbers, st.none() | numbers), min_size=1, max_size=6))
def test_numbers_read_back_exactly(tmp_path_factory, rows):
    root = tmp_path_factory.mktemp("metrics")
    file = MetricsFile(root)
    for loss, extra in rows:
        file.append([{"update": 1, "train_loss": loss, "extra": extra}])
    read = Metrics.read(root / NAME)
    assert read["train_loss"] == [float(loss) for loss, _ in rows]
    assert [None if math.isnan(x) else x for x in read["extra"]] == [None if e is None else float(e) for _, e in rows]
    assert read.skipped == 0
    assert file.seal == Seal.of((root / NAME).read_bytes())
    assert both(root)[0] == both(root)[1]


def test_every_cut_of_the_file_keeps_the_whole_rows_and_can_be_continued(tmp_path):
    MetricsFile(tmp_path).append(ROWS[:5])
    whole = (tmp_path / NAME).read_bytes()
    for cut in range(len(whole)):
        (tmp_path / NAME).write_bytes(whole[:cut])
        rows = max(whole[:cut].count(b"\n") - 1, 0)
        assert len(Metrics.read(tmp_path / NAME)) == rows
        MetricsFile(tmp_path).append([{"update": 9, "train_loss": 9.0}])
        assert Metrics.read(tmp_path / NAME)["update"] == [*range(1, rows + 1), 9]
        assert both(tmp_path)[0] == both(tmp_path)[1]


def test_restore_then_append_equals_never_interrupted(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    for root in (one, two):
        root.mkdir()
    MetricsFile(one).append(ROWS)
    file = MetricsFile(two)
    file.append(ROWS[:10])
    seal = file.seal
    file.append(ROWS[10:13])
    (two / NAME).write_bytes((two / NAME).read_bytes() + b"14,0.0")  # a killed writer's half line
    again = MetricsFile(two)
    assert again.restore(seal) == []
    again.append(ROWS[10:])
    assert both(one) == both(two)
    assert again.seal == Seal.of(both(one)[0])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[5] ^= 1
    path.write_bytes(data)


def to_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def to_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nothing")


def to_loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


DAMAGES = {
    "flipped": flip, "cut": lambda path: os.truncate(path, 9), "empty": lambda path: os.truncate(path, 0),
    "gone": Path.unlink, "directory": to_directory, "pipe": to_pipe, "link to nothing": to_link, "loop": to_loop,
}  # fmt: skip


@pytest.mark.parametrize("name", [NAME, COPY])
@pytest.mark.parametrize("damage", DAMAGES)
def test_one_damaged_file_is_restored_from_the_other(tmp_path, damage, name):
    file = MetricsFile(tmp_path)
    file.append(ROWS[:10])
    seal, whole = file.seal, (tmp_path / NAME).read_bytes()
    DAMAGES[damage](tmp_path / name)
    again = MetricsFile(tmp_path)
    (sentence,) = again.restore(seal)
    assert str(tmp_path / name) in sentence
    assert "restored from" in sentence
    assert both(tmp_path) == [whole, whole]
    assert ("damaged" in {path.name for path in tmp_path.iterdir()}) == (damage != "gone")
    again.append(ROWS[10:])
    assert Metrics.read(tmp_path / NAME)["update"] == [*range(1, 21)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_where_both_are_damaged_the_rows_begin_anew_and_what_was_there_is_kept(tmp_path, damage):
    file = MetricsFile(tmp_path)
    file.append(ROWS[:10])
    seal = file.seal
    for name in (NAME, COPY):
        DAMAGES[damage](tmp_path / name)
    again = MetricsFile(tmp_path)
    (sentence,) = again.restore(seal)
    assert "the rows up to here are lost" in sentence
    again.append(ROWS[10:])
    assert Metrics.read(tmp_path / NAME)["update"] == [*range(11, 21)]
    aside = sorted(path.name for path in (tmp_path / "damaged").iterdir()) if damage != "gone" else []
    assert aside == ([] if damage == "gone" else ["metrics.2.csv", "metrics.csv"])


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "flipped"])
def test_a_file_that_is_damaged_while_the_run_writes_is_restored(tmp_path, damage):
    """A changed letter is not looked for at each append, which would take longer and longer: the seal tells of it."""
    file = MetricsFile(tmp_path)
    file.append(ROWS[:10])
    DAMAGES[damage](tmp_path / NAME)
    (sentence,) = file.append(ROWS[10:])
    assert "restored" in sentence
    assert Metrics.read(tmp_path / NAME)["update"] == [*range(1, 21)]
    assert file.seal == Seal.of((tmp_path / NAME).read_bytes())


def test_restore_of_nothing_is_nothing(tmp_path):
    assert MetricsFile(tmp_path).restore(None) == []
    assert list(tmp_path.iterdir()) == []
    (tmp_path / NAME).write_text("update,tr")
    assert MetricsFile(tmp_path).restore(None) == []
    assert (tmp_path / NAME).read_bytes() == b""


def test_an_unknown_column_is_refused(tmp_path):
    file = MetricsFile(tmp_path)
    file.append([{"update": 1}])
    with pytest.raises(ValueError, match="loss"):
        file.append([{"update": 2, "loss": 1.0}])
    assert Metrics.read(tmp_path / NAME)["update"] == [1]


@pytest.mark.parametrize("name", [NAME, COPY])
def test_a_full_disk_leaves_no_half_batch(tmp_path, monkeypatch, name):
    file = MetricsFile(tmp_path)
    file.append([{"update": 1}])
    seal, write = file.seal, os.write

    def full(handle, data):
        if not os.readlink(f"/proc/self/fd/{handle}").endswith(f"{tmp_path.name}/{name}"):
            return write(handle, data)
        write(handle, data[:3])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RunError, match="disk is full"):
        file.append([{"update": 2}, {"update": 3}])
    monkeypatch.undo()
    assert (tmp_path / NAME).read_bytes() == b"update\n1\n"
    assert file.seal == seal
    file.append([{"update": 2}])
    assert both(tmp_path) == [b"update\n1\n2\n"] * 2


def test_a_directory_in_the_place_of_rows_that_nobody_restored_is_said(tmp_path):
    (tmp_path / NAME).mkdir()
    with pytest.raises(InputError, match="a directory"):
        MetricsFile(tmp_path).append([{"update": 1}])


@pytest.mark.parametrize("rows", [1, 0])
@pytest.mark.parametrize("after", ["the copy", "both", "a part"])
def test_an_append_that_a_signal_cut_short_leaves_a_record_that_is_whole(tmp_path, monkeypatch, after, rows):
    """As a second Ctrl-C does; the run's end seals the rows that count, and what lies behind them is gone."""
    run = RunDir.create(tmp_path, "run", "seed: 0\n", {"identity": "0" * 16})
    run.append_metrics([{"update": 1}] * rows)
    assert run._rows.seal.size == rows * len(b"update\n1\n")
    calls, write = [], os.write

    def cut(handle, data):
        if not os.readlink(f"/proc/self/fd/{handle}").endswith(NAME):
            return write(handle, data)
        calls.append(data)
        done = write(handle, data[:2] if after == "a part" else data)
        if after != "both" or len(calls) == 2:
            raise KeyboardInterrupt
        return done

    monkeypatch.setattr(os, "write", cut)
    with pytest.raises(KeyboardInterrupt):
        run.append_metrics([{"update": 2}, {"update": 3}])
    monkeypatch.undo()
    run.end("interrupted")
    kept = [path.read_bytes() for path in (run.path / NAME, run.path / COPY) if path.exists()]
    assert kept == [b"update\n1\n" * rows] * len(kept)
    assert RunDir.open(run.path).damage() == []
    assert RunDir.open(run.path).metrics().columns == ({"update": [1]} if rows else {})
