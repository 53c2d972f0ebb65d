"""What cannot be fitted is refused with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.data import synthesize
from neuroanp.errors import InputError
from neuroanp.fitting import Options, data, fit_file, telegraph
from neuroanp.fitting.data import read_table
from neuroanp.fitting.table import CONDUCTANCE, TIME, VOLTAGE, Column
from tests.fitting.cases import CASES

COLUMNS = [Column("time", (TIME,)), Column("voltage", (VOLTAGE,))]


def read(tmp_path: Path, text: str | bytes, columns: list[Column] | None = None):
    path = tmp_path / "m.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, columns or COLUMNS)


GOOD = "time_us,voltage_mV\n0,1.5\n1,2.5\n2,-3\n"


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD.replace(",", ";"),
        GOOD.replace(",", "\t"),
        GOOD.replace("\n", "\r\n"),
        "\ufeff" + GOOD,
        "# a comment\n\n" + GOOD + "\n# the end\n",
        GOOD.replace("voltage_mV\n", "voltage_mV,other\n").replace("5\n", "5,x\n").replace("-3\n", "-3,y\n"),
        GOOD.replace("0,1.5", '"0","1.5"'),
    ],
)
def test_reads_what_instruments_write(tmp_path: Path, text: str) -> None:
    table = read(tmp_path, text)
    np.testing.assert_allclose(table["time"], [0, 1e-6, 2e-6])
    np.testing.assert_allclose(table["voltage"], [1.5e-3, 2.5e-3, -3e-3])
    assert (table.units["time"], len(table), len(table.digest)) == ("s", 3, 64)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "m.csv: the file is empty"),
        ("# only\n# comments\n", "the file is empty"),
        (GOOD[:25], "1 rows of numbers"),
        (
            GOOD.replace("voltage_mV", "volts"),
            "m.csv:1: no column 'voltage'; did you mean 'volts'? (there are: time_us, volts)",
        ),
        (GOOD.replace("voltage_mV", "votage_mV"), "did you mean 'votage_mV'?"),
        (GOOD.replace("voltage_mV", "voltage"), "m.csv:1: voltage: the name ends in no unit; write e.g. voltage_mV"),
        (GOOD.replace("_mV", "_uS"), "'uS' is not a unit of voltage"),
        (GOOD.replace("time_us", "voltage_mV"), "column 'voltage_mV' is there twice"),
        ("#\n" + GOOD.replace("2.5", "nan"), "m.csv:4: voltage_mV: 'nan' is not a finite number; correct or delete"),
        ("#\n" + GOOD.replace("2.5", "1e400"), "m.csv:4: voltage_mV: 'inf' is not a finite number"),
        (GOOD.replace("2.5", "abc"), "m.csv:3: voltage_mV: 'abc' is not a number"),
        (GOOD.replace("2.5", ""), "m.csv:3: voltage_mV: the field is empty"),
        (GOOD.replace("2.5", "2,5"), "m.csv:3: 3 fields where the header names 2"),
        (GOOD.replace(",2.5", ""), "m.csv:3: 1 fields where the header names 2"),
        (GOOD.encode() + b"3,\xff\n", "m.csv:5: not UTF-8"),
        (GOOD.encode() + b"3,\0\n", "zero bytes"),
    ],
)
def test_says_what_is_wrong_with_a_file_and_where(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)


def test_names_at_most_five_rows(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, "time_s,voltage_V\n" + "x,1\n" * 9)
    assert len(raised.value.problems) == 6
    assert "and 4 more" in raised.value.problems[-1]


def test_refuses_what_is_no_file_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv", COLUMNS)
    with pytest.raises(InputError, match="a directory"):
        read_table(tmp_path, COLUMNS)
    monkeypatch.setattr(data, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="larger than"):
        read(tmp_path, GOOD)


def test_labels_may_be_words(tmp_path: Path) -> None:
    text = "device,g_uS\nb,1\na,2\nb,3\n"
    table = read(tmp_path, text, [Column("device", label=True), Column("conductance", (CONDUCTANCE,), header="g")])
    assert [rows.tolist() for rows in table.groups("device")] == [[0, 2], [1]]
    assert table.label_of("device", 1) == "a"


def fit_text(tmp_path: Path, kind: str, columns: synthesize.Columns, options: Options | None = None):
    path = tmp_path / "m.csv"
    path.write_text(synthesize.as_csv(columns, digits=10))
    return fit_file(path, kind, options)


def drawn(name: str) -> synthesize.Columns:
    return CASES[name].draw(np.random.default_rng(400))


def telegraph_with(**changes) -> synthesize.Columns:
    rng = np.random.default_rng(0)
    made = {"time_us": np.arange(2000.0), "voltage_mV": rng.standard_normal(2000)}
    return {**made, **changes}


WIGGLE = np.sin(np.arange(2000.0) ** 2)


def _shifted(t: np.ndarray, at: int, by: float) -> np.ndarray:
    return np.concatenate([t[:at], t[at:] + by])


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (telegraph_with(), "one level only"),
        (telegraph_with(voltage_mV=np.ones(2000)), "the trace is constant"),
        (telegraph_with(voltage_mV=np.arange(2000) // 7 % 2), "two values only"),
        (telegraph_with(time_us=_shifted(np.arange(2000.0), 500, 3.0)), "m.csv:502: time_us: a gap of 4 us"),
        (telegraph_with(time_us=_shifted(np.arange(2000.0), 500, -3.0)), "m.csv:502: time_us: time does not rise"),
        (telegraph_with(time_us=_shifted(np.arange(2000.0), 500, 0.3)), "not evenly spaced"),
        (
            telegraph_with(voltage_mV=np.where(np.arange(2000) < 900, 0.0, 9.0) + WIGGLE),
            "switches between the levels",
        ),
        (
            telegraph_with(voltage_mV=9.0 * np.random.default_rng(1).integers(0, 2, 2000) + WIGGLE),
            "the dwell is too short",
        ),
    ],
)  # fmt: skip
def test_traces_that_are_no_telegraph_signal(tmp_path: Path, columns: synthesize.Columns, said: str) -> None:
    with pytest.raises(InputError) as raised:
        fit_text(tmp_path, "telegraph", columns)
    assert said in str(raised.value)


def test_koenders_takes_volts_and_one_dwell(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="koenders takes volts"):
        fit_text(tmp_path, "telegraph", drawn("rtn_read"), Options(law="koenders"))
    with pytest.raises(InputError, match="koenders has one dwell for both"):
        fit_text(tmp_path, "telegraph", drawn("rtn"), Options(law="koenders"))


def changed(**columns) -> object:
    """Return a change of a record: columns replaced by functions of it."""
    return lambda c: {**c, **{name: of(c) for name, of in columns.items()}}


def part(rows: slice) -> object:
    """Return a change of a record: some of its rows."""
    return lambda c: {name: values[rows] for name, values in c.items()}


TWICE_UP = changed(direction=lambda c: np.where(c["direction"] == 1, 2, c["direction"]))
COARSE = changed(conductance_uS=lambda c: np.round(c["conductance_uS"], -2) + 5)
WANDERS = changed(target_uS=lambda c: c["target_uS"] * (1 - 1e-6 * c["time_s"]))
RISES = changed(conductance_uS=lambda c: c["conductance_uS"] * (c["time_s"] / 20) ** 0.2)


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("soft_bounds", TWICE_UP, "m.csv:3: direction: 2 is not a direction"),
        ("soft_bounds", part(slice(50)), "device '0' has 0 down pulses; a fit needs 20"),
        ("soft_bounds", changed(conductance_uS=lambda c: np.ones(len(c["device"]))), "it never changes"),
        ("soft_bounds", changed(conductance_uS=lambda c: c["conductance_uS"] - 60), "subtract the offset"),
        ("read_pcm", part(slice(None, None, 20)), "'0' was read 2 times"),
        ("read_pcm", part(slice(80)), "2 devices; the noise against the conductance needs"),
        ("read_pcm", COARSE, "are the same; record with more digits"),
        ("read_pcm", changed(time_s=lambda c: c["time_s"][::-1]), "time does not rise from read to read"),
        ("read_pcm", changed(time_s=lambda c: c["time_s"] - 2000), "a time before programming"),
        ("drift", part(slice(80)), "10 devices; the spread of the exponents needs at least 20"),
        ("drift", changed(time_s=lambda c: c["time_s"] / 1000), "a power law needs 4"),
        ("drift", changed(target_uS=lambda c: 2 * c["target_uS"]), "is above g_max, '25 uS' of profile pcm; state the"),
        ("drift", WANDERS, "needs one target above 0 S"),
        ("drift", RISES, "conductances rise with time"),
        ("programming_pcm", changed(target_uS=lambda c: c["target_uS"] + 1), "is above g_max"),
        ("programming_pcm", changed(target_uS=lambda c: c["target_uS"] - 1), "is below 0 S"),
        ("programming_pcm", changed(actual_uS=lambda c: c["actual_uS"] - 9), "is below 0 S"),
        ("programming_pcm", changed(actual_uS=lambda c: c["target_uS"]), "every write hits its target"),
        ("programming_pcm", part(slice(None, None, 21)), "1 different targets"),
    ],
)
def test_measurements_that_make_no_sense(tmp_path: Path, name: str, change, said: str) -> None:
    with pytest.raises(InputError) as raised:
        fit_text(tmp_path, CASES[name].kind, change(drawn(name)))
    assert said in str(raised.value)
    assert "m.csv" in str(raised.value)


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        ("telegraf", Options(), "unknown kind 'telegraf'; did you mean 'telegraph'?"),
        ("drift", Options(law="wan"), "'wan' does not fit kind drift"),
        ("telegraph", Options(t0=1.0), "--t0: kind telegraph does not take it (only: drift)"),
        ("pulse", Options(g_min=2.0, g_max=1.0), "--g-min is not below --g-max"),
        ("drift", Options(extends="pmc"), "did you mean 'pcm'?"),
    ],
)
def test_options_that_make_no_sense(tmp_path: Path, kind: str, options: Options, said: str) -> None:
    with pytest.raises(InputError) as raised:
        fit_file(tmp_path / "none.csv", kind, options)
    assert said in str(raised.value)


def test_law_pcm_needs_the_times_of_the_reads(tmp_path: Path) -> None:
    columns = drawn("read_gaussian")
    assert any("law pcm" in note for note in fit_text(tmp_path, "read_noise", columns).notes)
    with pytest.raises(InputError, match="no column 'time'"):
        fit_text(tmp_path, "read_noise", columns, Options(law="pcm"))


def test_a_record_too_long_for_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telegraph, "MOST_SAMPLES", 1000)
    with pytest.raises(InputError, match="cut a piece out"):
        fit_text(tmp_path, "telegraph", drawn("rtn"))
