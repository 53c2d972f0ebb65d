"""Say in sentences what a sweep found."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite
from statistics import median

from neuroanp.reporting.origins import ILLUSTRATIVE, INHERITED
from neuroanp.reporting.separation import LEAST
from neuroanp.reporting.values import digits
from neuroanp.requiring.finding import EXCEEDS, IDLE, NOWHERE, SHORT, THROUGHOUT, Finding
from neuroanp.requiring.kinds import EITHER, LOWER
from neuroanp.requiring.ranking import Ranked
from neuroanp.requiring.sweep import Found

EXPLORES = ("read", "stochastic", "neurons.membrane_sigma")
"""How the keys begin of noise that also explores."""

OVERVIEW = (
    "Farthest to the right is the flaw to mend first. Diamonds: medians; dots: seeds, each against the same seed of "
    "the profile as stated; lines: their range."
)


def sentences(found: Found) -> list[str]:
    """Return what was found, the verdict first."""
    told = [headline(found)]
    if not found.met:
        told += [cause(found), *_alone(found), *_required(found)]
    else:
        told += _spare(found)
    told += [*_pairs(found), *_pays(found), *_turns(found), *_idle(found), *_noise(found), *footnotes(found)]
    return told


def missing(found: Found) -> list[str]:
    """Return what keeps a profile from the target, and what it must reach, without what pays or turns."""
    told = [headline(found)]
    if not found.met:
        told += [cause(found), *_alone(found), *_required(found)]
    return [*told, *footnotes(found)]


def headline(found: Found) -> str:
    """Say whether the profile as it is meets the target."""
    target = found.plan.asked.target
    does = "meets" if found.met else "misses"
    return f"{found.plan.profile.name} as stated {does} {target.text}: {spread(found.stated.metric)}."


def spread(values: Sequence[float]) -> str:
    """Write median and range over seeds.

    >>> spread([0.1, 0.2, 0.4])
    'median 0.200 [0.100 .. 0.400] over 3 seeds'
    """
    return f"median {number(median(values))} [{number(min(values))} .. {number(max(values))}] over {len(values)} seeds"


def number(value: float) -> str:
    """Write a metric.

    >>> number(0.0123), number(float("inf"))
    ('0.0123', 'diverged')
    """
    return digits(value) if isfinite(value) else "diverged"


def marks(one: Finding) -> str:
    """Return what is put behind a stated value: what it rests on that is not the device's own measurement."""
    parameter = one.parameter
    return ILLUSTRATIVE * (parameter.status == "illustrative") + INHERITED * bool(parameter.inherited)


def cause(found: Found) -> str:
    """Say which parameter keeps the profile from the target, or why none is named."""
    order = found.ideals
    if not order.gains:
        return "No cause is named: no parameter has a better value than the stated one."
    name = order.first
    if name is None and _nothing(order):
        return "No cause is named: no parameter brings anything in the median with its ideal value alone."
    if name is None:
        return f"No single cause is named. {_tied(order, 'brings most with its ideal value alone', _idle_keys(found))}"
    one = _finding(found, name)
    assert one.ideal is not None  # it was ranked by it
    point = one.points[one.ideal]
    suffices = "which meets the target" if one.met[one.ideal] else "which does not meet the target"
    return (
        f"The cause is {name} ({one.parameter.kind.name}): at {one.shown(point.value)} in place of "
        f"{_stated(one)}, all else as stated, {found.plan.asked.target.metric} is {spread(point.metric)}, {suffices}. "
        f"It brings {_range(order.gains[name])} decades, {_ahead(order)}."
    )


def _stated(one: Finding) -> str:
    return "its table" if one.parameter.stated is None else f"{one.shown(one.parameter.stated)}{marks(one)}"


def _ahead(order: Ranked) -> str:
    others = len(order.gains) - 1
    if not others:
        return "the only one that could be better"
    return (
        f"more than each of the {others} others on every seed (were all alike, one would be so with probability "
        f"{digits(order.chance, 2)})"
    )


