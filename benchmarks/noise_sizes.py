"""How large the noise of devices is on the units of a network, at first and while it learns.

python -m benchmarks.noise_sizes [--seeds 2] [--updates 600]

Networks of benchmarks.rules learn by ANP with outputs that are told their errors, by the delta rule, on tuning seeds
(100 and on); 2,400 updates are all that benchmarks.rules gives them. What arrays brought is taken from pre-activations
and outputs by what the arrays really do, which a simulation knows; what is left differs between passes by noise, and by
what converters round.
Printed: its standard deviation on a hidden unit and on an output, and the correlation of a hidden unit's with itself a
step later. What an output has of it is, squared, part of every test loss under noise, whatever was learned.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

import torch

from benchmarks.common import arguments, keep, table
from benchmarks.rules.cells import Cell
from neuroanp.learning.credit import differences
from neuroanp.training.build import Experiment, build_trainer
from neuroanp.training.config import RunConfig
from neuroanp.training.trainer import Trainer
from neuroanp.trajectory import PassPlan

TASKS = ("copy3", "copy5", "parity", "xor", "weather", "mackey_glass")
CONDITIONS = ("white", "white_02", "pcm", "smtj_koenders")
WAY = "ANP, errors told"
SETTING = {"difference": "activity", "gamma": 1.0, "readout": "delta", "lr": 1e-3}
FIRST = 100


class Size(NamedTuple):
    """Standard deviations of what differs by noise, and how a hidden unit's goes with itself a step later."""

    hidden: float
    output: float
    rho: float


def size(trainer: Trainer, plan: PassPlan) -> Size:
    """Measure the noise of a network of one recurrent layer in one presentation.

    d_t = dh_t - W dx_{t-1}, e_t = dy_t - W_out dx_t, W and W_out what arrays do; of M passes against their mean M - 1
    are independent.
    """
    reads = trainer.reads()
    chunks = list(trainer.lab().run(plan, "all"))
    layer, y = [chunk.layers["hidden"] for chunk in chunks], torch.cat([chunk.y for chunk in chunks])
    h, x = (torch.cat([getattr(each, name) for each in layer]) for name in ("h", "x"))
    W, W_out = (reads[name].effective[:, : x.shape[-1]] for name in ("w", "w_out"))
    before = torch.cat([layer[0].x_prev.unsqueeze(0), x[:-1]])
    d = differences(h, plan) - differences(before, plan) @ W.T
    e = differences(y, plan) - differences(x, plan) @ W_out.T
    M = plan.passes
    hidden, output = ((each.square().mean() * M / (M - 1)).sqrt() for each in (d, e))
    return Size(float(hidden), float(output), float((d[1:] * d[:-1]).mean() / d.square().mean()))


def sizes(config: RunConfig, updates: Sequence[int]) -> list[Size]:
    """Train, and measure after so many updates, in rising order."""
    trainer, done, found = build_trainer(Experiment.of(config)), 0, list[Size]()
    for each in updates:
        for _ in range(each - done):
            trainer.step()
        done = each
        found.append(size(trainer, config.rule.plan()))
    return found


def main() -> None:
    """Train, measure, and write the table."""
    options = arguments(__doc__ or "", seeds=2, updates=600)
    moments, rows = (1, options.updates), list[list[str]]()
    for condition in CONDITIONS:
        for task in TASKS:
            cell = Cell(task, condition, WAY)
            runs = [sizes(cell.run(SETTING, FIRST + k).config, moments) for k in range(options.seeds)]
            for i, updates in enumerate(moments):
                hidden, output, rho = (median(each) for each in zip(*(run[i] for run in runs), strict=True))
                rows.append([condition, task, str(updates), f"{hidden:.3g}", f"{output:.3g}", f"{rho:.2f}"])
    heads = ["noise", "task", "after updates", "sigma, hidden", "sigma, output", "rho_1"]
    keep("noise_sizes", "Noise of devices on units", table(heads, rows), "benchmarks.noise_sizes")


if __name__ == "__main__":
    main()
