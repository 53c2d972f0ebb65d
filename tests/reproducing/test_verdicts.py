"""Claims on results that are made up: held, did not hold, undecided; the counts by chance worked out by hand."""

from math import inf

import pytest

from neuroanp.reproducing.claims import REACHES, Claim, Comparison, Number, claims
from neuroanp.reproducing.experiments import at_paper
from neuroanp.reproducing.verdicts import HELD, NOT, OPEN, decided, held_to
from tests.close import close
from tests.reproducing.conftest import run, tiny

ONE, OTHER = Number("recall", "anp", 4, "loss"), Number("recall", "bptt1", 4, "loss")


def claim_of(within: float = 1.0, one: Number = ONE, other: Number = OTHER) -> Claim:
    return Claim("made up", "paper", "One is below the other.", (Comparison("recall", one, other, "a", "b", within),))


def of(pairs, within: float = 1.0, lost=()):
    claim = claim_of(within)
    return decided(claim, claim.tests[0], pairs, lost)


@pytest.mark.parametrize(
    ("pairs", "verdict", "below", "chance"),
    [
        ([(1, 2)] * 3, HELD, 3, 1 / 8),
        ([(1, 2)] * 5, HELD, 5, 1 / 32),
        ([(1, 2)] * 4 + [(2, 1)], OPEN, 4, 6 / 32),  # 5 ways for four of five, 1 for all
        ([(1, 2)] * 9 + [(2, 1)], HELD, 9, 11 / 1024),  # rarer than .05
        ([(1, 2)] * 2 + [(2, 1)], OPEN, 2, 4 / 8),
        ([(1, 2)] + [(2, 1)] * 2, OPEN, 1, 7 / 8),  # as the two of three that are below
        ([(1, 2)] * 2 + [(2, 1)] * 2, OPEN, 2, 11 / 16),  # half of them
        ([(1, 2)] + [(2, 1)] * 4, OPEN, 1, 31 / 32),  # above in four of five: 6 / 32
        ([(1, 2)] + [(2, 1)] * 9, NOT, 1, 1023 / 1024),  # above in nine of ten: 11 / 1024
        ([(2, 1)] * 5, NOT, 0, 1.0),
        ([(1, 1)] * 3, NOT, 0, 1.0),  # equal is not below
        ([(1, 2)] * 2, OPEN, 2, 1 / 4),  # too few seeds
        ([(1, inf)] * 3, HELD, 3, 1 / 8),  # the other diverged
        ([(inf, 1)] * 3, NOT, 0, 1.0),
        ([(inf, inf)] * 2 + [(1, 2)], OPEN, 1, 7 / 8),
    ],
)
def test_verdicts(pairs, verdict: str, below: int, chance: float) -> None:
    found = of(pairs)
    assert (found.verdict, found.below, found.seeds) == (verdict, below, len(pairs))
    assert found.chance == close(chance)
    assert (found.why is None) == (verdict != OPEN)


def test_ratio_is_of_the_medians() -> None:
    found = of([(1.0, 10.0), (2.0, 4.0), (9.0, 100.0)])
    assert (found.one, found.other, found.ratio) == (2.0, 10.0, 0.2)
    assert of([(inf, 1.0)] * 3).ratio is None


def test_to_reach_allows_a_tenth_more_and_whatever_is_solved() -> None:
    assert of([(1.05, 1.0)] * 3, REACHES).verdict == HELD
    assert of([(1.15, 1.0)] * 3, REACHES).verdict == NOT
    assert of([(1e-7, 1e-12)] * 3, REACHES).verdict == HELD
    assert of([(1e-7, 1e-12)] * 3).verdict == NOT


def test_chance_is_told_of_what_is_a_toss_of_a_coin_if_nothing_differs() -> None:
    """Three seeds hold by chance once in 8; one of equals is below 1.1 times the other more often than that."""
    assert (of([(1, 2)] * 3).luck, of([(2, 1)] * 3).luck, of([(1, 2), (2, 1), (1, 2)]).luck) == (1 / 8, 1 / 8, 1 / 8)
    reached = of([(1, 2)] * 3, REACHES)
    assert (reached.verdict, reached.chance, reached.luck) == (HELD, None, None)
    for cannot in (of([(1, 2)] * 2), of([(1, 2)] * 4, lost=["gone"]), of([(inf, inf)] * 3)):
        assert (cannot.verdict, cannot.luck) == (OPEN, None)