def _nothing(order: Ranked) -> bool:
    """Whether nothing gains in the median: what plays no part, and gains 0, may be first then."""
    return max(median(some) for some in order.gains.values()) <= 0


def _tied(order: Ranked, what: str, idle: Sequence[str] = ()) -> str:
    """Say why nothing is first; `idle` plays no part, and is not named."""
    seeds = len(next(iter(order.gains.values())))
    top, *level = (key for key in order.ties if key not in idle)
    if seeds < LEAST:
        return f"{top} {what} in the median of {seeds} seeds, but a first one is named from {LEAST} on: --seeds 5."
    said = f"{top} {what} in the median ({_range(order.gains[top])} decades), but "
    if level:
        more = f" and {len(level) - 4} more" if len(level) > 4 else ""
        return f"{said}not on every seed against {', '.join(level[:4])}{more}: they are tied."
    if min(order.gains[top]) <= 0:
        return f"{said}on one seed it brings nothing."
    return (
        f"{said}were all alike, one of {len(order.gains)} would be first on all {seeds} seeds with probability "
        f"{digits(order.chance, 2)}: take more seeds."
    )


def _range(gains: Sequence[float]) -> str:
    """Write the median of gains with their range.

    >>> _range([0.5, 1.0, 1.5])
    '1.00 [0.50 .. 1.50]'
    """
    return f"{_two(median(gains))} [{_two(min(gains))} .. {_two(max(gains))}]"


def _two(value: float) -> str:
    return f"{value + 0.0:.2f}" if isfinite(value) else ("-" if value < 0 else "") + "∞"


def _alone(found: Found) -> list[str]:
    if any(one.ideal is not None and one.met[one.ideal] for one in found.findings):
        return []
    return ["No parameter's ideal alone meets the target."]


def _required(found: Found) -> list[str]:
    """Say what one parameter at a time must reach."""
    short = [one for one in found.findings if one.verdict == SHORT]
    if not short:
        return ["Within what was swept, no single parameter brings the target within reach."]
    parts = [requirement(one) for one in short]
    lead = "What the device must reach, one of these with all else as stated" if len(parts) > 1 else (
        "What the device must reach, all else as stated"
    )  # fmt: skip
    return [f"{lead}: {'; '.join(parts)}."]


def requirement(one: Finding) -> str:
    """Say what a parameter must reach, as a value that was run, with the crossing and how far it is."""
    value = one.requirement
    if value is None:
        bounds = [*dict.fromkeys(map(one.shown, _window(one)))]
        where = f"within {', '.join(bounds)}" if len(bounds) > 1 else f"at {bounds[0]}, the one value run that meets it"
        return f"{one.parameter.key} {where}"
    side = "at most" if one.parameter.kind.better == LOWER else "at least"
    negative = not isinstance(value, str) and value < 0  # what counts is how large it is
    size = abs(value) if not isinstance(value, str) else value
    key = f"|{one.parameter.key}|" if negative else one.parameter.key
    said = f"{key} {side} {one.shown(size if negative else value)} (stated {_stated(one)}"
    limit = next(iter(one.limits), None)
    if limit is not None and limit.at is not None:
        said += f", crossing at {one.shown(abs(limit.at) if negative else limit.at)}"
    if one.margin is not None:
        said += f", {abs(one.margin):.2f} decades {'away' if one.margin < 0 else 'to spare'}"
    return said + ")"


def _window(one: Finding) -> list[float | str]:
    window = one.window
    return [] if window is None else [one.points[i].value for i in (window.first, window.last)]


