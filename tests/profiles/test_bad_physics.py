"""Impossible physics is refused when a profile is loaded, with file, line and remedy; what only shows later is told."""

from __future__ import annotations

import copy
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch

from neuroanp.errors import InputError, RunError
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles import LAWS, load, loads
from neuroanp.substrates.chip import DeviceChip
from neuroanp.training.configure import configure
from neuroanp.training.launch import launch
from neuroanp.trajectory import Weights, WeightUpdate
from neuroanp.yaml_io import dump, parse
from tests.close import close

GONE = object()
"""Stands for a key that is left out."""

BENCH: dict[str, Any] = {
    "meta": {"name": "bench", "summary": "a bench", "source": "a test", "status": "illustrative"},
    "conductance": {"g_min": "1 uS", "g_max": "25 uS", "coding": "differential"},
    "environment": {"temperature": "300 K"},
    "periphery": {
        "v_read": "0.2 V", "t_read": "250 ns", "amplifier_noise": "20 nA", "bandwidth": "1 MHz",
        "dac": {"bits": 8, "energy": "1 pJ", "noise": "1 mV"},
        "adc": {"bits": 8, "full_scale": "40 uA", "gain_sd": 0.01, "offset_sd": "10 nA"},
    },
    "faults": {"corrupt": 0.1, "corrupt_range": 0.01, "stuck_low": 0.1, "stuck_high": 0.1, "dead_rows": 0.0},
    "array": {
        "weight_range": 4, "write": "serial", "max_rows": 64, "max_columns": 64,
        "wires": {"r_word": "1 ohm", "r_bit": "1 ohm"},
    },
    "energy": {
        "write_voltage": "2 V", "write_time": "100 ns", "line_capacitance": "50 fF", "half_select": 0.5,
        "endurance": 1e6, "endurance_sd": 0.1,
    },
}  # fmt: skip
"""A profile with every section that holds no law."""


@cache
def shipped_section(name: str, section: str) -> dict[str, Any]:
    """One section of a shipped profile as its file would hold it."""
    return parse(load(name).text, name).data[section]


PULSES = {"dw": 0.05, "bound_up": 1, "bound_down": 1, "tolerance": 0.1, "max_pulses": 100, "dw_d2d": 0.1, "c2c": 0.1}
LINEAR = {"law": "linear_step", **PULSES, "gamma_up": 0.1, "gamma_down": 0.5, "noise": "additive"}
EXPONENTIAL = {
    "law": "exponential_step", **PULSES, "A_up": -1.2, "A_down": -0.1, "gamma_up": 5, "gamma_down": 5, "a": -0.5,
    "b": -0.5,
}  # fmt: skip
GAUSSIAN = {"law": "gaussian", "sigma_absolute": "0.1 uS", "sigma_relative": 0.01, "levels": 16, "g_low": "1 uS"}
BAND = {"law": "one_over_f", "f_low": "1 Hz", "f_high": "1 MHz"}
UNIT = {"n_sources": 1, "kappa": 1, "volts_per_unit": "0.3 V"}
OU = {"law": "ornstein_uhlenbeck", "sigma": 0.1, "tau": "10 ms", "n_sources": 1}
RTN = {"law": "rtn", "tau_high": "1 us", "tau_low": "1 us", "amplitude": "10 mV", **UNIT}
RTN_READ = {"law": "rtn", "tau_high": "1 us", "tau_low": "1 us", "amplitude": 0.1, "tau_decades": 2}
LEAK = {
    "law": "leak", "tau": "10 ms", "rest": "5 uS", "activation_energy": "0.5 eV", "reference_temperature": "300 K",
}  # fmt: skip
JUNCTION = {
    "law": "smtj", "dwell": "10 ns", "tau0": "1 ns", "v_slope": "20 mV", "v50": "0.3 V", "exponent": 1, "bias": "0.3 V",
    "reference_temperature": "300 K", "r_p": "7.64 kohm", "tmr": 0.6, "r_load": "10 kohm", "v_dd": "0.6 V", **UNIT,
}  # fmt: skip


