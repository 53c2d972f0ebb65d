"""Build the tables and sentences of a report as plain data, for a page and for a terminal alike."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from neuroanp.reporting.method import Method
from neuroanp.reporting.ranking import best, ranking, with_losses
from neuroanp.reporting.separation import MORE
from neuroanp.reporting.values import MISSING, SILENT, digits, middle, numbers, prefix

TWIN = "what the digital twin computes is not counted, nor its backward pass among the passes"
HOST = "what the host computes of the weights, on a digital twin, is not counted"
UPDATE = "the digital arithmetic of the update (outer products, optimizer, weight memory) is not counted"

OF_LAYERS = "ridge_all"
"""A control that networks of one layer do not have: beside them it is not of any method."""
CONTROLS = {
    "ridge": "ridge readout",
    "refit": "ridge refit",
    "ridge_noisy": "noisy ridge",
    "refit_noisy": "noisy ridge refit",
    "lagged_linear": "lagged linear",
}
SOLVED = 1e-12
"""Loss of a ridge readout below which nothing but rounding is left to be learned."""
SHOWN = "More than the readout learned (a ridge readout refit on the trained network is below one of the untrained)"
UNLIKELY = 0.05
"""Probability of a count of seeds by chance above which it is told."""


class Cell(NamedTuple):
    """A value and, in lighter type, its range over the seeds; the name and the loss of a winner are strong."""

    text: str
    spread: str = ""
    strong: bool = False

    def __str__(self) -> str:
        return f"{self.text} {self.spread}".strip()


@dataclass(frozen=True)
class Column:
    """A column's header (with its unit) and whether it holds numbers, which are set to the right."""

    header: str
    numeric: bool = True


@dataclass(frozen=True)
class Row:
    """One row; `kind` is "method", "best" (whose test loss the seeds tell apart from all others') or "control"."""

    kind: str
    cells: tuple[Cell, ...]

    @property
    def is_control(self) -> bool:
        """Whether it is a control's, which stands below the methods."""
        return self.kind == "control"


