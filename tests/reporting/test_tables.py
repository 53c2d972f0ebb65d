"""Tables and sentences hold to the numbers they are made of."""

import math
from itertools import pairwise
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.method import FEEDBACK
from neuroanp.records import RESULT_KEYS
from neuroanp.reporting.books import lower_bounds, spent
from neuroanp.reporting.footnotes import classes
from neuroanp.reporting.method import methods
from neuroanp.reporting.origins import Origins
from neuroanp.reporting.plots import trade_offs
from neuroanp.reporting.style import Look, spread
from neuroanp.reporting.tables import (
    SHOWN,
    at_least,
    controls,
    headline,
    leading,
    not_counted,
    results_table,
    unstated,
    verdicts,
)
from neuroanp.reporting.values import digits, prefix, quantity

losses = st.floats(min_value=1e-9, max_value=1e3)


def result(seed=0, loss: float | None = 0.004, **fields):
    names = {"task": "copy", "profile": "pcm", "backend": "rate", "rule": "anp", "status": "finished", "seed": seed}
    return {**dict.fromkeys(RESULT_KEYS), **names, "test_loss": loss, "controls": {"ridge": 0.005}, **fields}


def cells(table, header):
    at = [column.header for column in table.columns].index(header)
    return [str(row.cells[at]) for row in table.rows]


@given(st.floats(min_value=-1e300, max_value=1e300))
def test_three_digits_are_within_half_a_unit_of_the_third(value):
    shown = float(digits(value))
    assert math.isclose(shown, value, rel_tol=5.001e-3) or (value == 0 and shown == 0)


@given(st.floats(min_value=1e-15, max_value=9e14))
def test_a_prefix_leaves_one_to_three_digits_before_the_point(value):
    power, _ = prefix([value])
    assert 0.999 <= value / 10.0**power < 1000.001
    assert quantity(value, "J").endswith("J")


@given(st.lists(losses, min_size=1, max_size=7))
def test_a_cell_is_the_median_and_the_range(values):
    table = results_table(methods([result(seed, loss) for seed, loss in enumerate(values)]))
    low, high = digits(min(values)), digits(max(values))
    expected = digits(median(values)) + (f" [{low}, {high}]" if low != high else "")
    assert cells(table, "test loss")[0] == expected


@given(st.lists(losses, min_size=1, max_size=7), losses)
def test_a_method_that_does_not_beat_the_ridge_is_always_named(values, ridge):
    group = methods([result(seed, loss, controls={"ridge": ridge}) for seed, loss in enumerate(values)])
    said = " ".join(verdicts(group))
    assert ("has not shown that its recurrence learned" in said) == (median(values) >= ridge)
    assert ("in the median only" in said) == (median(values) < ridge <= max(values))


@given(st.lists(st.tuples(losses, losses, losses), min_size=1, max_size=9))
def test_whether_a_recurrence_learned_is_decided_by_its_refit(seeds):
    """Seed by seed against the untrained network, whatever the readout as learned does with it."""
    rows = [
        result(seed, loss, controls={"ridge": ridge, "refit": refit}) for seed, (loss, ridge, refit) in enumerate(seeds)
    ]
    said = " ".join(verdicts(methods(rows)))
    loss, ridge, refit = (median(each) for each in zip(*seeds, strict=True))
    wins = sum(refit < ridge for _, ridge, refit in seeds)
    assert ("has not shown that its recurrence learned" in said) == (refit >= ridge)
    assert ("the readout fell short" in said) == (refit < ridge <= loss)
    rare = at_least(wins, len(seeds)) <= 0.05
    assert ("which chance gives" in said) == (refit < ridge and len(seeds) > 1 and not rare)
    assert (f"{SHOWN}: pcm · anp in {wins} of {len(seeds)} seeds (" in said) == (
        refit < ridge and len(seeds) > 1 and rare
    )
    assert (f"below that in {wins} of {len(seeds)} seeds" in said) == (len(seeds) > 1 and not (refit < ridge and rare))
    assert ("One seed" in said) == (len(seeds) == 1 and refit < ridge)


