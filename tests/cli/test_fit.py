"""profiles fit: what it prints and writes, and that it writes nothing where it fails."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from examples.data import synthesize
from neuroanp.cli import fit as command
from neuroanp.fitting import Options, fit_files
from neuroanp.profiles import load
from neuroanp.records import atomic
from tests.close import close

DATA = Path(synthesize.__file__).parent


@pytest.fixture
def fit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """Call `profiles fit` in a folder of its own."""
    app = typer.Typer()
    app.command(epilog=command.EPILOG)(command.fit)
    monkeypatch.setenv("COLUMNS", "110")
    monkeypatch.chdir(tmp_path)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


TRACE = (DATA / "telegraph.csv", "--kind", "telegraph")


def test_writes_a_profile_and_a_figure_and_says_where(fit, tmp_path: Path) -> None:
    done = fit(*TRACE, "--name", "my_mtj")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["my_mtj.png", "my_mtj.yaml"]
    profile = load(tmp_path / "my_mtj.yaml")
    assert profile.name == "my_mtj"
    assert profile.stochastic.tau_high == close(12e-6, rel=0.3)
    for said in (
        "stochastic.tau_high", "95 % interval", "goodness of fit: Kolmogorov-Smirnov", "profile: my_mtj.yaml",
        "the rest as in smtj_koenders", "figure: my_mtj.png", "next: neuroanp profiles show my_mtj.yaml",
    ):  # fmt: skip
        assert said in done.stdout
    assert max(len(line) for line in done.stdout.splitlines() if not line.startswith("note: ")) <= 160
    assert "300 mV for a pre-activation of 1, is as in profile smtj_koenders" in " ".join(done.stdout.split())


def test_json_holds_everything(fit) -> None:
    done = fit(*TRACE, "-o", "out.yaml", "--no-figure", "--json", "--law", "koenders", "--anyway")
    (found,) = json.loads(done.stdout)["results"]
    assert (found["profile"], found["law"], found["figure"], found["extends"]) == (
        "out", "koenders", None, "smtj_koenders",
    )  # fmt: skip
    by_key = {row["parameter"]: row for row in found["parameters"]}
    mean = by_key["stochastic.mean"]
    assert mean["low"] < mean["value"] < mean["high"]
    assert (mean["unit"], mean["in_profile"], by_key["dwell"]["in_profile"]) == ("V", True, False)
    assert len(found["data"]["sha256"]) == 64
    assert "koenders has one dwell for both" in found["doubts"][0]
    assert all({"test", "value", "p"} == set(test) for test in found["goodness"])


def test_options_reach_the_fit(fit, tmp_path: Path) -> None:
    done = fit(
        DATA / "drift.csv", "--kind", "drift", "--t0", "40 s", "--g-max", "50 uS", "--column", "conductance_uS",
        "--extends", "pcm", "--whole", "-o", "d.yaml", "--figure", "other.svg",
    )  # fmt: skip
    assert done.exit_code == 0, done.stderr
    profile = load(tmp_path / "d.yaml")
    assert (profile.drift.t0, profile.conductance.g_max) == (40.0, 50e-6)
    assert "extends" not in (tmp_path / "d.yaml").read_text().replace("# ", "").split("meta:")[0]
    assert b"<svg" in (tmp_path / "other.svg").read_bytes()
    assert "reads before t0 are left out" in done.stdout


def test_replaces_nothing_without_force(fit, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("mine")
    refused = fit(*TRACE, "-o", "mine.yaml")
    assert refused.exit_code == 2
    assert "mine.yaml: exists; replace it with --force" in refused.stderr
    assert (tmp_path / "mine.yaml").read_text() == "mine"
    assert fit(*TRACE, "-o", "mine.yaml", "--force").exit_code == 0
    assert load(tmp_path / "mine.yaml").name == "mine"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["none.csv", "--kind", "drift"], "none.csv: no such file"),
        ([*TRACE, "--name", "n" * 5000], "a file name of 5,005 bytes; 200 are allowed"),
        ([*TRACE, "--name", "n" * 5000, "-o", "a.yaml"], "--name: 5,000 bytes; a profile's name has 200 at most"),
        ([*TRACE, "-o", "n" * 300 + ".yaml"], "a file name of 305 bytes"),
        ([*TRACE, "--law", "koenders"], "koenders has one dwell for both"),
        ([*TRACE, "--law", "koenders"], "take it --anyway"),
        ([*TRACE, "--law", "wan"], "does not fit kind telegraph"),
        ([*TRACE, "--column", "current_mA"], "no column 'current_mA'"),
        ([*TRACE, "--extends", "pmc"], "did you mean 'pcm'?"),
        ([*TRACE, "--t0", "20 s"], "kind telegraph does not take it"),
        ([DATA / "drift.csv", "--kind", "drift", "--t0", "20 mV"], "--t0: '20 mV' is not a time; write e.g. '250 ns'"),
        ([*TRACE, "--name", "no name"], "is not a name"),
        ([*TRACE, "-o", "a/b.yaml"], "a: no such directory"),
        ([*TRACE, "-o", "a.txt"], "a profile ends in .yaml"),
        ([*TRACE, "--figure", "a.gif"], "a figure ends in .png or .svg"),
        ([*TRACE, "--figure", "a.png", "--no-figure"], "contradict each other"),
        ([DATA / "drift.csv", "--kind", "telegraph"], "drift.csv:12: time_s: time does not rise here"),
    ],
)
def test_bad_usage_ends_with_code_2_and_leaves_nothing(fit, tmp_path: Path, words: list, said: str) -> None:
    ended = fit(*words)
    assert ended.exit_code == 2
    assert said in ended.stderr
    assert ended.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_a_law_that_does_not_describe_its_data_is_marked_in_the_file(fit, tmp_path: Path) -> None:
    done = fit(*TRACE, "--law", "koenders", "--name", "mine", "--anyway")
    assert done.exit_code == 0, done.stderr
    assert "the law does not describe these data: the high level lasts" in done.stdout
    text = (tmp_path / "mine.yaml").read_text()
    assert text.startswith("# DOES NOT DESCRIBE ITS DATA: the high level lasts")
    profile = load(tmp_path / "mine.yaml")
    assert profile.meta.status == profile.provenance["stochastic.flip"].status == "illustrative"
    assert "which it does not describe" in profile.meta.summary


@pytest.mark.parametrize("old", [None, b"old"])
def test_a_full_disk_leaves_both_files_as_they_were(
    fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bytes | None
) -> None:
    if old is not None:
        for name in ("mine.yaml", "mine.png"):
            (tmp_path / name).write_bytes(old)
    write = atomic.write_bytes

    def full(path: Path, content: bytes) -> None:
        if path.suffix == ".png" and content != old:
            raise OSError(28, "No space left on device")
        write(path, content)

    monkeypatch.setattr(atomic, "write_bytes", full)
    assert fit(*TRACE, "--name", "mine", "--force").exit_code == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == (
        {} if old is None else {"mine.yaml": old, "mine.png": old}
    )


def test_never_writes_over_the_measurements(fit, tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_bytes((DATA / "telegraph.csv").read_bytes())
    refused = fit("data.yaml", "--kind", "telegraph", "-o", "data.yaml", "--force")
    assert refused.exit_code == 2
    assert "holds the measurements" in refused.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((*TRACE, "--v-read", "0.2 V"), "telegraph.csv has no currents"),
        ((DATA / "pulse.csv", "--v-read", "0.2 V"), "pulse.csv has no currents"),
        (
            (DATA / "programming.csv", "--volts-per-unit", "0.1 V"),
            "--volts-per-unit: kind programming does not take it",
        ),
        (
            (DATA / "pulse.csv", f"read_noise:{DATA / 'read_noise.csv'}", "--v-read", "0.2 V"),
            "--v-read: no file here has currents",
        ),
        (
            (DATA / "pulse.csv", f"read_noise:{DATA / 'read_noise.csv'}", "--volts-per-unit", "0.1 V"),
            "--volts-per-unit: no file here",
        ),
    ],
)
def test_an_option_that_nothing_makes_use_of_is_refused(fit, tmp_path: Path, words: tuple, said: str) -> None:
    done = fit(*words)
    assert done.exit_code == 2
    assert said in " ".join(done.stderr.split())
    assert "leave it out" in " ".join(done.stderr.split())
    assert not [*tmp_path.iterdir()]


def test_a_trace_of_a_conductance_drives_no_unit(fit, tmp_path: Path) -> None:
    lines = (DATA / "telegraph.csv").read_text().replace("voltage_mV", "conductance_uS")
    (tmp_path / "g.csv").write_text(lines)
    done = fit("g.csv", "--kind", "telegraph", "--volts-per-unit", "0.1 V")
    assert done.exit_code == 2
    assert "--volts-per-unit: g.csv has no voltages that would drive a unit" in " ".join(done.stderr.split())


def test_options_go_to_the_file_that_makes_use_of_them(tmp_path: Path) -> None:
    """Of pulses as currents and a trace of volts, the first alone are read at a voltage, the second drives a unit."""
    text = (DATA / "pulse.csv").read_text()
    assert "conductance_uS" in text
    (tmp_path / "pulse.csv").write_text(text.replace("conductance_uS", "current_uA"))
    told = Options(v_read=1.0, volts_per_unit=0.1, anyway=True)  # 1 V: microamperes are microsiemens
    files = [tmp_path / "pulse.csv", f"telegraph:{DATA / 'telegraph.csv'}"]
    plain = [DATA / "pulse.csv", files[1]]
    of_currents, of_conductances = fit_files(files, told), fit_files(plain, Options(volts_per_unit=0.1, anyway=True))
    for one, other in zip(of_currents, of_conductances, strict=True):
        assert [p.value for p in one.parameters] == close([p.value for p in other.parameters], rel=1e-9)