@dataclass(frozen=True)
class Table:
    """A table as plain data."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def results_table(group: Sequence[Method]) -> Table:
    """Build the results of the methods of ONE task, controls below: median, and range over seeds.

    Loss is the mean of the task's over what is scored of the held-out sequences, under the device's noise and
    without it. A number nobody stated is "–", never 0; one that rests on illustrative values or
    on another device's is marked (see `footnotes.rests_on`). The best is strong where there is one (see `ranking`).
    """
    numeric = [
        _numbers(group, "test_loss", "test loss"),
        _numbers(group, "test_loss_noise_free", "noise-free"),
        *_scores(group),
        _numbers(group, "passes", "passes", "·"),
        _marked(group, "energy_J", _at_least(group, _numbers(group, "energy_J", "energy", "J"))),
        _marked(group, "chip_time_s", _numbers(group, "chip_time_s", "chip time", "s")),
        _numbers(group, "pulses", "pulses", "·"),
        _marked(group, "wear", _numbers(group, "wear", "wear")),
    ]
    named = names_of(group)
    winner = best(group)
    rows = []
    for i, method in enumerate(group):
        won = method is winner
        names = [Cell(names[i], strong=won) for _, names in named]
        loss, *others = (cells[i] for _, cells in numeric)
        cells = (*names, Cell(_seeds(method)), loss._replace(strong=won), *others)
        rows.append(Row("best" if won else "method", cells))
    blank = (Cell(""),) * (len(numeric) - 1)
    for control in controls(group):
        about = {
            "backend": control.backend, "profile": control.profile, "rule": control.label, "options": control.variant,
        }  # fmt: skip
        names = [Cell(about.get(header, "")) for header, _ in named]
        rows.append(Row("control", (*names, Cell(str(len(control.losses))), cell(control.losses), *blank)))
    heads = [Column(header, numeric=False) for header, _ in named]
    return Table((*heads, Column("seeds"), *(column for column, _ in numeric)), tuple(rows))


class Control(NamedTuple):
    """Losses of one control, a seed each.

    Backend, profile or rule is "any", and variant empty, where it makes no difference.
    """

    profile: str
    rule: str
    name: str
    losses: list[float]
    variant: str = ""
    backend: str = "any"

    @property
    def label(self) -> str:
        """Its name, with the rule where that matters."""
        return self.name if self.rule == "any" else f"{self.name} ({self.rule})"

    @property
    def shared(self) -> bool:
        """Whether it is the same for all methods."""
        return self.backend == self.profile == self.rule == "any"


def controls(group: Sequence[Method]) -> list[Control]:
    """Return the controls of the methods of one task, told apart by what they differ in.

    That is nothing, else the backend, else the profile, else the rule, else the options.
    """
    found: list[Control] = []
    for key in dict.fromkeys(str(key) for m in group for result in m.results for key in result["controls"] or {}):
        one = Control("any", "any", CONTROLS.get(key, key.replace("_", " ")), [])
        found += _told_apart(one, key, group, ("backend", "profile", "rule"))
    return found


def _told_apart(one: Control, key: str, group: Sequence[Method], by: Sequence[str]) -> list[Control]:
    """Return a control as one if its losses do not differ within the group, else one for each value of `by`."""
    shared = _same([_by_seed([m], key) for m in group])
    partly = any(r["controls"] and key not in r["controls"] for m in group for r in m.results)
    if shared is not None and not partly:
        return [one._replace(losses=shared)]
    if not by:
        each = [one._replace(losses=[*_by_seed([m], key).values()], variant=m.variant) for m in group]
        return [control for control in each if control.losses]
    name, *rest = by
    values = list(dict.fromkeys(getattr(m, name) for m in group))
    apart = len(values) > 1 or name != "backend"  # the one backend of all methods needs no name
    return [
        control
        for value in values
        for control in _told_apart(
            one._replace(**{name: value}) if apart else one, key, [m for m in group if getattr(m, name) == value], rest
        )
    ]


def verdicts(group: Sequence[Method]) -> list[str]:
    """Say in words whose recurrence did not learn, which methods do not beat persistence, and which runs failed.

    A recurrence learned if a ridge readout refit on it is below that on the untrained network, seed by seed: both are
    fitted alike, so that it does not count how the readout learned; on a chip that is noisy, both under its noise.
    Where the loss as learned is not below the ridge readout all the same, its readout fell short. A method beats
    persistence if its median test loss is below; where single seeds do not, that is said as well, and so is that one
    seed shows nothing.
    """
    said, lucky, learned = [], False, list[str]()
    for method in group:
        passes = method.values("passes")
        if not passes or any(passes):  # weights that were only programmed have learned nothing here
            said += _learned(method)
            learned += _shown(method)
        if not passes or any(passes) or any(r.get("refit") for r in method.finished):
            said += _verdict(method, "persistence", "persistence", "it forecasts anything")
            of_ridge = method.between("refit_noisy", "ridge_noisy") or method.between("refit", "ridge")
            pairs = [of_ridge or method.against("ridge"), method.against("persistence")]
            lucky |= any(len(each) == 1 and each[0][0] < each[0][1] for each in pairs)
        other = [result["status"] for result in method.results if result["status"] != "finished"]
        if other:
            states = ", ".join(f"{other.count(state)} {state}" for state in dict.fromkeys(other))
            counted = f"the numbers are of the {len(method.finished)} finished" if method.finished else "no numbers yet"
            said.append(f"{method.label}: {states}, of {len(method.results)} runs; {counted}.")
    alone = f"One seed: to be below a control in it has not shown that anything was learned; {MORE}."
    shown = [f"{SHOWN}: {'; '.join(learned)}."] if learned else []
    return [*shown, *said, *[alone] * lucky]


def reads_all(group: Sequence[Method]) -> list[str]:
    """Say what a ridge readout of all layers is, where there is one."""
    said = "Ridge all reads every layer of the untrained network; the ridge readout the last one alone."
    return [said] * any(OF_LAYERS in (result["controls"] or {}) for m in group for result in m.results)


def not_counted(group: Sequence[Method]) -> list[str]:
    """Say what the passes and energies shown leave out: what digital twins compute, and the update itself."""
    booked = [m for m in group if m.has_twin and (m.values("passes") or m.values("energy_J"))]
    said = []
    for computes, text in ((False, TWIN), (True, HOST)):
        if names := dict.fromkeys(m.rule for m in booked if m.computes == computes):
            said.append(f"{', '.join(names)}: {text}.")
    return [*said, f"Energy is the chip's: {UPDATE}."] if any(m.values("energy_J") for m in group) else said


def leading(group: Sequence[Method], count: int) -> list[Method]:
    """Return the `count` methods of the lowest median test loss, in the order they came; those without one are last.

    A figure shows no more of them than a reader can tell apart; the tables show all.
    """
    ranked = sorted(group, key=lambda m: middle(m.values("test_loss")) if m.values("test_loss") else math.inf)
    kept = {id(m) for m in ranked[:count]}
    return [m for m in group if id(m) in kept]


def headline(group: Sequence[Method]) -> str:
    """Say which method is best or, where none is, why; of a single method its median test loss."""
    ranked = with_losses(group)
    if not ranked:
        return "No run has a result yet."
    beside = [f"{c.name} {digits(middle(c.losses))}" for c in controls(group) if c.shared]
    beside_said = f" Controls: {'; '.join(beside)}." if beside else ""
    winner = best(group)
    only = ranked[0] if len(ranked) == 1 else winner
    if only is None:
        return f"{ranking(group)[0]}{beside_said}"
    losses = only.values("test_loss")
    lead = "Lowest median test loss" if winner is not None else "Test loss"
    said = f"{lead}: {digits(middle(losses))} by {only.label} ({len(losses)} seed{'s' * (len(losses) != 1)})."
    return f"{said}{beside_said}"


def unstated(group: Sequence[Method], key: str, what: str) -> str:
    """Say which profiles a logarithmic axis of `key` leaves out, and why; the empty string if none.

    A profile that states no figure is told apart from one whose runs took none of it.
    """
    silent = dict.fromkeys(m.profile for m in group if m.finished and not m.values(key))
    nothing = dict.fromkeys(m.profile for m in group if m.values(key) and max(m.values(key)) <= 0)
    said = [f"Not shown, because the profile states no {what}: {', '.join(silent)}."] if silent else []
    said += [f"Not shown, because no {what} was used: {', '.join(nothing)}."] if nothing else []
    return " ".join(said)


def _learner(method: Method) -> str:
    """Say what of a method's network may have learned beside its readout: layers alone, where none is recurrent."""
    controls = {key for result in method.results for key in result["controls"] or {}}
    return "layers" if "frozen_layers" in controls and "frozen_recurrence" not in controls else "recurrence"