def test_the_three_numbers_are_told():
    """Ridge untrained, refit on the trained recurrence, and as learned."""
    rows = [result(seed, 0.0079, controls={"ridge": 0.0053, "refit": 0.0019}) for seed in range(8)]
    assert verdicts(methods(rows)) == [
        f"{SHOWN}: pcm · anp in 8 of 8 seeds (0.00391 by chance).",
        "pcm · anp: the readout fell short: 0.00790 as learned, 0.00190 refit on the same recurrence, 0.00530 on the "
        "untrained one.",
    ]
    rows = [result(seed, 0.001, controls={"ridge": 0.0053, "refit": 0.006 if seed < 3 else 0.001}) for seed in range(8)]
    assert verdicts(methods(rows)) == [
        "pcm · anp: whether its recurrence learned is not told from chance: a ridge readout refit on it reaches "
        "0.00100, on the untrained network 0.00530, below that in 5 of 8 seeds, which chance gives with probability "
        "0.363: more seeds would tell."
    ]


def test_on_a_noisy_chip_the_controls_under_its_noise_decide():
    """What a readout of quiet units would do is no measure for one of noisy ones."""
    quiet = {"ridge": 0.001, "refit": 0.0005}

    def said(loss, ridge, refit):
        noisy = {"ridge_noisy": ridge, "refit_noisy": refit}
        return verdicts(methods([result(seed, loss, controls={**quiet, **noisy}) for seed in range(8)]))

    learned = f"{SHOWN}: pcm · anp in 8 of 8 seeds (0.00391 by chance)."
    assert said(0.004, 0.005, 0.003) == [learned]
    assert said(0.006, 0.005, 0.003) == [
        learned,
        "pcm · anp: the readout fell short: 0.00600 as learned, 0.00300 refit on the same recurrence, 0.00500 on the "
        "untrained one.",
    ]
    assert said(0.004, 0.005, 0.006) == [
        "pcm · anp has not shown that its recurrence learned: a ridge readout refit on it reaches 0.00600 under its "
        "noise, on the untrained network 0.00500, below that in 0 of 8 seeds (1 by chance)."
    ]


def test_the_class_of_feedback_is_named():
    rows = [{**result(seed, 0.1), "feedback": "S+"} for seed in range(3)]
    table = results_table(methods(rows))
    assert cells(table, "class")[0] == "S+"
    assert "class" not in [column.header for column in results_table(methods([result(0, 0.1)])).columns]


def test_a_task_that_needs_no_recurrence_shows_none():
    """Two roundings of nothing are not compared."""
    rows = [result(seed, 0.05, controls={"ridge": 1.1e-16, "refit": 4e-17}) for seed in range(8)]
    assert verdicts(methods(rows)) == [
        "pcm · anp has not shown that its recurrence learned: a ridge readout of the untrained network solves the "
        "task, to 1.10e-16."
    ]


@pytest.mark.parametrize(("wins", "count", "chance"), [(0, 4, 1.0), (4, 4, 1 / 16), (3, 4, 5 / 16), (5, 8, 93 / 256)])
def test_the_chance_of_a_count_is_binomial(wins, count, chance):
    assert at_least(wins, count) == chance


def test_persistence_is_judged_where_there_is_one():
    assert "persistence" not in " ".join(verdicts(methods([result()])))
    worse = result(controls={"persistence": 0.001, "ridge": 0.01})
    assert "has not shown that it forecasts anything" in " ".join(verdicts(methods([worse])))


def test_what_is_not_stated_is_a_dash_and_named_in_words():
    group = methods([result(energy_J=None), result(profile="smtj", energy_J=2.1e-9)])
    assert cells(results_table(group), "energy (nJ)")[:2] == ["–", "2.10"]
    assert unstated(group, "energy_J", "energy") == "Not shown, because the profile states no energy: pcm."


