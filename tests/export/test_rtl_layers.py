"""RTL of several layers: Icarus Verilog runs the core line for line with the integer model, and notices faults."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neuroanp as na
from neuroanp.backends.neuron import LIF, Reset
from neuroanp.errors import InputError
from neuroanp.export.model import Model, reference
from neuroanp.export.rtl import Rtl
from neuroanp.export.writing import write
from neuroanp.network.compose import Stacked
from tests.export.layered import layered

icarus = pytest.mark.skipif(
    not (shutil.which("iverilog") and shutil.which("vvp")),
    reason="Icarus Verilog is missing: apt-get install iverilog",
)
RESETS = get_args(Reset)
LOUD = LIF(input_gain=9.0, synapse_gain=6.0, drive=1.3, refractory=0.0)
FAST = LOUD.model_copy(update={"tau_m": 7e-3, "tau_s": 2e-3, "refractory": 1e-3})
NETWORKS = {
    "two": {"layers": [Stacked(LOUD, 9), Stacked(LOUD, 6)]},
    "late": {"layers": [Stacked(LOUD, 7), Stacked(LOUD, 5, delay=1), Stacked(FAST, 4, recurrent=False)], "bias": True},
    "skips": {
        "layers": [Stacked(LOUD, 5, recurrent=False), Stacked(LOUD, 8, delay=1), Stacked(LIF(drive=9.0), 3)],
        "inputs": 4, "outputs": 11, "bias": True, "skip": True, "spikes_in": True,
    },
    "resets": {
        "layers": [Stacked(LOUD.model_copy(update={"reset": kind, "refractory": k * 1e-3, "input_gain": 60.0}), 4 + k)
                   for k, kind in enumerate(RESETS)],
        "skip": True, "factors": {"hidden_2": {"threshold": np.linspace(0.7, 1.4, 5)}},
    },
    "no leak": {
        "layers": [Stacked(LOUD.model_copy(update={"leak": False, "reset": "subtract", "tau_m": 30e-3}), 7),
                   Stacked(LOUD.model_copy(update={"leak": False, "tau_s": 0.0}), 5)],
        "spikes_in": True,
    },
    "alone": {"layers": [Stacked(LOUD, 6, recurrent=False)], "inputs": 1, "outputs": 1},
}  # fmt: skip


def build(folder: Path) -> tuple[int, str]:
    line = ["iverilog", "-g2005-sv", "-Wall", "-o", "lif.vvp", "testbench.v", "lif_net.v"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def simulate(folder: Path) -> tuple[int, str]:
    done = subprocess.run(["vvp", "-n", "lif.vvp"], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


@icarus
@pytest.mark.parametrize("name", NETWORKS)
def test_icarus_runs_the_core_line_for_line(tmp_path, name):
    model = layered(**NETWORKS[name], steps=40)
    exported = Rtl().export(model, tmp_path)
    assert build(tmp_path) == (0, "")
    assert simulate(tmp_path) == (0, "PASS: 80 lines equal\n")
    assert (tmp_path / "observed.txt").read_text() == (tmp_path / "expected.txt").read_text()
    assert exported.traces.s is not None
    first = 0
    for layer in model.network.layers:  # silence proves nothing
        assert exported.traces.s[..., first : (first := first + layer.units)].sum() > 10
    for each in model.network.shapes:
        assert any(key.startswith(each) and key.endswith("scale") for key in exported.facts)
    assert {*exported.files} == {path.name for path in tmp_path.iterdir()} - {"lif.vvp", "observed.txt"}
    assert Rtl.foreign(tmp_path) == []


# ---- the files, by hand ----


def words(folder: Path, name: str, bits: int) -> list[int]:
    """Read a memory file by hand: two's complement."""
    raw = [int(line, 16) for line in (folder / f"{name}.mem").read_text().splitlines() if not line.startswith("//")]
    return [word - (1 << bits) if word >> (bits - 1) else word for word in raw]


