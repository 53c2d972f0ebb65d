"""RTL: Icarus Verilog runs the generated core line for line with the integer model, and notices what is wrong."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroanp.backends.neuron import LIF
from neuroanp.errors import InputError
from neuroanp.export.fixed_point import Bits, fixed_point
from neuroanp.export.model import Model, reference
from neuroanp.export.rtl import Rtl

icarus = pytest.mark.skipif(
    not (shutil.which("iverilog") and shutil.which("vvp")),
    reason="Icarus Verilog is missing: apt-get install iverilog",
)
NETWORKS = {
    "currents": {"sizes": (4, 32, 2), "seed": 0, "steps": 150, "neuron": LIF(input_gain=6.0)},
    "spikes": {
        "sizes": (3, 20, 2), "seed": 1, "steps": 150, "bias": True, "spikes_in": True,
        "neuron": LIF(input_gain=12.0, reset="subtract", refractory=0.0),
    },
    "counts": {
        "sizes": (5, 40, 3), "seed": 2, "steps": 100, "bias": True,
        "neuron": LIF(tau_s=0.0, decoder="count", reset="subtract", refractory=3e-3, integration="euler"),
    },
    "single": {"sizes": (1, 1, 1), "seed": 6, "steps": 60, "neuron": LIF(refractory=1e-3)},
}  # fmt: skip
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
            v, i, free, y = [0] * units, [0] * units, [0] * units, [0] * outs
        u = [(word >> width * k) % 2**width for k in range(lines)]
        if not model.spikes_in:
            u = [x - 2**width if x >= 2 ** (width - 1) else x for x in u]
        fired = []
        for n in range(units):
            drive = sum(w_in[k * units + n] * u[k] for k in range(lines)) * 2 ** shifts[0]
            if number >= free[n]:
                v[n] = (a_m * v[n] + k_i * i[n] + (0 if model.spikes_in else k_e * drive)) // one + c_v[n]
                if v[n] > threshold[n]:
                    fired.append(n)
                    v[n] = v[n] - threshold[n] if neuron.reset == "subtract" else 0
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
        reset=st.sampled_from(["hard", "subtract"]),
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
    """A network with other factors; what drives its biases stays that of the exact ones, as in the constants."""

    readout_decay = property(lambda self: self.__dict__["a_r"])
    output_line = property(lambda self: self.__dict__["out_line"])
    input_line = property(lambda self: self.__dict__["in_line"])


def rounded(model: Model, fixed, exported) -> Rounded:
    """Return the network of held weights, held factors and rounded inputs, still in float64."""
    held = {name: value for name, (_, value) in exported.decays.items()}
    u = fixed.inputs(model.inputs) / fixed.input_scale
    if fixed.currents:  # k_e is rounded for inputs alone; drive and bias are constants
        u = u * held["k_e"] / float(model.step.k_e[0])
    fields = {**model.__dict__, "weights": exported.held, "inputs": u}
    same = Rounded(**{name: fields[name] for name in Model.__dataclass_fields__})
    parts = {name: 0 * model.step.a_m + held[name] for name in ("a_m", "k_i", "a_s")}
    same.__dict__.update(
        step=model.step._replace(**parts), a_r=held["a_r"], out_line=model.output_line, in_line=model.input_line
    )
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
    exact.__dict__.update({**same.__dict__, "step": same.step._replace(a_m=model.step.a_m)})
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


@pytest.mark.parametrize("bits", [2, 5, 8, 12])
@pytest.mark.parametrize("name", ["currents", "spikes", "counts"])
def test_weights_and_factors_are_off_by_half_a_step_at_most(make_network, tmp_path, name, bits):
    model = make_network(**NETWORKS[name])
    rtl = Rtl(weight_bits=bits, state_bits=40)
    exported = rtl.export(model, tmp_path)
    for key, held in exported.held.items():
        scale = float(exported.facts[f"{key}_scale"])
        columns = model.sizes[0] if key == "w_in" else model.sizes[1]
        W, whole = model.weights[key], held[:, :columns] * scale
        np.testing.assert_allclose(whole, np.rint(whole), rtol=0, atol=1e-9)
        limit = 2 ** (bits - 1) - 1
        assert limit / 2 - 1 < np.abs(whole).max() <= limit + 1e-9  # no clipping, and no bit left unused
        assert np.abs(held[:, :columns] - W[:, :columns]).max() <= 0.5 / scale * (1 + 1e-9)
        np.testing.assert_allclose(held[:, columns:], W[:, columns:], rtol=0, atol=1e-4)  # biases have the states' bits
    for wanted, held in exported.decays.values():
        assert abs(wanted - held) <= 0.5 / 2**rtl.decay_bits


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_outputs_come_near_their_reach_and_stay_within(sign):
    # every unit spikes in every step and all weights have one sign: nothing is larger
    W = {"w_in": np.ones((3, 2)), "w": np.full((3, 3), sign / 4), "w_out": sign * np.ones((2, 3))}
    model = Model("loud", W, False, LIF(drive=60.0, refractory=0.0), 1e-3, False, np.ones((300, 1, 2)), lambda y: {})
    fixed = fixed_point(model, Bits())
    s, v, y = fixed.run(fixed.inputs(model.inputs))
    assert s.all()
    assert 0.99 * fixed.reach["y"] < np.abs(y).max() <= fixed.reach["y"] < 2**31
    assert np.abs(v).max() <= fixed.reach["v"] < 2**31


@pytest.mark.parametrize("spikes_in", [True, False])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_potentials_come_near_their_reach_and_stay_within(sign, spikes_in):
    W = {"w_in": sign * np.ones((3, 2)), "w": np.full((3, 3), 1e-5), "w_out": np.ones((2, 3))}
    model = Model("slow", W, False, LIF(drive=0.0), 1e-3, spikes_in, np.ones((400, 1, 2)), lambda y: {})
    fixed = fixed_point(model, Bits(weight=4))
    silent = replace(fixed, threshold=np.full(3, fixed.reach["v"]))
    s, v, _ = silent.run(silent.inputs(model.inputs))
    assert not s.any()
    assert 0.99 * fixed.reach["v"] < np.abs(v).max() <= fixed.reach["v"] < 2**31


def zeroed(model: Model, key: str, value: float) -> Model:
    return replace(model, weights={**model.weights, key: np.full_like(model.weights[key], value)})


REFUSED = {
    "tanh units cannot be expressed in rtl": (lambda net: net(spiking=False), {}),
    "w: 1024 weights are not finite": (lambda net: zeroed(net(), "w", np.nan), {}),
    "w_out: all weights are 0, and the largest sets the scale": (lambda net: zeroed(net(), "w_out", 0.0), {}),
    "w_in: the largest weight times its gain is": (lambda net: zeroed(net(), "w_in", 1e300), {}),
    "inputs: 0.5 is neither 0 nor 1": (lambda net: replace(net(spikes_in=True), inputs=np.full((9, 1, 4), 0.5)), {}),
    "inputs: all are 0": (lambda net: replace(net(), inputs=np.zeros((9, 1, 4))), {}),
    "inputs: 36 values are not finite": (lambda net: replace(net(), inputs=np.full((9, 1, 4), np.inf)), {}),
    "inputs: there are none": (lambda net: replace(net(), inputs=np.zeros((0, 1, 4))), {}),
    "decay_bits: a_m 0.999 rounds to 1 in 8 bits; set decay_bits=9": (
        lambda net: net(neuron=LIF(tau_m=1.0)), {"decay_bits": 8},
    ),
    "decay_bits: a_m 1 rounds to 1 in 12 bits; train with another dt": (lambda net: net(neuron=LIF(tau_m=1e6)), {}),
    "with 9 bits after the point, which weights of 8 bits need; states have 12: set state_bits=16": (
        lambda net: net(spikes_in=True, scale=0.1), {"state_bits": 12},
    ),
    "states have 32: fewer weight_bits or input_bits, or train with smaller weights": (
        lambda net: zeroed(net(), "w", 1e9), {},
    ),
    "6 bits after the point, the fewest there may be; states have 12: set state_bits=": (
        lambda net: zeroed(net(spikes_in=True), "w", 9.0), {"state_bits": 12, "weight_bits": 4},
    ),
    "or fewer weight_bits or input_bits": (lambda net: net(), {"weight_bits": 16, "input_bits": 16}),
    "or fewer weight_bits, or train with decoder trace": (
        lambda net: net(neuron=LIF(decoder="count"), steps=3000, batch=1), {"state_bits": 20},
    ),
}  # fmt: skip


@pytest.mark.parametrize("message", REFUSED)
def test_refused_before_a_file_is_written(make_network, tmp_path, message):
    build, options = REFUSED[message]
    model = build(make_network)
    for refuse in (Rtl(**options).check, lambda model: Rtl(**options).export(model, tmp_path)):
        with pytest.raises(InputError, match="nothing was written") as caught:
            refuse(model)
        assert message in str(caught.value)
    assert not any(tmp_path.iterdir())


def test_the_state_bits_it_asks_for_are_enough_and_one_fewer_are_not(make_network):
    with pytest.raises(InputError) as caught:
        Rtl(state_bits=12).check(make_network())
    need = max(int(bits) for bits in re.findall(r"set state_bits=(\d+)", str(caught.value)))
    Rtl(state_bits=need).check(make_network())
    with pytest.raises(InputError):
        Rtl(state_bits=need - 1).check(make_network())


def test_a_long_count_is_refused_where_a_short_one_is_held(make_network):
    for steps, held in ((100, True), (20000, False)):
        model = make_network((2, 4, 1), steps=steps, batch=1, neuron=LIF(decoder="count"))
        if held:
            Rtl(state_bits=22).check(model)
        else:
            with pytest.raises(InputError, match="state_bits: y could reach"):
                Rtl(state_bits=22).check(model)


@pytest.mark.parametrize(
    "options", [{"weight_bits": 1}, {"weight_bits": 17}, {"state_bits": 41}, {"decay_bits": 3}, {"input_bits": 17},
                {"sequences": 0}, {"steps": 0}],
)  # fmt: skip
def test_widths_out_of_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Rtl(**options)


def test_the_same_network_gives_the_same_bytes(make_network, tmp_path):
    contents = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        exported = Rtl(steps=7, sequences=9).export(make_network(bias=True), tmp_path / name)
        contents.append({file: (tmp_path / name / file).read_bytes() for file in exported.files})
        assert sorted(exported.files) == sorted(path.name for path in (tmp_path / name).iterdir())
    assert contents[0] == contents[1]
    assert len(contents[0]["expected.txt"].splitlines()) == 7 * 2
    assert any("first 7 steps of 2 sequences" in line for line in exported.limits)


def test_the_core_has_nothing_that_cannot_be_synthesised(make_network, tmp_path):
    Rtl().export(make_network(), tmp_path)
    code = re.sub(r"//.*", "", (tmp_path / "lif_core.v").read_text())
    assert "@" not in code.replace("always @(posedge clk)", "")
    assert set(re.findall(r"\$\w+", code)) <= {"$readmemh", "$signed"}
    assert not re.search(r"\breal\b|\btime\b|\bwait\b|\bfork\b|#\d|\bforce\b", code)
    assert len(re.findall(r"\binitial\b", code)) == 1


@pytest.mark.parametrize(
    ("sizes", "options", "said"),
    [
        ((1, 5000, 1), {}, "w: 25000000 weights, a memory holds at most 16777216"),
        ((9000, 2, 1), {"input_bits": 8}, "9000 lines of 8 bits are 72000 bits side by side, a Verilog vector"),
        ((1, 2, 1700), {"state_bits": 40}, "1700 words of 40 bits are 68000 bits side by side, a Verilog vector"),
    ],
)
def test_networks_beyond_memories_and_vectors_are_refused(make_network, sizes, options, said):
    model = make_network((1, 1, 1))
    inputs, hidden, outputs = sizes
    shapes = {"w_in": (hidden, inputs), "w": (hidden, hidden), "w_out": (outputs, hidden)}
    large = {name: np.broadcast_to(1.0, shape) for name, shape in shapes.items()}
    with pytest.raises(InputError, match=re.escape(said)):
        Rtl(**options).check(replace(model, weights=large))


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
