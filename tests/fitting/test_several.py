"""One profile of several files: kinds told by columns, one range, numbers the same in siemens; currents."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from examples.data import synthesize
from neuroanp.cli import fit as command
from neuroanp.devices.pcm import PcmRead
from neuroanp.devices.protocol import Span
from neuroanp.devices.pulsed import PulsedLaw
from neuroanp.errors import InputError
from neuroanp.fitting import Options, fit_file, fit_files, kind_of, profile_text, pulse
from neuroanp.fitting.data import read_table
from neuroanp.profiles import load, loads
from tests.close import close

DATA = Path(synthesize.__file__).parent
SPAN = Span(2e-6, 12e-6)
V_READ = 0.2
PCM = load("pcm")
STEPS = load("ecram").update.model_copy(update={"dw": 0.03})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a record of pulses, as currents, and of reads that go higher than the pulses do."""
    place, rng = tmp_path_factory.mktemp("several"), np.random.default_rng(8)
    pulses = synthesize.pulse(STEPS, 1, 2, 90, SPAN, rng)
    reads = synthesize.read_noise(PCM.read, 15e-6, 20, 40, 1000.0, 1e-3, rng)
    (place / "conductances.csv").write_text(synthesize.as_csv(pulses, digits=9))
    pulses["current_nA"] = 1e3 * V_READ * pulses.pop("conductance_uS")
    (place / "pulses.csv").write_text(synthesize.as_csv(pulses, digits=9))
    (place / "reads.csv").write_text(synthesize.as_csv(reads, digits=9))
    return place


@pytest.fixture(scope="module")
def fits(folder: Path) -> list:
    options = Options(v_read=V_READ, anyway=True)
    return fit_files([f"pulse:{folder / 'pulses.csv'}", f"read_noise:{folder / 'reads.csv'}"], options)


def test_both_sections_stand_in_one_profile_with_one_range(folder: Path, fits: list) -> None:
    profile = loads(profile_text(fits, "mine", "2026-02-03"))
    alone = fit_file(folder / "conductances.csv", "pulse", Options(anyway=True))
    low, high = (np.loadtxt(folder / "conductances.csv", delimiter=",", skiprows=1)[:, 2].min(),
                 np.loadtxt(folder / "reads.csv", delimiter=",", skiprows=1)[:, 2].max())  # fmt: skip
    assert (1e6 * profile.conductance.g_min, 1e6 * profile.conductance.g_max) == close((low, high), rel=1e-5)
    assert profile.provenance["conductance.g_min"] == ("measured", "the smallest conductance of pulses.csv")
    assert profile.provenance["conductance.g_max"].source == "the largest conductance of reads.csv"
    assert isinstance(profile.update, PulsedLaw)
    assert isinstance(profile.read, PcmRead)
    assert "read fitted to reads.csv" in profile.meta.summary
    assert profile.provenance["read.q"].source.startswith("fitted to reads.csv")
    # in siemens a step is what it was with the range of the pulses alone; at the middle of that narrower range
    there = {choice.key: choice.value for choice in alone.choices}
    narrow = Span(*(float(str(there[f"conductance.g_{end}"]).split()[0]) * 1e-6 for end in ("min", "max")))
    wide, law = Span(profile.conductance.g_min, profile.conductance.g_max), profile.update
    w = 2 * (narrow.middle - wide.middle) / wide.width
    up = law.dw * (1 + min(0.0, law.up_down))
    assert up * (1 - law.gamma_up * w / law.bound_up) * wide.width == close(  # pyright: ignore
        alone["dw"].value * (1 + min(0.0, alone["up_down"].value)) * narrow.width, rel=0.02
    )


def test_currents_over_the_read_voltage_are_conductances(folder: Path) -> None:
    columns = pulse.columns(Options())
    of_g = read_table(folder / "conductances.csv", columns)
    of_i = read_table(folder / "pulses.csv", columns, v_read=V_READ)
    assert of_i["conductance"].tolist() == close(of_g["conductance"].tolist(), rel=1e-6)
    assert any("current_nA' in nA, over 200 mV" in line for line in of_i.account)
    with pytest.raises(InputError, match="a current; state the voltage it was read at with --v-read"):
        fit_file(folder / "pulses.csv", "pulse")


