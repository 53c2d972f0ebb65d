"""RTL: Icarus Verilog runs the generated core line for line with the integer model, and notices what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.backends.neuron import LIF, Reset
from neuroanp.errors import InputError
from neuroanp.export.fixed_point import fixed_point
from neuroanp.export.model import Model, reference
from neuroanp.export.rtl import Rtl
from neuroanp.export.whole_numbers import Bits
from tests.export.rtl_networks import NETWORKS

icarus = pytest.mark.skipif(
    not (shutil.which("iverilog") and shutil.which("vvp")),
    reason="Icarus Verilog is missing: apt-get install iverilog",
)
OPTIONS = {"single": {"state_bits": 40, "weight_bits": 16, "decay_bits": 16, "input_bits": 2}}


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Return a function that exports a network of NETWORKS once and compiles it."""
    from tests.export.conftest import network

    done = {}

    def get(name: str):
        if name not in done:
            folder = tmp_path_factory.mktemp(name)
            exported = Rtl(**OPTIONS.get(name, {})).export(network(**NETWORKS[name]), folder)
            build, _ = commands()
            warnings = subprocess.run(build, shell=True, cwd=folder, capture_output=True, text=True, check=False)
            assert (warnings.returncode, warnings.stdout, warnings.stderr) == (0, "", "")
            done[name] = folder, exported
        return done[name]

    return get


def commands() -> list[str]:
    return ["iverilog -g2005-sv -Wall -o lif.vvp testbench.v lif_core.v", "vvp -n lif.vvp"]


