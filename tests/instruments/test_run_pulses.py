"""A limit of pulses over a run: no update exceeds it, the run ends in order, and the count outlives its process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import neuroanp as na
from neuroanp.errors import InputError
from neuroanp.instruments.bench import BenchChip
from neuroanp.instruments.guard import Guard
from neuroanp.instruments.played import PlayedArray
from neuroanp.instruments.protocol import InstrumentError, LinkLostError, SpentError
from neuroanp.instruments.sent import NAME
from neuroanp.training.configure import configure
from tests.instruments.conftest import LIMITS, PULSE, Told, settings

MOST, LIMIT = 40, 500


@pytest.fixture
def guard(told: Told) -> Guard:
    made = Guard(told, LIMITS.model_copy(update={"run_pulses": MOST}), PULSE, retries=2, wait_s=0.0)
    made.open()
    return made


def pulses(count: int) -> np.ndarray:
    found = np.zeros((8, 4), np.int16)
    found[2, 1] = count
    return found


def test_pulses_add_up_and_none_goes_beyond(guard: Guard, told: Told) -> None:
    guard.write(pulses(30))
    guard.write(pulses(-9))
    assert guard.sent.counts[2, 1] == 39
    assert (guard.spent, int((guard.left == MOST).sum())) == (0, 31)
    with pytest.raises(InstrumentError, match=r"limits\.run_pulses.*1 devices more than the 40 .*nothing was sent"):
        guard.write(pulses(-2))
    assert len(told.writes) == 2
    guard.write(pulses(1))
    assert guard.spent == 1


@pytest.mark.parametrize("when", ["before write", "after write"])
def test_pulses_that_nobody_knows_of_count(guard: Guard, told: Told, when: str) -> None:
    told.fails = [when]
    assert not guard.write(pulses(30))
    assert guard.sent.counts[2, 1] == 30
    with pytest.raises(InstrumentError, match="nothing was sent"):
        guard.write(pulses(11))


def test_they_are_counted_before_they_are_sent(
    guard: Guard, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed in between leaves them counted."""
    guard.count(tmp_path / "measured" / NAME)

    class Killed(BaseException): ...

    def die(pulses: np.ndarray) -> None:
        raise Killed

    monkeypatch.setattr(told, "write", die)
    with pytest.raises(Killed):
        guard.write(pulses(7))
    guard.count(tmp_path / "measured" / NAME)  # another process
    assert guard.sent.counts[2, 1] == 7


def test_without_a_limit_nothing_is_kept(told: Told, tmp_path: Path) -> None:
    free = Guard(told, LIMITS, PULSE)
    free.open()
    free.count(tmp_path / NAME)
    free.write(pulses(50))
    assert not (tmp_path / NAME).exists()
    assert (free.left, free.spent) == (None, 0)


def test_a_damaged_count_is_refused(guard: Guard, tmp_path: Path) -> None:
    path = tmp_path / NAME
    for content in (b"", b"nonsense", None):
        np.save(path, np.zeros((3, 3), np.int64)) if content is None else path.write_bytes(content)
        with pytest.raises(InputError, match="is not the count of this instrument's pulses"):
            guard.count(path)


def limited(profile: Path, most: int | None, write: str = "verify", **options: Any) -> dict[str, Any]:
    plain = settings(profile, **options)
    plain["hardware"] = {**plain["hardware"], "write": write}
    plain["hardware"]["limits"] = {**plain["hardware"]["limits"], **({} if most is None else {"run_pulses": most})}
    plain["optimizer"] = {"lr": 0.2}
    plain["training"] = {**plain["training"], "updates": 60, "checkpoint_every": 50, "log_every": 7}
    return plain


def counts(run: Path) -> np.ndarray:
    return np.load(run / "measured" / NAME)


