"""What a report says of results that are made up."""

from neuroanp.reproducing.claims import claims
from neuroanp.reproducing.report import how, sentences
from neuroanp.reproducing.result import Reproduction
from neuroanp.reproducing.verdicts import held_to
from tests.reproducing.conftest import tiny


def made_of(measured=(), seeds=(1, 2, 3), quick: bool = True, run=("recall",)) -> Reproduction:
    """Return a reproduction of made-up results."""
    experiments = tiny()
    found = claims(experiments)
    findings = held_to(found, measured, seeds, {}, run)
    return Reproduction(quick, tuple(seeds), ("neuroanp",), experiments, run, {}, measured, found, findings)


def test_a_seed_that_rates_were_tuned_on_is_named() -> None:
    def said(seeds: tuple[int, ...], quick: bool = True) -> str:
        return " ".join(sentences(made_of(seeds=seeds, quick=quick)))

    assert "Seed 101 was tuned on" in said((42, 101, 300))
    assert "Seeds 100 and 101 were tuned on" in said((100, 101))
    assert "tuned on" not in said((42, 300, 482))
    assert "tuned on" not in said((42, 101, 300), quick=False)  # rates of the paper are not tuned


def test_differences_of_quick_runs_are_all_but_the_sums_over_the_batch() -> None:
    """Windows of weather are drawn alike at both sizes; rates are the paper's at its sizes alone."""
    for quick in (True, False):
        said = " ".join(how(made_of(quick=quick)))
        assert "Weather: windows are drawn from the training rows" in said
        assert "Copy: the code has one training sequence" in said
        assert ("sums over the batch where this package takes the mean" in said) != quick
