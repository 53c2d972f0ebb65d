"""What is compared: tasks, conditions, and methods with the settings that each may be tuned over, six of each."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from benchmarks.common import weather

HERE = Path(__file__).parent
PASSES = 9600
TASKS: Mapping[str, Mapping[str, Any]] = {
    "copy3": {"name": "copy", "length": 3, "delay": 3, "symbols": 4},
    "copy5": {"name": "copy", "length": 5, "delay": 10, "symbols": 4},
    "parity": {"name": "parity"},
    "xor": {"name": "xor", "start": 0, "pulse": 2, "gap": 2, "jitter": 3, "delay": 4, "window": 3, "cue": True,
            "noise": 0.2},
    "weather": weather(None),
    "mackey_glass": {"name": "mackey_glass"},
    "adding": {"name": "adding"},
    "lorenz": {"name": "lorenz"},
}  # fmt: skip
SAME_TEST = frozenset({"weather", "mackey_glass", "lorenz"})
"""Tasks whose test sequences are those of every seed: settings are chosen on sequences that training leaves out."""
KEPT = 128


class Condition(NamedTuple):
    """What a network learns and is tested under: a profile, what that is, and where settings are chosen.

    Phase-change arrays err when they are written, and settings that were chosen without that do not hold there. The
    noise of junctions remembers: where that costs much, settings are chosen once more with it. `size` of a device is
    Gaussian noise of about its own size on networks that learned a task, by task (results/noise_sizes.md): noise of the
    outputs is in every test loss, whatever anybody learned.
    """

    profile: str
    about: str
    tuned: str = "ideal"
    size: Mapping[str, str] = MappingProxyType({})


JUNCTIONS = dict.fromkeys(TASKS, "white_02")
CONDITIONS: Mapping[str, Condition] = {
    "ideal": Condition(
        "ideal",
        "exact arrays; what units explore with is Gaussian, sigma 2e-4 (where no rule is named .01, as it comes), and "
        "absent when they are tested",
    ),
    "white": Condition(str(HERE / "white.yaml"), "white noise of sigma .01 on every unit, in training and in the test"),
    "white_02": Condition(
        str(HERE / "white_02.yaml"), "white noise of sigma .02 on every unit, in training and in the test"
    ),
    "white_04": Condition(
        str(HERE / "white_04.yaml"), "white noise of sigma .04 on every unit, in training and in the test"
    ),
    "pcm": Condition(
        "pcm",
        "the noise of phase-change arrays alone, in training and in the test",
        "pcm",
        {
            **dict.fromkeys(("copy3", "copy5", "mackey_glass"), "white_02"),
            **dict.fromkeys(("parity", "xor", "weather"), "white_04"),
        },
    ),
    "smtj_koenders": Condition(
        "smtj_koenders", "the noise of magnetic tunnel junctions alone, in training and in the test", size=JUNCTIONS
    ),
    "smtj_koenders_tuned": Condition(
        "smtj_koenders",
        "the noise of magnetic tunnel junctions alone, in training and in the test",
        "smtj_koenders_tuned",
        JUNCTIONS,
    ),
}
RATES = (5e-4, 1e-3, 2e-3)
SIX_RATES = (2.5e-4, *RATES, 4e-3, 8e-3)


class Way(NamedTuple):
    """One method: its class of feedback, its rule, the settings it may be tuned over, and what it needs."""

    feedback: str
    rule: Mapping[str, Any]
    settings: tuple[Mapping[str, Any], ...]

    @property
    def passes(self) -> int:
        """Passes of one update; one of BPTT, forward and back, counts two."""
        return 2 if self.feedback == "BP" else int(self.rule.get("K", 1)) + 1


def grid(**options: tuple[Any, ...]) -> tuple[Mapping[str, Any], ...]:
    """Return every combination of some options; an option that is a mapping stands for all that it holds.

    >>> grid(of=({"gamma": 0.9},), lr=(1, 2))
    ({'gamma': 0.9, 'lr': 1}, {'gamma': 0.9, 'lr': 2})
    """
    found = []
    for values in product(*options.values()):
        each: dict[str, Any] = {}
        for name, value in zip(options, values, strict=True):
            each |= value if isinstance(value, Mapping) else {name: value}
        found.append(each)
    return tuple(found)


ANP = {"name": "anp", "reference": "mean"}
OF = ({"difference": "activity", "gamma": 1.0}, {"difference": "innovation", "gamma": 0.9})
"""What a unit's update is about, and how far ahead it looks: all its change, to the end; its own noise, some steps."""
TOLD = ({"readout": "delta", "lr": 1e-3}, {"readout": "rls", "lr": 5e-4}, {"readout": "rls", "lr": 1e-3})
SHARES = (
    *grid(of=OF[:1], readout=("delta",), eta=(1.0, 2.0), lr=(2e-3,)),
    *grid(of=OF[1:], readout=("delta",), eta=(0.3,), lr=(2e-3, 4e-3)),
    *grid(of=OF[1:], readout=("rls",), eta=(1.0,), lr=(5e-4, 1e-3)),
)
DECORRELATED = (
    *grid(of=OF[:1], readout=("delta", "rls"), eta=(1.0,), lr=(2e-3, 4e-3)),
    *grid(of=OF[1:], readout=("rls",), eta=(1.0,), lr=(1e-3, 2e-3)),
)
SHARED = {"name": "echo", "K": 3, "lags": 24}
INFERRED = {**ANP, "K": 1, "readout": "rls", "errors": "inferred"}
IDENTIFIED = {"weights": "identified"}
"""Units find out what their arrays do, where they err."""
OWN = {"difference": "innovation", **IDENTIFIED}
DEFAULT = "ANP, where no rule is named"
"""What a config gets that names no rule, at the rate and with the noise that it gets: the one method not tuned."""
WAYS: Mapping[str, Way] = {
    "BPTT": Way("BP", {"name": "bptt"}, grid(lr=SIX_RATES)),
    "echo": Way("E", {"name": "echo", "lags": 24}, grid(readout=("delta", "rls"), lr=(1e-3, 2e-3, 4e-3))),
    "echo + ANP": Way("E", SHARED, SHARES),
    "echo + ANP, decorrelated": Way("E", {**SHARED, "decorrelation": {"lr": 1e-2}}, DECORRELATED),
    "echo + ANP, to the end": Way(
        "E", {**SHARED, "eta": 1.0}, grid(readout=("delta", "rls"), lr=RATES)
    ),  # of its own noise, and with no discount of what comes late
    "ANP, errors told": Way("S+", {**ANP, "K": 3}, grid(of=OF, told=TOLD)),
    "ANP, errors inferred": Way("S", INFERRED, grid(of=OF, lr=RATES)),
    "ANP, errors inferred, delta": Way("S", {**INFERRED, "readout": "delta"}, grid(of=OF, lr=RATES)),
    "DANP, errors inferred": Way("S", {**INFERRED, "decorrelation": {"lr": 1e-2}}, grid(of=OF, lr=RATES)),
    "echo, identified": Way(
        "E", {"name": "echo", "lags": 24, **IDENTIFIED}, grid(readout=("delta", "rls"), lr=(1e-3, 2e-3, 4e-3))
    ),
    "echo + ANP, identified": Way("E", {**SHARED, **IDENTIFIED, "weights_forget": 0.9}, SHARES),
    "ANP, errors told, identified": Way("S+", {**ANP, "K": 3, **OWN}, grid(gamma=(1.0, 0.9), told=TOLD)),
    "ANP, errors inferred, identified": Way("S", {**INFERRED, **OWN}, grid(gamma=(1.0, 0.9), lr=RATES)),
    DEFAULT: Way("S", {"name": "anp", "preset": "inferred"}, grid(lr=(1e-3,))),
    "ANP, K=3": Way("S", {**ANP, "K": 3}, grid(of=OF, lr=RATES)),
    "ANP, K=15": Way("S", {**ANP, "K": 15}, grid(lr=SIX_RATES)),
    "NP": Way("S", {"name": "np", "reference": "mean", "K": 1}, grid(gamma=(1.0, 0.9), lr=RATES)),
    "WP": Way("S", {"name": "wp", "K": 1}, grid(lr=RATES, sigma=(1e-3, 1e-2))),
    "BPTT, 1 step": Way("BP", {"name": "bptt1"}, grid(lr=SIX_RATES)),
}