def test_only_finished_runs_give_numbers():
    group = methods([result(0, 0.001), result(1, 9.0, status="interrupted"), result(2, None, status="diverged")])
    table = results_table(group)
    assert cells(table, "test loss")[0] == "0.00100"
    assert cells(table, "seeds")[0] == "1 of 3"
    assert "1 interrupted, 1 diverged, of 3 runs" in " ".join(verdicts(group))
    assert headline(methods([result(0, None, status="failed")])) == "No run has a result yet."


def test_one_seed_is_compared_plainly_and_several_are_counted():
    one = verdicts(methods([result(0, 0.00441, controls={"ridge": 0.000123})]))
    assert one == [
        "pcm · anp has not shown that its recurrence learned: 0.00441 against 0.000123 of the ridge readout."
    ]
    several = verdicts(methods([result(seed, 0.00441, controls={"ridge": 0.000123}) for seed in (0, 1)]))
    assert several[0].endswith("of the ridge readout, below it in 0 of 2 seeds.")


def test_a_network_without_recurrence_is_not_said_to_have_one():
    (said,) = verdicts(methods([result(0, 0.00441, controls={"ridge": 0.000123, "frozen_layers": 0.1})]))
    assert said.startswith("pcm · anp has not shown that its layers learned: ")
    (said,) = verdicts(methods([result(0, 0.00441, controls={"ridge": 0.000123, "frozen_recurrence": 0.1})]))
    assert said.startswith("pcm · anp has not shown that its recurrence learned: ")


def test_nothing_used_is_told_apart_from_nothing_stated():
    group = methods([result(wear=None), result(profile="ideal", wear=0.0), result(profile="rram", wear=1e-6)])
    assert unstated(group, "wear", "endurance") == (
        "Not shown, because the profile states no endurance: pcm. Not shown, because no endurance was used: ideal."
    )


@pytest.mark.parametrize(
    ("fields", "panels"),
    [
        (
            {"energy_J": 1e-6, "chip_time_s": 0.5, "wear": 4e-8},
            ["energy (µJ)", "chip time (ms)", "endurance used (share)"],
        ),
        ({"chip_time_s": 2.5, "wear": 0.0}, ["chip time (s)"]),
        ({}, None),
    ],
)
def test_what_is_not_stated_has_no_panel(fields, panels):
    figure = trade_offs(methods([result(seed, 0.004 + 0.001 * seed, **fields) for seed in (0, 1)]))
    assert (figure and [axes.get_xlabel() for axes in figure.axes]) == panels


def test_one_run_shows_no_trade_off():
    assert trade_offs(methods([result(energy_J=1e-6, chip_time_s=0.5)])) is None


def test_long_names_go_below_each_other_in_a_legend():
    rows = [result(energy_J=1e-6, rule=rule) for rule in ("anp", "other")]
    figure = trade_offs(methods(rows, ["an option of some length 1, another one of the same length 0.001"] * 2))
    assert figure is not None
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_window_extent().x1 <= figure.bbox.x1


def test_the_energy_of_a_method_is_the_median_of_its_seeds_by_kind():
    rows = [result(seed, run=str(seed)) for seed in (0, 1, 2)]
    ledgers = {
        str(seed): {"energy": {"adc": joules, "dac": None}, "energy_J": joules, "time": {"reads": 0.5, "writes": 0.0}}
        for seed, joules in enumerate((1e-9, 3e-9, 8e-9))
    }
    table = spent(methods(rows), ledgers)
    assert table is not None
    shown = dict(zip([column.header for column in table.columns], table.rows[0].cells, strict=True))
    assert {key: str(shown[key]) for key in ("ADC", "DAC", "sum", "reading time", "writing time")} == {
        "ADC": "3 nJ", "DAC": "not stated", "sum": "≥ 3 nJ", "reading time": "500 ms", "writing time": "0 s",
    }  # fmt: skip
    assert lower_bounds(methods(rows), ledgers) == ["pcm states no energy for DAC: its energy is a lower bound."]
    assert spent(methods(rows), {}) is None
    rests = [{**row, "origins": Origins(frozenset({"energy_J", "chip_time_s"}))} for row in rows]
    marked = spent(methods(rests), ledgers)
    assert marked is not None  # reads take the time of the run's own steps, whatever a profile states
    assert [str(cell) for cell in marked.rows[0].cells[4:7]] == ["≥ 3 nJ†", "500 ms", "0 s†"]


