"""What a fit leaves behind: profiles that load with the fitted numbers, and figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from examples.data import synthesize
from neuroanp.errors import InputError
from neuroanp.fitting import Fit, Parameter, fit_file, profile_text
from neuroanp.fitting.plots import draw
from neuroanp.profiles import load, loads
from neuroanp.yaml_io import dotted
from tests.close import close
from tests.fitting.cases import CASES, fitted

EXAMPLES = Path(synthesize.__file__).parent
KINDS = ["telegraph", "pulse", "read_noise", "drift", "programming"]
CHOSEN = [*KINDS, "koenders", "rtn_read", "soft_bounds", "read_gaussian", "programming_gaussian"]
"""The shipped examples, one a kind, and measurements of other laws."""


@pytest.fixture(scope="module")
def fits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fit]:
    folder = tmp_path_factory.mktemp("fits")
    shipped = {kind: fit_file(EXAMPLES / f"{kind}.csv", kind) for kind in KINDS}
    return shipped | {name: fitted(CASES[name], 401, folder) for name in CHOSEN if name not in shipped}


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("name", CHOSEN)
def test_profile_loads_with_the_fitted_numbers(fits: dict[str, Fit], name: str, whole: bool) -> None:
    fit = fits[name]
    profile = loads(profile_text(fit, "mine", "2026-02-03", whole=whole))
    values = {dotted(leaf.key): leaf for leaf in profile.leaves()}
    assert values[f"{fit.section}.law"].value == fit.law
    for parameter in fit.parameters:
        if parameter.fitted:
            assert abs(values[parameter.key].value - parameter.value) <= 0.01 * (parameter.high - parameter.low)
            origin = profile.provenance[parameter.key]
            assert origin.status == "fitted"
            assert parameter.interval in origin.source
            assert fit.source in origin.source
    assert not [key for key, origin in profile.provenance.items() if origin.source == "default of the model"]
    assert (profile.meta.name, profile.meta.status, profile.meta.doi) == ("mine", "fitted", None)
    assert "2026-02-03" in profile.meta.source
    assert fit.data in profile.meta.source


@pytest.mark.parametrize("name", CHOSEN)
def test_what_is_not_fitted_is_the_bases(fits: dict[str, Fit], name: str) -> None:
    fit = fits[name]
    profile, base = loads(profile_text(fit, "mine", "2026-02-03")), load(fit.base)
    touched = {fit.section} | {choice.key.partition(".")[0] for choice in fit.choices}
    for leaf in base.leaves():
        if leaf.key[0] not in touched and dotted(leaf.key) != "faults.corrupt_range":  # counts in parts of the range
            assert profile.provenance.get(dotted(leaf.key)) == base.provenance.get(dotted(leaf.key))
    assert {leaf.key[0] for leaf in base.leaves()} <= {leaf.key[0] for leaf in profile.leaves()}


def test_base_may_be_a_file_and_is_named_from_where_the_profile_lies(fits: dict[str, Fit], tmp_path: Path) -> None:
    base, there = tmp_path / "base.yaml", tmp_path / "deep" / "er"
    base.write_text("extends: pcm\nmeta: {name: base}\narray: {weight_range: 5}\n")
    there.mkdir(parents=True)
    (there / "mine.yaml").write_text(profile_text(fits["drift"], "mine", "2026-02-03", str(base), folder=there))
    assert load(there / "mine.yaml").array.weight_range == 5
    assert "extends: ../../base.yaml" in (there / "mine.yaml").read_text()


def test_base_with_the_same_law_keeps_what_the_record_does_not_hold(fits: dict[str, Fit]) -> None:
    profile = loads(profile_text(fits["soft_bounds"], "mine", "2026-02-03", "rram_hfo2"))
    base = load("rram_hfo2")
    here, there = (p.update.reference_sd * (p.conductance.g_max - p.conductance.g_min) for p in (profile, base))
    assert here == close(there, rel=1e-5)
    other = loads(profile_text(fits["pulse"], "mine", "2026-02-03", "rram_hfo2"))
    assert other.update.reference_sd == 0.0


def test_bad_names_and_bases_are_refused(fits: dict[str, Fit]) -> None:
    with pytest.raises(InputError, match="is not a name"):
        profile_text(fits["drift"], "no name", "2026-02-03")
    with pytest.raises(InputError, match="did you mean 'pcm'"):
        profile_text(fits["drift"], "mine", "2026-02-03", "pmc")


@pytest.mark.slow
@pytest.mark.parametrize("name", CHOSEN)
def test_figures_are_pictures(fits: dict[str, Fit], name: str) -> None:
    assert draw(fits[name], ".png").startswith(b"\x89PNG")


def test_vector_figures_are_the_same_each_time(fits: dict[str, Fit]) -> None:
    svg = draw(fits["read_gaussian"], ".svg")
    assert b"<svg" in svg
    assert svg == draw(fits["read_gaussian"], ".svg")


def test_drawing_leaves_the_settings_of_matplotlib_alone(fits: dict[str, Fit]) -> None:
    import matplotlib as mpl

    before = dict(mpl.rcParams)
    draw(fits["drift"])
    assert dict(mpl.rcParams) == before


@pytest.mark.parametrize("kind", KINDS)
def test_shipped_examples_are_fitted_well(fits: dict[str, Fit], kind: str) -> None:
    assert (EXAMPLES / f"{kind}.csv").read_text().startswith("# Synthetic")
    assert not any(test.fails() for test in fits[kind].goodness)


def test_shipped_examples_are_those_of_the_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synthesize, "HERE", tmp_path)
    synthesize.main()
    assert sorted(path.stem for path in tmp_path.iterdir()) == sorted(KINDS)
    for path in tmp_path.iterdir():
        ours, theirs = (np.genfromtxt(p, delimiter=",", skip_header=3) for p in (path, EXAMPLES / path.name))
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("parameter", "text", "interval"),
    [
        (Parameter("a", 1.23456e-6, 1.1e-6, 1.4e-6, "s"), "1.23 us", "1.10 to 1.40 us"),
        (Parameter("a", 0.0421, 0.04205, 0.04215, "V"), "42.1 mV", "42.050 to 42.150 mV"),
        (Parameter("a", -1.2e-6, -1.6e-6, -0.8e-6, "S"), "-1.2 uS", "-1.60 to -0.80 uS"),
        (Parameter("a", 0.0088123, 0.0086, 0.009), "0.00881", "0.00860 to 0.00900"),
        (Parameter("a", 0.0, 0.0, 0.04), "0", "0.0000 to 0.0400"),
    ],
)
def test_numbers_are_rounded_to_their_uncertainty(parameter: Parameter, text: str, interval: str) -> None:
    assert (parameter.text, parameter.interval) == (text, interval)
