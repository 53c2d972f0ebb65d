"""What a report says of transfers, ablations, retention and chips at their limits."""

from __future__ import annotations

import re

import pytest

from neuroanp.reporting import ablation, health, parts, retention, transfer
from neuroanp.reporting.books import each_update
from neuroanp.reporting.method import methods
from neuroanp.reporting.reading import PROGRAMMED, SCRATCH, TUNED, shown, variants
from neuroanp.reporting.tables import verdicts

EFFECTS = ("drift", "read_noise", "adc")


def on(*effects: str) -> dict:
    return {"device": {"effects_on": list(effects), "effects_off": [e for e in EFFECTS if e not in effects]}}


def set_loss(run, loss: float):
    run.write_result({**run.result, "test_loss": loss})
    return run


@pytest.fixture
def ablated(build):
    """Three effects over three seeds: drift costs 3, read noise 1, adc nothing; a seed adds 0.5 to all."""
    price = {"drift": 3.0, "read_noise": 1.0, "adc": 0.0}
    sets = [EFFECTS, *(tuple(e for e in EFFECTS if e != one) for one in EFFECTS), *((one,) for one in EFFECTS), ()]
    runs = [
        set_loss(build(seed=seed, **on(*some)), 10 + 0.5 * seed + sum(price[e] for e in some))
        for some in sets
        for seed in (0, 1, 2)
    ]
    return [shown(run) for run in runs]


def test_costs_are_the_differences_of_paired_runs(ablated):
    (one,) = ablation.ablations(ablated)
    assert [(cost.effect, cost.costs, cost.costs_alone) for cost in one.costs] == [
        ("drift", [3.0] * 3, [3.0] * 3),
        ("read_noise", [1.0] * 3, [1.0] * 3),
        ("adc", [0.0] * 3, [0.0] * 3),
    ]
    assert (one.all_on, one.none_on) == ([14.0, 14.5, 15.0], [10.0, 10.5, 11.0])
    assert one.runs == {str(shown_.run.path) for shown_ in ablated[3:]}
    rows = [[str(cell) for cell in row.cells] for row in ablation.table(one).rows]
    assert rows[0] == ["all on · none on", "14.5 [14, 15]", "", "10.5 [10, 11]", ""]
    assert rows[1] == ["drift", "11.5 [11, 12]", "+3", "13.5 [13, 14]", "+3"]
    assert rows[3] == ["adc", "", "0", "", "0"]
    assert ablation.headline(one) == (
        "pcm · anp: with 3 seeds no non-ideality is named the dearest: drift has the highest median cost, above 0 in 3 "
        "of 3 seeds, more than any other, which chance gives too easily (0.25); compare over --seeds 5."
    )
    (first, *_) = ablation.rows([one])
    assert (first["effect"], first["costs"]) == ("drift", {"median": 3.0, "lowest": 3.0, "highest": 3.0, "seeds": 3})
    assert [row["costs_most"] for row in ablation.rows([one])] == [False] * 3


def test_bars_are_the_medians_and_leave_out_what_changes_nothing(ablated):
    (one,) = ablation.ablations(ablated)
    figure = ablation.figure(one)
    assert figure is not None
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["drift", "read noise"]
    assert [bar.get_width() for bar in axes.patches] == [3.0, 1.0, 3.0, 1.0]


@pytest.mark.slow
def test_the_runs_of_an_ablation_are_not_in_the_table_of_results_again(ablated, tmp_path):
    from neuroanp.reporting.html import render

    page = render([one.run for one in ablated], tmp_path / "r.html", None).read_text(encoding="utf-8")
    assert "What each non-ideality costs: pcm · anp" in page
    (results,) = re.findall(r"<caption>Results: [^<]*</caption>.*?</table>", page, flags=re.S)
    row = r'<th scope="row">pcm</th>.*?<td>anp</td>.*?<td class="n" data-v="3.0">3</td>'
    methods = re.findall(row, results, flags=re.S)
    assert len(methods) == 1


def test_runs_with_an_option_off_are_no_ablation_unless_every_effect_is_there(ablated, build):
    assert ablation.ablations(ablated[:6]) == []  # all on, and without drift
    assert ablation.ablations([shown(build(**on(*EFFECTS)))]) == []
    assert ablation.ablations([shown(build()), shown(build(rule="bptt"))]) == []
    other = shown(build(seed=5, **on("drift", "adc"), lr=0.5))
    assert len(ablation.ablations([*ablated, other])) == 1
    half = [one for one in ablated if len(one.effects or ()) in (2, 3)]
    (without,) = ablation.ablations(half)  # no run of one effect alone
    assert [cost.costs_alone for cost in without.costs] == [[], [], []]
    assert without.none_on == []


def brought(build, stage: str, seed: int, loss: float, teacher, rate: float = 0.1):
    start = {"path": str(teacher.path), "origin": "bptt on ideal", "update": 9, "hash": "", "clipped": {"all": 0.02}}
    updates = 0 if stage == PROGRAMMED else 5
    more = f"network:\n  weights: {teacher.path}\ntraining:\n  updates: {updates}\n"
    more += f"optimizer:\n  lr: {rate}\n"
    run = build(seed=seed, updates=updates or 1, start=start, more=more)
    run.write_result({**run.result, "updates": updates, "passes": updates, "test_loss": loss})
    return run


@pytest.fixture
def transferred(build):
    runs = []
    for seed in (0, 1):
        teacher = set_loss(build(profile="ideal", rule="bptt", seed=seed), 1.0 + seed)
        scratch = set_loss(build(seed=seed, more="training:\n  updates: 9\nnetwork:\n  weights: null\n"), 4.0 + seed)
        runs += [teacher, scratch]
        runs += [brought(build, stage, seed, loss + seed, teacher) for stage, loss in ((PROGRAMMED, 3.0), (TUNED, 2.0))]
    return [shown(run) for run in runs]


