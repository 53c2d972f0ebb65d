"""Laws that are tables: what stands in the file, between its rows, beyond its ends; changed and broken files."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.devices.draws import normal
from neuroanp.devices.measured import MeasuredProgramming, MeasuredRead
from neuroanp.errors import InputError
from neuroanp.profiles import load, loads
from tests.close import close

G_MAX = 25e-6
SAMPLES = 200_000
LIKE = torch.empty(0, dtype=torch.float64)

TABLE = "# bench 3, 2024\ntarget_uS,mean_uS,sd_nS\n0,0.5,100\n10,10.2,400\n20,19.5,900\n"
READ = "g_uS,sd_nS\n1,10\n21,50\n"
PROFILE = """meta: {name: mine, summary: a test, source: my bench, status: measured}
conductance: {g_min: 0 S, g_max: 25 uS, coding: differential}
programming: {law: measured, file: data/writes.csv, pulses: 3, deadband: 0 S}
read: {law: measured, file: data/reads.csv}
array: {weight_range: 4, write: row}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data/writes.csv").write_text(TABLE)
    (tmp_path / "data/reads.csv").write_text(READ)
    (tmp_path / "mine.yaml").write_text(PROFILE)
    return tmp_path


def tensor(*values: float, dtype=torch.float64) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_between_and_beyond_the_rows(folder, dtype):
    law = MeasuredProgramming(file="data/writes.csv")
    target = tensor(0.0, 5e-6, 10e-6, 17.5e-6, 20e-6, 25e-6, dtype=dtype)
    sigma = law.sigma(target, G_MAX)
    assert sigma.dtype == dtype
    assert (1e9 * sigma).tolist() == close([100, 250, 400, 775, 900, 900], rel=1e-5)
    landed = law.write(target, G_MAX, torch.zeros_like(target))
    assert (1e6 * landed).tolist() == close([0.5, 5.35, 10.2, 17.175, 19.5, 24.5], rel=1e-5)
    read = MeasuredRead(file="data/reads.csv")
    fresh, frozen = read.split(target, target, G_MAX, tensor(1.0), 1e-3)
    assert (1e9 * fresh).tolist() == close([10, 18, 28, 43, 48, 50], rel=1e-5)
    assert not frozen.any()


def test_moments_and_clipping(folder):
    law = MeasuredProgramming(file="data/writes.csv")
    xi = normal(np.random.default_rng(2), (SAMPLES,), LIKE)
    g = law.write(torch.full((SAMPLES,), 10e-6, dtype=torch.float64), G_MAX, xi)
    assert float(g.mean()) == close(10.2e-6, rel=1e-3)
    assert float(g.std()) == close(0.4e-6, rel=0.01)
    assert float(law.write(tensor(0.0), G_MAX, tensor(-9.0))) == 0.0


def test_without_a_mean_writes_are_unbiased(folder):
    np.savez(folder / "w.npz", target_S=np.array([0.0, 20e-6]), sd_S=np.array([1e-6, 1e-6], dtype=np.float32))
    law = MeasuredProgramming(file="w.npz")
    target = tensor(0.0, 7e-6, 25e-6)
    assert torch.equal(law.write(target, G_MAX, tensor(0.0, 0.0, 0.0)), target)
    assert law.sigma(target, G_MAX).tolist() == close([1e-6] * 3)


def test_a_profile_names_its_files_from_its_own_folder(folder, monkeypatch):
    (folder / "deep").mkdir()
    (folder / "deep/top.yaml").write_text("extends: ../mine.yaml\nmeta: {name: top}\n")
    (folder / "deep/own.yaml").write_text("extends: ../mine.yaml\nmeta: {name: own}\nread: {file: reads.csv}\n")
    (folder / "deep/reads.csv").write_text("g_uS,sd_nS\n1,7\n21,7\n")
    monkeypatch.chdir(folder / "data")
    mine, top, own = (load(folder / name) for name in ("mine.yaml", "deep/top.yaml", "deep/own.yaml"))
    assert mine.programming == top.programming == own.programming
    assert mine.read == top.read != own.read
    assert isinstance(own.read, MeasuredRead)
    assert Path(own.read.file) == folder / "deep/reads.csv"
    assert float(own.read.split(tensor(1e-6), tensor(1e-6), G_MAX, tensor(1.0), 1.0)[0]) == close(7e-9)


