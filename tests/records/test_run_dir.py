"""A run directory: what is refused, what survives a crash, who may write."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError, RunError
from neuroanp.noise import VERSION
from neuroanp.records import RESULT_KEYS, RunDir, Store, code_version
from neuroanp.records.seal import Seal, of_fields
from neuroanp.records.tensors import Damaged, read_sealed

STATE = {"w": torch.arange(6, dtype=torch.float64).reshape(2, 3), "wear": torch.zeros(0), "step": torch.tensor(7)}
RESULT = dict.fromkeys(RESULT_KEYS) | {
    "task": "copy",
    "status": "finished",
    "test_loss": float("inf"),
    "controls": {"ridge": 0.1},
}


@pytest.fixture
def run(tmp_path):
    return RunDir.create(tmp_path, "one", "seed: 0\n", {"identity": "0123456789abcdef"})


def twins(run, name="manifest.json"):
    return run.path / name, run.path / "copies" / name


def manifest(run, **fields):
    for path in twins(run):
        path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def without(run, name):
    for path in twins(run):
        data = json.loads(path.read_text())
        del data[name]
        path.write_text(json.dumps(data))


def link_out(run):
    for number, path in enumerate(twins(run)):
        target = run.path.parent / f"elsewhere{number}.json"
        path.rename(target)
        path.symlink_to(target)


def each(run, change, name="manifest.json"):
    for path in twins(run, name):
        change(path)


def to_directory(path):
    path.unlink()
    path.mkdir()


BROKEN = {
    "no manifest": (lambda run: each(run, Path.unlink), "not a run directory"),
    "empty manifest": (lambda run: each(run, lambda path: path.write_bytes(b"")), "damaged"),
    "cut manifest": (lambda run: each(run, lambda path: os.truncate(path, 40)), "damaged"),
    "manifest is a list": (lambda run: each(run, lambda path: path.write_text("[]")), "not a JSON object"),
    "manifest is deep": (lambda run: each(run, lambda path: path.write_text("[" * 10**5)), "32 levels"),
    "other format": (lambda run: manifest(run, format=3), "format 3"),
    "format is a list": (lambda run: manifest(run, format=[1]), "format [1]"),
    "no format": (lambda run: without(run, "format"), "format None"),
    "other code": (lambda run: manifest(run, code="0.0.9+000000000000", commit="abc123"), "abc123"),
    "unknown status": (lambda run: manifest(run, status="done"), "'done' is not one of"),
    "no identity": (lambda run: without(run, "identity"), "identity: missing"),
    "log is text": (lambda run: manifest(run, log="said"), "log: not a list"),
    "log of numbers": (lambda run: manifest(run, log=[1]), "log: not a list of lines"),
    "profile is text": (lambda run: manifest(run, profile="pcm"), "profile: not a dict"),
    "profile of numbers": (lambda run: manifest(run, profile={"text": 1}), "profile.text: not a str"),
    "losses without names": (lambda run: manifest(run, after={"1 h": 0.1}), "after: not losses"),
    "no config": (lambda run: each(run, Path.unlink, "config.yaml"), "config.yaml is missing"),
    "manifest leads out": (link_out, "leads out"),
    "manifest is a directory": (lambda run: each(run, to_directory), "a directory"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_directory_is_refused_with_its_path(run, kind):
    breaks, says = BROKEN[kind]
    breaks(run)
    with pytest.raises(InputError) as caught:
        RunDir.open(run.path)
    assert says in str(caught.value)
    assert str(run.path) in str(caught.value)


def test_a_directory_that_is_none(tmp_path):
    with pytest.raises(InputError, match="no such directory"):
        RunDir.open(tmp_path / "none")


def test_a_run_of_other_code_can_be_read_for_a_report(run):
    manifest(run, code="0.0.9+000000000000")
    assert RunDir.open(run.path, check_code=False).manifest["code"] == "0.0.9+000000000000"


def test_create_fills_in_what_every_reader_needs(run):
    again = RunDir.open(run.path)
    assert again.manifest == {
        "format": 2, "code": code_version(), "streams": VERSION, "status": "running", "log": [],
        "identity": "0123456789abcdef",
        "seals": {"config.yaml": Seal.of(b"seed: 0\n").plain()}, "seal": of_fields(again.manifest),
    }  # fmt: skip
    assert again.config_text == "seed: 0\n"


@pytest.mark.parametrize("name", ["", "..", "a/b", "../up", ".hidden", "-rf", "a\n", "x" * 101, "/abs"])
def test_names_cannot_leave_the_store(tmp_path, run, name):
    with pytest.raises(InputError, match="cannot be"):
        RunDir.create(tmp_path, name, "", {})
    with pytest.raises(InputError, match="cannot be"):
        run.save_arrays(name, {"a": np.zeros(1)})


def test_a_taken_name_is_refused_and_the_record_kept(tmp_path, run):
    run.update(status="finished")
    with pytest.raises(InputError, match="--force"):
        RunDir.create(tmp_path, "one", "seed: 1\n", {})
    assert RunDir.open(run.path).manifest["status"] == "finished"
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_replace_puts_a_new_record_in_the_place(tmp_path, run):
    run.save_checkpoint(3, STATE, {})
    new = RunDir.create(tmp_path, "one", "seed: 1\n", {}, replace=True)
    assert new.config_text == "seed: 1\n"
    assert new.checkpoints() == []
    assert [path.name for path in tmp_path.iterdir()] == ["one"]


def test_replace_touches_no_directory_of_someone_else(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "thesis.tex").write_text("years")
    with pytest.raises(InputError, match="not a run directory"):
        RunDir.create(tmp_path, "home", "", {}, replace=True)
    assert (tmp_path / "home" / "thesis.tex").read_text() == "years"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_replace_waits_for_nobody_who_holds_it(tmp_path, run):
    with run.lock(), pytest.raises(RunError, match="in use"):
        RunDir.create(tmp_path, "one", "", {}, replace=True)
    assert run.config_text == "seed: 0\n"


def test_the_log_and_the_status_are_kept(run):
    run.log("perturbation: gauss 0.01")
    run.update(status="interrupted")
    fields = RunDir.open(run.path).manifest
    assert (fields["log"], fields["status"]) == (["perturbation: gauss 0.01"], "interrupted")
    with pytest.raises(InputError, match="not one of"):
        run.update(status="done")


def test_a_checkpoint_reads_back_bit_for_bit(run):
    meta = {"lr": 0.1, "best": float("inf"), "nested": {"seeds": [0, 1]}}
    path = run.save_checkpoint(10, STATE, meta)
    assert path.name == "00000010.safetensors"
    tensors, back = run.load_checkpoint(path)
    assert back == {
        "lr": 0.1, "best": None, "nested": {"seeds": [0, 1]}, "update": 10, "identity": "0123456789abcdef",
        "metrics": Seal.of(b"").plain(),
    }  # fmt: skip
    assert set(tensors) == set(STATE)
    for name, tensor in STATE.items():
        assert tensors[name].dtype == tensor.dtype
        assert torch.equal(tensors[name], tensor)


def test_views_and_shared_tensors_can_be_saved(run):
    base = torch.arange(12.0).reshape(3, 4)
    state = {"t": base.T, "row": base[1], "same": base, "again": base}
    tensors, _ = run.load_checkpoint(run.save_checkpoint(1, state, {}))
    assert all(torch.equal(tensors[name], tensor) for name, tensor in state.items())


def test_the_last_two_are_kept_and_a_given_up_line_is_dropped(run):
    for update in (10, 20, 30):
        run.save_checkpoint(update, STATE, {})
    assert [path.stem for path in run.checkpoints()] == ["00000020", "00000030"]
    run.save_checkpoint(25, STATE, {})
    assert [path.stem for path in run.checkpoints()] == ["00000020", "00000025"]


def test_any_cut_of_the_newest_checkpoint_leaves_the_one_before(run):
    first = run.save_checkpoint(10, STATE, {})
    last = run.save_checkpoint(20, STATE, {})
    whole = last.read_bytes()
    for cut in range(len(whole)):
        last.write_bytes(whole[:cut])
        assert run.latest_checkpoint() == first
    assert len(run.warnings) == len(whole)
    assert "00000020" in run.warnings[-1]
    last.write_bytes(whole)
    assert run.latest_checkpoint() == last


def test_any_changed_byte_is_noticed(run):
    path = run.save_checkpoint(10, STATE, {})
    whole = path.read_bytes()
    _, meta = read_sealed(path)
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        with pytest.raises((Damaged, ValueError, InputError)):
            read_sealed(path)
        assert run.latest_checkpoint() is None
    path.write_bytes(whole)
    assert read_sealed(path)[1] == meta


def test_a_foreign_or_pickled_file_is_no_checkpoint(run):
    from safetensors.torch import save

    (run.path / "checkpoints" / "00000005.safetensors").write_bytes(save({"w": torch.zeros(2)}))
    torch.save({"w": torch.zeros(2)}, run.path / "checkpoints" / "00000006.safetensors")
    (run.path / "checkpoints" / "notes.txt").write_text("mine")
    assert run.latest_checkpoint() is None
    assert len(run.warnings) == 2
    with pytest.raises(InputError, match="damaged"):
        run.load_checkpoint(run.path / "checkpoints" / "00000006.safetensors")


def test_a_full_disk_keeps_the_checkpoint_before(run, monkeypatch):
    first = run.save_checkpoint(10, STATE, {})

    def full(*_args):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(RunError, match="disk is full"):
        run.save_checkpoint(20, STATE, {})
    monkeypatch.undo()
    assert run.latest_checkpoint() == first
    assert run.checkpoints() == [first]


def killed_at_call(run, count):
    """Save checkpoint 20 in a child that dies by SIGKILL at its `count`-th system call; True if it got that far."""
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = [count]

    def counted(call):
        def wrapped(*args, **kwargs):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), 9)
            return call(*args, **kwargs)

        return wrapped

    for name in ("open", "write", "fsync", "replace", "close", "unlink"):
        setattr(os, name, counted(getattr(os, name)))
    try:
        run.save_checkpoint(20, {"w": torch.ones(3)}, {})
    finally:
        os._exit(0)


def test_a_writer_killed_at_any_system_call_leaves_a_good_checkpoint(run):
    first = run.save_checkpoint(10, STATE, {})
    outcomes = []
    for count in range(1, 100):
        if not killed_at_call(run, count):
            break
        latest = run.latest_checkpoint()
        assert latest is not None
        run.load_checkpoint(latest)
        outcomes.append(latest.stem)
        (run.path / "checkpoints" / "00000020.safetensors").unlink(missing_ok=True)
    assert outcomes == sorted(outcomes)  # the old one up to the rename, the new one from there on
    assert set(outcomes) == {"00000010", "00000020"}
    assert run.warnings == []
    with run.lock():  # the next holder clears away what was left
        pass
    assert {path.name for path in (run.path / "checkpoints").iterdir()} == {first.name, "00000020.safetensors"}


def test_a_checkpoint_that_leads_out_is_not_followed(run, tmp_path):
    other = RunDir.create(tmp_path, "two", "", {}).save_checkpoint(1, STATE, {})
    (run.path / "checkpoints" / "00000001.safetensors").symlink_to(other)
    assert run.latest_checkpoint() is None
    with pytest.raises(InputError, match="leads out"):
        run.load_checkpoint(run.path / "checkpoints" / "00000001.safetensors")


HOLD = (
    "import sys\nfrom neuroanp.records import RunDir\n"
    "with RunDir.open(sys.argv[1], check_code=False).lock():\n    print('held', flush=True); sys.stdin.read()\n"
)


def test_the_second_process_is_told_who_holds_the_run(run):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin is not None
    assert holder.stdout is not None
    with holder:
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(RunError, match=f"process {holder.pid} on"), run.lock():
            pass
        holder.kill()  # however the holder ends, the lock ends with it
    with run.lock():
        pass


def test_arrays_read_back(run):
    arrays = {"prediction": np.arange(6.0).reshape(2, 3).T, "mask": np.array(True)}
    run.save_arrays("predictions", arrays)
    back = run.load_arrays("predictions")
    assert run.load_arrays("others") is None
    assert back is not None
    for name, array in arrays.items():
        assert back[name].shape == array.shape
        np.testing.assert_array_equal(back[name], array)
    os.truncate(run.path / "predictions.safetensors", 30)
    with pytest.raises(InputError, match="damaged"):
        run.load_arrays("predictions")


def test_a_result_has_exactly_its_keys(run):
    assert run.result is None
    with pytest.raises(ValueError, match="exactly"):
        run.write_result({"task": "copy"})
    run.write_result(RESULT)
    assert run.result == {**RESULT, "test_loss": None, "run": str(run.path)}
    assert run.metrics().controls == {"ridge": 0.1}


def test_the_store_finds_runs_and_names_the_broken(tmp_path):
    store = Store(tmp_path / "runs")
    assert (list(store.runs()), store.broken()) == ([], [])
    for name in "abc":
        RunDir.create(store.root, name, "", {"identity": name * 16}).write_result(RESULT)
    for path in (store.root / "c" / "manifest.json", store.root / "c" / "copies" / "manifest.json"):
        path.write_text("{")
    (store.root / "notes").mkdir()
    assert [run.path.name for run in store.runs()] == ["a", "b"]
    assert len(store.broken()) == 1
    assert "manifest.json" in store.broken()[0]


def test_importing_records_imports_no_torch():
    code = "import sys, neuroanp.records; sys.exit('torch' in sys.modules or 'matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
