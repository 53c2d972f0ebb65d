"""profiles list, show, validate, diff on the shipped profiles and on broken files."""

import json
from pathlib import Path

import pytest

from neuroanp.profiles import available, load

SHIPPED = ["ideal", "pcm", "rram_hfo2", "smtj_koenders"]


def test_list_names_all(invoke) -> None:
    shown = invoke("profiles", "list")
    assert shown.exit_code == 0
    for name in available():
        assert name in shown.stdout
    assert max(map(len, shown.stdout.splitlines())) <= 100


def test_list_as_json(invoke) -> None:
    rows = json.loads(invoke("profiles", "list", "--json").stdout)["results"]
    assert [row["name"] for row in rows] == available()
    assert all(row["source"] and [*row["parameters"]] == ["measured", "fitted", "illustrative"] for row in rows)
    (pcm,) = (row["parameters"] for row in rows if row["name"] == "pcm")
    assert pcm == load("pcm").shares


@pytest.mark.parametrize("name", SHIPPED)
def test_show_has_every_parameter_with_unit_and_source(invoke, name: str) -> None:
    shown = invoke("profiles", "show", name)
    assert shown.exit_code == 0, shown.stderr
    joined = "".join(shown.stdout.split())
    profile = load(name)
    for key, origin in profile.provenance.items():
        assert key in joined
        assert "".join(origin.source.split()) in joined
    for leaf in profile.leaves():
        assert "".join(leaf.text.split()) in joined
    assert max(map(len, shown.stdout.splitlines())) <= 100


def test_show_as_json_holds_si_numbers(invoke) -> None:
    (shown,) = json.loads(invoke("profiles", "show", "pcm", "--json").stdout)["results"]
    values = {row["parameter"]: row for row in shown["parameters"]}
    g_max = values["conductance.g_max"]
    assert (g_max["value"], g_max["unit"], g_max["text"]) == (2.5e-5, "S", "25 uS")
    assert g_max["status"] in ("measured", "fitted", "illustrative")
    assert shown["hash"] == load("pcm").hash


def test_show_takes_a_file(invoke, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: pcm\nmeta: {name: mine}\nconductance: {g_max: 50 uS}\n")
    assert "50 uS" in invoke("profiles", "show", str(mine)).stdout


def test_an_unknown_name_says_what_is_near(invoke) -> None:
    ended = invoke("profiles", "show", "pmc")
    assert ended.exit_code == 2
    assert "did you mean 'pcm'?" in ended.stderr
    assert ended.stdout == ""


def test_validate_says_ok(invoke) -> None:
    done = invoke("profiles", "validate", *SHIPPED)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [f"{name}: OK" for name in SHIPPED]


def test_validate_says_all_problems_of_all_files_with_file_and_line(invoke, tmp_path: Path) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("extends: pcm\nmeta: {name: one}\nconductance:\n  g_max: 25 mV\n  g_mix: 1 uS\n")
    two.write_text("extends: ideal\nmeta: {name: two}\narray:\n  weight_range: .nan\n")
    ended = invoke("profiles", "validate", "pcm", str(one), str(two))
    assert ended.exit_code == 2
    assert ended.stdout == "pcm: OK\n"
    for said in ("one.yaml:4: conductance.g_max", "one.yaml:5: conductance.g_mix", "two.yaml:4: array.weight_range"):
        assert said in ended.stderr
    assert "3 problems" in ended.stderr
    rows = json.loads(invoke("profiles", "validate", "pcm", str(one), "--json").stdout)["results"]
    assert [(row["ok"], len(row["problems"])) for row in rows] == [(True, 0), (False, 2)]


def test_a_missing_file_is_said(invoke, tmp_path: Path) -> None:
    ended = invoke("profiles", "validate", str(tmp_path / "none.yaml"))
    assert ended.exit_code == 2
    assert "none.yaml" in ended.stderr


def test_diff_shows_what_differs_and_only_that(invoke, tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: pcm\nmeta: {name: mine}\nconductance: {g_max: 50 uS}\n")
    rows = json.loads(invoke("profiles", "diff", "pcm", str(mine), "--json").stdout)["results"]
    assert rows == [{"parameter": "conductance.g_max", "left": "25 uS", "right": "50 uS"}]
    shown = invoke("profiles", "diff", "pcm", "ideal").stdout
    assert "programming.law" in shown
    assert "same values" in invoke("profiles", "diff", "pcm", "pcm").stdout