@pytest.mark.parametrize(
    ("frozen", "expected"),
    [
        ((0.1, 0.1, 0.1, 0.1), [("any", "any")]),
        ((0.1, 0.1, 0.2, 0.2), [("pcm", "any"), ("ideal", "any")]),
        ((0.1, 0.3, 0.2, 0.2), [("pcm", "anp"), ("pcm", "bptt"), ("ideal", "any")]),
    ],
)
def test_controls_are_told_apart_only_where_they_differ(frozen, expected):
    grid = [(profile, rule) for profile in ("pcm", "ideal") for rule in ("anp", "bptt")]
    rows = [
        result(profile=profile, rule=rule, controls={"frozen_recurrence": loss})
        for (profile, rule), loss in zip(grid, frozen, strict=True)
    ]
    assert [(c.profile, c.rule) for c in controls(methods(rows))] == expected


def test_controls_of_runs_that_differ_in_an_option_are_no_seeds_of_one():
    rows = [result(controls={"frozen_recurrence": loss}) for loss in (0.1, 0.3)]
    group = methods(rows, ["lr 0.001", "lr 0.01"])
    assert [(c.rule, c.variant, c.losses) for c in controls(group)] == [
        ("anp", "lr 0.001", [0.1]), ("anp", "lr 0.01", [0.3]),
    ]  # fmt: skip
    assert cells(results_table(group), "options") == ["lr 0.001", "lr 0.01"] * 2


def test_a_control_that_failed_is_left_out():
    assert controls(methods([result(controls={"frozen_recurrence": None})])) == []


@given(st.lists(st.floats(min_value=-1e3, max_value=1e3), max_size=8), st.floats(min_value=0.1, max_value=50))
def test_names_moved_apart_keep_gap_and_order(places, gap):
    moved = spread(places, gap)
    order = sorted(range(len(places)), key=lambda i: places[i])
    steps = [moved[b] - moved[a] for a, b in pairwise(order)]
    assert all(step >= gap - 1e-6 for step in steps)
    assert math.isclose(sum(moved), sum(places), abs_tol=1e-6 * (1 + len(places) * 1e3))