def test_a_lost_run_leaves_a_claim_undecided_with_the_remedy() -> None:
    found = of([(1, 2)] * 4, lost=["recall, ANP, seed 1: the disk was full", "another"])
    assert (found.verdict, found.below, found.seeds) == (OPEN, 4, 4)
    assert found.why == "recall, ANP, seed 1: the disk was full (and 1 more)"


def held(measured, *, missing=None, ran=("recall",), claim=None, seeds=(1, 2, 3)):
    (found,) = held_to([claim or claim_of()], measured, seeds, missing or {}, ran)
    return found


def test_runs_are_paired_by_seed() -> None:
    losses = {1: (0.1, 0.2), 2: (0.3, 0.4), 3: (0.5, 0.6)}
    runs = [run("anp", seed, a) for seed, (a, _) in losses.items()]
    runs += [run("bptt1", seed, b) for seed, (_, b) in reversed(losses.items())]
    assert (held(runs).verdict, held(runs).below) == (HELD, 3)


def test_what_is_not_there_is_said() -> None:
    runs = [run(way, seed, 0.1) for way in ("anp", "bptt1") for seed in (1, 2, 3)]
    assert held(runs, ran=("weather",)).why == "recall was not run; add it to --only"
    assert held(runs, missing={"recall": "no file; get it"}).why == "recall: no file; get it"
    assert held(runs, seeds=(1, 2, 3, 4)).why == (
        "recall, ANP (preset), seed 4: was not run; repeat the command (and 1 more)"
    )
    failed = held([*runs[:-1], run("bptt1", 3, None)])
    assert (failed.verdict, failed.below + failed.seeds) == (OPEN, 2)  # equal losses of two seeds, none below
    assert failed.why == ("recall, BPTT, 1 step, seed 3: the disk was full; repeat the command once that is mended")


def test_controls_are_those_of_the_run_that_has_them() -> None:
    ridge = Number("recall", "bptt", 4, "ridge")
    claim = claim_of(other=ridge)
    runs = [run("anp", seed, 0.1) for seed in (1, 2, 3)]
    assert held([*runs, *(run("bptt", seed, 9.0, ridge=0.2) for seed in (1, 2, 3))], claim=claim).verdict == HELD
    diverged = held([*runs, *(run("bptt", seed, inf) for seed in (1, 2, 3))], claim=claim)
    assert diverged.verdict == OPEN
    assert "is computed with the run of BPTT, which diverged" in str(diverged.why)


def test_all_claims_name_runs_that_there_are() -> None:
    """Every loss is of a method and a width that its experiment runs; nothing of the paper is missing."""
    for experiments in (at_paper(), tiny()):
        found = claims(experiments)
        assert [claim.name for claim in found if claim.whose == "paper"] == [
            "BP", "BPTT", "NP", "WP", "decorrelation", "learns", "persistence", "scaling",
        ]  # fmt: skip
        for number in (number for claim in found for test in claim.tests for number in (test.one, test.other)):
            experiment = experiments[number.experiment]
            assert number.way in experiment.ways, number
            assert number.hidden in experiment.widths, number


def test_learning_is_held_to_a_constant_of_the_same_sequences() -> None:
    """The loss on the one sequence that copy_fixed trains on has no constant to compare with: that is of fresh ones."""
    by_name = {claim.name: claim.tests for claim in claims(at_paper())}
    assert [test.where for test in by_name["learns"]] == ["forecast", "recall", "copy_fresh", "psmnist"]
    assert {(test.one.key, test.other.key) for test in by_name["learns"]} == {("loss", "constant_mean")}


def test_scaling_holds_the_widest_to_the_narrowest() -> None:
    scaling = next(claim for claim in claims(at_paper()) if claim.name == "scaling")
    assert {(test.one.hidden, test.other.hidden) for test in scaling.tests} == {(2000, 100)}


def test_learned_by_heart_is_held_to_the_sequence_that_was_trained_on() -> None:
    by_name = {claim.name: claim.tests for claim in claims(at_paper())}
    of_fixed = next(test for test in by_name["BP"] if test.where == "copy_fixed")
    assert (of_fixed.one.key, of_fixed.other.key) == ("trained", "trained")
    assert {(test.one.key, test.other.key) for test in by_name["by heart"]} == {("loss", "constant_mean")}