@pytest.mark.parametrize("write", ["verify", "pulse"])
def test_a_run_ends_in_order_where_a_device_took_all_it_may(
    bench_profile: Path, tmp_path: Path, write: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = limited(bench_profile, LIMIT, write, state=str(tmp_path / "devices.npz"))
    with pytest.raises(SpentError) as error:
        na.train(plain, runs=tmp_path / "runs")
    [path] = (tmp_path / "runs").glob("[!.]*")
    record = na.load_run(path).record
    [checkpoint] = record.checkpoints()
    update = int(checkpoint.stem)
    assert 0 < update < 60
    assert counts(path).max() == LIMIT
    for words in (
        f"1 of 64 devices took the {LIMIT} pulses", f"at update {update} of 60",
        f"{counts(path).sum():,} were sent in all", f"--set network.weights={path}",
    ):  # fmt: skip
        assert words in str(error.value)
    assert record.manifest["status"] == "interrupted"
    assert str(error.value) in record.manifest["log"]
    wear = {name: each for name, each in record.load_checkpoint(checkpoint)[0].items() if name.endswith("/wear")}
    assert sum(int(each.sum()) for each in wear.values()) == counts(path).sum()

    sent = list[int]()
    monkeypatch.setattr(Guard, "write", lambda self, pulses: sent.append(1))
    with pytest.raises(SpentError, match=f"at update {update} of 60"):  # the same limit: not one pulse more
        na.resume(path)
    assert not sent


@pytest.mark.slow
def test_it_goes_on_as_it_says(bench_profile: Path, tmp_path: Path) -> None:
    plain = limited(bench_profile, LIMIT)
    with pytest.raises(SpentError):
        na.train(plain, runs=tmp_path / "runs")
    [path] = (tmp_path / "runs").glob("[!.]*")
    more = configure(path / "config.yaml", {"network.weights": str(path), "hardware.limits.run_pulses": "100000"})
    assert na.train(more, runs=tmp_path / "runs").result["status"] == "finished"


def test_the_count_survives_cut_links_and_the_end_of_the_process(bench_profile: Path, tmp_path: Path) -> None:
    plain = limited(bench_profile, LIMIT, cut_rate=0.004, state=str(tmp_path / "devices.npz"))
    plain["hardware"] |= {"retries": 0}
    plain["training"] |= {"checkpoint_every": 1}
    cut, before = 0, 0
    for _ in range(200):
        try:
            na.train(plain, runs=tmp_path / "runs")
        except SpentError:
            break
        except LinkLostError:
            cut += 1
        paths = [*(tmp_path / "runs").glob("[!.]*")]
        if paths and (paths[0] / "measured" / NAME).exists():
            now = int(counts(paths[0]).sum())
            assert now >= before
            before = now
    else:
        raise AssertionError("the limit was never reached")
    assert cut >= 2
    [path] = (tmp_path / "runs").glob("[!.]*")
    assert counts(path).max() == LIMIT
    with np.load(tmp_path / "devices.npz") as held:
        sent = int(held["counts"][PlayedArray.COUNTS.index("pulses")])
    assert sent <= counts(path).sum()  # what the instrument saw of them


def test_a_count_that_is_gone_goes_on_from_the_checkpoint(
    bench_profile: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = limited(bench_profile, LIMIT)
    with pytest.raises(SpentError):
        na.train(plain, runs=tmp_path / "runs")
    [path] = (tmp_path / "runs").glob("[!.]*")
    (path / "measured" / NAME).unlink()
    with pytest.raises(SpentError):
        na.resume(path)
    assert "is gone; pulses of the run are counted on from its checkpoint" in caplog.text


def test_first_weights_count_and_can_take_all(bench_profile: Path, tmp_path: Path) -> None:
    with pytest.raises(SpentError, match="at update 0 of 60"):
        na.train(limited(bench_profile, 20), runs=tmp_path / "runs")
    [path] = (tmp_path / "runs").glob("[!.]*")
    assert counts(path).max() == 20
    assert [each.stem for each in na.load_run(path).record.checkpoints()] == ["00000000"]


def test_a_limit_that_is_not_reached_changes_no_bit(bench_profile: Path, tmp_path: Path) -> None:
    found = []
    for most in (None, 10**6):
        folder = tmp_path / str(most)
        folder.mkdir()
        plain = limited(bench_profile, most, state=str(folder / "devices.npz"))
        plain["training"] |= {"updates": 5}
        record = na.train(plain, runs=folder / "runs").record
        tensors, _ = record.load_checkpoint(record.checkpoints()[-1])
        found.append(tensors)
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_a_run_without_it_keeps_its_name(bench_profile: Path) -> None:
    plain = configure(limited(bench_profile, None)).to_plain()
    assert "run_pulses" not in plain["hardware"]["limits"]
    assert configure(limited(bench_profile, LIMIT)).to_plain()["hardware"]["limits"]["run_pulses"] == LIMIT


def test_what_a_chip_sends_stays_within_what_is_left(tmp_path: Path) -> None:
    from tests.instruments.test_bench_chip import chip_of

    chip: BenchChip = chip_of(Told(lines=9, bits=3), tmp_path, begin=False)
    chip.guard.limits = chip.guard.limits.model_copy(update={"run_pulses": 5})
    counts = torch.full(chip.held["w"].shape, -9, dtype=torch.int32)
    assert chip._within("w", counts).eq(-5).all()
