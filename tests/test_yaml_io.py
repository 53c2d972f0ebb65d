"""The strict YAML reader: YAML 1.2 values, everything refused, every message with its place."""

from typing import Annotated, Literal, cast

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import Field

from neuroanp import yaml_io
from neuroanp.errors import InputError
from neuroanp.registry import Registry
from neuroanp.units import Conductance, Time
from neuroanp.yaml_io import Chosen, Document, Section, assign, dump, parse, parse_value, read, validate


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(InputError) as error:
        parse(text, "f.yaml")
    return error.value.problems


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-6", 1e-6), ("1E5", 1e5), ("+1.5e3", 1500.0), (".5", 0.5), ("5.", 5.0), ("-3", -3), ("0o17", 15),
        ("0x1F", 31), ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"), ("NO", "NO"),
        ("true", True), ("False", False), ("~", None), ("null", None), ("", None), ("1:30", "1:30"), ("012", 12),
        ("2020-01-01", "2020-01-01"), ("1_000", "1_000"), ("25 uS", "25 uS"), ("'1e-6'", "1e-6"), ("!!str 5", "5"),
        ("<<", "<<"), ("=", "="), ("[a, 1]", ["a", 1]), ("{a: no}", {"a": "no"}), ("!!float 5", 5.0),
    ],
)  # fmt: skip
def test_scalars_are_those_of_yaml_1_2(text, value):
    got = parse(f"a: {text}", "f").data["a"]
    assert got == value
    assert type(got) is type(value)


def test_keys_stay_words():
    assert parse("no: 1\non: 2\ny: 3", "f").data == {"no": 1, "on": 2, "y": 3}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3: a: duplicate key, first at line 1"),
        ("s:\n  a: 1\n  a: 3", "f.yaml:3: s.a: duplicate key, first at line 2"),
        ("a: !!python/object/apply:os.system ['true']", "f.yaml:1: tag"),
        ("a: !mine 5", "f.yaml:1: '5' with tag '!mine' is not allowed"),
        ("a: !!int x", "f.yaml:1: 'x' with tag"),
        ("a: !!timestamp 2020-01-01", "is not allowed"),
        ("a: !!set {x}", "is not allowed"),
        ("a:\n\t- 1", "f.yaml:2: a tab where YAML wants spaces"),
        ("a: b: c", "f.yaml:1: mapping values are not allowed here; check the indentation"),
        ("", "the file is empty"),
        ("# only a comment", "the file is empty"),
        ("- 1\n- 2", "f.yaml:1: the file is not a mapping"),
        ("just words", "f.yaml:1: the file is not a mapping"),
        ("a: 1\n---\nb: 2", "f.yaml:2: a second document ('---') starts"),
        ("a: [1, 2", "f.yaml:1: "),
        ("1: a", "f.yaml:1: key '1' is not a word"),
        ("true: a", "f.yaml:1: key 'true' is not a word"),
        ("? [a, b]\n: 1", "f.yaml:1: a key is not a word"),
        ("a: *nowhere", "f.yaml:1: found undefined alias"),
        ("a: &x [1, *x]", "f.yaml:1: an alias that contains itself"),
        ("a: " + "[" * 100 + "]" * 100, "levels of nesting"),
        ("a: " + "[" * 5000, "levels of nesting"),
        ("a: 1" + "0" * 9000, "is not a number that can be read"),
        ("a: 'x\x00'", "f.yaml:1: character U+0000 is not allowed"),
        ('a: "\\UFFFFFFFF"', "f.yaml"),
        ('a: "\\ud800"', "half a surrogate pair"),
        ('"\\ud800": 1', "half a surrogate pair"),
        ("%YAML 3.0\n---\na: 1", "f.yaml"),
    ],
)
def test_refused_with_place(text, says):
    assert any(says in problem for problem in problems(text)), problems(text)


def test_all_structural_problems_at_once():
    assert len(problems("a: 1\na: 2\nb: !x 1\n3: 4")) == 3


