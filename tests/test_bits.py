"""The record of bits tells the smallest change, and nothing of clocks, places and the code's version; a part holds."""

from __future__ import annotations

import doctest
import io
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.bits import __main__ as bits
from benchmarks.bits import cases, digests, record, running
from neuroanp.backends.neuron import NEURONS
from neuroanp.backends.protocol import BACKENDS
from neuroanp.export.protocol import EXPORTERS
from neuroanp.profiles.loader import available
from neuroanp.records.environment import differences
from neuroanp.records.json_io import read_object
from neuroanp.records.run_dir import RunDir
from neuroanp.tasks.encoders import ENCODERS
from neuroanp.tasks.protocol import TASKS
from neuroanp.training import build, loop
from neuroanp.training.filling import METHODS

SMALL = "setting no controls float32"
HELD = (
    "profile pcm pulse rate float32",
    "profile pcm verify lif float32",
    "profile smtj_koenders ideal rate float64",
    "profile sram_cim pulse rate float32",
    "rule anp paper pcm pulse rate float64",
    "rule np mean rram_hfo2 pulse lif float32",
    "rule bptt ideal lif float64",
    "rule bptt1 pcm verify rate float32",
    "setting population lif float32",
    "setting stored weights float32",
    "export rate pcm_tiles float32",
)
"""Cases that are compared with the record whenever the tests run where it was made."""


