"""Write a reproduction: which claims held and by how much, what every method reached, what is not as in the paper."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import inf, isfinite
from pathlib import Path
from statistics import median

from neuroanp.method import FEEDBACK
from neuroanp.records.environment import environment
from neuroanp.records.json_io import finite
from neuroanp.reporting import folders
from neuroanp.reporting.values import MISSING, digits
from neuroanp.reproducing import rates
from neuroanp.reproducing.claims import CONTROLS, Claim, Number
from neuroanp.reproducing.experiments import DIFFERENCES, SUMS, Experiment
from neuroanp.reproducing.result import PAPER, Reproduction
from neuroanp.reproducing.running import Measured
from neuroanp.reproducing.verdicts import HELD, NOT, OPEN, Finding
from neuroanp.reproducing.ways import WAYS
from neuroanp.training.filling import METHODS

FILES = ("report.md", "report.json", "report.png")
"""What `save` writes."""
WHOSE = {
    "paper": "Claims of the paper, in our words",
    "code": "What its code asks",
    "ours": "Asked beside it",
}
"""Headings, by whose claims they are."""
PASSES = (
    "Equal passes: every method gets the same number of presentations of a batch; an update of backpropagation, "
    "forward and back, counts two, one of the preset two (silent and noisy), one of echo two, one of ours (S) four."
)
HOW = (
    "A claim compares two losses of the same seed. It held where the one is below the other in every seed (of three or "
    "more), or in so many that chance is no more than .05; it did not hold where the reverse is so, of all seeds (of "
    "three or more) or of so many; between them it is undecided. 'Ends as low as' allows 1.1 times, and any loss below "
    "1e-6; no chance is told of it, as equals then are below more often than not. By chance: the probability of at "
    "least so many seeds if each were as likely below as above. Held by chance: how many comparisons would be held, on "
    "average, if each seed were a toss of a coin; comparisons that share runs rise and fall together. A run that "
    "diverged has an infinite loss."
)
NOISE_ONCE = (
    "NP and WP of its code divide by sigma once: their mean step is sigma (1e-3) times the gradient, and at the "
    "paper's rate next to nothing; ANP's does not depend on sigma. Where rates are tuned this is evened out."
)


def check_folder(folder: Path) -> Path:
    """Return a folder that `save` can write to; InputError, before anything is run, for one that it cannot."""
    return folders.check_folder(folder, FILES, "--out")


def save(made: Reproduction, folder: Path) -> Reproduction:
    """Write report.md, report.json and report.png; return the reproduction with its folder.

    Raises:
        InputError: the folder cannot be made or written to. RunError: the disk is full.
    """
    from neuroanp.reproducing.plots import drawn

    check_folder(folder)
    contents = [
        as_markdown(made).encode(),
        (json.dumps(finite(made.to_dict()), indent=1, allow_nan=False) + "\n").encode(),
        drawn(made),
    ]
    folders.write_folder(folder, {name: content for name, content in zip(FILES, contents, strict=True) if content})
    return replace(made, output=folder)


def as_markdown(made: Reproduction) -> str:
    """Return the report as Markdown."""
    facts = environment()
    origin = [
        f"- command: `{' '.join(made.command)}`",
        f"- seeds: {', '.join(map(str, made.seeds))}",
        f"- neuroanp {facts['neuroanp']}, torch {facts['torch']}, numpy {facts['numpy']}",
    ]
    figure = ["![test losses of all methods, a panel for each experiment](report.png)"] if made.measured else []
    return "\n\n".join([f"# {title(made)}", "\n".join(origin), *figure, body(made)]) + "\n"


def title(made: Reproduction) -> str:
    """Return the heading of the report."""
    size = "quick" if made.quick else "the paper's"
    return f"Experiments of {PAPER} at {size} sizes"


def body(made: Reproduction) -> str:
    """Return the report without its head: what came of it, claim by claim and method by method, and how it was done."""
    parts = [
        *sentences(made),
        "## Which claims held",
        summary(made),
        *(part for whose in WHOSE for part in _claims(made, whose)),
        *_undecided(made),
        "## What every method reached",
        *(part for name in made.run for part in _numbers(made, name)),
        "## How it was done",
        "\n".join(f"- {line}" for line in how(made)),
    ]
    return "\n\n".join(parts)


def how(made: Reproduction) -> list[str]:
    """Say how the runs were made, and what is not as in the paper."""
    small = (
        [
            "Sizes are small, so that a run takes seconds: what does not hold here may hold at the paper's, and the "
            "reverse."
        ]
        if made.quick
        else []
    )
    different = [line for line in DIFFERENCES if not (made.quick and line == SUMS)]
    return [HOW, PASSES, rates.said(made.quick), NOISE_ONCE, *small, *different]


def sentences(made: Reproduction) -> list[str]:
    """Say in a sentence or two what came of it."""
    paper = [claim.name for claim in made.claims if claim.whose == "paper"]
    verdicts = [finding.verdict for finding in made.findings if finding.claim in paper]
    held, failed, still = (verdicts.count(verdict) for verdict in (HELD, NOT, OPEN))
    told = [
        f"Of {len(verdicts)} comparisons that {len(paper)} claims of the paper come to, {held} held, {failed} did not, "
        f"{still} {'is' if still == 1 else 'are'} undecided{_unrun(made, paper)}."
    ]
    tuned = [str(seed) for seed in made.seeds if made.quick and seed in rates.TUNING_SEEDS]
    if tuned:
        told.append(
            f"Seed{'s' * (len(tuned) > 1)} {' and '.join(tuned)} {'was' if len(tuned) == 1 else 'were'} tuned on: the "
            "rates were chosen by what runs of it gave; leave it out of --seeds for a fair comparison."
        )
    luck = made.by_chance(paper)
    if luck is not None:
        tossed = [one for one in made.findings if one.claim in paper and one.luck is not None]
        good = sum(one.verdict == HELD for one in tossed)
        told.append(
            f"Of {len(tossed)} that ask which of two is lower and have all runs, {good} held; by chance alone "
            f"{digits(luck, 2)} would, on average."
        )
    if made.failed:
        told.append(
            f"{len(made.failed)} of {len(made.measured)} runs failed; what they were needed for is undecided. The same "
            "command repeats them alone."
        )
    return told


def _unrun(made: Reproduction, claims: Sequence[str]) -> str:
    """Say how many of the undecided comparisons have no seed with both runs."""
    unrun = sum(one.claim in claims and one.verdict == OPEN and one.seeds == 0 for one in made.findings)
    return f", {unrun} of them for want of runs" if unrun else ""


def summary(made: Reproduction) -> str:
    """Return a row for each claim: in how many experiments it held."""
    rows = []
    for claim in made.claims:
        counts = made.counts(claim.name)
        held, *others = (str(counts[each] or "") for each in (HELD, NOT, OPEN))
        rows.append([claim.name, claim.whose, claim.said, held, lucky(made, claim.name), *others])
    return markdown(["claim", "whose", "in words", "held", "held by chance", "did not", "undecided"], rows)


def lucky(made: Reproduction, claim: str) -> str:
    """Write how many comparisons of a claim chance alone would hold, on average."""
    luck = made.by_chance([claim])
    return MISSING if luck is None else digits(luck, 2)


def _claims(made: Reproduction, whose: str) -> Iterator[str]:
    """Yield the claims of a kind, a table each, with what was decided."""
    yield f"## {WHOSE[whose]}"
    for claim in made.claims:
        if claim.whose == whose:
            yield f"**{claim.name}.** {claim.said}"
            mine = [one for one in made.findings if one.comparison.one.experiment in made.run]
            yield of_claim(claim, mine, made.quick)


def of_claim(claim: Claim, findings: Sequence[Finding], quick: bool = False) -> str:
    """Return the comparisons of a claim, a row each; with `quick`, whether what lost has a rate at the edge."""
    rows: list[list[str]] = []
    for one in (each for each in findings if each.claim == claim.name):
        compared = one.comparison
        below = MISSING if not one.seeds else f"{one.below} of {one.seeds}"
        chance = MISSING if one.chance is None else digits(one.chance, 2)
        within = "" if compared.within == 1 else f"{compared.within:g} x "
        rows.append([
            compared.where, f"**{one.verdict}**" if one.verdict != OPEN else one.verdict,
            f"{compared.one_label} {shown(one.one)}{_edge(compared.one, quick and one.verdict == NOT)}",
            f"{within}{compared.other_label} {shown(one.other)}{_edge(compared.other, quick and one.verdict == HELD)}",
            below, chance,
            MISSING if one.ratio is None else digits(one.ratio),
        ])  # fmt: skip
    if not rows:
        return "Not run."
    return markdown(["where", "verdict", "loss of", "below", "seeds", "by chance", "ratio of medians"], rows)


def _edge(number: Number, lost: bool) -> str:
    """Say of a loss that lost that its rate may not be the best."""
    tuned = number.key not in CONTROLS
    return " (its rate is at the edge of what was tried)" * (
        lost and tuned and rates.at_edge(number.experiment, number.way)
    )


def _undecided(made: Reproduction) -> Iterator[str]:
    """Yield why comparisons are undecided, each reason once."""
    why: dict[str, list[str]] = {}
    for one in made.findings:
        if one.why is not None:
            why.setdefault(one.why, []).append(f"{one.claim} ({one.comparison.where})")
    if why:
        yield "## What is undecided, and what would decide it"
        yield "\n".join(f"- {reason}: {', '.join(names)}" for reason, names in why.items())


def _numbers(made: Reproduction, name: str) -> Iterator[str]:
    """Yield what the methods of one experiment reached."""
    experiment = made.experiments[name]
    yield f"### {name}: {experiment.title}"
    if name in made.missing:
        yield f"Not run: {made.missing[name]}"
        return
    mine = [one for one in made.measured if one.experiment == name]
    yield f"{sizes(experiment)}. {_task(experiment)}"
    yield table_of(experiment, mine)


def sizes(experiment: Experiment) -> str:
    """Say how large an experiment is."""
    hidden = ", ".join(map(str, experiment.widths))
    return f"Hidden {hidden}, batch {experiment.batch}, {experiment.passes:,} passes a run"


def _task(experiment: Experiment) -> str:
    options = {key: value for key, value in experiment.task.items() if key not in ("name", "path", "columns")}
    said_of = ", ".join(f"{key} {value}" for key, value in options.items())
    return f"Task `{experiment.task['name']}`: {said_of}."


def table_of(experiment: Experiment, mine: Sequence[Measured]) -> str:
    """Return medians and ranges over the seeds, a row for each method and width, controls below."""
    several, fixed = len(experiment.widths) > 1, experiment.measure == "trained"
    scored = any("accuracy" in one.values for one in mine)
    heads = ["method", "class", *["hidden"] * several, "rate", "updates"]
    heads += ["loss, on the trained sequence", "on fresh ones"] if fixed else ["test loss"]
    heads += ["accuracy, trained", "fresh"] if fixed and scored else ["accuracy"] * scored
    keys = ["trained", "loss"] if fixed else ["loss"]
    more = (["trained_accuracy", "accuracy"] if fixed else ["accuracy"]) if scored else []
    rows = []
    for way in experiment.ways:
        for hidden in experiment.widths:
            some = [one for one in mine if (one.way, one.hidden) == (way, hidden)]
            if not some:
                continue
            first = some[0]
            rows.append([
                WAYS[way].label, feedback(way), *[str(hidden)] * several, f"{first.lr:g}", f"{first.updates:,}",
                *(spread(some, key) for key in (*keys, *more)),
            ])  # fmt: skip
    blank = [""] * (2 + several)
    for key, label in CONTROLS.items():
        some = [one for one in mine if key in one.values and one.hidden == experiment.widths[0]]
        if some and not several:
            place = ["", spread(some, key)] if fixed else [spread(some, key)]
            rows.append([f"control: {label}", *blank, "", *place, *[""] * len(more)])
    return markdown(heads, rows)


def feedback(way: str) -> str:
    """Return a method's class of feedback."""
    rule = WAYS[way].rule
    found = METHODS.get(rule["name"])(**{key: value for key, value in rule.items() if key != "name"}).feedback
    assert found in FEEDBACK
    return found