def by_hand(folder: Path, model: Model, rtl: Rtl) -> str:
    """Run the memory files in the order of the model's equations, one unit at a time, in unlimited whole numbers."""
    network, one = model.network, 2**rtl.decay_bits
    text = (folder / "lif_net.v").read_text()
    shift = {name: int(by) for by, name in re.findall(r"6'd(\d+)\}; // (\w+): \w+ to \w+\n", text)}
    W = {p.name: words(folder, p.name, rtl.weight_bits) for p in network.projections}
    factors = words(folder, "decays", rtl.decay_bits + 2)
    memories = ("constants_v", "constants_i", "constants_j", "constants_y", "thresholds")
    c_v, c_i, c_j, c_y, threshold = (words(folder, name, rtl.state_bits) for name in memories)
    first, width = {}, 1 if model.spikes_in else rtl.input_bits
    for layer in network.layers:
        first[layer.name] = sum(network.units[name] for name in first)

    def added(p, x, n):  # what lines x bring to unit n of the group above
        posts = network.units[p.post]
        return sum(W[p.name][k * posts + n] * x[k] for k in range(len(x))) << shift[p.name]

    lines = []
    for number, word in enumerate(words(folder, "stimulus", 1 + width * network.inputs)):
        if number % len(model.inputs) == 0:
            v, i, free = ([0] * network.hidden for _ in range(3))
            y, seen = [0] * network.outputs, {layer.name: [0] * layer.units for layer in network.layers}
        u = [(word >> width * k) % 2**width for k in range(network.inputs)]
        seen["input"] = u if model.spikes_in else [x - 2**width if x >= 2 ** (width - 1) else x for x in u]
        for at, layer in enumerate(network.layers):
            (a_m, k_i, k_e, a_s), neuron = factors[4 * at : 4 * at + 4], model.lif(layer)
            feed, before, spiked = network.feed(layer.name), seen[layer.name], []
            for n in range(layer.units):
                N = first[layer.name] + n
                at_once = [p for p in feed if p.pre != "input" and not p.delay]
                current = [p for p in feed if p.pre == "input" and not model.spikes_in]
                i[N] += c_j[N] + sum(added(p, seen[p.pre], n) for p in at_once)
                times = 2 if neuron.reset == "subtract_raised" and v[N] > threshold[N] else 1
                if number >= free[N]:
                    E = sum(added(p, seen["input"], n) for p in current)
                    v[N] = (a_m * v[N] + k_i * i[N] + k_e * E) // one + c_v[N]
                left = {"hard": 0, "subtract": -threshold[N]}
                if neuron.reset.endswith("delayed") and before[n]:
                    v[N] = 0 if neuron.reset == "hard_delayed" else v[N] + left["subtract"]
                spiked.append(int(number >= free[N] and v[N] > times * threshold[N]))
                if spiked[n]:
                    free[N] = number + round(neuron.refractory / model.dt)
                    if not neuron.reset.endswith("delayed"):
                        v[N] = 0 if neuron.reset == "hard" else v[N] + left["subtract"]
                i[N] = a_s * i[N] // one + c_i[N]
            seen[layer.name] = spiked
            later = [p for p in feed if p.delay or (p.pre == "input" and model.spikes_in)]
            for p in [*later, *filter(None, [network.recurrence(layer.name)])]:
                for n in range(layer.units):
                    i[first[layer.name] + n] += added(p, seen[p.pre], n)
        for o in range(network.outputs):
            y[o] = factors[-1] * y[o] // one + c_y[o] + sum(added(p, seen[p.pre], o) for p in network.feed("output"))
        assert all(abs(x) < 2 ** (rtl.state_bits - 1) for x in (*v, *i, *y))
        s = [spike for layer in network.layers for spike in seen[layer.name]]
        mask = sum(1 << n for n, spike in enumerate(s) if spike)
        lines.append(" ".join([f"{mask:0{-(-len(s) // 4)}x}", *map(str, y)]))
    return "\n".join(lines) + "\n"


LAYERS = st.builds(
    Stacked,
    st.builds(
        LIF,
        input_gain=st.sampled_from([4.0, 40.0]),
        synapse_gain=st.sampled_from([3.0, 20.0]),
        tau_s=st.sampled_from([0.0, 5e-3]),
        refractory=st.sampled_from([0.0, 1e-3, 3e-3]),
        reset=st.sampled_from(RESETS),
        decoder=st.sampled_from(["trace", "count"]),
        integration=st.sampled_from(["exact", "euler"]),
        drive=st.sampled_from([-0.5, 0.6, 2.0]),
    ),
    st.integers(1, 5),
    recurrent=st.booleans(),
    delay=st.integers(0, 1),
)
STRUCTURES = {
    "layers": st.lists(LAYERS, min_size=2, max_size=3), "inputs": st.integers(1, 3), "outputs": st.integers(1, 6),
    "seed": st.integers(0, 2**16), "bias": st.booleans(), "skip": st.booleans(), "spikes_in": st.booleans(),
}  # fmt: skip
WIDTHS = st.builds(
    Rtl, weight_bits=st.integers(2, 12), state_bits=st.integers(34, 40), decay_bits=st.integers(6, 16),
    input_bits=st.integers(2, 8),
)  # fmt: skip


