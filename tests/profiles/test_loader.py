"""Profile files: provenance, extends, freezing, hashes, and every bad input with its message."""

import pickle
import re
import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neuroanp.errors import InputError
from neuroanp.profiles import HardwareProfile, Provenance, diff, load, loads, profile_path
from neuroanp.profiles.laws import Law

PCM = profile_path("pcm")

DEFAULT = "default of the model"
SMALL = """meta: {name: mine, summary: a test, source: my bench, status: measured}
conductance: {g_min: 1 uS, g_max: 25 uS, coding: differential}
array: {weight_range: 4, write: row}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def problems(path) -> list[str]:
    with pytest.raises(InputError) as error:
        load(path)
    return list(error.value.problems) or [error.value.message]


def edited(folder: Path, *changes: tuple[str, str]) -> str:
    text = re.sub(r"value: \S+ uA", "value: 25 uA", PCM.read_text(encoding="utf-8"))  # full scale is a tunable choice
    for old, new in changes:
        assert text.count(old) >= 1, old
        text = text.replace(old, new, 1)
    (folder / "pcm.yaml").write_text(text, encoding="utf-8")
    return "./pcm.yaml"


def line_of(path: str, start: str, after: str = "") -> int:
    lines = Path(path).read_text(encoding="utf-8").splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith(after))
    return next(i for i, line in enumerate(lines[first:], first + 1) if line.strip().startswith(start))


def test_the_two_messages_of_the_design_come_at_once(folder):
    path = edited(folder, ("g_max: 25 uS", "g_max: 25 mV"), ("  t_read: 250 ns", "  t_red: 250 ns"))
    g_max, t_red, read = line_of(path, "g_max"), line_of(path, "t_red"), line_of(path, "read:")
    assert problems(path) == [
        f"pcm.yaml:{g_max}: conductance.g_max: '25 mV' is not a conductance; write e.g. '25 uS'",
        f"pcm.yaml:{read}: read.t_read: required key is missing",
        f"pcm.yaml:{t_red}: read.t_red: unknown key; did you mean 'read.t_read'?",
    ]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("g_min: 0 S", "g_min: 30 uS", "conductance.g_max: '25 uS' is not above g_min, '30 uS'"),
        ("g_min: 0 S", "g_min: 25 uS", "conductance.g_max: '25 uS' is not above g_min, '25 uS'"),
        ("g_min: 0 S", "g_min: -1 uS", "conductance.g_min: '-1 uS' is negative"),
        ("g_min: 0 S", "g_min: 0", "conductance.g_min: '0' has no unit; write e.g. '25 uS'"),
        ("g_max: 25 uS", "g_max: .nan", "conductance.g_max: nan is not a finite number"),
        ("g_max: 25 uS", "g_max: inf uS", "conductance.g_max: 'inf uS' is not a finite number"),
        ("g_max: 25 uS", "g_max:", "conductance.g_max: None is not a conductance"),
        ("g_max: 25 uS", "g_max: [25 uS]", "conductance.g_max: ['25 uS'] is not a conductance"),
        ("coding: differential", "coding: diferential", "did you mean 'differential'?"),
        ("  t_read: 250 ns", "  t_read: 0 s", "read.t_read: '0 s' is not above zero"),
        ("  t_read: 250 ns", "  t_read: 300 ns", "read.t_read: '300 ns' differs from periphery.t_read, '250 ns'"),
        ("law: pcm", "law: pmc", "programming.law: unknown programming law 'pmc'; did you mean 'pcm'?"),
        ("  law: pcm\n", "", "programming.law: required key is missing: it picks the programming law"),
        ("  q: 0.0088", "  q: -1", "read.q: -1 is not a number of 0 or above"),
        ("  q: 0.0088", "  q: 0.9 %", "a fraction is written 0.25, never per cent"),
        ("drift:", "drfit:", "drfit: unknown key; did you mean 'drift'?"),
        ("status: fitted", "status: fited", "conductance.status: 'fited' is not one of measured, fitted, illustrative"),
        ("name: pcm", "name: a/b", "meta.name: 'a/b' is not a name: write up to 64 letters (a-z, A-Z), digits"),
        ("name: pcm", "name: my chip", "without spaces, beginning with a letter or a digit"),
        ("name: pcm", f"name: {'a' * 65}", "is not a name: write up to 64"),
        ("  name: pcm\n", "", "meta.name: required key is missing"),
        ("value: 25 uA", "value: 0 uA", "periphery.adc.full_scale: '0 uA' is not above zero"),
        ("value: 25 uA", "valu: 25 uA", "periphery.adc.full_scale: {'valu'"),
        ("full_scale:\n      value: 25 uA", "full_scale:\n      value:", "a value with a source is one number"),
        ("bits: {value: 8, source: a choice,", "bits: {value: 0, source: a choice,", "0 must be at least 1"),
        ("write: {value: serial", "write: {value: parallel", "array.write: 'parallel' is not one of serial, row"),
        ("50 pJ, source: *order, status: ill", "50 pJ, source: *order, status: gu", "'guustrative' is not one of"),
        ("50 pJ, source: *order, status: ill", "50 pJ, source: 5, status: ill", "5 is not a text; name the"),
        ("50 pJ, source:", "50 pJ, sorce:", "energy.write.sorce: unknown key; did you mean 'source'?"),
        ("1e9,", "0,", "energy.endurance: 0 is not a number of pulses of 1 or above"),
        ("energy:\n  write:", "energy:\n\twrite:", "a tab where YAML wants spaces"),
        ("doi: 10.1109/ICECS46596.2019.8964852", "doi: 10.1109", "meta.doi: 10.1109 is not a text; put it in quotes"),
    ],
)  # fmt: skip
def test_bad_values(folder, old, new, says):
    found = problems(edited(folder, (old, new)))
    assert any(says in problem and problem.startswith("pcm.yaml:") for problem in found), found


def test_adc_needs_two_bits(folder):
    text = SMALL + "periphery:\n  v_read: 0.2 V\n  t_read: 1 us\n  adc: {bits: 1, full_scale: 1 uA}\n"
    with pytest.raises(InputError, match=r"mine:7: periphery.adc.bits: 1 must be at least 2"):
        loads(text, "mine")


def test_problems_of_provenance_and_of_values_come_together(folder):
    found = problems(edited(folder, ("g_min: 0 S", "g_min: {value: 1 V, status: sure}"), ("q: 0.0088", "q: x")))
    assert len(found) == 3


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("pmc", "unknown profile 'pmc'; did you mean 'pcm'?"),
        ("", "unknown profile ''"),
        ("./none.yaml", "none.yaml: no such file"),
        (".", "unknown profile"),
        ("./", "a directory"),
        ("../", "a directory"),
    ],
)
def test_names_that_lead_nowhere(folder, name, says):
    assert says in problems(name)[0]


def test_python_construction_takes_si_floats_and_is_frozen():
    profile = HardwareProfile.model_validate(
        {
            "meta": {"name": "mine", "summary": "s", "source": "bench", "status": "measured"},
            "conductance": {"g_min": 0.0, "g_max": 25e-6, "coding": "offset"},
            "array": {"weight_range": 3.0, "write": "serial"},
            "read": load("pcm").read,
        }
    )
    assert profile.read == load("pcm").read
    assert profile.provenance["conductance.g_max"] == Provenance("measured", "bench")
    assert loads(profile.text).hash == profile.hash


@pytest.mark.parametrize("path", ["g_max", "g_mx", "new"])
def test_no_attribute_can_be_set_or_mistyped(path):
    profile = load("pcm")
    with pytest.raises(ValidationError):
        setattr(profile.conductance, path, 1.0)
    with pytest.raises(ValidationError):
        setattr(profile, path, 1.0)
    with pytest.raises(ValidationError):
        setattr(profile.read, path, 1.0)
    with pytest.raises(TypeError):
        profile.provenance["conductance.g_max"] = Provenance("measured", "me")  # pyright: ignore


def test_provenance_default_and_own():
    profile = loads(SMALL.replace("25 uS", "{value: 25 uS, source: a paper, status: fitted}").replace(
        "1 uS", "{value: 1 uS, source: a guess}"))  # fmt: skip
    assert profile.conductance.g_max == 25e-6
    assert profile.provenance["conductance.g_max"] == ("fitted", "a paper")
    assert profile.provenance["conductance.g_min"] == ("measured", "a guess")
    assert profile.provenance["array.weight_range"] == ("measured", "my bench")
    assert list(profile.provenance) == [
        "conductance.g_min", "conductance.g_max", "conductance.coding", "array.weight_range", "array.write",
    ]  # fmt: skip


def test_defaults_of_a_law_are_said_to_be_defaults():
    text = SMALL + "update: {law: soft_bounds, dw: 0.1, bound_up: 1, bound_down: 1, tolerance: 0.05, max_pulses: 9}\n"
    profile = loads(text)
    assert profile.provenance["update.c2c"] == ("illustrative", "default of the model")
    assert profile.provenance["update.dw"] == ("measured", "my bench")
    assert loads(profile.text).hash == profile.hash


def test_hash_is_of_the_content_not_of_the_spelling():
    one = loads(SMALL)
    lines = SMALL.splitlines()
    other = loads("\n".join(["# a comment", *reversed(lines)]).replace("25 uS", "'0.025 mS'").replace(": 4", ": 4.0"))
    assert one.hash == other.hash
    assert one.hash != loads(SMALL.replace("25 uS", "25.1 uS")).hash
    assert one.hash != loads(SMALL.replace("my bench", "your bench")).hash
    assert not diff(one, other)


def test_pickle_keeps_everything():
    profile = load("pcm")
    again = pickle.loads(pickle.dumps(profile))  # noqa: S301 - as worker processes do
    assert again == profile
    assert again.hash == profile.hash


def write(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text, encoding="utf-8")
    return f"./{name}"


VARIANT = "extends: pcm\nmeta: {name: wide, summary: wider}\n"


def test_extends_merges_deeply(folder):
    path = write(folder, "wide.yaml", VARIANT + "conductance:\n  g_max: 50 uS\nenergy: {write: 10 pJ}\nupdate:\n")
    wide, pcm = load(path), load("pcm")
    assert wide.name == "wide"
    assert wide.meta.source == pcm.meta.source
    assert wide.update is None
    assert wide.drift == pcm.drift
    assert [(d.key, d.left, d.right) for d in diff(pcm, wide) if not d.key.startswith("update.")] == [
        ("conductance.g_max", "25 uS", "50 uS"),
        ("energy.write", "50 pJ", "10 pJ"),
    ]
    assert wide.provenance["conductance.g_max"] == ("illustrative", "changed from pcm without a stated source")
    assert wide.provenance["drift.t0"] == pcm.provenance["drift.t0"]
    assert loads(wide.text).hash == wide.hash


def test_extends_with_its_own_source(folder):
    text = "extends: pcm\nmeta: {name: wide, summary: w, source: mine, status: measured}\nread: {q: 0.01}\n"
    wide = load(write(folder, "wide.yaml", text))
    assert wide.provenance["read.q"] == ("measured", "mine")
    assert wide.provenance["read.q_max"] == load("pcm").provenance["read.q_max"]
    assert loads(wide.text).hash == wide.hash


def test_extends_with_another_law_replaces_the_section(folder):
    wide = load(write(folder, "wide.yaml", VARIANT + "programming: {law: ideal}\n"))
    assert not list(type(wide.programming).model_fields)
    assert "programming.c0" not in wide.provenance


def test_extends_names_the_file_of_each_problem(folder):
    base = edited(folder, ("q: 0.0088", "q: x"))
    path = write(folder, "wide.yaml", "extends: ./pcm.yaml\nmeta: {name: wide}\nconductance:\n  g_max: 50 mV\n")
    found = problems(path)
    assert found == [
        f"pcm.yaml:{line_of(base, 'q:')}: read.q: 'x' is not a number: it takes no unit and no quotes",
        "wide.yaml:4: conductance.g_max: '50 mV' is not a conductance; write e.g. '25 uS'",
    ]


def test_extends_through_folders(folder):
    (folder / "deep").mkdir()
    write(folder, "base.yaml", SMALL)
    write(folder, "deep/mid.yaml", "extends: ../base.yaml\nmeta: {name: mid}\narray: {weight_range: 5}\n")
    top = load(write(folder, "top.yaml", "extends: deep/mid.yaml\nmeta: {name: top}\narray: {write: serial}\n"))
    assert (top.array.weight_range, top.array.write, top.conductance.g_max) == (5.0, "serial", 25e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("extends: pmc\nmeta: {name: x}\n", "x.yaml:1: extends: unknown profile 'pmc'; did you mean 'pcm'?"),
        ("extends: ./none.yaml\nmeta: {name: x}\n", "none.yaml: no such file"),
        ("extends: [pcm]\nmeta: {name: x}\n", "x.yaml:1: extends: ['pcm'] is not a profile; write a name or a path"),
        ("extends:\nmeta: {name: x}\n", "x.yaml:1: extends: None is not a profile"),
        ("extends: ./x.yaml\nmeta: {name: x}\n", "x.yaml:1: extends: profiles extend each other in a circle"),
        ("extends: pcm\n", "meta.name: a profile that extends another needs a name of its own"),
        ("extends: pcm\nmeta: 5\n", "x.yaml:2: meta: 5 is not a section"),
        ("extends: pcm\nmeta: {name: x}\nread: 5\n", "x.yaml:3: read: 5 is not a section"),
    ],
)
def test_bad_extends(folder, text, says):
    found = problems(write(folder, "x.yaml", text))
    assert any(says in problem for problem in found), found


def test_longer_circles_are_refused(folder):
    write(folder, "a.yaml", "extends: ./b.yaml\nmeta: {name: a}\n")
    write(folder, "b.yaml", "extends: ./a.yaml\nmeta: {name: b}\n")
    assert "circle: a.yaml -> b.yaml -> a.yaml" in problems("./a.yaml")[0]


def test_profiles_inside_an_installed_package_come_first(folder, monkeypatch):
    package = folder / "site" / "neuroanp"
    shutil.copytree(PCM.parent, package / "hardware_profiles")
    monkeypatch.setattr("neuroanp.shipped._PACKAGE", package)
    assert profile_path("pcm") == package / "hardware_profiles" / "pcm.yaml"
    assert load("pcm").name == "pcm"


def test_diff_shows_units_and_absent_parameters():
    found = {d.key: (d.left, d.right) for d in diff(load("pcm"), load("rram_hfo2"))}
    assert found["conductance.g_max"] == ("25 uS", "40 uS")
    assert found["update.law"] == ("pcm", "soft_bounds")
    assert found["read.t_read"] == ("250 ns", None)
    assert found["faults.corrupt"] == (None, "0.0977")
    assert "periphery.v_read" not in found
    assert diff(load("pcm"), load("pcm")) == []


pieces = st.sampled_from(PCM.read_text(encoding="utf-8").splitlines(keepends=True))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_no_damaged_profile_crashes(data):
    """Delete, repeat and alter lines of a real profile: it loads, or says what is wrong with a line."""
    lines = PCM.read_text(encoding="utf-8").splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        lines[at] = data.draw(st.sampled_from([
            "", lines[at][:cut], lines[at][:cut] + "\n", lines[at] * 2, "  " + lines[at], lines[at][cut:],
        ]) | pieces | st.text(max_size=12).map(lambda text: text + "\n"))  # fmt: skip
    try:
        message = loads("".join(lines), "pcm.yaml").hash
    except InputError as error:
        message = str(error)
        assert "pcm.yaml" in message
    assert message


SECTIONS = """meta: {name: mine, summary: a test, source: my bench}
conductance: {g_min: 0 S, g_max: 25 uS, coding: differential}
programming:
  {law: gaussian, status: measured, source: record 7, sigma_absolute: 1 uS, sigma_relative: {value: 0, status: fitted}}