def simulate(folder: Path) -> tuple[int, str]:
    run = subprocess.run(commands()[1], shell=True, cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return run.returncode, run.stdout + run.stderr


@icarus
@pytest.mark.parametrize("name", NETWORKS)
def test_icarus_runs_the_core_line_for_line(compiled, name):
    folder, exported = compiled(name)
    expected = (folder / "expected.txt").read_text().splitlines()
    code, said = simulate(folder)
    assert (code, said.strip()) == (0, f"PASS: {len(expected)} lines equal")
    assert (folder / "observed.txt").read_text().splitlines() == expected
    s = exported.traces.s
    assert len(expected) == s.shape[0] * s.shape[1] == exported.facts["simulated_steps"] * 2
    assert s.sum() > 20  # silence proves nothing
    assert not s.all()


def lines_changed(change):
    def edit(text: str) -> str:
        lines = text.splitlines()
        return "\n".join(change(lines)) + "\n"

    return edit


def word_flipped(index: int, bit: int = 0):
    """Flip one bit of a word of a memory file (a comment stands first)."""

    def change(lines):
        word = lines[index + 1]
        return [*lines[: index + 1], f"{int(word, 16) ^ (1 << bit):0{len(word)}x}", *lines[index + 2 :]]

    return lines_changed(change)


def last_output_plus(amount: int):
    def change(lines):
        *before, last = lines[-1].split()
        return [*lines[:-1], " ".join([*before, str(int(last) + amount)])]

    return lines_changed(change)


@pytest.mark.slow
@icarus
@pytest.mark.parametrize(
    ("file", "edit"),
    [
        ("decays.mem", word_flipped(0)),
        ("decays.mem", word_flipped(4)),
        ("constants_y.mem", word_flipped(0)),
        ("thresholds.mem", word_flipped(3, bit=20)),
        ("w.mem", lines_changed(lambda lines: lines[:-1])),
        ("w_out.mem", lines_changed(lambda lines: [lines[0], *("01" for _ in lines[1:])])),
        ("stimulus.mem", lines_changed(lambda lines: [lines[0], lines[-1], *lines[1:-1]])),  # one step late
        ("expected.txt", last_output_plus(1)),
        ("expected.txt", last_output_plus(1 << 32)),  # the same 32 bits
        ("expected.txt", lines_changed(lambda lines: [f"1{lines[0][1:]}", *lines[1:]])),
        ("expected.txt", lines_changed(lambda lines: lines[:-1])),
        ("expected.txt", lines_changed(lambda lines: [*lines, lines[-1]])),
        ("expected.txt", lambda text: ""),
    ],
)
def test_a_wrong_word_or_line_fails(compiled, tmp_path, file, edit):
    folder, _ = compiled("currents")
    wrong = tmp_path / "wrong"
    shutil.copytree(folder, wrong)
    before = (wrong / file).read_text()
    (wrong / file).write_text(edit(before))
    assert (wrong / file).read_text() != before
    code, said = simulate(wrong)
    assert code == 1, said
    assert "FAIL" in said
    assert "PASS" not in said


def words(folder: Path, name: str, bits: int) -> list[int]:
    """Read a memory file by hand: two's complement."""
    raw = [int(line, 16) for line in (folder / f"{name}.mem").read_text().splitlines() if not line.startswith("//")]
    return [word - (1 << bits) if word >> (bits - 1) else word for word in raw]


def by_hand(folder: Path, model: Model, rtl: Rtl, shifts: tuple[int, int, int]) -> str:
    """Run the memory files with Python's unlimited whole numbers, one unit at a time; floor division."""
    (lines, units, outs), neuron, one = model.sizes, model.neuron, 2**rtl.decay_bits
    assert neuron is not None
    a_m, k_i, k_e, a_s, a_r = words(folder, "decays", rtl.decay_bits + 2)
    w_in, w, w_out = (words(folder, name, rtl.weight_bits) for name in ("w_in", "w", "w_out"))
    c_v, c_i, c_y, threshold = (
        words(folder, name, rtl.state_bits) for name in ("constants_v", "constants_i", "constants_y", "thresholds")
    )
    width = 1 if model.spikes_in else rtl.input_bits
    stimulus = [int(x, 16) for x in (folder / "stimulus.mem").read_text().splitlines() if not x.startswith("//")]
    text = ""
    for number, word in enumerate(stimulus):
        if number % len(model.inputs) == 0:
            v, i, free, y, fired = [0] * units, [0] * units, [0] * units, [0] * outs, []
        u = [(word >> width * k) % 2**width for k in range(lines)]
        if not model.spikes_in:
            u = [x - 2**width if x >= 2 ** (width - 1) else x for x in u]
        late, fired = fired if neuron.reset.endswith("delayed") else [], []
        after = {n: lambda x, n=n: x - threshold[n] if neuron.reset.startswith("subtract") else 0 for n in range(units)}
        for n in range(units):
            times = 2 if neuron.reset == "subtract_raised" and v[n] > threshold[n] else 1
            drive = sum(w_in[k * units + n] * u[k] for k in range(lines)) * 2 ** shifts[0]
            if number >= free[n]:
                v[n] = (a_m * v[n] + k_i * i[n] + (0 if model.spikes_in else k_e * drive)) // one + c_v[n]
            if n in late:
                v[n] = after[n](v[n])
            if number >= free[n] and v[n] > times * threshold[n]:
                fired.append(n)
                v[n] = v[n] if neuron.reset.endswith("delayed") else after[n](v[n])
                free[n] = number + round(neuron.refractory / model.dt)
            i[n] = a_s * i[n] // one + c_i[n] + (drive if model.spikes_in else 0)
        for n in range(units):
            i[n] += sum(w[k * units + n] for k in fired) * 2 ** shifts[1]
        for o in range(outs):
            y[o] = a_r * y[o] // one + c_y[o] + sum(w_out[k * outs + o] for k in fired) * 2 ** shifts[2]
        assert all(abs(x) < 2 ** (rtl.state_bits - 1) for x in (*v, *i, *y))
        mask = sum(1 << n for n in fired)
        text += " ".join([f"{mask:0{-(-units // 4)}x}", *map(str, y)]) + "\n"
    return text


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    sizes=st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 3)),
    seed=st.integers(0, 2**16),
    bias=st.booleans(),
    spikes_in=st.booleans(),
    neuron=st.builds(
        LIF,
        input_gain=st.sampled_from([1.0, 7.3, 40.0]),
        tau_s=st.sampled_from([0.0, 5e-3, 20e-3]),
        refractory=st.sampled_from([0.0, 1e-3, 2e-3, 5e-3]),
        reset=st.sampled_from(get_args(Reset)),
        decoder=st.sampled_from(["trace", "count"]),
        integration=st.sampled_from(["exact", "euler"]),
        drive=st.sampled_from([-0.5, 0.6, 2.0]),
    ),
    rtl=st.builds(
        Rtl,
        weight_bits=st.integers(2, 12),
        state_bits=st.integers(30, 40),
        decay_bits=st.integers(6, 16),
        input_bits=st.integers(2, 8),
    ),
)
def test_the_integer_model_is_what_the_files_say(sizes, seed, bias, spikes_in, neuron, rtl):
    from tests.export.conftest import network

    model = network(sizes, seed=seed, steps=40, bias=bias, spikes_in=spikes_in, neuron=neuron)
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            rtl.export(model, folder)
        except InputError:
            assert not any(folder.iterdir())
            return
        core = (folder / "lif_core.v").read_text()
        found = dict(re.findall(r"localparam (\w*SHIFT) = (\d+);", core))
        shifts = int(found["IN_SHIFT"]), int(found["SHIFT"]), int(found["OUT_SHIFT"])
        assert by_hand(folder, model, rtl, shifts) == (folder / "expected.txt").read_text()


