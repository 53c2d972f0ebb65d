"""Whether an ideal chip learns with the small settings that `neuroanp assess` has for its tasks.

python benchmarks/assessing.py [--seeds 8] [--workers 2] [--only copy|xor|weather]

They were chosen by hand on the seeds 0 to 2, 103 and 200 to 202; the seeds here, 300, 301, ..., chose nothing. The
verdict is that of `neuroanp.assessing.verdict`, with the ideal chip as the device.
"""

from __future__ import annotations

from common import arguments, keep_parts, spread, table, values, verdict

import neuroanp as na
from neuroanp.assessing.asked import SETTINGS
from neuroanp.assessing.verdict import LEARNED, Verdict
from neuroanp.assessing.verdict import verdict as verdict_of
from neuroanp.reporting.method import methods
from neuroanp.reporting.reading import shown

FIRST = 300
TITLE = "What `neuroanp assess` asks of a device, asked of an ideal chip"
CONTROLS = {"frozen recurrence": "frozen_recurrence", "ridge readout": "ridge", "ridge refit": "refit"}


def main() -> None:
    """Run it all, and say of each task whether an ideal chip has been shown to learn it."""
    options = arguments(__doc__ or "", seeds=8, only=tuple(SETTINGS))
    seeds, parts = list(range(FIRST, FIRST + options.seeds)), {}
    for name, settings in SETTINGS.items():
        if options.only not in (None, name):
            continue
        how = {"workers": options.workers, "runs": options.runs, "progress": False, "report": False}
        found = na.compare(dict(settings), profiles=["ideal"], seeds=seeds, **how)
        (method,) = methods([shown(run.record).result for run in found.runs])
        told = verdict_of(method, None)
        parts[name] = f"{_row(found)}\n\n{_said(name, told)}"
    keep_parts("assessing", TITLE, parts, tuple(SETTINGS))


def _row(found: na.Comparison) -> str:
    losses = [spread(values(found.results, "test_loss"))]
    losses += [spread(values(found.results, f"controls.{key}")) for key in CONTROLS.values()]
    return table(["test loss", *CONTROLS], [losses])


def _said(name: str, told: Verdict) -> str:
    lines = [f"- {one.text}" for one in told.held]
    return "\n".join([*lines, "", verdict(f"an ideal chip learns {name} at these settings", told.word in LEARNED)])


if __name__ == "__main__":
    main()
