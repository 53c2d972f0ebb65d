"""What a law makes (processes, banks) is asked for all that its protocol lists, when a profile with it is loaded."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from neuroanp.devices.effects import ALL_EFFECTS
from neuroanp.devices.ornstein_uhlenbeck import OrnsteinUhlenbeck
from neuroanp.devices.protocol import ReadProcess, SourceBank
from neuroanp.devices.rtn import RtnRead, Telegraph
from neuroanp.errors import InputError
from neuroanp.noise import Streams
from neuroanp.profiles import HardwareProfile, load, loads
from neuroanp.profiles.laws import LAWS
from neuroanp.registry import members, missing
from neuroanp.substrates.node_drive import banks_of


@pytest.fixture(autouse=True)
def known_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the laws of a test after it: others ask for all that there are."""
    for registry in LAWS.values():
        monkeypatch.setattr(registry, "_registered", dict(registry._registered))


PROFILE = """
extends: rram_rtn
meta: {{name: mine, summary: a law of my own, source: a test, status: illustrative}}
read: {{law: {}, tau_high: 1 ms, tau_low: 1 ms, amplitude: 0.1}}
"""


class Partial:
    """A process that has all but one member of a telegraph signal."""

    def __init__(self, lacks: str) -> None:
        process = Telegraph(0.5, 1e-3)
        for name in set(members(ReadProcess)) - {lacks}:
            vars(self)[name] = getattr(process, name)


def profile_of(name: str, law: Any) -> HardwareProfile:
    if name not in LAWS["read"].names():
        LAWS["read"].register(name)(law)
    return loads(PROFILE.format(name), "mine.yaml")


@pytest.mark.parametrize("lacks", ["of_ages", "of_devices", "node_sigma"])
def test_a_process_that_lacks_a_member_is_refused_by_name(lacks: str) -> None:
    class Mine(RtnRead):
        def process(self) -> Any:
            return Partial(lacks)

    said = rf"read: Partial, the process that Mine makes, lacks {lacks}: neuroanp\.devices\.protocol\.ReadProcess says"
    with pytest.raises(InputError, match=said):
        profile_of(f"lacks_{lacks}", Mine)


def test_one_that_is_whole_is_loaded() -> None:
    class Whole(RtnRead):
        def process(self) -> Any:
            return Partial("")

    assert profile_of("whole", Whole).read is not None


def test_those_of_neuroanp_are_whole() -> None:
    for name in ("rram_rtn", "pcm"):
        law: Any = load(name).read
        assert missing(law.process(), ReadProcess) == []
        assert "of_ages" in members(ReadProcess)


def test_a_bank_that_lacks_a_member_is_refused_by_name() -> None:
    class NoSigmas:
        bank: ClassVar[None] = None

    class Mine(OrnsteinUhlenbeck):
        @property
        def bank(self) -> Any:
            return lambda rng, units, like: NoSigmas()

    law: Any = Mine(sigma=0.1, n_sources=1)
    like = torch.empty(0)
    with pytest.raises(InputError, match=r"NoSigmas, the bank that Mine draws, lacks .*sigmas.*SourceBank says"):
        banks_of(law, ALL_EFFECTS, {"hidden": 2}, Streams(0), like)
    own = OrnsteinUhlenbeck(sigma=0.1, n_sources=1, sigma_cv=0.1)
    assert missing(own.bank(np.random.default_rng(0), 2, like), SourceBank) == []  # pyright: ignore[reportOptionalCall]