periphery:
  status: fitted
  v_read: 0.2 V
  t_read: 250 ns
  adc: {source: data sheet, bits: 8, full_scale: {value: 40 uA, source: a choice, status: illustrative}}
array: {weight_range: 4, write: row}
"""


def test_a_status_and_a_source_may_stand_at_a_section():
    """They cover what it holds, sections within it too, but for what states its own; nothing else is covered."""
    profile = loads(SECTIONS)
    assert dict(profile.provenance) == {
        "conductance.g_min": ("illustrative", "my bench"), "conductance.g_max": ("illustrative", "my bench"),
        "conductance.coding": ("illustrative", "my bench"), "programming.sigma_absolute": ("measured", "record 7"),
        "programming.sigma_relative": ("fitted", "record 7"), "programming.pulses": ("illustrative", DEFAULT),
        "programming.deadband": ("illustrative", DEFAULT), "periphery.v_read": ("fitted", "my bench"),
        "periphery.t_read": ("fitted", "my bench"), "periphery.adc.bits": ("fitted", "data sheet"),
        "periphery.adc.full_scale": ("illustrative", "a choice"), "array.weight_range": ("illustrative", "my bench"),
        "array.write": ("illustrative", "my bench"),
    }  # fmt: skip
    assert profile.shares == {"measured": 1, "fitted": 4, "illustrative": 8}
    again = loads(profile.text)
    assert dict(again.provenance) == dict(profile.provenance)
    assert again.hash == profile.hash
    assert again.text == profile.text


def test_a_section_that_extends_another_covers_its_own_keys_alone(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("extends: pcm\nmeta: {name: mine}\nread: {status: measured, source: record 8, q: 0.01}\n")
    origins = load(path).provenance
    assert origins["read.q"] == ("measured", "record 8")
    assert origins["read.exponent"] == load("pcm").provenance["read.exponent"]


def test_the_status_of_an_older_file_covers_what_has_none():
    """Files and runs from before sections had one: nothing of them is read otherwise, and their hash stays."""
    profile = loads(SECTIONS.replace("source: my bench}", "source: my bench, status: measured}"))
    assert profile.provenance["conductance.g_max"] == ("measured", "my bench")
    assert profile.provenance["periphery.v_read"] == ("fitted", "my bench")
    assert "status: measured" in profile.text.splitlines()[4]
    assert loads(profile.text).hash == profile.hash


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("status: fitted\n", "status: fited\n", "mine.yaml:6: periphery.status: 'fited' is not one of"),
        ("source: data sheet", "source: 5", "mine.yaml:9: periphery.adc.source: 5 is not a text"),
        ("source: record 7", "sorce: record 7", "programming.sorce: unknown key"),
        (
            "array: {weight_range: 4, write: row}",
            "array: {weight_range: 4, write: row}\nread: {status: fitted}",
            "read.status: stands at a section without a number",
        ),
    ],
)
def test_a_bad_mark_of_a_section_is_told(tmp_path, old, new, says):
    path = tmp_path / "mine.yaml"
    path.write_text(SECTIONS.replace(old, new, 1))
    assert any(says in line for line in problems(path)), problems(path)


def test_a_list_of_sections_states_its_sources_in_each(tmp_path):
    path = tmp_path / "mine.yaml"
    one = "{tau_high: 1 ms, tau_low: 3 ms, amplitude: 0.1, status: measured, source: trace 4}"
    text = SECTIONS + f"read: {{law: fluctuators, white: 0.02, fluctuators: [{one}]}}\n"
    path.write_text(text)
    assert load(path).provenance["read.fluctuators[0].amplitude"] == ("measured", "trace 4")
    path.write_text(text.replace(f"[{one}]", f"{{value: [{one}], source: trace 4, status: measured}}"))
    assert any("a list of sections has no source of its own" in line for line in problems(path)), problems(path)


def test_no_law_has_a_parameter_that_a_profile_could_not_state():
    with pytest.raises(TypeError, match="no parameter can be called source"):

        class Own(Law):
            source: str = "laser"
