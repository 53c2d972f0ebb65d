"""The README and the pages of docs show what was measured: their results are those that the benchmarks left."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import median

import pytest

from benchmarks import systems
from benchmarks.defaults import PROFILES
from benchmarks.rules.cells import Cell
from benchmarks.rules.claims import below_ridge
from benchmarks.rules.numbers import Numbers
from benchmarks.rules.ways import CONDITIONS, DEFAULT, IDEAS, WAYS
from neuroanp.devices.smtj import Koenders
from neuroanp.learning.anp import ANP
from neuroanp.profiles.loader import load
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.described import describe as described
from neuroanp.yaml_io import parse
from tests.close import close
from website import best

ROOT = Path(__file__).parents[1]
GUIDE_RULES = ROOT / "docs" / "guide" / "rules.md"
EXPERIMENTS, PAPER, RULES, SYSTEMS = (
    ROOT / "docs" / "results" / f"{name}.md" for name in ("experiments", "paper", "rules", "systems")
)
NUMBER = re.compile(r"\d+\.\d+(?:e[-+]?\d+)?|\d+e[-+]?\d+")


def numbers(text: str) -> set[float]:
    return {float(found) for found in NUMBER.findall(text)}


def test_measured_numbers_are_those_of_the_benchmarks():
    pages = [
        (ROOT / "docs" / "results" / f"{name}.md").read_text(encoding="utf-8") for name in ("experiments", "speed")
    ]
    rows = [line for page in pages for line in page.splitlines() if line.startswith("|")]
    measured = set().union(*(numbers(path.read_text()) for path in (ROOT / "benchmarks" / "results").glob("*.md")))
    shown = numbers("\n".join(rows))
    assert len(shown) > 100
    assert shown <= measured, sorted(shown - measured)


def test_the_table_of_the_readme_is_a_part_of_the_one_of_its_page():
    """Method by method, task by task: the median, and on how many seeds it is below the ridge."""
    names = {name: task for task, name in best.TASKS.items()}
    there = {row["method"]: row for row in best.rows() if row["noise"] == "ideal"}
    lines = [line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines)
    assert len(rows) == 10
    for method, kind, *cells in rows:
        assert kind == there[method]["class"]
        for name, cell in zip(head[2:], cells, strict=True):
            long = there[method][names[name]]
            assert cell == re.sub(r" \[\S+\] (\d), \d$", r" (\1)", long), (method, name)


def test_configurations_can_be_used():
    """The first one is a whole file; the others are layers and a neuron, to be put into one."""
    pages = [
        (ROOT / "docs" / "guide" / f"{name}.md").read_text(encoding="utf-8") for name in ("config", "layers", "spiking")
    ]
    blocks = [block for page in pages for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)]
    whole, layers, neuron = (parse(block, "page").data for block in blocks)
    assert configure(whole).training.updates == 600
    assert len(configure({**whole, **layers}).network_of(4, 4).layers) == 2
    own = configure({"task": "xor", "backend": "spiking", "compute": {"target": "numpy"}, **neuron})
    described(Experiment.of(own))


def test_the_page_of_echo_shows_what_was_measured():
    """Its numbers are of the notebook's output or of the benchmark, and its links lead to files."""
    page = (ROOT / "docs" / "theory" / "echo.md").read_text(encoding="utf-8")
    prose, _, printed = page.partition("## What the notebook prints")
    results = ROOT / "benchmarks" / "results"
    names = ("echo_gradients", "echo_operating_points")
    table = "".join((results / f"{name}.md").read_text(encoding="utf-8") for name in names)
    there = {float(number) for number in re.findall(r"-?\d*\.\d+", printed + table)}
    ideas = r"is at \S+ \(parity, the share\)\s+and \S+\s+\(XOR"  # held to the record of their own below
    costs = r"have \$\\rho_1 = (.|\n)*? and\s+\S+ times\."  # so is what noise that remembers costs
    words = re.sub(rf"\([1-6]\.\d\)|arxiv\S+|theorem 3.3|qquad .*|{ideas}|{costs}", "", prose, flags=re.IGNORECASE)
    claimed = {float(number) for number in re.findall(r"(?<![\w.])-?\d*\.\d+", words)}
    assert len(claimed) > 30
    assert claimed <= there, sorted(claimed - there)
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", page)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / "docs" / "theory" / link).exists()] == []


