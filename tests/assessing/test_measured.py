"""A fit is found again by what was measured; what is damaged, changed or not whole is not taken for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from neuroanp.api.assessed import data_of
from neuroanp.assessing import measured
from neuroanp.assessing.measured import RECORD, Data, measure, stored
from neuroanp.errors import InputError
from neuroanp.fitting import Options
from neuroanp.profiles import load
from tests.assessing.conftest import written

PLACE = Path("out")


@pytest.fixture
def data(here: Path, monkeypatch: pytest.MonkeyPatch) -> Data:
    monkeypatch.setattr(
        "neuroanp.fitting.plots.draw", lambda fit, suffix, phone=False: f"<svg>{fit.law}</svg>".encode()
    )
    found = Data.of(["good.csv"])
    measure(found, "2026-01-02").placed(PLACE).save(PLACE)
    return found


def test_what_was_saved_is_found_and_is_the_profile(data: Data) -> None:
    found = stored(data, PLACE)
    assert found is not None
    again = measure(data, "2026-01-02").placed(PLACE)
    assert (found.text, found.found, found.figures, found.base) == (again.text, again.found, again.figures, again.base)
    assert load(found.profile(PLACE)).name == "good"
    assert "fitted 2026-01-02" in found.text
    assert stored(data, PLACE, force=True) is None
    assert stored(data, Path("elsewhere")) is None


def test_it_is_known_by_content_and_options_and_not_by_place_or_day(data: Data) -> None:
    Path("sub").mkdir()
    Path("sub/good.csv").write_bytes(Path("good.csv").read_bytes())
    assert Data.of([Path("sub/good.csv")]).key == data.key
    assert Data.of(["good.csv"], options=Options(g_max=30e-6)).key != data.key
    assert Data.of(["programming:good.csv"]).key != data.key
    assert Data.of(["good.csv"], name="other").key != data.key
    written(Path("good.csv"), 0.3e-6)
    assert Data.of(["good.csv"]).key != data.key


def test_a_base_that_is_a_file_counts_with_its_content_and_is_named_from_the_folder(here: Path) -> None:
    Path("base.yaml").write_text("extends: pcm\nmeta: {name: mine}\n")
    options = Options(extends="base.yaml")
    found = Data.of(["good.csv"], options=options)
    made = measure(found, "2026-01-02").placed(Path("deep/out"))
    assert "extends: ../../base.yaml" in made.text
    made.save(Path("deep/out"))
    assert load(made.profile(Path("deep/out"))).inherited["conductance.g_max"] == "pcm"
    Path("base.yaml").write_text("extends: pcm\nmeta: {name: mine}\nperiphery: {adc: {bits: 6}}\n")
    assert Data.of(["good.csv"], options=options).key != found.key


def test_earlier_code_and_what_came_to_no_end_are_fitted_again(data: Data, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(measured, "code_version", lambda: "0.0.0+000000000000")
        assert stored(data, PLACE) is None
    (PLACE / "fit-programming.svg").unlink()
    assert stored(data, PLACE) is None


@pytest.mark.parametrize("change", ["found", "sha256", "figure", "law", "elsewhere", "json"])
def test_a_damaged_record_is_named_with_the_remedy(data: Data, change: str) -> None:
    told = json.loads((PLACE / RECORD).read_text())
    if change in ("found", "sha256"):
        told[change] = 3
    elif change == "elsewhere":
        told["found"][0]["figure"] = "../good.csv"
    else:
        told["found"][0].pop(change, None)
    (PLACE / RECORD).write_text("[" if change == "json" else json.dumps(told))
    with pytest.raises(InputError, match=r"out/fit.json: damaged.*; move out away, or give --force"):
        stored(data, PLACE)


def test_a_folder_is_of_one_set_of_measurements(data: Data) -> None:
    for other in (Data.of(["good.csv"], options=Options(g_max=30e-6)), Data.of(["good.csv"], name="other")):
        with pytest.raises(InputError, match="-o out: holds the assessment of other measurements, or of other options"):
            stored(other, PLACE)
        assert stored(other, PLACE, force=True) is None
    Path("full").mkdir()
    Path("full/thesis.tex").write_text("mine")
    with pytest.raises(InputError, match="-o full: holds other files"):
        stored(data, Path("full"))
    with pytest.raises(InputError, match=r"-o good\.csv: is no folder"):
        stored(data, Path("good.csv"))


@pytest.mark.parametrize("name", ["good.yaml", "fit-programming.svg"])
def test_what_was_changed_is_not_taken_for_the_fit(data: Data, name: str) -> None:
    (PLACE / name).write_bytes((PLACE / name).read_bytes() + b"\n")
    with pytest.raises(InputError, match=rf"out/{name}: was changed since it was fitted"):
        stored(data, PLACE)


def test_python_is_told_of_all_that_is_wrong_with_the_data(here: Path) -> None:
    for wrong, said in ((None, "data: None is no path"), ([3], "data: 3 is no path"), ([], "DATA: no file is named")):
        with pytest.raises(InputError, match=said):
            data_of(wrong)
    with pytest.raises(InputError) as raised:
        data_of("good.csv", fit={"v_raed": 1, "law": "pcm"})
    assert raised.value.message == "v_raed: no option of a fit; did you mean 'v_read'?"
    with pytest.raises(InputError) as raised:
        data_of("good.csv", fit={"v_read": "3 S", "g_max": -1.0, "anyway": 3})
    assert [line.partition(":")[0] for line in raised.value.problems] == ["--v-read", "--g-max", "anyway"]
    found = data_of(["good.csv"], "mine", fit={"g_max": "30 uS", "missing": [-9]})
    assert found.options == replace(Options(), g_max=30e-6, missing=(-9.0,))