@icarus
@settings(max_examples=15, deadline=None, derandomize=True)
@given(made=st.fixed_dictionaries(STRUCTURES), rtl=WIDTHS)
def test_files_by_hand_and_icarus_do_what_is_expected(made, rtl):
    model = layered(**made, steps=20, batch=1)
    with TemporaryDirectory() as name:
        folder = Path(name)
        try:
            rtl.export(model, folder)
        except InputError:
            assert not any(folder.iterdir())
            return
        assert by_hand(folder, model, rtl) == (folder / "expected.txt").read_text()
        assert Rtl.foreign(folder) == []
        assert build(folder) == (0, "")
        assert simulate(folder) == (0, "PASS: 20 lines equal\n")


# ---- the network itself ----


@pytest.mark.parametrize("spikes_in", [False, True])
@pytest.mark.parametrize("delays", [(0, 0), (0, 1), (1, 0)])
def test_many_bits_give_the_network_and_no_other(tmp_path, delays, spikes_in):
    """Delays, biases and thresholds are those of the truth of exports: another delay gives other spikes."""
    rtl = Rtl(weight_bits=16, decay_bits=16, state_bits=40, input_bits=16)

    def of(delays):
        above = [Stacked(LOUD, 6, delay=delay) for delay in delays]
        factors = {"hidden_2": {"threshold": np.linspace(0.8, 1.3, 6)}}
        options = {"bias": True, "skip": True, "spikes_in": spikes_in, "factors": factors, "seed": 4}
        return layered([Stacked(LOUD, 8), *above], **options)

    found, truth = rtl.export(of(delays), tmp_path).traces, reference(of(delays))
    assert found.s is not None
    assert truth.s is not None
    off = (found.s != truth.s).mean()
    assert off < 0.004
    assert truth.s[..., 8:].mean() > 0.03
    same = ~(found.s != truth.s).any(-1).cumsum(0).astype(bool)
    assert np.abs(found.y - truth.y)[same].max() < 0.01
    assert np.abs(found.v - truth.v)[same].max() < 0.01
    for other in {(0, 0), (0, 1), (1, 0), (1, 1)} - {delays}:
        assert (found.s != reference(of(other)).s).mean() > 0.01 + off


# ---- what is wrong is noticed ----


def stage_lines(text: str) -> list[str]:
    return re.findall(r"^ +\d+'d\d+: \{kind.*\n", text, re.MULTILINE)


def swapped(one: str, other: str):
    """Let two stages change places; each is the first whose line has these words."""

    def edit(text: str) -> str:
        lines = stage_lines(text)
        a, b = (next(line for line in lines if word in line) for word in (one, other))
        heads = [line.split(": {")[0] for line in (a, b)]
        tails = [line.split(": {", 1)[1] for line in (a, b)]
        weights = {head.strip(): other.strip() for head, other in zip(heads, heads[::-1], strict=True)}
        text = text.replace(a, f"{heads[0]}: {{{tails[1]}").replace(b, f"{heads[1]}: {{{tails[0]}")
        swap = r"(?:stage == |^ +)(\d+'d\d+)(?= \? |: \{factor)"
        return re.sub(swap, lambda it: it[0].replace(it[1], weights.get(it[1], it[1])), text, flags=re.MULTILINE)

    return edit


def replaced(old: str, new):
    return lambda text: re.sub(old, new, text, count=1)