def _spare(found: Found) -> list[str]:
    """Say by how much parameters exceed what they need, the least margin first."""
    limited = [one for one in found.findings if one.verdict == EXCEEDS]
    with_margin = sorted((one for one in limited if one.margin is not None), key=lambda one: one.margin or 0.0)
    others = [one for one in limited if one.margin is None]
    told = []
    if with_margin:
        told.append(f"To spare, one at a time, the least first: {'; '.join(map(requirement, with_margin))}.")
    if others:
        told.append(f"Limited, without a margin in decades: {'; '.join(map(requirement, others))}.")
    free = [one.parameter.key for one in found.findings if one.verdict == THROUGHOUT]
    if free:
        decades = found.plan.asked.decades
        told.append(f"Target met over all that was swept (up to {decades:g} decades worse): {', '.join(free)}.")
    return told


def _pairs(found: Found) -> list[str]:
    if not found.pairs:
        return []
    what = "at the worst value that each met alone" if found.met else "at their ideal or best values"
    parts = [
        f"{' and '.join(f'{key} {value}' for key, value in zip(pair.keys, pair.shown, strict=True))}: "
        f"{number(pair.median)}, {'met' if pair.met else 'missed'}"
        for pair in found.pairs
    ]
    return [f"Two at once, {what}: {'; '.join(parts)}."]


def _pays(found: Found) -> list[str]:
    order = found.pays
    if not order.gains:
        return []
    metric = found.plan.asked.target.metric
    if order.first is None and _nothing(order):
        return ["No better value that was run pays in the median."]
    if order.first is None:
        tied = _tied(order, f"gains most of {metric} per decade", _idle_keys(found))
        return [f"Which pays most per decade is not told apart. {tied}"]
    one = _finding(found, order.first)
    assert one.pays is not None  # it was ranked by it
    return [
        f"{order.first} pays most: from {_stated(one)} to {one.shown(one.pays[0])} it gains "
        f"{_range(order.gains[order.first])} decades of {metric} per decade, {_ahead(order)}."
    ]


def _turns(found: Found) -> list[str]:
    turning = [one.parameter.key for one in found.findings if one.monotone is False]
    told = [f"Not one way, as the seeds tell, but better and worse by turns: {', '.join(turning)}."] if turning else []
    several = [one.parameter.key for one in found.findings if len(one.windows) > 1]
    if several:
        told.append(
            f"The median crosses the target more than once along {', '.join(several)}; limits are those of the window "
            "that holds the stated value, or is nearest to it. More seeds or points tell chance from cause."
        )
    return told


def _idle_keys(found: Found) -> list[str]:
    return [one.parameter.key for one in found.findings if one.verdict == IDLE]


def _idle(found: Found) -> list[str]:
    idle = _idle_keys(found)
    return [f"No run differs, whatever the value, in {', '.join(idle)}."] if idle else []


def _noise(found: Found) -> list[str]:
    swept = [one for one in found.findings if one.parameter.key.startswith(EXPLORES)]
    if not swept:
        return []
    either = " of node noise either side may be too far, and" if any(
        one.parameter.kind.better == EITHER for one in swept
    ) else ""  # fmt: skip
    return [
        f"Noise explores as well as disturbs ({found.plan.perturbation}):{either} without any of the device's own a "
        "Gaussian is added where perturbation.name is auto."
    ]


def footnotes(found: Found) -> list[str]:
    """Say what the marks of stated values mean."""
    told = []
    if any(one.parameter.status == "illustrative" for one in found.findings):
        told.append(f"{ILLUSTRATIVE} The stated value is illustrative, no measurement: its margin is one of a guess.")
    bases = dict.fromkeys(one.parameter.inherited for one in found.findings if one.parameter.inherited)
    if bases:
        told.append(f"{INHERITED} The stated value is taken over from {', '.join(bases)}.")
    return told


def _finding(found: Found, key: str) -> Finding:
    return next(one for one in found.findings if one.parameter.key == key)


def verdict_word(one: Finding) -> str:
    """Return what a table says of a parameter in a word or two."""
    said = {THROUGHOUT: "no limit found", NOWHERE: "not reached alone", "": "ideal alone was run"}
    return said.get(one.verdict, one.verdict)
