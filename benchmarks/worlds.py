"""Worlds: learning from the return of an episode, on exact arrays and on devices, beside the policy gradient by BP.

python benchmarks/worlds.py [--seeds 5] [--workers 2] [--only cartpole]

A return is the mean of 100 test episodes in which the likeliest action is taken, under the device's noise. Networks
have 64 tanh units that do not see themselves, an update has 16 episodes: 960 episodes of CartPole, 1,600 of Acrobot,
2,400 of reaching, where the code of arXiv 2503.23972 takes 20,000 and 8,000 of the first two. REINFORCE and NRL (on
reaching RMHL, too) try two rates on seed 100, which is not reported, and the one of the higher mean return over updates
is what seeds 0 on have; NRL with other passes, and on devices, takes the rate that NRL has on exact arrays. REINFORCE
computes on a digital twin.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from statistics import fmean, median
from typing import Any

from common import Case, arguments, keep_parts, run_cases, table, verdict

from neuroanp.records.run_dir import RunDir

TUNING = 100
RATES = {"cartpole": (1e-2, 3e-2), "acrobot": (3e-3, 1e-2), "reaching": (1e-2, 3e-2)}
SHARE = 0.9
WORLDS: dict[str, dict[str, Any]] = {
    "cartpole": {"name": "cartpole"},
    "acrobot": {"name": "acrobot"},
    "reaching": {"name": "reaching", "axes": 2, "stride": 0.15},
}
BASE: dict[str, Any] = {
    "network": {"layers": [{"units": 64, "recurrent": False}], "bias": True},
    "optimizer": {"name": "adam"},
    "training": {"batch": 16, "evaluate_every": 20, "controls": False},
}
OF_WORLD = {"acrobot": {"network.output_gain": 0.1}}
"""What all methods have in a world. A policy as drawn may damp Acrobot's swing and never get above the line, where no
return tells anything; one that begins with all actions about as probable gets there now and then on every seed."""
UPDATES = {"cartpole": 60, "acrobot": 100, "reaching": 150}
NRL = {"rule.name": "nrl", "rule.K": 3}
METHODS: list[tuple[str, str, dict[str, Any]]] = [
    ("REINFORCE by backpropagation", "BP", {"rule": "reinforce"}),
    ("NRL, mean of 4 noisy passes", "S", NRL),
    (
        "NRL, silent pass, noise known",
        "S",
        {"rule.name": "nrl", "rule.reference": "silent", "rule.difference": "noise"},
    ),
    ("RMHL, noise known", "S", {"rule.name": "rmhl", "rule.difference": "noise", "perturbation.sigma": 0.3}),
    ("NRL, mean of 4, pcm", "S", {**NRL, "profile": "pcm"}),
    ("NRL, mean of 4, smtj_koenders", "S", {**NRL, "profile": "smtj_koenders"}),
]
TUNED = ("REINFORCE by backpropagation", "NRL, mean of 4 noisy passes", "RMHL, noise known")
KNOWN = ("NRL, silent pass, noise known", "RMHL, noise known")
LEFT_OUT = {"cartpole": KNOWN, "acrobot": (*KNOWN, "NRL, mean of 4, pcm", "NRL, mean of 4, smtj_koenders")}
"""What is not run in these worlds: their episodes of 500 steps are dear."""
HEADS = [
    "method", "class", "lr", "return: median", "least", "most", "of the control", "passes", "chip energy", "chip time",
]  # fmt: skip


def case(world: str, label: str, changes: dict[str, Any], lr: float) -> Case:
    """Return one run."""
    here = {"optimizer.lr": lr, "training.updates": UPDATES[world], **OF_WORLD.get(world, {})}
    return Case(f"{world}: {label}, {lr:g}", {**BASE, "task": WORLDS[world]}, {**changes, **here})


def over_updates(result: dict[str, Any] | None) -> float:
    """Return the mean return over the evaluations of a run, by which rates are told apart that end alike."""
    return float("-inf") if result is None else fmean(RunDir.open(Path(result["run"])).metrics().series("return")[1])


def methods(world: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return the methods of a world."""
    return [each for each in METHODS if each[0] not in LEFT_OUT.get(world, ())]


def chosen(world: str, options: Namespace) -> dict[str, float]:
    """Return the rate of each method: of the higher mean return on the seed that is for that, or NRL's."""
    tried = {
        (label, lr): case(world, label, changes, lr)
        for label, _, changes in methods(world)
        if label in TUNED
        for lr in RATES[world]
    }
    one = Namespace(**{**vars(options), "seeds": 1})
    found = run_cases([*tried.values()], one, TUNING)
    scores = {key: over_updates(found[each.label][0]) for key, each in tried.items()}
    best = {label: max(RATES[world], key=lambda lr: scores[label, lr]) for label in {label for label, _ in tried}}
    return {label: best.get(label, best[TUNED[1]]) for label, *_ in methods(world)}


def shown(value: float | None, unit: str, factor: float) -> str:
    """Return a quantity, or a dash where nobody stated it."""
    return "–" if value is None else f"{value * factor:.3g} {unit}"


def part(world: str, options: Namespace) -> str:
    """Return the table of one world, and what held."""
    rates = chosen(world, options)
    cases = {label: case(world, label, changes, rates[label]) for label, _, changes in methods(world)}
    found = run_cases([*cases.values()], options)
    returns, rows = {}, []
    for label, feedback, _ in methods(world):
        results = [one for one in found[cases[label].label] if one is not None]
        returns[label] = [one["score"] for one in results]
        first, own = results[0], returns[label]
        twin = label == METHODS[0][0]
        rows.append(
            [
                label, feedback, f"{rates[label]:g}", f"{median(own):.4g}", f"{min(own):.4g}", f"{max(own):.4g}",
                f"{share(own, returns[METHODS[0][0]]):.3f}", str(first["passes"]),
                *(("–", "–") if twin else (shown(first["energy_J"], "uJ", 1e6), shown(first["chip_time_s"], "s", 1))),
            ]
        )  # fmt: skip
    control = returns[METHODS[0][0]]
    said = [
        verdict(f"{label}: {share(returns[label], control):.3f} of the control's return (>= {SHARE})",
                share(returns[label], control) >= SHARE)
        for label, *_ in methods(world)[1:] if label.startswith("NRL")
    ]  # fmt: skip
    lines = [
        f"{options.seeds} seeds; energy and chip time of seed 0.",
        "", table(HEADS, rows), "", *(f"- {line}" for line in said),
    ]  # fmt: skip
    return "\n".join(lines)


def share(returns: list[float], control: list[float]) -> float:
    """Return the median return over the control's; of negative ones, of which less is worse, the other way round."""
    own, other = median(returns), median(control)
    return own / other if other > 0 else other / own


if __name__ == "__main__":
    asked = arguments(__doc__ or "", seeds=5, only=[*WORLDS])
    for name in [asked.only] if asked.only else WORLDS:
        keep_parts("worlds", "Learning from the return of an episode", {name: part(name, asked)}, [*WORLDS])