def pcm(section: str) -> dict[str, Any]:
    """A section of the pcm profile."""
    return {section: shipped_section("pcm", section)}


def bad(with_: dict[str, Any], key: str, value: Any, says: str, at: str | None = None) -> Any:
    """One row: the sections to add to the bench, a key and what it is set to, what is said of it (or of key `at`)."""
    shown = "left out" if value is GONE else re.sub(r"\W+", "_", str(value))[:20]
    return pytest.param(with_, key, value, says, at or key, id=f"{key}={shown}")


CONDUCTANCE = [
    bad({}, "conductance.g_min", "25 uS", "'25 uS' is not above g_min, '25 uS'; raise g_max", "conductance.g_max"),
    bad({}, "conductance.g_min", "1 mS", "is not above g_min, '1 mS'; raise g_max or lower g_min", "conductance.g_max"),
    bad({}, "conductance.g_min", "-1 uS", "is negative; write a conductance of zero or above"),
    bad({}, "conductance.g_max", "0 S", "'0 S' is not above zero; write e.g. '25 uS'"),
    bad({}, "conductance.g_max", "inf S", "is not a finite number; write e.g."),
]
SIGMAS = [
    bad({"programming": GAUSSIAN}, "programming.sigma_absolute", "-1 nS", "is negative; write"),
    bad({"programming": GAUSSIAN}, "programming.sigma_relative", -0.1, "is not a number of 0 or above"),
    bad({"programming": GAUSSIAN}, "programming.deadband", "-1 uS", "is negative; write"),
    bad({"programming": GAUSSIAN}, "programming.levels", 1, "must be at least 2"),
    bad({"programming": GAUSSIAN}, "programming.g_low", GONE, "add it or drop the other"),
    bad({"programming": GAUSSIAN}, "programming.g_low", "30 uS", "make them equal"),
    bad({"programming": GAUSSIAN}, "programming.pulses", 0, "must be above 0"),
    bad({"programming": GAUSSIAN}, "programming.pulses", 10**12, "must be at most"),
    bad(pcm("programming"), "programming.c0", "-1 uS", "the error is negative", "programming"),
    bad(pcm("programming"), "programming.g_ref", "0 S", "'0 S' is not above zero"),
    bad({"read": {"law": "gaussian", "sigma_absolute": "0 S", "sigma_relative": 0}}, "read.sigma_absolute", "-1 nS",
        "is negative; write"),
    bad({"read": {"law": "gaussian", "sigma_absolute": "0 S", "sigma_relative": 0}}, "read.sigma_relative", -1,
        "is not a number of 0 or above"),
    bad(pcm("read"), "read.q", -0.1, "is not a number of 0 or above"),
    bad(pcm("read"), "read.floor", 0, "is not a number above 0"),
    bad(pcm("read"), "read.t_read", "0 s", "is not above zero"),
    bad(pcm("read"), "read.t_read", "1 us", "make them equal"),
    bad({"read": {**BAND, "relative_psd": 1e-5}}, "read.relative_psd", -1e-5, "is not a number of 0 or above"),
    bad({"read": {**BAND, "relative_psd": 1e-5}}, "read.f_high", "1 Hz", "raise f_high or lower f_low"),
    bad({"read": {**BAND, "relative_psd": 1e-5}}, "read.f_low", "0 Hz", "is not above zero"),
    bad({"read": RTN_READ}, "read.amplitude", 1.5, "is not a fraction between 0 and 1"),
    bad({"read": RTN_READ}, "read.tau_high", "0 s", "is not above zero"),
    bad({"read": RTN_READ}, "read.tau_low", "1 ks", "bring them closer"),
    bad({"read": RTN_READ}, "read.tau_decades", -1, "is not a number of 0 or above"),
    bad({"variability": {"law": "lognormal", "cv": 0.1}}, "variability.cv", -0.1, "is not a number of 0 or above"),
]  # fmt: skip
TIMES = [
    bad(pcm("drift"), "drift.t0", "0 s", "'0 s' is not above zero; write e.g."),
    bad(pcm("drift"), "drift.t0", "-20 s", "'-20 s' is not above zero; write e.g."),
    bad(pcm("drift"), "drift.mu_min", 0.2, "raise it or lower mu_min", "drift.mu_max"),
    bad(pcm("drift"), "drift.s_min", 0.2, "raise it or lower s_min", "drift.s_max"),
    bad(pcm("drift"), "drift.mu_max", -0.1, "is not a number of 0 or above"),
    bad({"drift": LEAK}, "drift.tau", "0 s", "is not above zero"),
    bad({"drift": LEAK}, "drift.tau", "-1 s", "is not above zero"),
    bad({"drift": LEAK}, "drift.rest", "-1 uS", "is negative; write"),
    bad({"drift": LEAK}, "drift.activation_energy", "-1 eV", "is negative; write"),
    bad({"drift": LEAK}, "drift.reference_temperature", GONE, "add it or drop the other"),
    bad({"drift": LEAK}, "drift.reference_temperature", "0 K", "is not above zero"),
    bad({"drift": LEAK}, "environment.temperature", "2 K", "too far from reference_temperature"),
    bad({"stochastic": OU}, "stochastic.tau", "0 s", "is not above zero"),
    bad({"stochastic": OU}, "stochastic.tau", "-1 ms", "is not above zero"),
    bad({"stochastic": OU}, "stochastic.sigma", 0, "is not a number above 0"),
    bad({"stochastic": JUNCTION}, "stochastic.tau0", "0 s", "is not above zero"),
    bad({"stochastic": JUNCTION}, "stochastic.dwell", "0 s", "is not above zero"),
    bad({"stochastic": JUNCTION}, "stochastic.dwell", "1 ns", "there would be no barrier"),
    bad({"stochastic": JUNCTION}, "stochastic.bias", "2 V", "drive it less or check v50"),
    bad({"stochastic": JUNCTION}, "stochastic.tmr", 0, "is not a number above 0"),
    bad({"stochastic": JUNCTION}, "stochastic.r_p", "-1 ohm", "is not above zero"),
    bad({"stochastic": JUNCTION}, "stochastic.exponent", 3, "is not one of 1, 2"),
    bad({"stochastic": JUNCTION}, "stochastic.reference_temperature", "0 K", "is not above zero"),
    bad({"stochastic": JUNCTION}, "environment.temperature", "0.5 K", "never switches"),
    bad({"stochastic": JUNCTION}, "stochastic.delta", 10, "drop one", "stochastic.dwell"),
    bad({"stochastic": RTN}, "stochastic.tau_high", "0 s", "is not above zero"),
    bad({"stochastic": RTN}, "stochastic.tau_low", "-1 s", "is not above zero"),
    bad({"stochastic": RTN}, "stochastic.n_sources", 0, "must be above 0"),
    bad({"stochastic": RTN}, "stochastic.n_sources", 10**12, "must be at most"),
    bad({"stochastic": RTN}, "stochastic.volts_per_unit", "0 V", "is not above zero"),
    bad({"stochastic": {**BAND, "amplitude": "1 mV", **UNIT}}, "stochastic.f_high", "1 mHz", "raise f_high or lower"),
    bad({}, "environment.temperature", "0 K", "'0 K' is not above zero; write e.g. '300 K'"),
    bad({}, "environment.temperature", "-3 K", "is not above zero"),
    bad({}, "environment.temperature", "27 degC", "is not a temperature; write e.g. '300 K'"),
]  # fmt: skip
SHARES = [
    bad({"stochastic": shipped_section("smtj_koenders", "stochastic")}, "stochastic.flip", 1.2,
        "is not a fraction between 0 and 1"),
    bad({"stochastic": shipped_section("smtj_koenders", "stochastic")}, "stochastic.flip", -0.1,
        "is not a fraction between 0 and 1"),
    bad({}, "faults.corrupt", 1.2, "is not a fraction between 0 and 1"),
    bad({}, "faults.corrupt", -0.1, "is not a fraction between 0 and 1"),
    bad({}, "faults.corrupt_range", GONE, "required key is missing: corrupt needs it"),
    bad({}, "faults.corrupt", GONE, "required key is missing: corrupt_range needs it"),
    bad({"conductance": {"g_min": "1 uS", "g_max": "25 uS", "coding": "offset"}}, "faults.corrupt_range", 1.09,
        "'1.09' reaches below a conductance of 0, where no device is; write 1.083 or less"),
    bad({}, "faults.stuck_high", 0.95, "add up to 1.15 of the devices; lower them to 1 or less"),
    bad({}, "faults.dead_rows", 1.5, "is not a fraction between 0 and 1"),
    bad({}, "faults.dead_columns", -0.5, "is not a fraction between 0 and 1"),
    bad({}, "energy.half_select", 1.5, "is not a fraction between 0 and 1"),
    bad({}, "periphery.adc.gain_sd", 1.5, "is not a fraction between 0 and 1"),
    bad({}, "faults.corrupt", "10 %", "a fraction is written 0.25, never per cent"),
]  # fmt: skip
ARRAYS = [
    bad({}, "periphery.adc.bits", 0, "0 must be at least 2"),
    bad({}, "periphery.adc.bits", 1, "1 must be at least 2"),
    bad({}, "periphery.adc.bits", 64, "64 must be at most 24"),
    bad({}, "periphery.adc.bits", 7.5, "is not a whole number"),
    bad({}, "periphery.dac.bits", 0, "0 must be at least 1"),
    bad({}, "periphery.adc.full_scale", "0 A", "is not above zero"),
    bad({}, "periphery.adc.offset_sd", "-1 nA", "is negative; write"),
    bad({}, "periphery.dac.inputs", "bit_serial", "leave it out", "periphery.dac.noise"),
    bad({}, "periphery.dac.noise", "-1 mV", "is negative; write"),
    bad({}, "periphery.amplifier_noise", "-1 nA", "is negative; write"),
    bad({}, "periphery.bandwidth", "0 Hz", "is not above zero"),
    bad({}, "periphery.v_read", "0 V", "is not above zero"),
    bad({}, "periphery.t_read", "0 s", "is not above zero"),
    bad({}, "array.weight_range", 0, "is not a number above 0"),
    bad({}, "array.max_rows", 0, "0 must be at least 1"),
    bad({}, "array.max_columns", -4, "-4 must be at least 1"),
    bad({}, "array.wires.r_word", "-1 ohm", "is negative; write a resistance of zero or above"),
    bad({}, "array.wires.r_bit", "-1 ohm", "is negative; write a resistance of zero or above"),
    bad({}, "energy.write", "1 pJ", "keep one of the two", "energy.write_voltage"),
    bad({}, "energy.write_time", GONE, "add write_time above 0 s", "energy.write_voltage"),
    bad({}, "energy.write_voltage", GONE, "add it or drop this key", "energy.line_capacitance"),
    bad({}, "energy.line_capacitance", "-1 fF", "is negative; write"),
    bad({}, "energy.read", "-1 pJ", "is negative; write"),
    bad({}, "energy.endurance", 0, "is not a number of pulses of 1 or above"),
    bad({}, "energy.endurance", GONE, "add endurance", "energy.endurance_sd"),
    bad({}, "energy.endurance_sd", -1, "is not a number of 0 or above"),
]  # fmt: skip
STEPS = [
    bad({"update": LINEAR}, "update.dw", 0, "is not a number above 0"),
    bad({"update": LINEAR}, "update.dw", 5, "lower dw or widen the bounds"),
    bad({"update": LINEAR}, "update.bound_up", 0, "is not a number above 0"),
    bad({"update": LINEAR}, "update.bound_down", -1, "is not a number above 0"),
    bad({"update": LINEAR}, "update.tolerance", 3, "lower it"),
    bad({"update": LINEAR}, "update.max_pulses", 0, "must be above 0"),
    bad({"update": LINEAR}, "update.max_pulses", 10**12, "must be at most"),
    bad({"update": LINEAR}, "update.c2c", -0.1, "is not a number of 0 or above"),
    bad({"update": LINEAR}, "update.up_down", 1.5, "between -1 and 1"),
    bad({"update": LINEAR}, "update.gamma_up", 1.5, "give the fraction of the step that is lost at the bound"),
    bad({"update": EXPONENTIAL}, "update.gamma_up", 500, "keep it within"),
    bad({"update": EXPONENTIAL}, "update.A_up", 20, "lower it"),
    bad(pcm("update"), "update.refresh_upper", 1.5, "is not a fraction between 0 and 1"),
    bad(pcm("update"), "update.refresh_upper", 0, "a refresh would gain no room; lower it", "update.reset"),
    bad(pcm("update"), "update.reset", 5, "a refresh would gain no room; lower it"),
    bad(pcm("update"), "update.noise", -0.1, "is not a number of 0 or above"),
    bad(pcm("update"), "conductance.coding", "offset", "write 'coding: differential'", "update"),
]  # fmt: skip
STAGES = {
    "programming": {"error": shipped_section("rram_wan", "programming")["error"], "law": "wan"},
    "drift": shipped_section("rram_wan", "drift"),
}
TOTALS = [
    bad({"programming": STAGES["programming"]}, "programming.error.c0", "-9 uS", "negative", "programming.error"),
    bad(STAGES, "drift.middle.time", "0.5 s", "put the times in order"),
    bad(STAGES, "drift.end.time", "0 s", "is not above zero"),
    bad({"drift": STAGES["drift"]}, "drift.end.c0", "0.1 uS", "a total error has that of the write in it", "drift.end"),
    bad(STAGES, "drift.start.c0", "0.4 uS", "make them equal", "drift.start"),
]
UNKNOWN = [bad({}, kind, {"law": "magic"}, f"unknown {kind} law 'magic' (known: ", f"{kind}.law") for kind in LAWS]