def test_what_the_quick_reproduction_came_to_is_what_its_record_says():
    texts = (ROOT / "README.md", PAPER, ROOT / "benchmarks" / "results" / "paper.md")
    counted = r"of (\d+) comparisons .{0,60}?(\d+) held(?: \(.*?\))?, (\d+) did not, (?:and )?(\d+) are undecided"
    readme, shown, found = (
        re.findall(counted, words, re.I)
        for words in (" ".join(path.read_text(encoding="utf-8").split()) for path in texts)
    )
    assert len(found) == 1
    assert readme == shown == found


def times(task: str, way: str, other: str = "BPTT") -> float:
    """Return the ratio of two methods' median losses, of the record."""
    rows = [Cell(task, "ideal", each, Path("WTH.csv")).rows(Numbers()) for each in (way, other)]
    one, another = (median(row["test_loss"] for row in found or []) for found in rows)
    return one / another


def test_how_far_from_bptt_the_page_of_echo_says_that_it_ends():
    page = " ".join((ROOT / "docs" / "theory" / "echo.md").read_text(encoding="utf-8").split())
    parity, xor, copy5, glass = map(times, ("parity", "xor", "copy5", "mackey_glass"), ["echo"] * 3 + ["echo + ANP"])
    said = f"some {round(parity, -2):,.0f} times that of BPTT on parity, {round(xor, -2):,.0f} times on noisy XOR"
    said += (
        f" and {copy5:.0f} times on copy 5, and on Mackey-Glass, with a share of ANP, at {round(glass, -1):.0f} times"
    )
    assert f"{said}; on copy 3 at a hundredth of it" in page
    assert 100 * times("copy3", "echo") == close(1.0, rel=0.1)
    assert f"with no echo at all ({round(times('xor', 'ANP, errors inferred'), -1):.0f} times)" in page
    assert round(times("copy5", "echo + ANP")) == 6
    assert 3 < times("copy5", "echo + ANP, decorrelated") < 4


def test_what_responses_could_know_is_said_in_the_page_as_it_was_found():
    """Sentence by sentence, in the order of the tasks."""
    page = " ".join((ROOT / "docs" / "theory" / "echo.md").read_text(encoding="utf-8").split())
    text = (ROOT / "benchmarks" / "results" / "echo_operating_points.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"][2:]
    share = {(when, kind, task): number(one) for task, when, kind, one, _ in rows}
    bias = {(when, kind, task): number(one) for task, when, kind, _, one in rows}
    tasks, end, early = ("parity", "xor", "mackey_glass"), "at the end", "a quarter of the way"
    names = {"parity": "parity", "xor": "XOR", "mackey_glass": "Mackey-Glass"}
    one, two, three = ([share[end, kind, task] for task in tasks] for kind in (
        "activity, output, product", "inputs, output, products", "each step"))  # fmt: skip
    alone = [f"{share[end, 'one for all', task]} ({names[task]})" for task in tasks]
    assert f"one response for all explains {alone[0]}, {alone[1]} and {alone[2]} of the variance" in page
    assert f"and in their product: {', '.join(one)}. In the inputs" in page
    assert f"and their products: {', '.join(two)}. One for each step of the sequence: {', '.join(three)}." in page
    least = [min((each for (when, _, of), each in bias.items() if (when, of) == (end, task)), key=float)
             for task in tasks]  # fmt: skip
    for said, found in {
        "{}, {} and {} with one response": [bias[end, "one for all", task] for task in tasks],
        "no less than {}, {} and {} with any of these": least,
        "a quarter of the way it is {}, {} and {} with one)": [bias[early, "one for all", task] for task in tasks],
    }.items():
        assert said.format(*found) in page