@pytest.mark.parametrize("kind", ["telegraph", "pulse", "drift", "programming"])
def test_columns_tell_the_kind(kind: str) -> None:
    assert kind_of(DATA / f"{kind}.csv") == kind


def test_columns_that_tell_two_kinds_or_none_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"same columns; write read_noise:\S+ or drift:\S+, or give --kind"):
        kind_of(DATA / "read_noise.csv")
    (tmp_path / "a.csv").write_text("a,b\n1,2\n2,3\n")
    with pytest.raises(InputError, match="its columns tell no kind of measurement"):
        kind_of(tmp_path / "a.csv")
    (tmp_path / "b.csv").write_text("device,conductance_uS\n1,2\n1,3\n")
    assert kind_of(tmp_path / "b.csv") == "read_noise"
    (tmp_path / "c.csv").write_text("device,direction,I_nA\n1,0,2\n1,1,3\n")
    assert kind_of(tmp_path / "c.csv") == "pulse"


@pytest.mark.parametrize(
    ("files", "options", "says"),
    [
        (["pulse.csv", "pulse:pulse.csv"], Options(), "pulse.csv and pulse.csv are all of kind pulse"),
        (["pulse.csv", "drift.csv"], Options(column="g"), "--column names a column of one file"),
        (["pulse.csv", "drift.csv"], Options(law="wan"), "--law: 'wan' fits none of the kinds here"),
        (["pulse.csv", "programming.csv"], Options(t0=20.0), "--t0: no file here takes it (only: drift)"),
    ],
)
def test_what_fits_no_file_is_refused(files: list[str], options: Options, says: str, monkeypatch) -> None:
    monkeypatch.chdir(DATA)
    with pytest.raises(InputError) as caught:
        fit_files(files, options)
    assert says in str(caught.value)


def test_a_range_that_no_pulse_is_in_the_middle_of_is_refused(folder: Path, tmp_path: Path) -> None:
    reads = synthesize.read_noise(PCM.read, 40e-6, 20, 10, 1000.0, 1e-3, np.random.default_rng(0))
    (tmp_path / "high.csv").write_text(synthesize.as_csv(reads))
    with pytest.raises(InputError, match=r"high.csv reaches \S+ uS, and the pulses of conductances.csv go from"):
        fit_files([folder / "conductances.csv", f"read_noise:{tmp_path / 'high.csv'}"])


def test_a_misspelt_kind_is_told() -> None:
    with pytest.raises(InputError, match="unknown kind 'puls'; did you mean 'pulse'"):
        fit_files(["puls:a.csv"])


def test_the_command_writes_one_profile_and_a_figure_of_each(folder: Path, tmp_path: Path, monkeypatch) -> None:
    app = typer.Typer()
    app.command()(command.fit)
    monkeypatch.chdir(tmp_path)
    words = [f"pulse:{folder / 'pulses.csv'}", f"read_noise:{folder / 'reads.csv'}", "--v-read", "200 mV", "--anyway"]
    done = CliRunner().invoke(app, [*words, "-o", "mine.yaml", "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["results"]
    assert [(row["kind"], row["section"], row["figure"]) for row in found] == [
        ("pulse", "update", "mine-pulse.png"), ("read_noise", "read", "mine-read_noise.png"),
    ]  # fmt: skip
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine-pulse.png", "mine-read_noise.png", "mine.yaml"]
    assert load(tmp_path / "mine.yaml").read is not None
    again = CliRunner().invoke(app, [*words, "-o", "other.yaml", "--figure", "mine.png"])
    assert again.exit_code == 2
    assert "mine-pulse.png: exists; replace it with --force" in again.stderr
    assert not (tmp_path / "other.yaml").exists()