def test_alias_expansion_is_bounded():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 10)]
    assert "values once aliases are expanded" in problems("\n".join(lines))[0]


def test_deep_aliases_are_bounded():
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 200)]
    assert "levels of nesting" in problems("\n".join(lines))[0]


def test_plain_aliases_work():
    assert parse("a: &x {k: 1}\nb: *x", "f").data == {"a": {"k": 1}, "b": {"k": 1}}


def test_files(tmp_path):
    good = tmp_path / "good.yaml"
    good.write_text("a: 1 # µ\n", encoding="utf-8")
    assert read(good).data == {"a": 1}
    for content, says in [
        (b"\xef\xbb\xbfa: 1", "byte order mark"),
        ("a: 1".encode("utf-16"), "byte order mark"),
        (b"ok: 1\na: \xff", ":2: not UTF-8 (byte 0xff)"),
        (b"x" * (yaml_io.reader.MAX_BYTES + 1), "larger than 256 KiB"),
        (b"", "is empty"),
        (b"a: \x00", "character U+0000"),
    ]:
        bad = tmp_path / "bad.yaml"
        bad.write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.yaml") as error:
            read(bad)
        assert says in str(error.value)
    for path, says in [(tmp_path / "none.yaml", "no such file"), (tmp_path, "a directory"), ("a\0b.yaml", "opened")]:
        with pytest.raises(InputError, match=says):
            read(path)
    with pytest.raises(InputError, match="cannot be opened"):
        read(good / "inside.yaml")


def test_label_is_relative_inside_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pcm.yaml").write_text("a: 1\na: 2")
    for name in ("pcm.yaml", tmp_path / "pcm.yaml"):
        with pytest.raises(InputError) as error:
            read(name)
        assert error.value.problems == ("pcm.yaml:2: a: duplicate key, first at line 1",)


class Small(Section):
    """A law."""

    t_read: Time
    q: float = 0.5


class Large(Section):
    name: str
    size: int = 3


SHAPES: Registry[type[Section]] = Registry("law", "neuroanp.tests.shapes")
SHAPES.register("small")(Small)
SHAPES.register("large")(Large)


class Item(Section):
    bits: Annotated[int, Field(ge=2, le=24)] = 8


class Root(Section):
    g_max: Conductance
    mode: Literal["serial", "row"] = "serial"
    on: bool = True
    read: Annotated[Section, Chosen("law", SHAPES)] | None = None
    task: Annotated[Section, Chosen("name", SHAPES)] | None = None
    item: Item | None = None
    items: list[Item] = Field(default_factory=list)
    span: Annotated[tuple[float, float], Field(strict=False)] | None = None


def invalid(text: str) -> list[str]:
    with pytest.raises(InputError) as error:
        validate(parse(text, "pcm.yaml"), Root)
    return list(error.value.problems)


def test_valid_document():
    root = validate(
        parse("g_max: 25 uS\nread: {law: small, t_read: 1 us}\ntask: {name: large}\nspan: [1, 2]", "f"), Root
    )
    assert root.g_max == 25e-6
    assert root.read == Small(t_read=1e-6)
    assert root.task == Large(name="large")  # the picking key is passed on to a model that has such a field
    assert root.span == (1.0, 2.0)


