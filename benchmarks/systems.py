"""All systems in one table: rules by tasks on one device, with what each costs and what hardware must provide.

python -m benchmarks.systems [--seeds 5] [--workers 2] [--only copy]

Copy 3 and a forecast of Lorenz, with sequences; reaching, a world that pays with the last step. All on pcm, 32 tanh
units with a bias, 16 sequences a batch, the same number of presentations for all rules that learn by updates (1,600;
400 in the world), each as it comes but for its rate: the better of two on seed 100, which is not reported. Rules whose
weights are computed have one update and 400 sequences. Rules that cannot run there say why.
"""

from __future__ import annotations

from argparse import Namespace
from statistics import median
from typing import Any

from benchmarks.common import Case, arguments, keep_parts, run_cases, spread, table, values
from neuroanp.errors import InputError
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.configure import configure
from neuroanp.training.described import describe
from neuroanp.training.filling import METHODS
from neuroanp.training.learner import make_learner

TUNING, HIDDEN, MODULE = 100, 32, "benchmarks.systems"
RATES = (3e-3, 1e-2)
RULES = ("bptt", "reinforce", "sampled", "esn", "anp", "echo", "inp", "np", "wp", "nrl", "rmhl", "oua", "cdrge")
COMPUTED = ("sampled", "esn")
TASKS: dict[str, dict[str, Any]] = {
    "copy": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
    "lorenz": {"name": "lorenz"},
    "reaching": {"name": "reaching", "axes": 2, "stride": 0.15},
}
PASSES = {"copy": 1600, "lorenz": 1600, "reaching": 400}
NEEDS = "what hardware must provide"
HEADS = {
    "copy": "Copy 3: test loss",
    "lorenz": "Lorenz, 5 samples ahead: test loss",
    "reaching": "Reaching in a plane: return of a test episode",
    "needs": NEEDS.capitalize(),
}
COLUMNS = (
    "rule", "class", "rate", "passes", "{} median [range]", "chip energy, uJ", "chip time, s", "wear", "numbers kept",
)  # fmt: skip

BOOKS = COLUMNS[5:]
REACHED = {"copy": "loss median [range]", "lorenz": "loss median [range]", "reaching": "return median [range]"}


def base(task: str) -> dict[str, Any]:
    """Return what all runs of a task have."""
    return {
        "task": TASKS[task], "profile": "pcm", "network": {"hidden": HIDDEN, "bias": True},
        "training": {"batch": 16, "controls": False, "evaluate_every": 100_000, "log_every": 10_000},
    }  # fmt: skip