def spread(some: Sequence[Measured], key: str) -> str:
    """Write median [lowest .. highest] over the runs that have a number, and how many have none.

    >>> one = Measured("recall", "anp", 8, 42, 10, 0.1, {"loss": 0.5})
    >>> spread([one, replace(one, values={"loss": 0.25}), replace(one, values={}, error="no room")], "loss")
    '0.375 [0.250 .. 0.500], 1 failed'
    >>> spread([replace(one, values={"loss": inf})] * 2, "loss")
    '2 of 2 diverged'

    A run that diverged has no accuracy, and counts as lower than any.

    >>> some = [replace(one, values={"loss": 0.5, "accuracy": of}) for of in (0.6, 0.7)]
    >>> spread([*some, replace(one, values={"loss": inf})], "accuracy")
    '0.600 [0.600 .. 0.700], 1 of 3 diverged'
    """
    worst = -inf if "accuracy" in key else inf
    diverged = [worst for one in some if one.values.get("loss") == inf]
    found = [one.values[key] for one in some if one.values.get("loss") != inf and key in one.values] + diverged
    good = [value for value in found if isfinite(value)]
    failed = sum(one.error is not None for one in some)
    notes = [f"{len(found) - len(good)} of {len(found)} diverged"] if len(good) < len(found) else []
    notes += [f"{failed} failed"] if failed else []
    middle = [shown(median(found))] if found and isfinite(median(found)) else []
    ends = [f"[{shown(min(good))} .. {shown(max(good))}]"] if len(good) > 1 else []
    return ", ".join([*[" ".join([*middle, *ends])] * bool(good), *notes]) or MISSING


def shown(value: float | None) -> str:
    """Write a loss, or that it diverged."""
    return MISSING if value is None else "diverged" if value == inf else digits(value)


def markdown(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in line) + " |" for line in lines)