def test_every_problem_at_once_in_the_order_of_lines():
    text = """g_max: 25 mV
mode: colum
on: yes
read:
  law: small
  t_red: 250 ns
item:
  bits: 1
items:
  - bits: 8
  - bitz: 4
extra: 1"""
    assert invalid(text) == [
        "pcm.yaml:1: g_max: '25 mV' is not a conductance; write e.g. '25 uS'",
        "pcm.yaml:2: mode: 'colum' is not one of serial, row",
        "pcm.yaml:3: on: 'yes' is neither true nor false",
        "pcm.yaml:4: read.t_read: required key is missing",
        "pcm.yaml:6: read.t_red: unknown key; did you mean 'read.t_read'?",
        "pcm.yaml:8: item.bits: 1 must be at least 2",
        "pcm.yaml:11: items[1].bitz: unknown key; did you mean 'items[1].bits'?",
        "pcm.yaml:12: extra: unknown key; known here: g_max, mode, on, read, task, item, items, span",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("read: {law: smal}", "read.law: unknown law 'smal'; did you mean 'small'? (known: large, small)"),
        ("read: {t_read: 1 s}", "read.law: required key is missing: it picks the law (known: large, small)"),
        ("read: {law: 5}", "read.law: unknown law 5 (known: large, small)"),
        ("read: {law: [small]}", "read.law: unknown law ['small']"),
        ("read: small", "read: 'small' is not a section; write 'law: ...' and its keys below"),
        ("read: {lw: small}", "read.law: required key is missing"),
        ("read: {law: small, t_read: 1 s, q: .nan}", "read.q: nan is not a finite number"),
        ("read: {law: small, t_read: 1 s, q: '1'}", "read.q: '1' is not a number"),
        ("read: {law: small, t_read: 1 s, q: true}", "read.q: True is not a number"),
        ("item: 5", "item: 5 is not a section"),
        ("item: {bits: 2.5}", "item.bits: 2.5 is not a whole number"),
        ("item: {bits: true}", "item.bits: True is not a whole number"),
        ("item: {bits: '8'}", "item.bits: '8' is not a whole number"),
        ("item: {bits: 99}", "item.bits: 99 must be at most 24"),
        ("mode: [serial]", "mode: ['serial'] is not one of serial, row"),
        ("mode: seriall", "mode: 'seriall' is not one of serial, row; did you mean 'serial'?"),
        ("items: {bits: 2}", "is not a list"),
        ("g_max_: 1", "g_max_: unknown key; did you mean 'g_max'?"),
    ],
)
def test_messages(text, says):
    found = invalid(f"g_max: 25 uS\n{text}")
    assert any(problem.startswith("pcm.yaml:2: ") and says in problem for problem in found), found


def test_missing_root_key_has_no_line():
    assert "pcm.yaml: g_max: required key is missing" in invalid("mode: row")


def test_python_may_pass_the_chosen_model_itself():
    assert Root(g_max=1.0, read=Small(t_read=1.0)).read == Small(t_read=1.0)
    with pytest.raises(ValueError, match="not a registered law"):
        Root(g_max=1.0, read=Item())


def test_data_that_is_no_file_names_its_origin():
    with pytest.raises(InputError, match="--set has 1 problem") as error:
        validate(Document("--set", {"g_max": 5}), Root)
    assert error.value.problems == ("--set: g_max: '5' has no unit; write e.g. '25 uS'",)


def test_assign_overrides_and_names_the_assignment():
    document = parse("g_max: 25 uS\nitem:\n  bits: 4", "run.yaml")
    assert validate(assign(document, ["item.bits=6", "mode=row"]), Root).item == Item(bits=6)
    assert assign(document, ["read={law: small, t_read: 1 s}", "read.q=1e-3"]).data["read"]["q"] == 1e-3
    assert assign(document, []).data == document.data
    with pytest.raises(InputError) as error:
        validate(assign(document, ["item.bits=1", "g_mx=2"]), Root)
    assert error.value.problems == (
        "--set item.bits=1: item.bits: 1 must be at least 2",
        "--set g_mx=2: g_mx: unknown key; did you mean 'g_max'?",
    )
    for bad in ("item.bits", "=5", "a..b=1", "g_max.x=1", "item=[", "item={a: 1, a: 2}"):
        with pytest.raises(InputError):
            assign(document, [bad])
    assert document.data["item"]["bits"] == 4