def test_what_spiking_units_come_to_at_equal_passes_is_what_its_page_says():
    page = " ".join(EXPERIMENTS.read_text(encoding="utf-8").split())
    text = (ROOT / "benchmarks" / "results" / "spiking_echo.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"][2:]
    loss = {name: float(noise_free.split()[0]) for name, *_, noise_free, _ in rows}
    under = {name: float(noisy.split()[0]) for name, *_, noisy in rows if noisy}
    inferred, told, echo = (loss[f"{way}, smtj_koenders"] for way in (
        "ANP, errors inferred", "ANP, errors told", "echo + ANP"))  # fmt: skip
    best = min(loss["surrogate BPTT"], loss["surrogate BPTT, 200 updates"])
    assert f"come to {inferred:.4f}, trained under the telegraph noise of `smtj_koenders` alone and read with" in page
    assert f"{inferred / best:.2f} times the {best:.4f} of surrogate gradients" in page
    assert f"told them to {told:.4f}, echo with a share of ANP to {echo:.4f}. Read under that noise" in page
    ends = [under[f"{way}, smtj_koenders"] for way in ("ANP, errors inferred", "ANP, errors told", "echo + ANP")]
    assert f"end at {ends[0]:.4f} ({ends[0] / best:.2f} times), {ends[1]:.4f} and {ends[2]:.4f} (" in page
    gammas = {name: gamma for name, _, _, gamma, *_ in rows if name.startswith("ANP") and name.endswith("koenders")}
    assert len(gammas) == 3
    assert set(gammas.values()) == {"0.5"}
    assert "each half as much as the one before it (`rule.gamma: 0.5`); the preset counts each step's own" in page
    assert ANP(preset="spiking").gamma == 0


def number(text: str) -> str:
    """Write a share as the page does.

    >>> number("0.08"), number("0.6")
    ('.08', '.6')
    """
    return text.removeprefix("0")


def test_what_the_page_of_echo_says_of_ideas_that_were_tried():
    """On the tuning seeds: the best idea in units of the best that there was."""
    page, found = " ".join((ROOT / "docs" / "theory" / "echo.md").read_text(encoding="utf-8").split()), {}
    for task, way in {"parity": "echo", "xor": "echo", "mackey_glass": "echo + ANP"}.items():
        tried = {name: Cell(task, "ideal", name).tried(Numbers()) for name in (way, *IDEAS)}
        losses = {name: median(each) for name, each in tried.items() if each is not None}
        assert len(losses) == 1 + len(IDEAS) == 8
        before = losses.pop(way)
        best = min(losses, key=losses.__getitem__)
        found[task] = best, losses[best] / before
    assert [found[task][0] for task in ("parity", "xor")] == ["echo + .3 ANP, gamma .7", "echo, K=3"]
    said = [f"{found[task][1]:.2f}"[1:] for task in ("parity", "xor")]
    assert f"is at {said[0]} (parity, the share) and {said[1]} (XOR, 4 passes) of the loss that echo has" in page
    assert found["mackey_glass"][1] > 1
    assert {IDEAS["echo, K=3"].passes, IDEAS["echo, K=7"].passes} == {4, 8}


@pytest.mark.slow
def test_which_rule_of_class_s_is_best_where_is_what_its_page_says():
    """And that nothing is below a lagged linear model on weather."""
    page = " ".join(RULES.read_text(encoding="utf-8").split())
    ways = [way for way in WAYS if WAYS[way].feedback == "S"]
    won = dict[str, str]()
    for task in ("copy3", "copy5", "parity", "xor", "mackey_glass"):
        known = {way: rows for way in ways if (rows := Cell(task, "ideal", way).rows(Numbers()))}
        won[task] = min(known, key=lambda way: median(row["test_loss"] for row in known[way]))
    inferred, danp = "ANP, errors inferred", "DANP, errors inferred"
    delta = f"{inferred}, delta"
    assert won == {"copy3": danp, "copy5": danp, "parity": delta, "xor": inferred, "mackey_glass": inferred}
    assert "infer their errors: on parity they learn by the delta rule, on the others by least squares." in page
    adding = {way: times("adding", way) for way in WAYS if Cell("adding", "ideal", way).rows(Numbers())}
    assert adding.pop("BPTT") == 1
    assert adding.pop("echo + ANP, decorrelated") == close(0.5, rel=0.05)
    rows = Cell("adding", "ideal", "BPTT").rows(Numbers()) or []
    ridge = median(row["ridge"] for row in rows) / median(row["test_loss"] for row in rows)
    assert f"in class S by DANP, at {adding.pop(danp) / ridge:.2f} of that".replace(" 0.", " .") in page
    assert [round(f(adding.values()) / ridge, 1) for f in (min, max)] == [0.8, 1.2]
    assert "of the ridge readout; others that were tried end at .8 to 1.2 of it." in page
    rows = {way: Cell("weather", "ideal", way, Path("WTH.csv")).rows(Numbers()) or [] for way in WAYS}
    lagged = median(row["lagged_linear"] for row in rows["BPTT"])
    assert min(median(row["test_loss"] for row in each) for each in rows.values() if each) > lagged
    counts = {way: sum(row["test_loss"] < row["lagged_linear"] for row in each) for way, each in rows.items()}
    assert "On weather no median is below that of a linear model of the last 24 hours" in page
    assert f"BPTT is below it on {counts.pop('BPTT')} of {len(rows['BPTT'])} seeds, local rules on none" in page
    assert sum(counts.values()) == 0