class Rounded(Model):
    """A network with other factors; what drives its outputs' bias stays that of the exact one, as in the constants."""

    readout_decay = property(lambda self: self.__dict__["a_r"])
    output_line = property(lambda self: self.__dict__["out_line"])


def rounded(model: Model, fixed, exported) -> Rounded:
    """Return the network of held weights, held factors and rounded inputs, still in float64."""
    held = {name: value for name, (_, value) in exported.decays.items()}
    u, W = fixed.inputs(model.inputs) / fixed.input_scale, dict(exported.held)
    if fixed.currents:  # k_e is rounded for inputs alone; drive and bias are constants
        u = u * held["k_e"] / float(model.step.k_e[0])
    fields = {**model.__dict__, "weights": W, "inputs": u}
    same = Rounded(**{name: fields[name] for name in Model.__dataclass_fields__})
    parts = {name: 0 * model.step.a_m + held[name] for name in ("a_m", "k_i", "a_s")}
    steps = {"hidden": model.step._replace(**parts)}
    same.__dict__.update(steps=steps, a_r=held["a_r"], out_line=model.output_line)
    return same


@pytest.mark.parametrize("name", ["currents", "spikes", "counts"])
def test_states_are_those_of_the_rounded_network(make_network, tmp_path, name):
    model = make_network(**NETWORKS[name])
    exported = Rtl(state_bits=40).export(model, tmp_path)
    same = rounded(model, fixed_point(model, Bits(state=40)), exported)
    want, got = reference(same), exported.traces
    assert np.abs(want.v - 1.0).min() > 1e-4
    np.testing.assert_array_equal(got.s, want.s)
    np.testing.assert_allclose(got.v, want.v, rtol=0, atol=1e-7)
    np.testing.assert_allclose(got.y, want.y, rtol=0, atol=1e-7)
    # negative controls: the decay before rounding, and the inputs a step late
    exact = replace(same)
    exact.__dict__.update({**same.__dict__, "steps": {"hidden": same.step._replace(a_m=model.step.a_m)}})
    assert np.abs(got.v - reference(exact).v).max() > 1e-5
    assert (got.s != reference(same, np.roll(same.inputs, 1, 0)).s).sum() > 10


def test_more_bits_bring_it_closer_to_the_network_itself(make_network, tmp_path):
    model = make_network(**NETWORKS["counts"])
    want = reference(model)
    assert np.abs(want.v - 1.0).min() > 1e-4
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    few = Rtl().export(model, tmp_path / "few").traces
    many = Rtl(weight_bits=16, decay_bits=16, state_bits=40, input_bits=16).export(model, tmp_path / "many").traces
    np.testing.assert_array_equal(many.s, want.s)
    np.testing.assert_allclose(many.y, want.y, rtol=0, atol=1e-3)
    assert (few.s != want.s).sum() > 0


MEMORIES = ("w_in", "w", "w_out", "thresholds", "constants_v", "constants_i", "constants_y", "decays", "stimulus")


@icarus
@pytest.mark.parametrize("edit", [lambda lines: lines[:-1], lambda lines: [*lines[:-1], "x" * len(lines[-1])]])
@pytest.mark.parametrize("name", MEMORIES)
def test_a_memory_that_is_cut_fails_though_no_spike_shows_it(make_network, tmp_path, name, edit):
    """The last unit is silent: nothing reads its weights, which came out as PASS."""
    model = make_network((4, 6, 2), steps=30, batch=1, neuron=LIF(input_gain=6.0))
    for key in ("w_in", "w"):
        model.weights[key][-1] = 0.0
    exported = Rtl().export(model, tmp_path)
    assert exported.traces.s[..., :-1].any()
    assert not exported.traces.s[..., -1].any()
    assert {file.removesuffix(".mem") for file in exported.files if file.endswith(".mem")} == set(MEMORIES)
    subprocess.run(commands()[0], shell=True, cwd=tmp_path, check=True)
    assert simulate(tmp_path) == (0, "PASS: 30 lines equal\n")
    path = tmp_path / f"{name}.mem"
    lines = path.read_text().splitlines()
    path.write_text("\n".join(edit(lines)) + "\n")
    code, said = simulate(tmp_path)
    assert code == 1
    assert f"FAIL: {name}.mem: 1 of {len(lines) - 1} words are missing or no numbers" in said
    assert "PASS" not in said