def test_parse_value():
    assert [parse_value(text) for text in ("1e-3", "copy", "[1, a]", "", "no", "true")] == [
        1e-3, "copy", [1, "a"], None, "no", True,
    ]  # fmt: skip


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), plain, max_size=4))
@example({"a": "1e-6", "b": "no", "c": "0o7", "d": "12:30", "e": "=", "f": "<<", "g": float("inf"), "no": 1, "1": 2})
@settings(max_examples=150, deadline=None)
def test_dump_reads_back_equal(data):
    assert parse(dump(data), "f").data == data if data else dump(data) == "{}\n"


MARKS = [":", "-", "[", "]", "{", "}", "&x ", "*x", "!", "!!int ", "|", ">", "'", '"', "\\U", "%", "---", "#", "?", ","]
WORDS = ["a", "1e5", "g_max", "read", "law", "small", "~", "25 uS"]
yaml_bits = st.lists(st.sampled_from([*WORDS, *MARKS, " ", "\n", "\t", "\x85", "é", "- "]), max_size=25).map("".join)


def survives(action) -> None:
    """Run what must either work or say what is wrong with the input."""
    try:
        action()
    except InputError as error:
        message = str(error)
    else:
        message = "fine"
    assert message


@given(yaml_bits | st.text(max_size=40))
@settings(max_examples=400, deadline=None)
def test_no_text_crashes(text):
    survives(lambda: validate(parse(text, "f.yaml"), Root))


@given(st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
def test_no_bytes_crash(tmp_path_factory, raw):
    path = tmp_path_factory.getbasetemp() / "random.yaml"
    path.write_bytes(raw)
    survives(lambda: read(path))


@given(st.dictionaries(st.sampled_from([*Root.model_fields, "x"]), plain, max_size=6))
@settings(max_examples=200, deadline=None)
def test_no_data_crashes_validation(data):
    survives(lambda: validate(Document("--set", data), Root))


def test_two_names_for_one_model_of_options_are_refused(monkeypatch):
    """By its options alone the one could not be told from the other, which would be trained in its place."""
    from neuroanp.tasks.copy import Copy
    from neuroanp.tasks.protocol import TASKS
    from neuroanp.training.configure import configure

    class Mine(Copy):
        """Copy, but mine."""

    monkeypatch.setitem(TASKS._registered, "mine", Mine)
    with pytest.raises(InputError, match="task 'mine' has the same model of options as 'copy', CopyConfig; give it "):
        configure({"task": "mine"})
    assert configure({"task": "copy"}).task_name == "copy"


def test_a_value_in_a_list_is_placed_by_its_index():
    """And every other is as it was, with its line; a wrong index says which there are."""
    text = "layers:\n- {units: 5}\n- {units: 4}\n"
    changed = assign(parse(text, "run.yaml"), ["layers[1].units=7", "layers.0.cell=gru"])
    assert changed.data == {"layers": [{"units": 5, "cell": "gru"}, {"units": 7}]}
    assert changed.where(("layers", 0, "units")) == "run.yaml:2"
    assert changed.where(("layers", 1, "units")) == "--set layers[1].units=7"
    for key in ("layers[2].units", "layers.2"):
        with pytest.raises(InputError, match=r"there is no layers\[2\]; it has layers\[0\] to layers\[1\]"):
            assign(changed, [f"{key}=1"])
    with pytest.raises(InputError, match=r"write key\.key=value"):
        assign(changed, ["layers[-1]=1"])


def test_who_reads_a_text_again_gets_it_as_it_is():
    """Whatever the reader before made of what it got."""
    text, first = "a: {b: [1, 2]}", parse("a: {b: [1, 2]}", "x.yaml")
    first.data["a"]["b"].append(3)
    first.data["c"] = 4
    cast("dict", first.lines)[("c",)] = 9
    again = parse(text, "x.yaml")
    assert again.data == {"a": {"b": [1, 2]}}
    assert set(again.lines) == {("a",), ("a", "b"), ("a", "b", 0), ("a", "b", 1)}
    assert parse(text, "y.yaml").where(("a",)) == "y.yaml:1"