def test_where_the_default_is_better_than_plain_anp():
    """As the presets of ANP say: on five of six tasks, whatever K."""
    plain = {
        task: min(times(task, "ANP, K=3"), times(task, "ANP, K=15")) / times(task, "ANP, errors inferred")
        for task in ("copy3", "copy5", "parity", "xor", "weather", "mackey_glass")
    }
    assert [task for task, factor in plain.items() if factor < 1] == ["copy5"]


def test_what_the_default_comes_to_untuned_is_what_its_page_says():
    page = " ".join(RULES.read_text(encoding="utf-8").split())
    tasks = ("copy3", "copy5", "parity", "xor", "weather", "mackey_glass")
    default = {task: times(task, DEFAULT) for task in tasks}
    older = {task: default[task] / times(task, "ANP, K=15") for task in tasks}
    copy = [older.pop(task) for task in ("copy3", "copy5")]
    assert min(copy) > 1 > max(older.values())
    said = f"{min(older.values()):.2f} to {max(older.values()):.2f} of the loss of plain ANP, K=15, tuned "
    said = f"{said}({copy[0]:.2f} and {copy[1]:.2f} times on copy 3 and copy 5)".replace("0.", ".")
    tuned = [default[task] / times(task, "ANP, errors inferred") for task in tasks]
    assert f"{said}, and {min(tuned):.2f} to {max(tuned):.2f} times that of the same".replace("0.", ".") in page
    counts = {}
    for task in tasks:
        rows = Cell(task, "ideal", DEFAULT, Path("WTH.csv")).rows(Numbers()) or []
        counts[task] = sum(row["test_loss"] < row["ridge"] for row in rows)
    assert counts == {**dict.fromkeys(tasks, 8), "copy3": 2, "weather": 0, "mackey_glass": 1}
    said = "On copy 5, parity and XOR it is below the ridge readout on 8 of 8 seeds; on copy 3 on 2, on weather on none"
    assert f"{said}, and on Mackey-Glass on 1: tune there" in page
    config = Cell("copy3", "ideal", DEFAULT).run(WAYS[DEFAULT].settings[0], 0).config
    assert config.perturbation.sigma == close(0.01)
    assert "the noise of .01 on each unit that there is without a word, where the others explore with .0002:" in page


def test_what_noise_that_remembers_costs_is_what_the_page_of_echo_says():
    page = " ".join((ROOT / "docs" / "theory" / "echo.md").read_text(encoding="utf-8").split())
    told, inferred = "ANP, errors told", "ANP, errors inferred"

    def cost(way: str, condition: str) -> float:
        rows = [Cell("parity", each, way).rows(Numbers()) or [] for each in (condition, "white_02")]
        one, other = (median(row["test_loss"] for row in each) for each in rows)
        return one / other

    assert f"costs echo {cost('echo', 'smtj_koenders'):.1f} times the loss under white noise of the same size" in page
    assert f"{cost(told, 'smtj_koenders'):.0f} times, and such that infer them" in page
    assert f"infer them {cost(inferred, 'smtj_koenders'):.0f} times." in page
    tuned = [cost(way, "smtj_koenders_tuned") for way in (told, inferred)]
    assert f"it is {tuned[0]:.1f} and {tuned[1]:.1f} times." in page
    for way in (told, inferred):
        without, there = (
            Cell("parity", each, way).setting(Numbers()) for each in ("smtj_koenders", "smtj_koenders_tuned")
        )
        assert (without["difference"], without["gamma"]) == ("innovation", 0.9)
        assert (there["difference"], there["gamma"]) == ("activity", 1.0)
    law = load("smtj_koenders").stochastic
    assert isinstance(law, Koenders)
    assert f"{law.autocorrelation(1):.2f}"[1:] == ".82"