def test_the_stages_of_a_transfer_are_told_apart_and_seeds_are_not(transferred):
    assert variants(transferred) == ["", SCRATCH, PROGRAMMED, TUNED] * 2
    (one,) = transfer.transfers(transferred)
    assert (one.profile, one.rule, one.origin, one.clipped) == ("pcm", "anp", "bptt on ideal", [0.02] * 4)
    found = {stage: one.of(stage) for stage in transfer.STAGES}
    assert found == {"ex situ": [1.0, 2.0], PROGRAMMED: [3.0, 4.0], TUNED: [2.0, 3.0], SCRATCH: [4.0, 5.0]}
    assert transfer.sentences([one]) == [
        "pcm · anp, median test loss of 2 seeds: 1.50 as trained (bptt on ideal), 3.50 once programmed, 2.50 after 5 "
        "updates of anp on the device, 4.50 from scratch in 200 updates; 2 % of the weights are clipped."
    ]
    (row,) = transfer.table([one]).rows
    assert [str(cell) for cell in row.cells[:5]] == ["pcm", "anp", "bptt on ideal", "2 %", "1.50 [1, 2]"]
    figure = transfer.figure([one], methods([shown_.result for shown_ in transferred], variants(transferred)))
    assert figure is not None
    assert figure.axes[0].lines[0].get_ydata().tolist() == [1.5, 3.5, 2.5]


def test_two_ways_of_fine_tuning_are_rows_and_no_transfer(transferred, build):
    other = shown(brought(build, TUNED, 0, 9.0, transferred[0].run, rate=0.5))
    assert transfer.transfers([*transferred, other]) == []
    assert variants([*transferred, other])[-1] == f"{TUNED}, optimizer.lr 0.5"


def test_a_network_that_was_only_programmed_is_not_asked_whether_it_learned(transferred):
    group = methods([one.result for one in transferred], variants(transferred))
    said = " ".join(verdicts(group))
    assert "(programmed)" not in said
    assert "(fine-tuned) has not shown" in said


def after(run, **losses: float):
    run.update(
        after={name.replace("_", " "): {"test_loss": x, "test_loss_noise_free": x / 2} for name, x in losses.items()}
    )
    return run


def test_retention_is_sorted_by_time_whatever_it_is_called(build):
    runs = [after(build(seed=0), **{"60_min": 2.0, "30_d": 3.0}), after(build(seed=1), **{"30_d": 5.0, "1_h": 4.0})]
    group = methods([shown(run).result for run in runs])
    assert retention.times_of(group) == ["60 min", "30 d"]
    noisy, silent = retention.table(group).rows
    assert [str(cell) for cell in noisy.cells[-2:]] == ["3 [2, 4]", "4 [3, 5]"]
    assert [str(cell) for cell in silent.cells[-2:]] == ["1.50 [1, 2]", "2 [1.50, 2.50]"]
    figure = retention.figure(group)
    assert figure is not None
    assert [label.get_text() for label in figure.axes[0].get_xticklabels()] == ["at once", "60 min", "30 d"]
    assert figure.axes[0].lines[0].get_ydata().tolist()[1:] == [3.0, 4.0]


def test_a_device_without_noise_has_one_row_and_runs_without_idle_times_have_none(build):
    plain = build(seed=0)
    assert retention.table(methods([shown(plain).result])) is None
    assert retention.figure(methods([shown(plain).result])) is None
    plain.write_result({**plain.result, "test_loss": 1.0, "test_loss_noise_free": 1.0})
    plain.update(after={"1 h": {"test_loss": 2.0, "test_loss_noise_free": 2.0}})
    (row,) = retention.table(methods([shown(plain).result])).rows
    assert [str(cell) for cell in row.cells] == ["pcm", "anp", "either", "1", "2"]


def test_limits_that_the_median_reached_are_told(build):
    quiet = {"saturated": 0.0, "unverified": 0.0, "clipped": 0.0, "failed": 0.0, "wear": None}
    runs = [build(seed=seed) for seed in range(3)]
    for run, share in zip(runs, (0.02, 0.08, 0.09), strict=True):
        run.update(health={**quiet, "saturated": share})
    every = [shown(run) for run in runs]
    healths = {str(one.run.path): one.health for one in every}
    (said,) = health.limits_reached(methods([one.result for one in every]), healths)
    assert said.startswith("pcm · anp: 8 % of the weights are at the limit of the array's range")
    assert health.limits_reached(methods([every[0].result]), healths) == []


def test_an_update_the_first_write_and_the_run_stand_side_by_side(build):
    run = build()
    ledger = run.manifest["ledger"]
    first = {"energy_J": 1e-6, "time_s": None, "pulses": 100}
    run.update(ledger={**ledger, "first_write": first, "per_update": {"energy_J": 2e-9, "time_s": 3e-3, "pulses": 7.5}})
    one = shown(run)
    (row,) = each_update(methods([one.result]), {str(run.path): one.ledger}).rows
    assert [str(cell) for cell in row.cells][2:8] == ["2 nJ", "3 ms", "7.50", "1 µJ", "not stated", "100"]
    assert each_update(methods([shown(build()).result]), {}) is None


def test_parts_are_there_only_where_they_were_asked_for(build, transferred, ablated):
    assert parts.of_section([shown(build())], [], methods([shown(build()).result]), [], "") == []
    group = methods([one.result for one in transferred], variants(transferred))
    titles = [part.title for part in parts.of_section(transferred, ablation.ablations(ablated), group, group, "")]
    assert titles == ["From training off the chip to the device", "What each non-ideality costs: pcm · anp"]