def document(with_: dict[str, Any], key: str, value: Any) -> str:
    """The bench with other sections and one key changed, as YAML."""
    content = copy.deepcopy(BENCH | with_)
    *above, last = key.split(".")
    section = content
    for name in above:
        section = section[name]
    if value is GONE:
        del section[last]
    else:
        section[last] = value
    return dump(content)


def line_of(text: str, key: str) -> int:
    """The line of a key, or of the section it is missing from."""
    parts = tuple(key.split("."))
    lines = parse(text, "bad.yaml").lines
    return lines[parts] if parts in lines else lines[parts[:-1]]


@pytest.mark.parametrize(
    "with_",
    [
        {}, pcm("programming"), pcm("read"), pcm("drift"), pcm("update"), STAGES, {"programming": GAUSSIAN},
        {"read": RTN_READ}, {"drift": LEAK}, {"stochastic": JUNCTION}, {"stochastic": RTN}, {"update": LINEAR},
        {"update": EXPONENTIAL}, {"read": {**BAND, "relative_psd": 1e-5}},
    ],
)  # fmt: skip
def test_the_bench_itself_is_possible(with_):
    assert loads(dump(copy.deepcopy(BENCH | with_)), "bench.yaml").name == "bench"


@pytest.mark.parametrize(
    ("with_", "key", "value", "says", "at"),
    CONDUCTANCE + SIGMAS + TIMES + SHARES + ARRAYS + STEPS + TOTALS + UNKNOWN,
)
def test_impossible_physics_is_refused_with_its_line(with_, key, value, says, at):
    text = document(with_, key, value)
    with pytest.raises(InputError) as error:
        loads(text, "bad.yaml")
    problem = next((p for p in error.value.problems if says in p), None)
    assert problem is not None, error.value.problems
    assert problem.startswith(f"bad.yaml:{line_of(text, at)}: {at}: "), problem


