"""What a report says of results that are made up."""

from neuroanp.reproducing.claims import claims
from neuroanp.reproducing.report import how, of_claim, sentences, summary
from neuroanp.reproducing.result import Reproduction
from neuroanp.reproducing.verdicts import held_to
from tests.reproducing.conftest import run, tiny


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


def test_what_chance_would_hold_stands_beside_what_held() -> None:
    """ANP below NP and WP in all of three seeds, DANP above ANP: three comparisons, 1/8 of each by chance."""
    losses = {"anp": 0.2, "np": 0.4, "wp": 0.5, "danp": 0.3, "bptt1": 0.1, "bptt": 0.1}
    made = made_of([run(way, seed, loss) for way, loss in losses.items() for seed in (1, 2, 3)])
    said = " ".join(sentences(made))
    assert "Of 3 that ask which of two is lower and have all runs, 2 held; by chance alone 0.38 would" in said
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[3:] for line in summary(made).splitlines()}
    assert rows["claim"] == ["held", "held by chance", "did not", "undecided |"]
    assert rows["NP"][:3] == ["1", "0.12", ""]
    assert rows["decorrelation"][:3] == ["", "0.12", "1"]
    assert rows["BPTT"][:3] == ["", "–", "1"]  # within 1.1 times
    claim = next(one for one in made.claims if one.name == "BPTT")
    (row,) = [line for line in of_claim(claim, made.findings).splitlines() if line.startswith("| recall ")]
    assert row.split(" | ")[4:6] == ["0 of 3", "–"]