def test_where_decorrelation_wins_and_loses_is_what_its_page_says():
    page = " ".join(RULES.read_text(encoding="utf-8").split())
    ways, rows = ("ANP, errors inferred", "DANP, errors inferred"), Path("WTH.csv")
    others = [way for way, one in WAYS.items() if one.feedback == "S" and way != ways[1]]
    tasks = ("copy3", "copy5", "weather")
    run = {task: [way for way in others if Cell(task, "ideal", way, rows).rows(Numbers())] for task in tasks}
    one, other, weather = (min(times(task, way, ways[1]) for way in run[task]) for task in tasks)
    assert all(len(each) >= 4 for each in run.values())
    assert f"(DANP) wins on copy 3 and copy 5, {one:.2g} and {other:.2g} times below the next best" in page
    assert f"and by {100 * (weather - 1):.0f} % on weather; it loses on parity, XOR" in page
    assert all(times(task, *ways) < 0.5 for task in ("parity", "xor", "mackey_glass"))


def test_what_identified_weights_do_for_echo_on_cells_that_err_is_what_its_page_says():
    page = " ".join(RULES.read_text(encoding="utf-8").split())

    def on_pcm(task, way, key="test_loss"):
        rows = Cell(task, "pcm", way, Path("WTH.csv")).rows(Numbers())
        return f"{median(row[key] for row in rows or []):.2g}".removeprefix("0")

    glass = [on_pcm("mackey_glass", way) for way in ("echo + ANP, identified", "echo + ANP")]
    parity = [on_pcm("parity", way) for way in ("echo, identified", "echo")]
    ridge = on_pcm("mackey_glass", "echo + ANP", "ridge_noisy")
    assert f"echo ends at {glass[0]} in place of {glass[1]} on Mackey-Glass, where the ridge has {ridge}" in page
    told, *others = [
        on_pcm("parity", way) for way in ("ANP, errors told, identified", "ANP, errors told", "ANP, errors inferred")
    ]
    assert (
        f"and at {parity[0]} in place of {parity[1]} on parity, where outputs that are told their errors end at "
        f"{told} with it and at {others[0]} without, and outputs that infer them at {others[1]} without; "
        "on copy 3 it brings nothing."
    ) in page
    ways = ("echo, identified", "ANP, errors told", "ANP, errors inferred")
    weather, ridge = [on_pcm("weather", way) for way in ways], on_pcm("weather", ways[0], "ridge_noisy")
    counts = [below_ridge(Cell("weather", "pcm", way, Path("WTH.csv")).rows(Numbers()) or []) for way in ways]
    said = "On weather no median is below that of the ridge there, {}: {}, {} and {} (E, S+, S), on {}, {} and {} of 8"
    assert f"{said.format(ridge, *weather, *counts)} seeds; under Gaussian noise of .04 all are." in page
    for way in ("echo", *ways[1:]):
        rows = Cell("weather", "white_04", way, Path("WTH.csv")).rows(Numbers()) or []
        assert [row["test_loss"] < row["ridge_noisy"] for row in rows] == [True] * 8
    copy = [Cell("copy3", "pcm", way).rows(Numbers()) or [] for way in ("echo, identified", "echo")]
    assert median(row["test_loss"] for row in copy[0]) > median(row["test_loss"] for row in copy[1])