def changes(task: str, rule: str) -> dict[str, Any]:
    """Return what a rule has of its own, but for its rate."""
    if rule in COMPUTED:
        return {"rule.name": rule, "training.updates": 1, "training.batch": 400}
    passes = make_learner(METHODS.get(rule)()).passes
    return {"rule.name": rule, "training.updates": PASSES[task] // passes}


def refused(task: str, rule: str) -> str | None:
    """Return why a rule cannot run; None: it can."""
    try:
        describe(Experiment.of(configure(base(task), changes(task, rule))))
    except InputError as error:
        return "; ".join([error.message, *error.problems])
    return None


def host_memory(task: str, rule: str) -> int:
    """Return how many numbers a rule remembers: its state, Adam's, and what it keeps of the steps of one sequence.

    Backpropagation keeps what was seen, what units did, and the outputs of every step.
    """
    experiment = Experiment.of(configure(base(task), changes(task, rule)))
    trainer = build_trainer(experiment)
    learner = make_learner(experiment.config.rule)
    state = sum(each.numel() for each in learner.init(trainer.substrate.weights).values())
    weights = sum(W.numel() for W in trainer.substrate.weights.values())
    moments = 0 if rule in COMPUTED else 2 * weights
    network = experiment.network
    graph = METHODS.get(rule)().feedback == "BP"
    kept = network.inputs + network.hidden + network.outputs if graph else learner.numbers_kept(network)
    return state + moments + experiment.task.steps * kept


def row_command(task: str, rule: str, rate: float | None) -> str:
    """Return the command that trains a row's seed 0."""
    options = [f"task.{key}={value}" for key, value in TASKS[task].items() if key != "name"]
    options += [f"network.hidden={HIDDEN}", "network.bias=true", "training.controls=false"]
    options += [f"{key}={value}" for key, value in changes(task, rule).items() if key != "rule.name"]
    options += [] if rule in COMPUTED else ["training.batch=16"]
    options += [] if rate is None else [f"optimizer.lr={rate:g}"]
    sets = " ".join(f"--set {each}" for each in options)
    return f"neuroanp train --task {TASKS[task]['name']} --rule {rule} --profile pcm {sets}"


def part(task: str, options: Namespace) -> str:
    """Return the table of one task, the commands of its rows, and who cannot run there."""
    why = {rule: refused(task, rule) for rule in RULES}
    rules, world = [rule for rule in RULES if why[rule] is None], task == "reaching"
    tried = {
        (rule, rate): Case(f"{rule} {rate:g}", base(task), {**changes(task, rule), "optimizer.lr": rate})
        for rule in rules if rule not in COMPUTED for rate in RATES
    }  # fmt: skip
    found = run_cases([*tried.values()], Namespace(**{**vars(options), "seeds": 1}), TUNING)
    losses = {key: values(found[each.label], "test_loss")[0] for key, each in tried.items()}
    best = {rule: min(RATES, key=lambda rate: losses[rule, rate]) for rule in rules if rule not in COMPUTED}
    cases = {
        rule: tried[rule, best[rule]] if rule in best else Case(rule, base(task), changes(task, rule)) for rule in rules
    }
    told = run_cases([*cases.values()], options)
    rows, commands = [], []
    for rule in rules:
        results = [each for each in told[cases[rule].label] if each is not None]
        rate = best.get(rule)
        rows.append(
            [rule, METHODS.get(rule)().feedback, "–" if rate is None else f"{rate:g}", f"{results[0]['passes']:,}",
             spread(values(results, "score" if world else "test_loss")), middle(results, "energy_J", 1e6),
             middle(results, "chip_time_s", 1.0), middle(results, "wear", 1.0), f"{host_memory(task, rule):,}"]
        )  # fmt: skip
        commands.append(f"- {rule}: `{row_command(task, rule, rate)}`")
    no = [f"- {rule} cannot: {said}" for rule, said in why.items() if said is not None]
    what = "return" if world else "loss"
    heads = [column.format(what) for column in COLUMNS]
    return "\n".join([f"{options.seeds} seeds", "", table(heads, rows), "", *no, "", *commands])


def middle(results: list[dict[str, Any]], key: str, factor: float) -> str:
    """Return the median over runs, or a dash where the profile states nothing."""
    numbers = [each[key] for each in results]
    return "–" if None in numbers else f"{median(numbers) * factor:.3g}"


def needs() -> str:
    """Return what each rule asks of hardware, as it comes."""
    rules = {rule: METHODS.get(rule)() for rule in RULES}
    rows = [[name, rule.feedback, "; ".join(rule.needs) or "nothing: a host computes"] for name, rule in rules.items()]
    return table(["rule", "class", NEEDS], rows)


def recorded(text: str, heading: str) -> dict[str, dict[str, str]]:
    """Return the rows of one table of the record: by rule, by column.

    >>> recorded("## a\\n\\n| rule | x |\\n| --- | --- |\\n| wp | 2 |\\n\\n## b", "a")
    {'wp': {'rule': 'wp', 'x': '2'}}
    """
    part = text.split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    heads, _, *rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return {row[0]: dict(zip(heads, row, strict=True)) for row in rows}


def overview(text: str) -> str:
    """Return the table of docs/results/systems.md: what rules reached, at which cost on copy 3 or on reaching.

    Args:
        text: results/systems.md.
    """
    tasks = {task: recorded(text, HEADS[task]) for task in TASKS}
    rows = []
    for rule in RULES:
        found = {task: rows[rule] for task, rows in tasks.items() if rule in rows}
        if not found:
            continue
        books = found.get("copy") or found["reaching"]
        reached = [found[task][column] if task in found else "" for task, column in REACHED.items()]
        rows.append(
            [f"`{rule}`", books["class"], *(one.split(" ")[0] for one in reached), *(books[key] for key in BOOKS)]
        )
    return table(["rule", "class", "copy 3: loss", "Lorenz: loss", "reaching: return", *BOOKS], rows)


if __name__ == "__main__":
    asked = arguments(__doc__ or "", seeds=5, only=[*TASKS])
    for name in [asked.only] if asked.only else TASKS:
        keep_parts("systems", "All systems in one table", {HEADS[name]: part(name, asked)}, [*HEADS.values()], MODULE)
    keep_parts("systems", "All systems in one table", {HEADS["needs"]: needs()}, [*HEADS.values()], MODULE)
