"""What rram_hfo2 must reach to learn by pulses in place: the cause, and a profile that has it mended alone.

python benchmarks/requirements.py [--seeds 5] [--workers 2]

The learning rate is chosen for the profile as it is, on seeds 100 to 102. The sweep is on seeds 0, 1, ...; the profile
with the required value, and the one as stated beside it, are then trained on seeds 10, 11, ..., which chose nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from common import arguments, keep, spread, table, values, verdict

import neuroanp as na
from neuroanp.profiles.loader import load
from neuroanp.requiring.parameters import changed

TARGET = "test_loss < 0.01"
RATES = "1e-3..8e-3:log,4"
CONFIG = Path(__file__).parents[1] / "examples" / "rram_pulses.yaml"
PROFILE = "rram_hfo2"
CONTROLS = ("constant_mean", "frozen_recurrence", "ridge")


def main() -> None:
    """Run it all, and say which numbers are reached."""
    options = arguments(__doc__ or "", seeds=5)
    how: dict[str, Any] = {"workers": options.workers, "runs": options.runs, "progress": False, "report": False}
    fresh = list(range(10, 10 + options.seeds))
    stated = na.compare(CONFIG, seeds=fresh, tune={"optimizer.lr": RATES}, tune_seeds=[100, 101, 102], **how)
    (tuned,) = stated.tuning
    assert tuned.chosen is not None
    lr = tuned.chosen["optimizer.lr"]
    how_of_sweep = {**how, "report": True}
    made = na.requirements(CONFIG, target=TARGET, seeds=options.seeds, overrides={"optimizer.lr": lr}, **how_of_sweep)
    medians = ", ".join(f"{loss:.3g}" for loss in tuned.medians)
    learns = (
        "at none of them does it learn" if min(tuned.medians) >= made.found.plan.asked.target.number else "it learns"
    )
    told = f"Rate {lr:g}, the best of {RATES} for the profile as stated on seeds 100 to 102"
    parts = [f"{told} (median validation losses {medians}: {learns})."]
    parts += ["\n".join(f"- {line}" for line in made.words), _specification(made)]
    parts.append(_both_sides(made, stated, lr, fresh, how))
    print(json.dumps({"page": str(made.report)}))
    keep("requirements", f"{PROFILE} by pulses in place, copy 2: what it must reach for {TARGET}", "\n\n".join(parts))


def _specification(made: na.Requirements) -> str:
    """Return the specification as Markdown."""
    from neuroanp.requiring.report import table as of

    found = of(made.found)
    rows = [[" ".join(filter(None, (cell.text, cell.spread))) for cell in row.cells] for row in found.rows]
    return table([column.header for column in found.columns], rows)


def _both_sides(made: na.Requirements, stated: na.Comparison, lr: float, fresh: list[int], how: Any) -> str:
    """Train the profile with the cause at the required value, alone, on seeds that chose nothing; both in a table."""
    if made.cause is None:
        return verdict("a cause is named", False)
    value = made.required(made.cause)
    if value is None:
        return verdict(f"{made.cause} alone meets the target", False)
    one = next(one.parameter for one in made.found.findings if one.parameter.key == made.cause)
    mended = changed(load(PROFILE), one, value)
    assert mended is not None
    path = Path(how["runs"]) / f"{PROFILE}_required.yaml"
    path.write_text(mended.text)
    other = na.compare(CONFIG, profiles=[str(path)], seeds=fresh, overrides={"optimizer.lr": lr}, **how)
    sides = {f"{PROFILE} as stated": stated, f"{PROFILE} with {made.cause} {one.shown(value)}": other}
    rows, losses = [], {}
    for name, comparison in sides.items():
        losses[name] = values(comparison.results, "test_loss")
        controls = [spread(values(comparison.results, f"controls.{control}")) for control in CONTROLS]
        rows.append([name, spread(losses[name]), *controls])
    before, after = losses.values()
    frozen = values(other.results, "controls.frozen_recurrence")
    below = sum(loss < made.found.plan.asked.target.number for loss in after)
    claims = [
        verdict(f"the cause is named: {made.cause}", True),
        verdict(f"as stated it does not learn: every seed misses {TARGET}", min(before) >= 0.01),
        verdict(f"with the cause at the required value alone, the median meets {TARGET} ({below} of {len(after)} seeds "
                "do)", sorted(after)[len(after) // 2] < 0.01),
        verdict("and every seed is below the readout trained alone on it (frozen recurrence)",
                all(a < b for a, b in zip(after, frozen, strict=True))),
        verdict("and below the same seed of the profile as stated",
                all(a < b for a, b in zip(after, before, strict=True))),
    ]  # fmt: skip
    heads = ["profile, seeds that chose nothing", "test loss", *(f"control: {control}" for control in CONTROLS)]
    return table(heads, rows) + "\n\n" + "\n".join(f"- {claim}" for claim in claims)


if __name__ == "__main__":
    main()