def test_what_noise_of_devices_costs_beside_gaussian_noise_of_its_size_is_what_its_page_says():
    page = " ".join(RULES.read_text(encoding="utf-8").split())

    def cost(task, condition, way, other=None):
        cells = Cell(task, condition, way), Cell(task, CONDITIONS[condition].size[task], other or way)
        one, another = (median(row["test_loss"] for row in cell.rows(Numbers()) or []) for cell in cells)
        return f"{one / another:.2g}".removeprefix("0")

    told, inferred, danp = "ANP, errors told", "ANP, errors inferred", "DANP, errors inferred"
    assert cost("copy3", "smtj_koenders", "echo") == "1"
    junctions = cost("parity", "smtj_koenders", "echo")
    assert f"costs echo nothing on copy 3 and {junctions} times the loss on parity." in page
    tuned = [cost("parity", "smtj_koenders_tuned", way) for way in (told, inferred)]
    assert f"told their errors {tuned[0]} times on parity, and those that infer them {tuned[1]} times" in page
    parity = [cost("parity", "pcm", f"{w}, identified", w) for w in ("echo", told)] + [cost("parity", "pcm", inferred)]
    xor = [cost("xor", "pcm", "echo, identified", "echo"), *(cost("xor", "pcm", w) for w in (told, inferred))]
    assert f"{xor[0]}, {xor[1]} and {xor[2]} times on XOR, {cost('copy3', 'pcm', 'echo')}, " in page
    copy = [cost("copy3", "pcm", way) for way in ("echo", told, danp)]
    assert f"it is {parity[0]}, {parity[1]} and {parity[2]} times on parity (E, S+, S)" in page
    assert f", {copy[0]}, {copy[1]} and {copy[2]} times on copy 3" in page
    five = [cost("copy5", "pcm", way) for way in ("echo + ANP, decorrelated", told, danp)]
    assert f"and {five[0]}, {five[1]} and {five[2]} times on copy 5:" in page


def test_how_large_the_noise_of_devices_is_is_what_its_page_says():
    page = " ".join(RULES.read_text(encoding="utf-8").split())
    text = (ROOT / "benchmarks" / "results" / "noise_sizes.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][1:]
    sizes = {name: [float(row[k]) for row in rows if row[0] == name for k in (3, 4)] for name in CONDITIONS}
    assert {row[1] for row in rows if row[0] == "pcm"} == {"copy3", "copy5", "parity", "xor", "weather", "mackey_glass"}
    assert all(size == close(0.02, rel=0.03) for size in sizes["smtj_koenders"])
    assert [f"{extreme(sizes['pcm']):.2f}" for extreme in (min, max)] == ["0.01", "0.06"]
    assert "then what devices have of their own, .02 of junctions, some .01 to .06 of phase-change arrays" in page


def test_where_the_usual_rule_is_ahead_is_what_its_page_says():
    """By the median, on every task; by the table of three seeds."""
    page = " ".join(GUIDE_RULES.read_text(encoding="utf-8").split())
    text = (ROOT / "benchmarks" / "results" / "defaults.md").read_text(encoding="utf-8")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if line.startswith("| ")][2:]
    ahead = {device: [float(ratio) < 1 for _, there, *_, ratio, _ in rows if there == device] for device in PROFILES}
    assert {task for task, *_ in rows} == {"copy", "digits", "mackey_glass"}
    assert [device for device, each in ahead.items() if all(each)] == ["ideal", "pcm", "smtj_koenders", "ecram"]
    assert not all(ahead["rram_hfo2"])
    assert "on `ideal`, `pcm`, `smtj_koenders` and `ecram`, but not on all three on `rram_hfo2`" in page


def test_the_table_of_systems_is_the_record():
    text = (ROOT / "benchmarks" / "results" / "systems.md").read_text(encoding="utf-8")
    table = systems.overview(text)
    assert table.count("\n") == 12  # two lines of heads, and 13 rules but np and inp, which must know their noise
    assert table in SYSTEMS.read_text(encoding="utf-8")


def words(page: Path) -> str:
    return " ".join(page.read_text(encoding="utf-8").split())


def short(number: str, digits: int) -> str:
    """Write a share as pages do, without its 0."""
    return f"{float(number):.{digits}f}".rstrip("0").lstrip("0")