@pytest.mark.parametrize("module", [digests, record, running], ids=lambda module: module.__name__)
def test_examples_of_docstrings(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


def test_the_record_holds_here() -> None:
    kept = read_object(bits.RECORD)
    unlike = differences(kept["machine"], record.machine())
    if unlike:
        pytest.skip(f"bits are promised on the machine of the record alone: {'; '.join(unlike)}")
    chosen = [case for case in cases.cases() if case.label in HELD]
    assert len(chosen) == len(HELD)
    told = record.compare({label: kept["cases"].get(label, {}) for label in HELD}, running.outcomes(chosen))
    assert told == [], "bits have changed; if they must, say why and record: python -m benchmarks.bits"


def test_the_record_is_of_all_cases_and_holds_no_crash() -> None:
    kept = read_object(bits.RECORD)["cases"]
    assert list(kept) == sorted(case.label for case in cases.cases())
    parts = [part for outcome in kept.values() for part in (outcome, *outcome.values()) if isinstance(part, dict)]
    said = {part["said"].partition(":")[0] for part in parts if "said" in part}
    assert said <= {"InputError", "DivergedError"}
    assert sum("weights" in outcome for outcome in kept.values()) > len(kept) / 2


def test_every_name_that_a_config_can_use_is_in_a_case() -> None:
    used = "".join(json.dumps([dict(case.base), dict(case.overrides)]) for case in cases.cases())
    registries = (BACKENDS, METHODS, TASKS, ENCODERS, NEURONS)
    names = {*available(), *(name for registry in registries for name in registry.names())}
    assert {name for name in names if f'"{name}"' not in used} == cases.UNRECORDED
    labels = {case.label for case in cases.cases()}
    assert {f"example {path.stem} {dtype}" for path in cases.EXAMPLES.iterdir() for dtype in cases.DTYPES
            if path.suffix == ".yaml" and path.stem not in cases.UNRECORDED_EXAMPLES} <= labels  # fmt: skip


def next_to(number: float) -> float:
    return math.nextafter(number, math.inf)


def flipped(array: np.ndarray) -> np.ndarray:
    """Return a copy with the lowest bit of its last number flipped."""
    raw = bytearray(array.tobytes())
    raw[-array.itemsize] ^= 1
    return np.frombuffer(raw, array.dtype).reshape(array.shape)


def changing(method: Callable[..., Any], at: int, change: Callable[[Any], Any]) -> Callable[..., Any]:
    """Return a method whose positional argument `at` is changed."""
    return lambda *given, **named: method(*given[:at], change(given[at]), *given[at + 1 :], **named)


def tensor(name: str) -> Callable[[Any], Any]:
    return lambda tensors: {**tensors, name: torch.from_numpy(flipped(tensors[name].numpy()))}


def one_row(rows: Any) -> Any:
    return [*rows[:-2], {**rows[-2], "train_loss": next_to(rows[-2]["train_loss"])}, rows[-1]]


def one_number(name: str) -> Callable[[Any], Any]:
    return lambda numbers: {**numbers, name: next_to(numbers[name])}


CHANGES = {
    "weights": (RunDir, "save_checkpoint", 2, tensor("substrate/w/aim")),
    "devices": (RunDir, "save_checkpoint", 2, tensor("substrate/w_in/g")),
    "books": (RunDir, "save_checkpoint", 2, tensor("substrate/ledger/time")),
    "optimizer": (RunDir, "save_checkpoint", 2, tensor("optimizer/v/w_out")),
    "losses": (RunDir, "append_metrics", 1, one_row),
    "result": (RunDir, "write_result", 1, one_number("test_loss")),
    "ledger": (loop, "ledger_of_run", 1, one_number("time_s")),
    "predictions": (RunDir, "save_arrays", 2, lambda arrays: {**arrays, "y": flipped(arrays["y"])}),
}


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("bits") / "bits.json"
    assert bits.main(["--only", SMALL, "--file", str(file)]) == 0
    return file


def test_the_same_code_gives_the_same_bits(recorded: Path, capsys) -> None:
    before = recorded.read_bytes()
    assert bits.main(["--check", "--only", SMALL, "--file", str(recorded)]) == 0
    assert capsys.readouterr().out == "1 cases, 0 of them refused or diverged, 0 files of exports: all as recorded\n"
    assert recorded.read_bytes() == before


@pytest.mark.parametrize("part", CHANGES)
def test_one_bit_is_told_with_the_part_that_it_is_in(part: str, recorded: Path, monkeypatch, capsys) -> None:
    owner, name, at, change = CHANGES[part]
    monkeypatch.setattr(owner, name, changing(getattr(owner, name), at, change))
    assert bits.main(["--check", "--only", SMALL, "--file", str(recorded)]) == 1
    first, last = capsys.readouterr().out.splitlines()
    assert first == f"{SMALL}: {part} differs"
    assert last.endswith(": 1 not as recorded")


def test_a_crash_is_told_and_ends_no_other_case(recorded: Path, monkeypatch, capsys) -> None:
    monkeypatch.setattr(loop, "build_trainer", lambda *given, **named: [][0])
    assert bits.main(["--check", "--only", SMALL, "--file", str(recorded)]) == 1
    assert "was 'a run', is 'IndexError: list index out of range'" in capsys.readouterr().out


def test_another_version_of_the_code_is_none_of_the_bits(monkeypatch) -> None:
    chosen = [case for case in cases.cases() if case.label == "export loihi float32"]
    before = running.outcomes(chosen)
    assert {name for name in EXPORTERS.names() if "said" not in before[chosen[0].label][f"export {name}"]} == {
        "crossbar", "loihi", "nir", "onnx", "rtl"
    }  # fmt: skip
    monkeypatch.setattr(build, "code_version", lambda: "9.9.9+fedcba987654")
    assert record.compare(before, running.outcomes(chosen)) == []


def test_another_machine_is_told(recorded: Path, tmp_path: Path, capsys) -> None:
    other = {**read_object(recorded)}
    other["machine"] = {**other["machine"], "torch": "0.1"}
    file = tmp_path / "bits.json"
    file.write_text(json.dumps(other))
    assert bits.main(["--check", "--only", SMALL, "--file", str(file)]) == 0
    assert f"last bits may differ: torch was 0.1, is {torch.__version__}\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--only", "nothing"], "--only: no case matches 'nothing'; one is: example adex float32"),
        (["--only", SMALL], "a part would replace the whole record; name another file with --file"),
        (["--check", "--file", "nowhere.json"], "nowhere.json"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_runs(words: list[str], said: str, capsys) -> None:
    assert bits.main(words) == 2
    assert said in capsys.readouterr().err


def hdf5(array: np.ndarray, note: str, track: bool) -> bytes:
    import h5py

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        made = file.create_dataset("net/w", data=array, track_times=track)
        made.attrs["from"] = note
        file["net/name"] = note
    return buffer.getvalue()


def zipped(array: np.ndarray, note: str, later: bool) -> bytes:
    buffer, content = io.BytesIO(), io.BytesIO()
    np.save(content, array)
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo("w.npy", (2001 + later, 1, 1, 0, 0, 0)), content.getvalue())
    return buffer.getvalue()


def plain(array: np.ndarray, note: str, later: bool) -> bytes:
    return f"* {note}\n".encode() + array.tobytes()


@pytest.mark.parametrize("written", [hdf5, zipped, plain])
def test_one_bit_of_an_exported_file_is_told_and_no_time_nor_name(written: Callable[..., bytes]) -> None:
    array = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    found = digests.content_digest(written(array, "of run-a", False), ["run-a"])
    assert digests.content_digest(written(array, "of run-b", True), ["run-b"]) == found
    assert digests.content_digest(written(flipped(array), "of run-a", False), ["run-a"]) != found
    assert digests.content_digest(written(array.astype(np.float64), "of run-a", False), ["run-a"]) != found
