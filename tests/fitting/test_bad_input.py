"""What cannot be fitted is refused with file, line and remedy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.data import synthesize
from neuroanp.errors import InputError
from neuroanp.fitting import Options, fit_file, trace_record
from neuroanp.fitting.data import read_table
from neuroanp.fitting.table import CONDUCTANCE, TIME, VOLTAGE, Column
from neuroanp.tables import source
from tests.fitting.cases import CASES

COLUMNS = [Column("time", (TIME,)), Column("voltage", (VOLTAGE,))]


def read(tmp_path: Path, text: str | bytes, columns: list[Column] | None = None):
    path = tmp_path / "m.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_table(path, columns or COLUMNS)


ROWS, SI_ROWS = "0,1.5\n1,2.5\n2,-3\n", "0,1.5e-3\n1e-6,2.5e-3\n2e-6,-3e-3\n"
"""The same samples in us and mV, and in s and V."""
GOOD = f"time_us,voltage_mV\n{ROWS}"


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
            GOOD.replace("voltage_mV", "volage"),
            "m.csv:1: no column 'voltage'; did you mean 'volage'? (there are: time_us, volage)",
        ),
        (GOOD.replace("voltage_mV", "voltage"), "m.csv:1: voltage: the name ends in no unit; write e.g. voltage_mV"),
        (GOOD.replace("_mV", "_uS"), "'uS' is not a unit of voltage"),
        (GOOD.replace("time_us", "voltage_mV"), "column 'voltage_mV' appears more than once"),
        (
            "#\n" + GOOD.replace("2.5", "nan"),
            "m.csv:4: voltage_mV: 'nan' is not a finite number; correct it, or delete",
        ),
        ("#\n" + GOOD.replace("2.5", "1e400"), "m.csv:4: voltage_mV: '1e400' is not a finite number"),
        (GOOD.replace("2.5", "abc"), "m.csv:3: voltage_mV: 'abc' is not a number"),
        (GOOD.replace("2.5", ""), "m.csv:3: voltage_mV: the cell is empty"),
        (GOOD.replace("2.5", "2,5"), "m.csv:3: 3 cells, but the header names 2"),
        (GOOD.replace(",2.5", ""), "m.csv:3: 1 cells, but the header names 2"),
        (GOOD.encode() + b"3,\xff\n", "m.csv:5: not UTF-8"),
        (GOOD.encode() + b"3,\0\n", "m.csv:5: zero bytes"),
    ],
)
def test_says_what_is_wrong_with_a_file_and_where(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, text)
    assert said in str(raised.value)


def test_rows_are_not_counted_where_no_column_was_found(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, "a,b\n" + "0,1\n" * 300)
    assert [problem.split("m.csv:1: ")[1][:19] for problem in raised.value.problems] == [
        "no column 'time'; a",
        "no column 'voltage'",
    ]


def test_rows_alike_are_named_three_times_and_counted(tmp_path: Path) -> None:
    with pytest.raises(InputError) as raised:
        read(tmp_path, "time_s,voltage_V\n" + "x,1\n" * 9)
    assert len(raised.value.problems) == 4
    assert raised.value.problems[-1].endswith("m.csv: time_s: and 6 more like these")


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Header, units, cells and the number of rows: none of them waits for another to be mended."""
    columns = [*COLUMNS, Column("conductance", (CONDUCTANCE,)), Column("direction")]
    with pytest.raises(InputError) as raised:
        read(tmp_path, "time_mV,voltage_V,direction,I(A)\n0,x,1,1e-6\n1,,1,2e-6\n", columns)
    said = [problem.split("m.csv:")[1] for problem in raised.value.problems]
    assert said == [
        "1: time_mV: 'mV' is not a unit of time; write e.g. time_us",
        "1: I(A): a current; state the voltage it was read at with --v-read, or divide by it, and write conductance_uS",
        "2: voltage_V: 'x' is not a number; correct it, or delete the row",
        "3: voltage_V: the cell is empty; correct it, or delete the row",
    ]