class _Refit(NamedTuple):
    """Ridge readouts of the trained network beside those of the untrained one.

    Args:
        refit, ridge: their medians. wins: seeds on which the former is below, of `count`.
        noisy: whether both are under the chip's noise.
    """

    refit: float
    ridge: float
    wins: int
    count: int
    noisy: bool

    @classmethod
    def of(cls, method: Method) -> _Refit | None:
        """Compare them; None: a record from before there was a refit, or none could be fitted."""
        noisy = method.between("refit_noisy", "ridge_noisy")
        pairs = noisy or method.between("refit", "ridge")
        if not pairs:
            return None
        refit, ridge = (middle([pair[i] for pair in pairs]) for i in (0, 1))
        return cls(refit, ridge, sum(mine < theirs for mine, theirs in pairs), len(pairs), bool(noisy))

    @property
    def chance(self) -> float:
        """The probability of at least so many wins if each is as likely as a loss."""
        return at_least(self.wins, self.count)

    @property
    def shown(self) -> bool:
        """Whether more than the readout learned: the median is below, on more seeds than chance often gives."""
        return SOLVED < self.ridge > self.refit and self.count > 1 and self.chance <= UNLIKELY


def _shown(method: Method) -> list[str]:
    """Say on how many seeds the refit is below, where chance seldom gives as many."""
    found = _Refit.of(method)
    if found is None or not found.shown:
        return []
    return [f"{method.label} in {found.wins} of {found.count} seeds ({digits(found.chance)} by chance)"]


def _learned(method: Method) -> list[str]:
    """Say whether a recurrence has not been shown to learn, or its readout fell short."""
    found, what = _Refit.of(method), _learner(method)
    if found is None:
        return _verdict(method, "ridge", "the ridge readout", f"its {what} learned")
    refit, ridge, wins, count, noisy = found
    under = " under its noise" if noisy else ""
    if ridge <= SOLVED:
        easy = f"a ridge readout of the untrained network solves the task, to {digits(ridge)}"
        return [f"{method.label} has not shown that its {what} learned: {easy}."]
    against = f"a ridge readout refit on it reaches {digits(refit)}{under}, on the untrained network {digits(ridge)}"
    if count > 1:
        against += f", below that in {wins} of {count} seeds"
    if refit >= ridge:
        against += f" ({digits(found.chance)} by chance)" if count > 1 else ""
        return [f"{method.label} has not shown that its {what} learned: {against}."]
    said = []
    if count > 1 and not found.shown:
        luck = f"which chance gives with probability {digits(found.chance)}: more seeds would tell"
        said.append(f"{method.label}: whether its {what} learned is not told from chance: {against}, {luck}.")
    losses = [loss for loss, _ in method.against("ridge_noisy" if noisy else "ridge")]
    if losses and middle(losses) >= ridge:
        how = "as fitted and written" if any(r.get("refit") for r in method.finished) else "as learned"
        fell = f"{digits(middle(losses))} {how}, {digits(refit)} refit on the same {what}"
        said.append(f"{method.label}: the readout fell short: {fell}, {digits(ridge)} on the untrained one.")
    return said


def at_least(wins: int, count: int) -> float:
    """Return the probability of at least so many wins of a count, if each is as likely as a loss.

    >>> at_least(8, 8), at_least(7, 8)
    (0.00390625, 0.03515625)
    """
    return sum(math.comb(count, k) for k in range(wins, count + 1)) / 2.0**count


