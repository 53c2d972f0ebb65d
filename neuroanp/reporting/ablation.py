"""Show what each non-ideality costs: the loss without it, and its loss where it is alone.

One is named the dearest where in every seed, of LEAST at least, it costs something and costs more than each other.
Were k non-idealities alike, one of them would cost most in all n seeds with probability k^(1-n); of a single one the
cost would be above 0 in all of them with 2^-n. None is named above MOST_BY_CHANCE: of two, four seeds are needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from neuroanp.losses import SQUARED_ERROR
from neuroanp.reporting.ranking import some
from neuroanp.reporting.reading import Shown, variants
from neuroanp.reporting.separation import LEAST, MORE, MOST_BY_CHANCE, higher_in_all, too_few
from neuroanp.reporting.style import COLOURS, FAINT, GREY, INK, fitted, new_figure, plain, styled
from neuroanp.reporting.tables import Cell, Column, Row, Table, cell
from neuroanp.reporting.values import digits, middle, numbers

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Losses = dict[Any, float]
"""Test losses by seed."""

NOT_OF_METHOD = ("hardware.only", "hardware.without", "seed")


@dataclass(frozen=True)
class Cost:
    """What one non-ideality costs; each list has a number a seed.

    Args:
        effect: its name.
        without: the loss with all but this one on.
        costs: the loss with all on, minus `without`.
        alone: the loss with this one alone.
        costs_alone: `alone` minus the loss with none on.
        by_seed: `costs` by seed, for what is paired.
    """

    effect: str
    without: list[float]
    costs: list[float]
    alone: list[float]
    costs_alone: list[float]
    by_seed: Losses

    @property
    def idle(self) -> bool:
        """Whether it changed no loss of any seed, as drift within a second, or pulses where none are sent."""
        return bool(self.costs or self.costs_alone) and not any([*self.costs, *self.costs_alone])


@dataclass(frozen=True)
class Ablation:
    """One method with its non-idealities switched off in turn.

    Args:
        task, profile, backend, rule: of the method.
        all_on: losses with all non-idealities on.
        none_on: losses with none on.
        costs: a Cost for each: of the highest median first, by name where the seeds are too few for a ranking.
        runs: paths of the runs in which something is switched off.
        loss: what the losses are.
        variant: options in which it differs from another ablation of the same names, or "".
    """

    task: str
    profile: str
    backend: str
    rule: str
    all_on: list[float]
    none_on: list[float]
    costs: tuple[Cost, ...]
    runs: frozenset[str]
    loss: str = SQUARED_ERROR.label
    variant: str = ""

    @property
    def label(self) -> str:
        """Its name, "pcm · anp", with its variant, and the backend where that is no matter of course."""
        name = f"{self.profile} · {self.rule}{'' if self.backend == 'rate' else f' · {self.backend}'}"
        return f"{name} ({self.variant})" if self.variant else name

    @property
    def changing(self) -> list[Cost]:
        """The costs of those non-idealities that change a loss, in their order."""
        return [cost for cost in self.costs if cost.costs and not cost.idle]

    @property
    def seeds(self) -> int:
        """The seeds that all costs share: those that a ranking can pair."""
        return len(set.intersection(*(set(cost.by_seed) for cost in self.changing))) if self.changing else 0

    def rivals(self, cost: Cost) -> list[Cost]:
        """Return the others that some seed does not tell to cost less."""
        return [one for one in self.changing if one is not cost and not higher_in_all(cost.by_seed, one.by_seed)]

    @property
    def dearest(self) -> Cost | None:
        """The one that costs most in every seed, or None where the seeds do not name it."""
        for cost in self.changing[:1]:
            nothing = dict.fromkeys(cost.by_seed, 0.0)
            in_all = higher_in_all(cost.by_seed, nothing) and not self.rivals(cost)
            if in_all and _by_chance(len(self.changing), self.seeds) <= MOST_BY_CHANCE:
                return cost
        return None


def ablations(runs: Sequence[Shown]) -> list[Ablation]:
    """Find the ablations among runs.

    One is a set of runs that differ in nothing but the seed and the non-idealities that are on: all; and for each,
    all but that one, or that one alone. Runs that differ in more, or of which any is missing, make none.
    """
    families: dict[tuple[Any, ...], dict[frozenset[str], list[Shown]]] = {}
    for one in runs:
        if one.effects is not None:
            same = tuple(sorted((k, v) for k, v in one.options.items() if k not in NOT_OF_METHOD))
            key = (*(one.result[name] for name in ("task", "profile", "backend", "rule")), same)
            families.setdefault(key, {}).setdefault(one.effects, []).append(one)
    made = [(_ablation(by_effects), by_effects) for by_effects in families.values()]
    found = [(one, runs[max(runs, key=len)][0]) for one, runs in made if one is not None]
    named = variants([all_on for _, all_on in found])
    return [replace(one, variant=variant) for (one, _), variant in zip(found, named, strict=True)]


def _ablation(runs: Mapping[frozenset[str], Sequence[Shown]]) -> Ablation | None:
    whole = frozenset().union(*runs)
    single = {effect: (whole - {effect}, frozenset({effect})) for effect in sorted(whole)}
    allowed = {whole, frozenset(), *(one for pair in single.values() for one in pair)}
    if len(runs) < 2 or whole not in runs or not set(runs) <= allowed:
        return None
    if not all(without in runs or alone in runs for without, alone in single.values()):
        return None
    losses = {on: _losses(some) for on, some in runs.items()}
    base, none = losses[whole], losses.get(frozenset(), {})
    costs = [
        _cost(effect, base, losses.get(without, {}), losses.get(alone, {}), none)
        for effect, (without, alone) in single.items()
    ]
    if min((len(cost.costs) for cost in costs if cost.costs), default=0) >= LEAST:
        costs.sort(key=lambda cost: -middle(cost.costs) if cost.costs else float("inf"))
    result = runs[whole][0].result
    rest = frozenset(str(one.run.path) for on, some in runs.items() if on != whole for one in some)
    names = {name: str(result[name]) for name in ("task", "profile", "backend", "rule", "loss")}
    return Ablation(**names, all_on=[*base.values()], none_on=[*none.values()], costs=tuple(costs), runs=rest)


def _losses(runs: Sequence[Shown]) -> Losses:
    finished = [one.result for one in runs if one.result["status"] == "finished"]
    return {result["seed"]: loss for result in finished for loss in numbers([result["test_loss"]])}


def _cost(effect: str, base: Losses, without: Losses, alone: Losses, none: Losses) -> Cost:
    costs, costs_alone = _minus(base, without), _minus(alone, none)
    return Cost(
        effect, [*without.values()], [*costs.values()], [*alone.values()], [*costs_alone.values()], by_seed=costs
    )


def _minus(one: Losses, other: Losses) -> Losses:
    """Return the differences of the seeds that both have."""
    return {seed: loss - other[seed] for seed, loss in one.items() if seed in other}


def rows(found: Sequence[Ablation]) -> list[dict[str, Any]]:
    """Return a plain row for each non-ideality of each ablation: median, lowest and highest over the seeds.

    `costs_most` is true of the one that the seeds name the dearest, if they do.
    """
    return [
        {
            "task": one.task,
            "profile": one.profile,
            "backend": one.backend,
            "rule": one.rule,
            **({"options": one.variant} if one.variant else {}),
            "effect": cost.effect,
            "loss_all_on": _over_seeds(one.all_on),
            "loss_without": _over_seeds(cost.without),
            "costs": _over_seeds(cost.costs),
            "costs_most": cost is one.dearest,
            "loss_none_on": _over_seeds(one.none_on),
            "loss_alone": _over_seeds(cost.alone),
            "costs_alone": _over_seeds(cost.costs_alone),
        }
        for one in found
        for cost in one.costs
    ]


def _over_seeds(values: Sequence[float]) -> dict[str, Any] | None:
    if not values:
        return None
    return {"median": middle(values), "lowest": min(values), "highest": max(values), "seeds": len(values)}


def table(one: Ablation) -> Table:
    """Build the table of one ablation: a non-ideality a row, ordered as `costs`; above them all on, and none on."""
    heads = ("loss without it", "it costs", "loss alone", "costs alone")
    columns = (Column("non-ideality", numeric=False), *map(Column, heads))
    rows = [Row("control", (Cell("all on · none on"), cell(one.all_on), Cell(""), cell(one.none_on), Cell("")))]
    rows += [
        Row("method", (Cell(c.effect), cell(c.without), _signed(c.costs), cell(c.alone), _signed(c.costs_alone)))
        for c in one.costs
        if not c.idle
    ]
    rows += [Row("control", (Cell(c.effect), Cell(""), Cell("0"), Cell(""), Cell("0"))) for c in one.costs if c.idle]
    return Table(columns, tuple(rows))


def _signed(values: Sequence[float]) -> Cell:
    """Write a difference with its sign: + costs, a minus sign gains.

    >>> str(_signed([0.0012, -0.0001, 0.002]))
    '+0.00120 [−0.000100, +0.00200]'
    """
    if not values:
        return cell(values)
    shown = [_sign(value) for value in (middle(values), min(values), max(values))]
    return Cell(shown[0], f"[{shown[1]}, {shown[2]}]" if shown[1] != shown[2] else "")


def _sign(value: float) -> str:
    return f"{'+' if value > 0 else '−' if value < 0 else ''}{digits(abs(value))}"


def headline(one: Ablation) -> str:
    """Say which non-ideality costs most where the seeds tell, how likely that is by chance, or why none is named."""
    if not one.changing or not one.all_on:
        idle = any(cost.costs for cost in one.costs)
        return f"{one.label}: {'no non-ideality changes a loss' if idle else 'no run to compare with has finished'}."
    seeds, first = one.seeds, one.changing[0]
    if seeds < LEAST:
        return f"{one.label}: {too_few(seeds)}."
    with_all = digits(middle(one.all_on))
    if middle(first.costs) <= 0:
        return f"{one.label}: switching off a single non-ideality lowers no median loss ({with_all})."
    if (dearest := one.dearest) is not None:
        chance = digits(_by_chance(len(one.changing), seeds), 2)
        return (
            f"{one.label}: {dearest.effect} costs most, in each of {seeds} seeds (by chance: {chance}): median test "
            f"loss {with_all} with all on, {digits(middle(dearest.without))} without it."
        )
    worse = sum(value > 0 for value in first.costs)
    rivals = [cost.effect for cost in one.rivals(first)]
    told = f"{first.effect} has the highest median cost, above 0 in {worse} of {len(first.costs)} seeds"
    chance = _by_chance(len(one.changing), seeds)
    apart = f", and cannot be told apart from {some(rivals)}" if rivals else ""
    if not rivals and worse == seeds and chance > MOST_BY_CHANCE:
        apart = f", more than any other, which chance gives too easily ({digits(chance, 2)}); {MORE}"
    return f"{one.label}: with {seeds} seeds no non-ideality is named the dearest: {told}{apart}."


def _by_chance(alike: int, seeds: int) -> float:
    """Return the probability that one of so many alike costs most in all seeds; of a single one, that it costs."""
    return float(alike) ** (1 - seeds) if alike > 1 else 0.5**seeds


@styled
def figure(one: Ablation) -> Figure | None:
    """Draw the costs as bars, in the order of the table: what is gained without each, and what each costs alone.

    Those that changed nothing are left out; None where nothing did.
    """
    costs = [cost for cost in one.costs if (cost.costs or cost.costs_alone) and not cost.idle]
    if not costs:
        return None
    drawn = new_figure(fitted(7.2), 1.3 + 0.44 * len(costs))
    axes = drawn.subplots()
    for offset, key, colour, label in (
        (-0.19, "costs", COLOURS[0], "all on, minus all but this one"),
        (0.19, "costs_alone", COLOURS[1], "this one alone, minus none"),
    ):
        _bars(axes, [getattr(cost, key) for cost in costs], offset, colour, label)
    axes.axvline(0, color=GREY, lw=0.9)
    axes.set_yticks(range(len(costs)), [plain(cost.effect.replace("_", " ")) for cost in costs])
    axes.set_ylim(len(costs) - 0.5, -0.5)
    axes.set(xlabel=f"change of the test loss ({one.loss})")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=FAINT, lw=0.7)
    axes.set_axisbelow(True)
    axes.ticklabel_format(axis="x", style="sci", scilimits=(-3, 4), useMathText=True)
    bold = {"weight": "bold", "size": 10}
    drawn.legend(loc="outside upper left", ncols=2, title=plain(one.label), alignment="left", title_fontproperties=bold)
    return drawn


def _bars(axes: Axes, values: Sequence[Sequence[float]], offset: float, colour: str, label: str) -> None:
    """Draw a bar at each median, a line over the range of the seeds, and the seeds as dots."""
    there = [i for i, some in enumerate(values) if some]
    axes.barh([i + offset for i in there], [middle(values[i]) for i in there], height=0.34, color=colour, label=label)
    for i in there:
        if len(values[i]) > 1:
            style: Any = {"color": INK, "label": f"_{label}: seeds"}  # "_": not in the legend
            axes.plot([min(values[i]), max(values[i])], [i + offset] * 2, lw=1.0, solid_capstyle="butt", **style)
            axes.plot(values[i], [i + offset] * len(values[i]), ls="", marker="o", ms=2.6, **style)
