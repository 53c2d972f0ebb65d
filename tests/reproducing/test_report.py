"""What a report says of results that are made up."""

from neuroanp.reproducing import rates
from neuroanp.reproducing.claims import claims
from neuroanp.reproducing.report import how, of_claim, sentences, summary
from neuroanp.reproducing.result import Reproduction
from neuroanp.reproducing.verdicts import OPEN, held_to
from tests.reproducing.conftest import run, tiny


def made_of(measured=(), seeds=(1, 2, 3), quick: bool = True, run: tuple[str, ...] = ("recall",)) -> Reproduction:
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


def test_what_was_not_run_is_told_apart_from_seeds_that_disagree() -> None:
    """Of all comparisons of the paper's claims, two have runs, and their seeds disagree."""
    losses = {"anp": (0.2, 0.2), "np": (0.1, 0.4), "wp": (0.1, 0.4)}
    made = made_of([run(way, seed, each[seed - 1]) for way, each in losses.items() for seed in (1, 2)])
    open_ones = [one for one in made.findings if one.whose == "paper" and one.verdict == OPEN]
    there = [one for one in open_ones if one.seeds]
    assert [(one.below, one.seeds) for one in there] == [(1, 2)] * 2
    said = f"{len(open_ones)} are undecided, {len(open_ones) - 2} of them for want of runs."
    assert said in sentences(made)[0]


EDGES = {
    ("forecast", "bptt1"), ("copy_fresh", "wp"), ("copy_fresh", "bptt"), ("weather", "wp"), ("psmnist", "anp"),
    ("psmnist", "danp"), ("psmnist", "wp"), ("psmnist", "bptt1"),
}  # fmt: skip
"""By hand, from what was tried."""


def test_rates_at_the_edge_of_what_was_tried_are_named() -> None:
    assert {(name, way) for name in rates.QUICK for way in rates.QUICK[name] if rates.at_edge(name, way)} == EDGES
    assert not rates.at_edge("scaling", "anp")  # those of copy_fixed, whose grid was widened to .003
    said = rates.said(quick=True)
    assert "for forecast: BPTT, 1 step 0.03; copy_fresh: WP (preset) 1, BPTT 0.03; weather: WP (preset) 1; " in said
    assert "psmnist: ANP (preset) 3, DANP (preset) 1, WP (preset) 1, BPTT, 1 step 0.03. " in said
    assert "recall: NP (preset) 0.2, 0.6, BPTT, 1 step 0.0003; " in said
    assert "weight perturbation on seed 100 alone (in the forecast on both)" in said


def test_danp_has_the_rate_of_anp_where_it_was_not_tuned() -> None:
    other = [name for name, row in rates.QUICK.items() if row["danp"] != row["anp"]]
    assert other == ["psmnist"] == [*rates.TUNED_DANP]


def test_a_claim_against_a_rate_at_the_edge_is_marked() -> None:
    """Of weather WP's rate is at the edge, NP's is not; at the paper's sizes nothing was tuned."""
    losses = {"anp": 0.2, "np": 0.4, "wp": 0.5}
    made = made_of([run(way, seed, loss, "weather") for way, loss in losses.items() for seed in (1, 2, 3)],
                   run=("weather",))  # fmt: skip
    marked = {
        (name, quick)
        for name in ("NP", "WP")
        for quick in (True, False)
        if "(its rate is at the edge of what was tried)"
        in of_claim(next(one for one in made.claims if one.name == name), made.findings, quick)
    }
    assert marked == {("WP", True)}


def test_a_control_has_no_rate_that_could_be_at_an_edge() -> None:
    """BPTT of fresh copy is at the edge; the ridge readout that its runs compute does not learn by that rate."""
    runs = [run("anp", seed, 0.1, "copy_fresh") for seed in (1, 2, 3)]
    runs += [run("bptt", seed, 0.4, "copy_fresh", ridge=0.3) for seed in (1, 2, 3)]
    made = made_of(runs, run=("copy_fresh",))
    shown = {one.name: of_claim(one, made.findings, quick=True) for one in made.claims}
    assert "**held**" in shown["recurrence"]
    assert "at the edge" not in shown["recurrence"]
    assert "at the edge" in shown["BPTT"]