WRONG = {
    "an early sweep after its layer's step": swapped("w_1_2:", "// hidden_2"),
    "a late sweep before its layer's step": swapped("w_2_3:", "// hidden_3"),
    "layers in another order": swapped("// hidden_1", "// hidden_2"),
    "a shift": replaced(r"6'd(\d+)(\}; // w_1_2)", lambda it: f"6'd{int(it[1]) - 1}{it[2]}"),
    "where the lines begin": replaced(r"SPREAD, 1'd0, (\d)'d9, (.*// w_2:)", r"SPREAD, 1'd0, \1'd8, \2"),
    "how many lines": replaced(r"(\d'd)6(, \d'd0, .*// w_2_out)", r"\g<1>5\2"),
    "where the units begin": replaced(r"(\d'd)15(, \d'd4, 6'd0\}; // hidden_3)", r"\g<1>14\2"),
    "another array": replaced(r"w_1_2\[address\]", "w_1[address]"),
    "factors of another layer": replaced(r"\{\d'd4, (.*// hidden_2)", r"{4'd0, \1"),
    "no refractory period": replaced(r"(\{\d'd4, \d'd)3", r"\g<1>0"),
    "another reset": replaced(r"1'd1, 1'd0, 1'd0(\}; // hidden_1)", r"1'd0, 1'd0, 1'd0\1"),
    "the sign of a term": replaced(r"i\[unit\] \+ term", "i[unit] - term"),
    "the sign of a current": replaced(r"e\[unit\] \+ term", "e[unit] - term"),
    "no constant before v moves": replaced(r" \+ constants_j\[unit\]", ""),
    "the last stage left out": replaced(r"LAST = (\d+)'d(\d+)", lambda it: f"LAST = {it[1]}'d{int(it[2]) - 1}"),
}


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    """An export of three layers, the second of other units, with skips and biases."""
    second = LIF(input_gain=6.0, synapse_gain=7.0, drive=0.5, refractory=3e-3, tau_m=9e-3)
    subtracts = LOUD.model_copy(update={"reset": "subtract"})
    layers = [Stacked(subtracts, 9), Stacked(second, 6), Stacked(LOUD, 4, delay=1, recurrent=False)]
    folder = tmp_path_factory.mktemp("three") / "export"
    model = layered(layers, bias=True, skip=True, steps=50, batch=1)
    write(model, "rtl", Rtl(), folder)
    return folder


@icarus
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_core_fails(three, tmp_path, what):
    wrong = tmp_path / "wrong"
    shutil.copytree(three, wrong)
    before = (wrong / "lif_net.v").read_text()
    (wrong / "lif_net.v").write_text(WRONG[what](before))
    assert (wrong / "lif_net.v").read_text() != before
    assert build(wrong)[0] == 0
    code, said = simulate(wrong)
    assert code == 1, said
    assert "FAIL" in said
    assert "PASS" not in said


@icarus
@pytest.mark.parametrize("name", ["w_in_3", "w_2_3", "w_1_out", "constants_j", "decays", "thresholds"])
def test_a_memory_that_is_cut_fails(three, tmp_path, name):
    cut = tmp_path / "cut"
    shutil.copytree(three, cut)
    lines = (cut / f"{name}.mem").read_text().splitlines()
    (cut / f"{name}.mem").write_text("\n".join(lines[:-1]) + "\n")
    assert build(cut) == (0, "")
    code, said = simulate(cut)
    assert code == 1
    assert f"FAIL: {name}.mem: 1 of {len(lines) - 1} words are missing or no numbers" in said


@icarus
def test_an_export_checks_itself(three, tmp_path):
    checked = na.check_export(three)
    assert checked, checked.said
    assert "spikes 0 of 950 differ" in checked.said
    wrong = tmp_path / "wrong"
    shutil.copytree(three, wrong)
    lines = (wrong / "w_1_2.mem").read_text().splitlines()
    lines[1:] = ["7f"] * len(lines[1:])
    (wrong / "w_1_2.mem").write_text("\n".join(lines) + "\n")
    assert not na.check_export(wrong)


@icarus
def test_many_layers_are_checked(tmp_path):
    model = layered([Stacked(LOUD, 1)] * 40, 1, 1, steps=5, batch=1, skip=True)
    write(model, "rtl", Rtl(), tmp_path / "out")
    checked = na.check_export(tmp_path / "out")
    assert checked, checked.said


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("lif_net.v", "integer k;", 'integer k; initial $system("touch ran");'),
        ("lif_net.v", '"w_1.mem"', '"../w_1.mem"'),
        ("lif_net.v", '"w_1.mem"', '"/etc/passwd"'),
        ("lif_net.v", "; // w_1: hidden_1", "; // w_1:\n`include hidden_1"),
        ("lif_net.v", "; // hidden_2", '; initial $system("touch ran"); // hidden_2'),
        ("lif_net.v", "6'd0}; // hidden_2", "6'd`X}; // hidden_2"),
        ("lif_net.v", "w_1[address] :", 'w_1[address] : $fopen("ran", "w") ?'),
        ("lif_net.v", "[0:80];", "[0:80]; // \\"),
        ("testbench.v", "w_1 ();", 'w_1 (); initial $system("touch ran");'),
        ("testbench.v", '"w_1.mem"', '"/etc/passwd"'),
    ],
)
def test_verilog_of_others_is_not_run(three, tmp_path, name, old, new):
    folder = tmp_path / "theirs"
    shutil.copytree(three, folder)
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new, 1))
    with pytest.raises(InputError, match=f"{name}: is not what neuroanp writes"):
        na.check_export(folder)
