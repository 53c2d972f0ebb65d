"""A winner is named where the seeds tell it apart, and nowhere else: not of one seed, not where seeds overlap."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.profiles.loader import load, loads
from neuroanp.records import RESULT_KEYS
from neuroanp.reporting import ablation
from neuroanp.reporting.footnotes import rests_on
from neuroanp.reporting.method import methods
from neuroanp.reporting.origins import UNKNOWN, Origins, origins_of
from neuroanp.reporting.ranking import best, ranking
from neuroanp.reporting.reading import shown
from neuroanp.reporting.separation import LEAST, by_chance, higher_in_all, lowest_apart
from neuroanp.reporting.tables import headline, results_table, verdicts
from tests.close import close

OWN = Origins(noise="")
EFFECTS = ("drift", "read_noise", "adc")


def result(seed=0, loss: float | None = 0.004, **fields):
    names = {"task": "copy", "profile": "pcm", "backend": "rate", "rule": "anp", "status": "finished", "seed": seed}
    return {**dict.fromkeys(RESULT_KEYS), **names, "test_loss": loss, "controls": {"ridge": 5.0}, **fields}


def group(*losses, name="rule", origins=OWN):
    """Methods of these losses over the seeds, told apart by `name`."""
    rows = [
        result(seed, loss, **{name: f"m{i}"}, origins=origins)
        for i, some in enumerate(losses)
        for seed, loss in enumerate(some)
    ]
    return methods(rows)


def strong(table):
    return [[cell.text for cell in row.cells if cell.strong] for row in table.rows]


def test_the_seeds_that_tell_a_method_apart_make_it_the_best():
    found = group((3.0, 4.0, 5.0), (1.0, 2.0, 2.5))
    assert [row.kind for row in results_table(found).rows] == ["method", "best", "control"]
    assert strong(results_table(found)) == [[], ["pcm", "m1", "2"], []]
    assert ranking(found) == [
        "pcm · m1 is the best: all its seeds are below all others'; were all alike, one would be so with probability "
        "0.10."
    ]
    assert headline(found) == "Lowest median test loss: 2 by pcm · m1 (3 seeds). Controls: ridge readout 5."


@pytest.mark.parametrize(
    ("losses", "said"),
    [
        (((2.0,), (1.0,)), "No method is named the best. One seed: no ranking; compare over --seeds 5."),
        (
            ((3.0, 4.0), (1.0, 2.0)),
            "No method is named the best. 2 seeds: no ranking, it takes 3; compare over --seeds 5.",
        ),
        (((3.0, 4.0, 5.0), (1.0,)), "No method is named the best. One seed: no ranking; compare over --seeds 5."),
        (
            ((1.9, 4.0, 5.0), (1.0, 1.5, 2.0), (1.8, 7.0, 9.0)),
            "No method is named the best: the seeds of pcm · m1, the lowest median, overlap with those of pcm · m0, "
            "pcm · m2.",
        ),
        (((2.0, 3.0, 4.0), (2.0, 1.0, 1.5)), "overlap with those of pcm · m0."),
    ],
)
def test_one_seed_and_seeds_that_overlap_name_none(losses, said):
    found = group(*losses)
    assert best(found) is None
    assert not any(map(any, strong(results_table(found))))
    assert "best" not in [row.kind for row in results_table(found).rows]
    (line,) = ranking(found)
    assert said in line
    assert headline(found).startswith(line)


def test_a_single_method_is_no_choice():
    found = group((1.0, 2.0, 3.0))
    assert (best(found), ranking(found)) == (None, [])
    assert headline(found).startswith("Test loss: 2 by pcm · m0 (3 seeds).")


@given(st.lists(st.lists(st.integers(0, 30).map(float), min_size=1, max_size=5), min_size=1, max_size=4))
def test_what_is_named_is_below_everything_else(losses):
    place = lowest_apart(losses)
    separated = [
        i
        for i, some in enumerate(losses)
        if len(losses) > 1
        and min(map(len, losses)) >= LEAST
        and all(loss > max(some) for k, other in enumerate(losses) if k != i for loss in other)
    ]
    assert ([] if place is None else [place]) == separated


@pytest.mark.parametrize("counts", [(3, 3), (2, 3), (2, 2, 2)])
def test_the_probability_is_that_of_all_orders(counts):
    """Go through all orders of the seeds, lowest first, and count those in which one method has the first places."""
    owners = [i for i, count in enumerate(counts) for _ in range(count)]
    orders = set(permutations(owners))
    hits = sum(any(set(order[:count]) == {i} for i, count in enumerate(counts)) for order in orders)
    assert by_chance(counts) == close(hits / len(orders))


def test_differences_are_paired_and_take_three_seeds():
    one = {0: 2.0, 1: 9.0, 2: 4.0}
    assert higher_in_all(one, {0: 1.0, 1: 8.0, 2: 3.9})  # overlapping, and higher in each seed
    assert not higher_in_all(one, {0: 1.0, 1: 8.0, 2: 4.0})
    assert not higher_in_all(one, {0: 1.0, 1: 8.0, 5: 3.9})


def test_one_seed_below_a_control_has_shown_nothing():
    lines = verdicts(methods([result(0, 4.0)]))
    assert lines == [
        "One seed: to be below a control in it has not shown that anything was learned; compare over --seeds 5."
    ]
    assert verdicts(methods([result(seed, 4.0) for seed in range(3)])) == []
    assert "One seed" not in " ".join(verdicts(methods([result(0, 6.0)])))


# What figures rest on


def test_devices_of_which_a_noise_is_not_their_own_have_no_best():
    losses = ((3.0, 4.0, 5.0), (1.0, 2.0, 2.5))
    assert best(group(*losses, name="profile")) is not None
    for why in ("states no noise", "has noise of pcm", "has illustrative values in its noise"):
        found = group(*losses, name="profile", origins=Origins(noise=why))
        assert best(found) is None
        assert ranking(found) == [f"No method is named the best of several devices: m0 {why}; m1 {why}."]
        assert best(group(*losses, origins=Origins(noise=why))) is not None  # rules on one device
    assert best(group(*losses, name="profile", origins=UNKNOWN)) is None


def test_figures_that_are_nobodys_measurement_are_marked():
    origins = Origins(frozenset({"wear"}), {"energy_J": ("pcm",)}, "")
    rows = [
        result(0, energy_J=2e-3, chip_time_s=1.0, wear=0.5, origins=origins),
        result(0, energy_J=3e-3, profile="own", origins=OWN),
        result(0, profile="silent", origins=origins),
    ]
    found = methods(rows)
    cells = [dict(zip([c.header for c in results_table(found).columns], row.cells, strict=True))
             for row in results_table(found).rows[:3]]  # fmt: skip
    assert [row["energy (mJ)"].text for row in cells] == ["2‡", "3", "–"]
    assert [row["wear"].text for row in cells] == ["0.500†", "–", "–"]
    assert [row["chip time (s)"].text for row in cells] == ["1", "–", "–"]
    assert rests_on(found) == [
        "† From illustrative values, not measurements: wear of pcm.",
        "‡ From values inherited of another profile: energy of pcm, from pcm.",
    ]
    assert rests_on(methods(rows[1:])) == []
    both = methods([rows[0], {**rows[0], "profile": "rram"}])
    assert rests_on(both, marks=False)[1] == "From values inherited of another profile: energy of pcm, rram, from pcm."


MINE = """
extends: pcm
meta: {name: mine, summary: mine, source: my bench, status: measured}
read: {q: 0.01}
energy: {write: 1 pJ}
"""


def test_what_is_inherited_is_known_as_inherited(tmp_path):
    (tmp_path / "mine.yaml").write_text(MINE)
    (tmp_path / "child.yaml").write_text(MINE.replace("extends: pcm", "extends: mine.yaml"))
    mine, child = load(tmp_path / "mine.yaml"), load(tmp_path / "child.yaml")
    assert load("pcm").inherited == {}
    assert mine.inherited["energy.digital"] == mine.inherited["read.q_max"] == "pcm"
    assert not {"energy.write", "read.q", "read.law"} & set(mine.inherited)
    assert child.inherited["energy.digital"] == "pcm"
    assert mine.hash == loads(mine.text).hash  # what is inherited does not make another device
    found = origins_of({"text": mine.text, "inherited": dict(mine.inherited)})
    assert found.inherited == {"energy_J": ("pcm",), "chip_time_s": ("pcm",), "wear": ("pcm",)}
    assert found.noise == "has noise of pcm"


@pytest.mark.parametrize(
    ("name", "noise"),
    [("ideal", ""), ("pcm", ""), ("rram_hfo2", "states no noise"),
     ("smtj_koenders", "has illustrative values in its noise")],
)  # fmt: skip
def test_shipped_devices_say_where_their_noise_is_from(name, noise):
    assert origins_of({"text": load(name).text}).noise == noise


@pytest.mark.parametrize("profile", [None, {}, {"text": "a: [", "inherited": 3}, {"text": "meta: {name: x}"}])
def test_a_record_that_does_not_say_has_no_own_noise(profile):
    assert origins_of(profile).noise
    assert origins_of(profile).marks("energy_J") == ""


FIGURES = """
meta: {status: measured}
periphery: {t_read: {value: 100 ns, status: illustrative}}
energy: {%s write_time: {value: 10 ns, status: %s}}
"""


@pytest.mark.parametrize(
    ("energy", "write_time", "marked"),
    [
        ("write: 1 pJ,", "measured", {"energy_J"}),  # t_read is in the energy of a read, and in no time
        ("write: 1 pJ, read: 1 pJ,", "measured", set()),  # unless a weight read has a figure of its own
        ("write: 1 pJ, read: 1 pJ,", "illustrative", {"chip_time_s"}),
        ("write_voltage: 2 V, read: 1 pJ,", "illustrative", {"chip_time_s", "energy_J"}),  # V^2 G t
    ],
)
def test_a_figure_rests_on_what_it_is_computed_from_alone(energy, write_time, marked):
    assert origins_of({"text": FIGURES % (energy, write_time)}).illustrative == marked


DIVIDER = """
meta: {name: x}
stochastic: {law: smtj, status: measured, energy_per_bit: 1 fJ, v_dd: {value: 1 V, status: %s}}
energy: {status: measured, write: 1 pJ, read: 1 pJ, static_node: {value: 1 uW, status: %s}}
"""


@pytest.mark.parametrize(
    ("divider", "static", "marked"),
    [("measured", "measured", set()), ("illustrative", "measured", {"energy_J"}),
     ("measured", "illustrative", {"energy_J"})],
)  # fmt: skip
def test_power_that_flows_all_the_time_is_a_part_of_energy(divider, static, marked):
    assert origins_of({"text": DIVIDER % (divider, static)}).illustrative == marked


def test_a_run_records_what_its_profile_inherits(tmp_path):
    from neuroanp.training.configure import configure
    from neuroanp.training.launch import launch

    few = {"updates": 1, "batch": 2, "controls": False}
    task = {"name": "copy", "length": 2, "delay": 1, "test_size": 4}
    made = launch(
        configure({"task": task, "profile": "pcm_tiles", "network": {"hidden": 4}, "training": few}), tmp_path
    )
    assert made.manifest["profile"]["inherited"]["energy.write"] == "pcm"
    one = shown(made)
    table = results_table(methods([one.result]))
    at = next(i for i, column in enumerate(table.columns) if column.header.startswith("energy"))
    assert table.rows[0].cells[at].text.endswith("†‡")


# Ablations


def ablated(build, costs, base=10.0):
    """Runs of pcm with all on, and without each effect: by effect, its cost in each seed."""
    seeds = range(len(next(iter(costs.values()))))
    runs = []
    for off in (None, *EFFECTS):
        for seed in seeds:
            on = [effect for effect in EFFECTS if effect != off]
            run = build(seed=seed, device={"effects_on": on})
            loss = base + seed - (costs[off][seed] if off else 0.0)
            run.write_result({**run.result, "test_loss": loss})
            runs.append(shown(run))
    (one,) = ablation.ablations(runs)
    return one


def shown_order(one):
    figure = ablation.figure(one)
    assert figure is not None
    bars = [label.get_text().replace(" ", "_") for label in figure.axes[0].get_yticklabels()]
    assert bars == [cost.effect for cost in one.costs]
    assert [row.cells[0].text for row in ablation.table(one).rows[1:]] == bars
    return bars


def test_one_seed_names_no_culprit(build):
    one = ablated(build, {"drift": [-0.2], "read_noise": [3.0], "adc": [0.1]})
    assert one.dearest is None
    assert ablation.headline(one) == "pcm · anp: one seed: no ranking; compare over --seeds 5."
    assert shown_order(one) == sorted(EFFECTS)
    assert not any(row["costs_most"] for row in ablation.rows([one]))


def test_two_seeds_are_too_few(build):
    one = ablated(build, {"drift": [0.1, 0.1], "read_noise": [3.0, 3.0], "adc": [0.2, 0.2]})
    assert ablation.headline(one) == "pcm · anp: 2 seeds: no ranking, it takes 3; compare over --seeds 5."
    assert shown_order(one) == sorted(EFFECTS)


def test_costs_that_overlap_but_differ_in_each_seed_are_told_apart(build):
    one = ablated(build, {"drift": [1.0, 3.0, 6.0], "read_noise": [2.0, 4.0, 7.0], "adc": [-1.0, 0.5, 0.5]})
    assert one.dearest is not None
    assert shown_order(one) == ["read_noise", "drift", "adc"]
    assert ablation.headline(one) == (
        "pcm · anp: read_noise costs most, in each of 3 seeds (by chance: 0.11): median test loss 11 with all on, 7 "
        "without it."
    )
    assert [row["costs_most"] for row in ablation.rows([one])] == [True, False, False]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("costs", "said"),
    [
        (
            {"drift": [1.0, 3.0, 8.0], "read_noise": [2.0, 4.0, 7.0], "adc": [-1.0, 0.5, 0.5]},
            "with 3 seeds no non-ideality is named the dearest: read_noise has the highest median cost, above 0 in 3 "
            "of 3 seeds, and cannot be told apart from drift.",
        ),
        (
            {"drift": [-3.0, -3.0, -3.0], "read_noise": [-2.0, 4.0, 7.0], "adc": [-4.0, 0.5, 0.5]},
            "no non-ideality is named the dearest: read_noise has the highest median cost, above 0 in 2 of 3 seeds.",
        ),
        (
            {"drift": [-3.0, -3.0, -3.0], "read_noise": [-2.0, -4.0, 7.0], "adc": [-4.0, -0.5, -0.5]},
            "switching off a single non-ideality lowers no median loss",
        ),
        ({"drift": [0.0] * 3, "read_noise": [0.0] * 3, "adc": [0.0] * 3}, "no non-ideality changes a loss"),
    ],
)
def test_what_the_seeds_do_not_tell_apart_is_not_named(build, costs, said):
    one = ablated(build, costs)
    assert one.dearest is None
    assert said in ablation.headline(one)


def test_of_a_single_non_ideality_the_sign_is_what_seeds_can_agree_in(build):
    one = ablated(build, {"drift": [1.0, 2.0, 3.0], "read_noise": [0.0] * 3, "adc": [0.0] * 3})
    assert "drift costs most, in each of 3 seeds (by chance: 0.12)" in ablation.headline(one)