# ---- recordings ----

ROWS = [f"{k},{10 + k % 2}" for k in range(200)]
HEAD = "time_us,voltage_mV"
TRACES = {
    "NaN": (
        [HEAD, *ROWS[:50], "50,nan", *ROWS[51:]],
        ":52: voltage_mV: 'nan' is not a finite number; measure it again",
    ),
    "an empty cell": ([HEAD, *ROWS[:50], "50,", *ROWS[51:]], ":52: voltage_mV: an empty cell: a gap; measure it again"),
    "an empty line": ([HEAD, *ROWS[:50], "", *ROWS[50:]], ":52: an empty line between rows: a gap; close or delete it"),
    "missing rows": ([HEAD, *ROWS[:50], *ROWS[60:]], ":52: 11 us after the sample before, others 1 us: a gap; cut the"),
    "time backwards": ([HEAD, *ROWS[:50], "3,10", *ROWS[51:]], ":52: -46 us after the sample before"),
    "a short row": ([HEAD, *ROWS[:50], "50", *ROWS[51:]], ":52: 1 cells where the first line names 2 columns"),
    "words": ([HEAD, *ROWS[:50], "50,high", *ROWS[51:]], ":52: voltage_mV: 'high' is not a finite number; measure"),
    "no names": (ROWS, ":1: the first line must name the columns"),
    "another unit": (["time_us,voltage_mA", *ROWS], ": column 'voltage_mA': 'mA' is no unit of V; e.g."),
    "no voltage": (["time_us,current_nA", *ROWS], ": no column 'voltage_V' (columns: time_us, current_nA); add it"),
    "nothing": ([], ": the file is empty; the first line names the columns"),
    "too few": ([HEAD, *ROWS[:20]], ": 20 samples; a trace needs 100 or more: record it longer"),
    "no noise": ([HEAD, *(f"{k},10" for k in range(200))], ": all samples are 10 mV: there is no noise in it"),
}