def test_what_pages_say_of_oua_on_weather_was_measured():
    text = (ROOT / "benchmarks" / "results" / "oua.md").read_text(encoding="utf-8")
    rows = [*systems.recorded(text, "Weather 24 hours ahead").values()]
    (step, sgd, still, device, tanh), first = (row["share"].split(" ")[0] for row in rows), rows[0]
    persistence = float(first["persistence"].split(" ")[0]) / float(first["least squares, same features"].split(" ")[0])
    page = words(ROOT / "docs" / "theory" / "oua.md")
    assert f"reaches {short(step, 3)} of the correlation of least squares" in page
    assert f"({short(sgd, 2)} by plain SGD as in the paper), where persistence has {short(str(persistence), 2)}" in page
    assert f"come to {float(still):.2g} of it in 8,000 presentations" in page
    assert f"telegraph noise in time) to {short(device, 2)} in 500 of 64 sequences" in page
    assert f"all arrays learned, reach {short(tanh, 2)} in 3,000." in page
    small = systems.recorded(text, "Small examples").values()
    before, after = ([float(row[key].split(" ")[0]) for row in small] for key in ("before", "after"))
    shares = [short(str(b / a), 3) for a, b in zip(before, after, strict=True)]
    assert f"(errors of {shares[0]} and {shares[1]} of those before)" in page
    assert f"come to {short(str(after[2]), 2)} of the teacher's spread, from {before[2]:g}, in 4,000 updates" in page
    assert f"[{short(sgd, 2)} of the correlation of least squares on weather" in words(SYSTEMS)


def test_what_pages_say_of_junctions_was_measured():
    text = (ROOT / "benchmarks" / "results" / "smtj.md").read_text(encoding="utf-8")
    page = words(ROOT / "docs" / "theory" / "smtj.md")
    noises = systems.recorded(text, "8 x 8 digits: noises").values()
    medians = [float(row[name].split(" ")[0]) for row in noises for name in ("64-100-10", "64-100-100-100-10")]
    assert len(noises) == 7
    assert f"their medians end between {min(medians)} and {max(medians)} % after 300 updates" in page
    of = [row["test accuracy, %"].split(" ")[0] for row in systems.recorded(text, "MNIST, 3 x 500 units").values()]
    assert f"it reaches {of[3]} % where backpropagation reaches {of[2]} %" in page
    assert f"at the paper's rates, which are for 2,500 epochs, {of[1]} and {of[0]} %" in page
    readme = words(SYSTEMS)
    assert f"{of[3]} % of MNIST after one epoch ({of[2]} by backpropagation)" in readme
    bptt, rule = systems.recorded(text, "Permuted sequential digits, recurrent").values()
    share = [row["test accuracy, %"].split(" ")[0] for row in (rule, bptt)]
    assert f"{share[0]} % of permuted sequential digits where BPTT has {share[1]} %" in page
    assert float(rule["ridge refit on it"].split(" ")[0]) > 0.97 * float(rule["ridge, untrained"].split(" ")[0])


def test_what_pages_say_of_nrl_on_cartpole_was_measured():
    text = (ROOT / "benchmarks" / "results" / "worlds.md").read_text(encoding="utf-8")
    rows = systems.recorded(text, "cartpole").values()
    (least,) = {row["least"] for row in rows}
    updates = min(int(row["passes"]) for row in rows)
    said = f"the full return of {least} after {updates} updates of 16 episodes on each of five seeds"
    assert said in words(ROOT / "docs" / "theory" / "nrl.md")
    assert f"as REINFORCE has it, after {16 * updates} episodes" in words(SYSTEMS)


def test_what_pages_say_of_nrl_on_acrobot_was_measured():
    text = (ROOT / "benchmarks" / "results" / "worlds.md").read_text(encoding="utf-8")
    bp, nrl = systems.recorded(text, "acrobot").values()
    page = words(ROOT / "docs" / "theory" / "nrl.md")
    both = [f"{float(row['return: median']):.1f}" for row in (nrl, bp)]
    said = f"its median is {both[0]} after {bp['passes']} updates of 16 episodes, and REINFORCE's {both[1]};"
    assert said in page
    assert f"the least of five seeds are {nrl['least']} and {bp['least']}" in page
    assert float(nrl["of the control"]) >= 1
    assert f"on Acrobot as good as it after {16 * int(bp['passes']):,}" in words(SYSTEMS)