E3 = {"name": "echo", "K": 3}
IDEAS: Mapping[str, Way] = {
    "echo, K=3": Way("E", {**E3, "lags": 24}, grid(lr=(4e-3,))),
    "echo, K=7": Way("E", {**E3, "K": 7, "lags": 24}, grid(lr=(4e-3,))),
    "echo, a quarter of the rate": Way("E", {"name": "echo", "lags": 24}, grid(readout=("delta",), lr=(5e-4,))),
    "echo, 8 lags": Way("E", {**E3, "lags": 8}, grid(lr=(4e-3,))),
    "echo + .3 ANP, gamma .7": Way("E", {**E3, "lags": 24, "eta": 0.3, "gamma": 0.7}, grid(lr=(4e-3,))),
    "echo + ANP, whole change": Way("E", {**E3, "lags": 24, "eta": 1.0, **OF[0], "readout": "rls"}, grid(lr=(1e-3,))),
    "echo, decorrelated": Way(
        "E", {**E3, "lags": 24, "decorrelation": {"lr": 1e-3}, "readout": "rls"}, grid(lr=(2e-3,))
    ),
}
"""What was tried where echo stays far from BPTT: a setting each, on the tuning seeds alone, in no table of methods."""
FOUND = {"name": "echo", "lags": 24, **IDENTIFIED}
PCM_IDEAS: Mapping[str, Way] = {
    **{
        f"echo, identified, forget {forget}": Way(
            "E", {**FOUND, "weights_forget": forget}, grid(readout=("delta",), lr=(1e-3,))
        )
        for forget in (0.5, 0.8, 0.9)
    },
    **{
        f"ANP, errors inferred, ridge {ridge}": Way("S", {**INFERRED, "ridge": ridge}, grid(of=of, lr=(1e-3,)))
        for ridge, of in ((1e-3, OF[1:]), (1e-2, OF[1:]))
    },
}
"""The same where cells err and reads are noisy: how fast what was identified is forgotten, and smaller outputs."""
EVERY: Mapping[str, Way] = {**WAYS, **IDEAS, **PCM_IDEAS}


def task(name: str, csv: Path | None) -> dict[str, Any]:
    """Return a task's options; weather takes the paper's file if there is one."""
    return weather(csv) if name == "weather" else dict(TASKS[name])