def _verdict(method: Method, control: str, what: str, shown: str) -> list[str]:
    pairs = method.against(control)
    if not pairs:
        return []
    loss, other = (middle([pair[i] for pair in pairs]) for i in (0, 1))
    wins = sum(mine < theirs for mine, theirs in pairs)
    against = f"{digits(loss)} against {digits(other)} of {what}"
    if len(pairs) > 1:
        against += f", below it in {wins} of {len(pairs)} seeds"
    if loss >= other:
        return [f"{method.label} has not shown that {shown}: {against}."]
    return [f"{method.label} beats {what} in the median only: {against}."] if wins < len(pairs) else []


def names_of(group: Sequence[Method]) -> list[tuple[str, list[str]]]:
    """Return (header, name of each method) of the columns that tell the methods apart."""
    columns = [("profile", [m.profile for m in group]), ("rule", [m.rule for m in group])]
    if any(m.feedback for m in group):
        columns.append(("class", [m.feedback or MISSING for m in group]))
    if len({m.backend for m in group}) > 1:
        columns.insert(0, ("backend", [m.backend for m in group]))
    if any(m.variant for m in group):
        columns.append(("options", [m.variant for m in group]))
    return columns


def _seeds(method: Method) -> str:
    done, all_ = len(method.finished), len(method.results)
    return str(all_) if done == all_ else f"{done} of {all_}"


def _numbers(group: Sequence[Method], key: str, header: str, unit: str = "") -> tuple[Column, list[Cell]]:
    """Build a column; one prefix for all of it, in the header. The unit "·" is a bare count."""
    values = [method.values(key) for method in group]
    power, letter = prefix([v for some in values for v in some]) if unit else (0, "")
    if unit == "·":
        head = f"{header} (10^{power})" if power else header
    else:
        head = f"{header} ({letter}{unit})" if unit else header
    return Column(head), [cell([v / 10.0**power for v in some]) for some in values]


def _at_least(group: Sequence[Method], found: tuple[Column, list[Cell]]) -> tuple[Column, list[Cell]]:
    """Mark the numbers of methods with a digital twin as lower bounds."""
    column, cells = found
    bounds = [m.has_twin and cell.text != MISSING for m, cell in zip(group, cells, strict=True)]
    return column, [
        Cell(f"≥ {cell.text}", cell.spread) if bound else cell for cell, bound in zip(cells, bounds, strict=True)
    ]


def _marked(group: Sequence[Method], figure: str, found: tuple[Column, list[Cell]]) -> tuple[Column, list[Cell]]:
    """Mark the numbers of devices that rest on illustrative values, or on those of another profile."""
    column, cells = found
    return column, [marked(cell, method, figure) for method, cell in zip(group, cells, strict=True)]


def marked(cell: Cell, method: Method, figure: str) -> Cell:
    """Return a cell of a figure (energy_J, chip_time_s, wear) with the marks of what it rests on, if it has any."""
    return cell if cell.text in (MISSING, SILENT) else cell._replace(text=cell.text + method.origins.marks(figure))


def _scores(group: Sequence[Method]) -> list[tuple[Column, list[Cell]]]:
    """Build the column of the headline score, the first a task names; and, where training repeats what is scored, too,
    those of that score and of the loss there.
    """
    first = next((s for m in group for r in m.finished if isinstance(s := r["score"], Mapping) and s), {})
    name = next(iter(first), "")
    names = [name, *(part for part in (f"training_{name}", "training_loss") if part in first)]
    return [
        (
            Column(part.replace("_", " ") or "score"),
            [cell(numbers(_score(r["score"], part) for r in m.finished)) for m in group],
        )
        for part in names
    ]


def _score(score: Any, name: str) -> Any:
    return score.get(name) if isinstance(score, Mapping) else score


def cell(values: Sequence[float]) -> Cell:
    """Write the median of a number over seeds and, where they differ, its range."""
    if not values:
        return Cell(MISSING)
    low, high = digits(min(values)), digits(max(values))
    return Cell(digits(middle(values)), f"[{low}, {high}]" if low != high else "")


def _by_seed(group: Sequence[Method], control: str) -> dict[Any, float]:
    """Return a control's losses by seed."""
    found = [(r["seed"], numbers([(r["controls"] or {}).get(control)])) for m in group for r in m.results]
    return {seed: loss[0] for seed, loss in found if loss}


def _same(several: Sequence[Mapping[Any, float]]) -> list[float] | None:
    """Return the losses if no seed has two different ones; None if one has, or there are none."""
    merged: dict[Any, float] = {}
    for losses in several:
        for seed, loss in losses.items():
            if merged.setdefault(seed, loss) != loss:
                return None
    return list(merged.values()) or None