def with_trace(folder: Path, lines: list[str]) -> str:
    """A profile, as text, that replays a trace of these lines."""
    (folder / "trace.csv").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return dump(
        BENCH | {"stochastic": {"law": "measured", "file": str(folder / "trace.csv"), "mode": "replay", **UNIT}}
    )


@pytest.mark.parametrize("name", TRACES)
def test_a_trace_with_gaps_is_refused_with_the_lines_of_both_files(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines, says = TRACES[name]
    text = with_trace(tmp_path, lines)
    with pytest.raises(InputError) as error:
        loads(text, "bad.yaml")
    (problem,) = error.value.problems
    assert problem.startswith(f"bad.yaml:{line_of(text, 'stochastic.file')}: stochastic.file: trace.csv{says}"), problem


def test_a_sound_trace_is_taken(tmp_path):
    assert loads(with_trace(tmp_path, [HEAD, *ROWS]), "good.yaml").stochastic is not None


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (["0,0.1", "1,-0.1"], ":3: sd: -1e-07 S is negative; correct it"),
        (["1,0.1", "0,0.1"], ":3: target: not well above the row before; sort the rows"),
        (["0,0.1", "0,0.2"], ":3: target: the same as the row before; sort the rows and merge duplicates"),
        (["0,0.1"], ": 1 rows; a table to interpolate has 2 to"),
        (["0,0.1", "1,nan"], ":3: sd_uS: 'nan' is not a finite number"),
    ],
)
def test_an_impossible_table_is_refused(rows, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("errors.csv").write_text("\n".join(["target_uS,sd_uS", *rows]), encoding="utf-8")
    text = dump(BENCH | {"programming": {"law": "measured", "file": "errors.csv"}})
    with pytest.raises(InputError) as error:
        loads(text, "bad.yaml")
    (problem,) = error.value.problems
    assert problem.startswith(f"bad.yaml:{line_of(text, 'programming.file')}: programming.file: errors.csv{says}"), (
        problem
    )


# ---- what only a run can tell ----


def chip(sections: dict[str, Any], **options: Any) -> DeviceChip:
    """A small chip on an otherwise ideal profile."""
    plain = {name: BENCH[name] for name in ("meta", "conductance")}
    content = plain | {"programming": {"law": "ideal"}, "array": {"weight_range": 2, "write": "serial"}} | sections
    shapes = {"w_in": (3, 2), "w": (3, 3), "w_out": (2, 3)}
    weights = Weights.one_layer({name: torch.full(shape, 0.5, dtype=torch.float64) for name, shape in shapes.items()})
    options = {"dt": 1e-6, "streams": Streams(0), "dtype": torch.float64, **options}
    return DeviceChip.build(loads(dump(content), "bench.yaml"), weights, **options)


@pytest.mark.parametrize("solver", ["exact", "fast"])
def test_a_singular_wire_network_is_told(solver):
    lines = {"weight_range": 2, "write": "serial", "wires": {"r_word": "1e15 ohm", "r_bit": "1e15 ohm"}}
    built = chip(
        {"conductance": {"g_min": "0.1 S", "g_max": "1 S", "coding": "differential"}, "array": lines}, wires=solver
    )
    with pytest.raises(RunError, match=r"numerically singular.*check their units"):
        built.prepare(1e-3, PassStreams(Streams(0), "train", 0))


def test_a_saturated_array_says_how_much_of_it():
    built = chip({})
    w_s = built.arrays["w"].w_s
    change = torch.zeros(3, 3, dtype=torch.float64)
    change[0] = -10.0 * w_s  # one row of three
    report = built.apply(WeightUpdate({"w": change}), 1.0, Streams(0), 0)
    assert report.saturated == close(1 / 3)
    assert built.weights["w"].max() == w_s


def test_a_worn_out_array_says_how_much_of_it():
    built = chip({"energy": {"endurance": 3}})
    for index in range(3):
        change = torch.zeros(3, 3, dtype=torch.float64)
        change[0] = 0.01
        built.apply(WeightUpdate({"w": change}), 1.0, Streams(0), index)
    report = built.ledger.report()
    assert report["wear"] == 4  # the first write and three more
    assert report["wear_fraction"] == close(4 / 3)
    assert built.failed == 3 / (2 * (6 + 9 + 6))  # one row of w, of its pairs the devices that were written


def test_a_run_tells_of_saturation_and_of_exhausted_endurance(tmp_path, caplog):
    content = BENCH | {"programming": {"law": "ideal"}, "energy": {"endurance": 5}}
    content["array"] = {"weight_range": 0.3, "write": "serial"}
    (tmp_path / "weak.yaml").write_text(dump(content), encoding="utf-8")
    config = configure(
        {
            "task": {"name": "copy", "length": 2, "delay": 1, "symbols": 2},
            "profile": str(tmp_path / "weak.yaml"),
            "network": {"hidden": 6},
            "training": {"updates": 12, "batch": 2, "log_every": 1, "controls": False},
        }
    )
    launch(config, tmp_path / "runs")
    said = [record.getMessage() for record in caplog.records]
    for pattern in (
        r"\d+ % of the weights are at the limit of the array's range: .*raise array.weight_range",
        r"endurance is exhausted: \d.* % of the devices have failed",
    ):
        assert any(re.search(pattern, message) for message in said), said