def test_the_energy_of_a_method_with_a_digital_twin_is_a_lower_bound():
    rows = [
        result(seed, 0.004 + seed / 1e3, rule=rule, energy_J=2e-6, chip_time_s=0.5, wear=1e-6)
        for rule in ("anp", "bptt", "bptt1")
        for seed in (0, 1)
    ]
    group = methods(rows)
    assert cells(results_table(group), "energy (µJ)")[:3] == ["2", "≥ 2", "≥ 2"]
    assert cells(results_table(methods([result(rule="bptt")])), "energy (J)")[0] == "–"
    said = "what the digital twin computes is not counted, nor its backward pass among the passes."
    assert not_counted(group)[0] == f"bptt, bptt1: {said}"
    assert "outer products" in not_counted(group)[1]
    assert len(not_counted(group[:1])) == 1
    assert not_counted(methods([result(rule="bptt")])) == []
    assert not_counted(methods([result(rule="bptt", passes=40)])) == [f"bptt: {said}"]  # no energy: of an ideal device
    figure = trade_offs(group)
    assert figure is not None
    methods_in = {axes.get_xlabel(): len(axes.lines) // 2 for axes in figure.axes}
    assert methods_in == {"energy (µJ)": 1, "chip time (ms)": 1, "endurance used (share)": 3}


def test_what_a_host_computes_of_weights_is_in_no_book_either():
    rows = [result(0, rule=rule, feedback=feedback, energy_J=2e-6, chip_time_s=0.5, wear=1e-6)
            for rule, feedback in (("anp", "S"), ("bptt", "BP"), ("esn", "LS"), ("sampled", "LS"))]  # fmt: skip
    group = methods(rows)
    assert cells(results_table(group), "energy (µJ)")[:4] == ["2", "≥ 2", "≥ 2", "≥ 2"]
    assert not_counted(group)[0].startswith("bptt: what the digital twin computes is not counted, nor its backward")
    assert (
        not_counted(group)[1]
        == "esn, sampled: what the host computes of the weights, on a digital twin, is not counted."
    )


@given(st.lists(st.none() | losses, min_size=1, max_size=30), st.integers(1, 12))
def test_the_leading_methods_are_the_best_in_the_order_they_came(values, count):
    group = methods([result(0, loss) for loss in values], [f"lr {i}" for i in range(len(values))])
    kept = leading(group, count)
    assert kept == [m for m in group if m in kept]
    assert len(kept) == min(count, len(values))
    worst = max((m.values("test_loss") or [math.inf])[0] for m in kept)
    assert all((m.values("test_loss") or [math.inf])[0] >= worst for m in group if m not in kept)


@pytest.mark.parametrize(("profiles", "rules"), [(1, 10), (10, 1), (2, 5), (5, 2), (9, 2)])
def test_ten_methods_look_different(profiles, rules):
    rows = [
        result(profile=f"chip{i % profiles}", rule=f"rule{i % rules if profiles != 2 else i // 2}") for i in range(10)
    ]
    group = methods(rows)
    look = Look(group)
    assert len({(look.colour(m), look.line(m)) for m in group}) == len(group)
    assert len({(look.colour(m), look.marker(m)) for m in group}) == len(group)


def test_a_control_that_some_methods_lack_is_of_those_that_have_it():
    """A noisy ridge is of noisy chips: "any" would say of the others that it is theirs."""
    rows = [result(seed, 0.1, profile="ideal", controls={"ridge": 0.2}) for seed in (0, 1)]
    rows += [result(seed, 0.1, controls={"ridge": 0.2, "ridge_noisy": 0.3}) for seed in (0, 1)]
    assert [(c.profile, c.name, c.losses) for c in controls(methods(rows))] == [
        ("any", "ridge readout", [0.2, 0.2]), ("pcm", "noisy ridge", [0.3, 0.3])
    ]  # fmt: skip


def test_a_recurrence_is_not_said_to_have_learned_and_not_to_have():
    """Below on 7 of 8 seeds, which is rare, and not below in the median: it has not been shown."""
    controls = [{"ridge": seed + 1.0, "refit": seed + 0.99 if seed else 100.0} for seed in range(8)]
    (said,) = verdicts(methods([result(seed, 0.5, controls=each) for seed, each in enumerate(controls)]))
    assert said.startswith("pcm · anp has not shown that its recurrence learned")
    assert said.endswith("below that in 7 of 8 seeds (0.0352 by chance).")


def test_what_a_chip_is_stands_beside_what_it_spent():
    """Static power and area: columns where a profile states them, empty for one that does not, and no column else."""
    rows = [result(seed=0, run="a"), result(seed=0, run="b", profile="fefet")]
    ledgers = {"a": {"energy": {"static": 3e-9}, "static_W": 2e-6, "area_m2": 1.5e-9}, "b": {"energy": {"adc": 1e-9}}}
    found = spent(methods(rows), ledgers)
    assert found is not None
    heads = [column.header for column in found.columns]
    assert heads[-2:] == ["static power", "area"]
    told = {row.cells[0].text: [cell.text for cell in row.cells[-2:]] for row in found.rows}
    assert ["2 µW", "0.00150 mm²"] in told.values()
    assert ["not stated", "not stated"] in told.values()
    plain = spent(methods(rows[:1]), {"a": {"energy": {"adc": 1e-9}}})
    assert plain is not None
    assert "area" not in [column.header for column in plain.columns]


def test_the_classes_of_feedback_in_a_table_are_told_and_no_other():
    rows = [result(rule="anp", feedback="S"), result(rule="bptt", feedback="BP")]
    (said,) = classes(methods(rows))
    assert said.startswith(f"Class, what a method tells the units: S: {FEEDBACK['S']}; BP: ")
    assert "E:" not in said
    assert classes(methods([result()])) == []  # earlier runs do not say