def test_the_text_of_a_profile_finds_the_file_and_depends_on_its_content(folder, monkeypatch):
    profile = load("./mine.yaml")
    assert profile.programming.sha256 in profile.text  # pyright: ignore
    assert profile.provenance["programming.sha256"].status == "measured"
    monkeypatch.chdir("/")
    again = loads(profile.text)
    assert (again.programming, again.read) == (profile.programming, profile.read)
    assert again.text == profile.text
    assert again.hash == profile.hash
    assert dict(again.provenance) == dict(profile.provenance)
    (folder / "data/reads.csv").write_text(READ.replace("50", "51"))
    other = load(folder / "mine.yaml")
    assert other.hash != profile.hash
    assert other.read != profile.read
    with pytest.raises(InputError, match=r"read.sha256: \S*reads.csv has changed: its SHA-256 is [0-9a-f]{64}"):
        loads(profile.text)
    (folder / "data/reads.csv").unlink()
    with pytest.raises(InputError, match=r"read.file: \S*reads.csv: no such file"):
        loads(profile.text)


def test_pickle_keeps_the_numbers_when_the_file_is_gone(folder):
    law = MeasuredProgramming(file="data/writes.csv")
    packed = pickle.dumps(law)
    (folder / "data/writes.csv").unlink()
    again = pickle.loads(packed)  # noqa: S301 - as worker processes do
    assert again == law
    assert torch.equal(again.sigma(tensor(5e-6), G_MAX), law.sigma(tensor(5e-6), G_MAX))


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("target_uS,sd_nS\n0,1\n5,nan\n", "writes.csv:3: sd_nS: 'nan' is not a finite number"),
        ("target_uS,sd_nS\n0,1\n5,\n", "writes.csv:3: sd_nS: an empty cell: a gap"),
        ("target_uS,sd_nS\n0,1\n\n5,2\n", "writes.csv:3: an empty line between rows: a gap"),
        ("target_uS,sd_nS\n0,1\n5,-2\n", "writes.csv:3: sd: -2e-09 S is negative"),
        ("target_uS,sd_nS\n-1,1\n5,2\n", "writes.csv:2: target: -1e-06 S is negative"),
        ("target_uS,sd_nS\n0,1\n#\n5,2\n4,2\n", "writes.csv:5: target: not well above the row before; sort the rows"),
        ("target_uS,sd_nS\n0,1\n5,2\n5,3\n", "writes.csv:4: target: the same as the row before"),
        ("target_uS,sd_nS\n0,1\n", "writes.csv: 1 rows; a table to interpolate has 2 to 4096"),
        ("target_uS,sd_nS\n" + "".join(f"{k},1\n" for k in range(5000)), "5000 rows; a table to interpolate has 2"),
        ("target_uS,sd_nS\n" + "0,1\n" * 300_000, "writes.csv: larger than 1 MiB"),
        ("target_uS\n0\n1\n", "writes.csv: no column 'sd_uS' (columns: target_uS); add it"),
        ("target_mV,sd_nS\n0,1\n1,1\n", "writes.csv: column 'target_mV': 'mV' is no unit of S"),
        ("target,sd_nS\n0,1\n1,1\n", "writes.csv: column 'target' should be 'target_uS'"),
        ("target_uS,target_nS,sd_nS\n0,0,1\n1,1,1\n", "columns target_uS and target_nS are both 'target'"),
    ],
)
def test_broken_tables_are_refused_with_file_and_line(folder, table, says):
    (folder / "data/writes.csv").write_text(table)
    with pytest.raises(InputError) as caught:
        load("./mine.yaml")
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].startswith("mine.yaml:3: programming.file: data/writes.csv")
    assert says in caught.value.problems[0]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("file: data/none.csv", "mine.yaml:4: read.file: data/none.csv: no such file"),
        ("file: data", "mine.yaml:4: read.file: data: not a .csv or .npz file"),
        ("file: 5", "mine.yaml:4: read.file: 5 is not a text"),
        ("file: ''", "mine.yaml:4: read.file:"),
        ('file: "a\\0b.csv"', "mine.yaml:4: read.file: the name holds a NUL character"),
        ("file: data/reads.csv, sha256: abc", "mine.yaml:4: read.sha256:"),
        (f"file: data/reads.csv, sha256: {'0' * 64}", "mine.yaml:4: read.sha256:"),
        (f"file: data/reads.csv, sha256: '{'0' * 64}'", "mine.yaml:4: read.sha256: data/reads.csv has changed"),
        ("fle: data/reads.csv", "did you mean 'read.file'?"),
    ],
)
def test_bad_names_and_sums(folder, change, says):
    (folder / "mine.yaml").write_text(PROFILE.replace("file: data/reads.csv", change))
    with pytest.raises(InputError) as caught:
        load("./mine.yaml")
    assert any(says in problem for problem in caught.value.problems), caught.value.problems