@pytest.mark.parametrize(
    ("header", "rows", "account"),
    [
        ("Time (us),Voltage (mV)", ROWS, "time from 'Time (us)' in us, voltage from 'Voltage (mV)'"),
        ("t [us],V [mV]", ROWS, "voltage from 'V [mV]' in mV"),
        ("time/us;voltage/mV", "0;1,5\n1;2,5\n2;-3\n", "voltage from 'voltage/mV' in mV"),
        ("t, us;V, mV", "0;1,5\n1;2,5\n2;-3,0\n", "time from 't, us' in us"),
        ("time_µs,voltage_mV", ROWS, "time from 'time_µs' in µs"),
        ("# time (us), V (mV)", ROWS, "time from 'time (us)' in us"),
        ("Time,Channel A\n(us),(mV)\n", ROWS, "'Channel A' in mV (the only column in mV)"),
        ("x-axis,1\nsecond,Volt", SI_ROWS, "'1' in V (the only column in V)"),
        (
            "Model,MSO64\nHorizontal Units,s\nSample Interval,1e-6\nVertical Units,V\n\nTIME,CH1",
            SI_ROWS,
            "time from 'TIME' in s, voltage from 'CH1' in V (the only column in V)",
        ),
        (
            "Model,DPO4104\nPoint Format,Y\nHorizontal Units,S\nHorizontal Scale,4e-5\nVertical Units,V\n\nTIME,CH1",
            SI_ROWS,
            "time from 'TIME' in s, voltage from 'CH1' in V (the only column in V)",
        ),
        ("TIME,CH1\nS,V", SI_ROWS, "time from 'TIME' in s"),
        ("TIME (S)|CH1 (V)", "0|1.5e-3\n1e-6|2.5e-3\n2e-6|-3e-3\n", "time from 'TIME (S)' in s"),
        ("T (K),t (us),V (mV)", "280,0,1.5\n281,1,2.5\n280,2,-3\n", "time from 't (us)' in us"),
        (
            "#Digilent WaveForms\n#Sample rate: 1e+06Hz\n\nTime (s),Channel 1 (V)",
            SI_ROWS,
            "voltage from 'Channel 1 (V)' in V (the only column in V)",
        ),
        ("time_us   voltage_mV   other", "  0  1.5  a\n  1  2.5  b\n  2   -3  c\n", "left alone: other"),
    ],
)  # fmt: skip
def test_headers_of_instruments(tmp_path: Path, header: str, rows: str, account: str) -> None:
    table = read(tmp_path, f"{header}\n{rows}")
    np.testing.assert_allclose(table["time"], [0, 1e-6, 2e-6], atol=0)
    np.testing.assert_allclose(table["voltage"], [1.5e-3, 2.5e-3, -3e-3])
    assert account in "\n".join(table.account)


def test_several_columns_that_could_be_it_are_named(tmp_path: Path) -> None:
    text = "Time (s),CH1 (V),CH2 (V)\n0,1,2\n1,2,3\n2,1,2\n"
    with pytest.raises(InputError, match=r"several that could be it: CH1 \(V\), CH2 \(V\); name one with --column"):
        read(tmp_path, text)
    for name in ("CH2 (V)", "CH2", "ch2"):
        table = read(tmp_path, text, [COLUMNS[0], Column("voltage", (VOLTAGE,), header=name)])
        assert table["voltage"].tolist() == [2, 3, 2]


def test_a_column_that_is_named_is_no_candidate_for_another(tmp_path: Path) -> None:
    """A time in siemens is a mistake, and no conductance or voltage."""
    wanted = [COLUMNS[0], Column("conductance", (CONDUCTANCE,))]
    with pytest.raises(InputError) as raised:
        read(tmp_path, "time_uS,a,b\n0,1,2\n1,2,3\n", wanted)
    assert [problem.split("m.csv:1: ")[1][:28] for problem in raised.value.problems] == [
        "time_uS: 'uS' is not a unit ",
        "no column 'conductance'; add",
    ]


def test_a_resistance_is_read_as_its_inverse(tmp_path: Path) -> None:
    wanted = [Column("conductance", (CONDUCTANCE,))]
    table = read(tmp_path, "R (kOhm)\n10\n20\n25\n", wanted)
    np.testing.assert_allclose(table["conductance"], [1e-4, 5e-5, 4e-5])
    assert "conductance from 'R (kOhm)' in kOhm, as its inverse" in table.account[1]
    with pytest.raises(InputError, match=r"m.csv:3: .*a resistance of 0 has no conductance"):
        read(tmp_path, "R (kOhm)\n10\n0\n25\n", wanted)


def test_a_code_for_missing_values_is_refused_until_it_is_settled(tmp_path: Path) -> None:
    text = "time_s,voltage_V\n" + "".join(f"{k},{9.91e37 if k % 7 == 3 else k % 5 / 10}\n" for k in range(40))
    with pytest.raises(InputError, match=r"m.csv:5: voltage_V: 9.91e\+37 in 6 rows, far outside .*--missing=9.91e\+37"):
        read(tmp_path, text)
    path = tmp_path / "m.csv"
    assert len(read_table(path, COLUMNS, missing=())) == 40
    table = read_table(path, COLUMNS, missing=(9.91e37,))
    assert len(table) == 34
    assert table["voltage"].max() == 0.4
    assert table.lines[3] == 6
    assert table.account[-1] == "6 rows left out: missing values"


def test_refuses_what_is_no_file_or_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_table(tmp_path / "none.csv", COLUMNS)
    with pytest.raises(InputError, match="a folder"):
        read_table(tmp_path, COLUMNS)
    monkeypatch.setattr(source, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="more than the"):
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
    monkeypatch.setattr(trace_record, "MOST_SAMPLES", 1000)
    with pytest.raises(InputError, match="cut a piece out"):
        fit_text(tmp_path, "telegraph", drawn("rtn"))
