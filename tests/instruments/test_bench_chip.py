"""The substrate: what is read is W x of the devices, what is written moves them where they should be, no step more."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from neuroanp.errors import InputError
from neuroanp.instruments.bench import BenchChip, How
from neuroanp.instruments.guard import Guard
from neuroanp.instruments.pairs import shared
from neuroanp.instruments.protocol import InstrumentError
from neuroanp.instruments.records import Records
from neuroanp.network.compose import Stacked, stack
from neuroanp.network.tanh import Tanh
from neuroanp.noise import PassStreams, Streams
from neuroanp.profiles.loader import load
from neuroanp.substrates.chip import DeviceChip
from neuroanp.substrates.node_drive import NodeDrive
from neuroanp.substrates.read import Reader
from neuroanp.trajectory import Weights, WeightUpdate
from tests.close import close
from tests.instruments.conftest import LIMITS, PROFILE, PULSE, STEP, Told

NETWORK = stack(2, [Stacked(Tanh(), 3)], 1)
STREAMS = Streams(5)
PAIRS = """extends: fefet
meta: {name: pairs, summary: pairs of devices that pulses could step}
conductance: {g_min: 1 uS, g_max: 11 uS}
programming: {g_low: 1 uS}
"""


def first(scale: float = 0.1) -> Weights:
    rng = np.random.default_rng(1)
    return Weights(
        {name: torch.from_numpy(scale * rng.standard_normal(shape)).float() for name, shape in NETWORK.shapes.items()},
        NETWORK,
    )


def chip_of(
    told: Told, tmp_path: Path, write: str = "verify", text: str = PROFILE, begin: bool = True, pulses: int = 2000
) -> BenchChip:
    path = tmp_path / "profile.yaml"
    path.write_text(text)
    model = DeviceChip.build(load(str(path)), first(), streams=STREAMS, dt=1e-6)
    guard = Guard(told, LIMITS.model_copy(update={"pulses": pulses}), PULSE, wait_s=0.0)
    guard.open()
    chip = BenchChip(model, guard, How(write, STEP, reads=1), NodeDrive(0.01), STREAMS, Records(tmp_path / "measured"))
    if begin:
        chip.begin(first())
    return chip


@pytest.mark.parametrize(("text", "bits"), [(PROFILE, 3), (PAIRS, 6)])
def test_a_read_is_the_weights_of_the_devices_times_the_inputs(tmp_path: Path, text: str, bits: int) -> None:
    told = Told(lines=9, bits=bits)
    chip = chip_of(told, tmp_path, text=text)
    reads = chip.prepare(1e-3, PassStreams(STREAMS, "train", 0))
    believed = chip.prepare(1e-3, PassStreams(STREAMS, "train", 0), noise=False)
    for name, array in chip.arrays.items():
        x = torch.linspace(-1, 1, 4 * array.shape[1]).view(2, 2, -1)
        g = torch.from_numpy(chip.places[name].taken(told.siemens))
        want = x.double() @ array.to_weights(g).T
        assert Reader(reads[name])(x).double().numpy() == close(want.numpy(), rel=2e-4, abs=1e-5)  # float32 volts
        assert Reader(believed[name])(x).double().numpy() == close(want.numpy(), rel=2e-4, abs=1e-5)


def test_inputs_beyond_the_range_are_held_at_its_ends(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    read = Reader(chip.prepare(1e-3, PassStreams(STREAMS, "train", 0))["w"])
    torch.testing.assert_close(
        read(torch.tensor([[5.0, -7.0, 0.5]])), read(torch.tensor([[1.0, -1.0, 0.5]])), rtol=1e-6, atol=0
    )
    assert max(np.abs(volts).max() for volts in told.reads) == close(chip.v_read)


def test_what_is_read_of_one_array_leaves_the_lines_of_others_at_0_V(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    told.reads.clear()
    Reader(chip.prepare(1e-3, PassStreams(STREAMS, "train", 0))["w"])(torch.ones(1, 3))
    lines = chip.places["w"].lines
    assert np.count_nonzero(told.reads[-1]) == np.count_nonzero(told.reads[-1][:, lines]) == 3


@pytest.mark.parametrize(("text", "bits"), [(PROFILE, 3), (PAIRS, 6)])
def test_the_first_weights_are_written_within_half_a_step(tmp_path: Path, text: str, bits: int) -> None:
    told = Told(lines=9, bits=bits)
    chip = chip_of(told, tmp_path, text=text)
    for name, array in chip.arrays.items():
        target = array.to_conductance(array.clip(first()[name])[0])
        g = torch.from_numpy(chip.places[name].taken(told.siemens))
        assert float((g - target).abs().max()) <= 0.5 * STEP * 1.001
    sent = sum(int(np.abs(each.astype(int)).sum()) for each in told.writes)
    assert chip.ledger.pulses == sent > 0


def test_a_verified_update_moves_each_weight_by_its_change(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    before = {name: each.clone() for name, each in chip.held.items()}
    update = WeightUpdate({"w": torch.tensor([[0.2, 0.0, -0.1], [0.0, 0.0, 0.0], [0.05, 0.0, 0.0]])})
    told.writes.clear()
    report = chip.apply(update, 0.5, STREAMS, 3)
    assert (report.saturated, report.unverified) == (0.0, 0.0)
    moved = chip.arrays["w"].slope * (chip.held["w"] - before["w"])[0]
    torch.testing.assert_close(moved, -0.5 * update.arrays["w"], atol=chip.arrays["w"].slope * STEP, rtol=0)
    assert len(told.writes) == 1
    assert torch.equal(chip.held["w_in"], before["w_in"])
    touched = np.abs(told.writes[0]) > 0
    assert touched[chip.places["w"].lines].sum() == touched.sum() == 3


@pytest.mark.parametrize(("text", "bits"), [(PROFILE, 3), (PAIRS, 6)])
def test_pulses_in_place_move_weights_by_their_change_on_average(tmp_path: Path, text: str, bits: int) -> None:
    told = Told(lines=9, bits=bits)
    chip = chip_of(told, tmp_path, write="pulse", text=text)
    array, start = chip.arrays["w"], chip.weights["w"].clone()
    change = 0.3 * array.slope * STEP * torch.ones(3, 3)  # three tenths of a step, which no single pulse is
    told.writes.clear()
    for index in range(400):
        chip.apply(WeightUpdate({"w": change}), -1.0, STREAMS, index)
    moved = (chip.weights["w"] - start) / change / 400
    sd = (0.3 * 0.7 / 400 / 9) ** 0.5 / 0.3  # of one binomial draw a weight; two of half the size have no more
    assert abs(float(moved.mean()) - 1.0) < 4 * sd
    assert max(np.abs(each).max() for each in told.writes) == 1


def test_no_update_exceeds_the_pulses_of_a_device(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path, pulses=7)
    for write in ("verify", "pulse"):
        chip.how, chip.write = chip.how._replace(write=write), write
        told.writes.clear()
        chip.apply(WeightUpdate({"w": torch.full((3, 3), 1e6)}), 1.0, STREAMS, 0)
        assert told.writes
        assert np.sum([np.abs(each.astype(int)) for each in told.writes], 0).max() == 7


@pytest.mark.parametrize("when", ["before write", "after write"])
def test_a_link_that_is_lost_while_writing_leaves_the_weights_where_they_should_be(
    told: Told, tmp_path: Path, when: str
) -> None:
    chip = chip_of(told, tmp_path)
    update = WeightUpdate({"w": torch.full((3, 3), 0.1)})
    told.fails = [when]
    chip.apply(update, 1.0, STREAMS, 0)
    array = chip.arrays["w"]
    g = torch.from_numpy(chip.places["w"].taken(told.siemens))
    assert float((g - array.to_conductance(chip.weights["w"])).abs().max()) <= 0.5 * STEP * 1.001
    assert not told.fails


def test_devices_within_what_read_backs_can_tell_are_not_chased(tmp_path: Path) -> None:
    chip = chip_of(Told(lines=9, bits=3, noise=0.01), tmp_path)
    told = chip.guard.instrument
    assert isinstance(told, Told)
    told.writes.clear()
    for index in range(5):  # 60 nS of noise, steps of 10 nS: changes of a thousandth of a step ask for nothing
        chip.apply(WeightUpdate({"w": torch.full((3, 3), 1e-9)}), 1.0, STREAMS, index)
    assert sum(np.count_nonzero(each) for each in told.writes) <= 6


def test_devices_without_a_pulse_are_not_moved_by_the_noise_of_a_read_back(tmp_path: Path) -> None:
    chip = chip_of(Told(lines=9, bits=3, noise=0.01), tmp_path, write="pulse")
    before = chip.held["w"].clone()
    change = torch.zeros(3, 3)
    change[1, 2] = 20 * chip.arrays["w"].slope * STEP
    chip.apply(WeightUpdate({"w": change}), 1.0, STREAMS, 0)
    assert (chip.held["w"] != before).sum() == 1


def test_what_it_costs_is_what_the_instrument_tells(told: Told, tmp_path: Path) -> None:
    told.joules = 2e-9
    chip = chip_of(told, tmp_path)
    assert chip.ledger.energy()["writes"] == close(2e-9)
    chip.elapse(0.5)
    assert chip.ledger.energy()["array_reads"] == close(2e-9)
    assert chip.ledger.energy()["adc"] is None
    told.joules = None
    assert chip_of(told, tmp_path).ledger.energy()["array_reads"] is None


def test_a_state_comes_back_and_the_devices_are_measured_anew(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    state = chip.state_dict()
    again = chip_of(told, tmp_path, begin=False)
    again.load_state_dict(state)
    for name in chip.arrays:
        torch.testing.assert_close(again.weights[name], chip.weights[name], rtol=0, atol=0)
        torch.testing.assert_close(again.held[name], chip.held[name], rtol=1e-6, atol=0)
    assert again.ledger.pulses == chip.ledger.pulses
    told.siemens = told.siemens + 5e-7
    again.load_state_dict(state)
    torch.testing.assert_close(again.held["w"], chip.held["w"] + 5e-7, rtol=1e-5, atol=0)


def test_a_simulated_chip_takes_the_state_and_holds_what_was_measured(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    model = DeviceChip.build(chip.profile, first(), streams=STREAMS, dt=1e-6)
    state, mine = chip.state_dict(), model.state_dict()
    model.load_state_dict({name: each for name, each in state.items() if name in mine})
    torch.testing.assert_close(model.arrays["w"].cells["g"], chip.held["w"], rtol=1e-6, atol=0)


def test_a_chip_that_is_not_what_its_checkpoint_says_is_told_of(
    told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    chip = chip_of(told, tmp_path)
    state = chip.state_dict()
    told.siemens = told.siemens + 100 * STEP
    chip.load_state_dict(state)
    assert "100.0 steps of a pulse (rms) off" in caplog.text


def test_reads_that_repeat_to_the_last_bit_explore_nothing(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path, begin=False)
    chip.drive = NodeDrive()
    with pytest.raises(InputError, match="reads repeat to the last bit"):
        chip.look()


def test_the_noise_of_a_pre_activation_is_measured(tmp_path: Path) -> None:
    told = Told(lines=9, bits=3)
    told.read = lambda volts, read=told.read: read(volts) + 1e-9 * told.rng.standard_normal((len(volts), 3))
    chip = chip_of(told, tmp_path, begin=False)
    most = max(array.slope for array in chip.arrays.values())
    assert chip.look(50) == close(1e-9 * most / chip.v_read, rel=0.15)


def test_nobody_looks_ahead_of_time(told: Told, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="another time"):
        chip_of(told, tmp_path).at(3600.0)


def test_a_profile_must_have_a_read_voltage_within_the_limit(told: Told, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"periphery\.v_read, 0\.3 V, is beyond"):
        chip_of(told, tmp_path, text=PROFILE + "periphery: {v_read: 0.3 V}\n")
    model = DeviceChip.build(load("ideal"), first(), streams=STREAMS, dt=1e-6)
    guard = Guard(told, LIMITS, PULSE)
    guard.open()
    with pytest.raises(InputError, match="no read voltage"):
        BenchChip(model, guard, How("verify", STEP), NodeDrive(), STREAMS, Records(None))


def test_what_was_measured_is_kept_in_tables(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path, write="pulse")
    chip.apply(WeightUpdate({"w": -chip.arrays["w"].slope * STEP * torch.ones(3, 3)}), 1.0, STREAMS, 1)
    folder = tmp_path / "measured"
    pulses = (folder / "pulses.csv").read_text().splitlines()
    assert pulses[0] == "device,direction,conductance_uS"
    before, after = (line.split(",") for line in pulses[-2:])
    assert (before[1], after[1]) == ("0", "1")
    assert float(after[2]) - float(before[2]) == close(1e6 * STEP, rel=1e-3)
    assert len((folder / "noise.csv").read_text().splitlines()) == 1 + 8 * sum(
        n * m for n, m in NETWORK.shapes.values()
    )
    assert (folder / "writes.csv").read_text().startswith("time_s,device,pulses,before_uS,after_uS\n")


def test_pulses_that_go_the_other_way_are_refused(told: Told, tmp_path: Path) -> None:
    write = told.write
    told.write = lambda pulses: write(-pulses)
    with pytest.raises(InputError, match=r"exchange hardware\.pulse\.up and down"):
        chip_of(told, tmp_path)
    assert max(np.abs(each).max() for each in told.writes) <= 20


def test_steps_of_another_size_are_told_of(told: Told, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write = told.write
    told.write = lambda pulses: write(3 * pulses)
    chip_of(told, tmp_path)
    assert "a pulse moves a device by 30 nS on average, where 10 nS is stated" in caplog.text


def test_leads_that_are_exchanged_are_found(told: Told, tmp_path: Path) -> None:
    told.siemens = -told.siemens - 10e-6
    with pytest.raises(InputError, match="look at the leads and their polarity"):
        chip_of(told, tmp_path)
    assert not told.writes


def test_a_stuck_device_is_not_driven_for_ever(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    stuck, write = told.siemens.copy(), told.write

    def held(pulses: np.ndarray) -> None:
        write(pulses)
        told.siemens = stuck.copy()

    told.write = held
    told.writes.clear()
    chip.apply(WeightUpdate({"w": torch.full((3, 3), 0.1)}), 1.0, STREAMS, 0)
    assert len(told.writes) == 1


def test_currents_are_foreseen_on_bit_lines_that_the_network_does_not_use(tmp_path: Path) -> None:
    told = Told(lines=8, bits=6)
    told.siemens[:, 4:] = 200e-6  # 3 word lines at .2 V make 120 uA of them, one 40 uA
    chip = chip_of(told, tmp_path, begin=False)
    chip.look()
    read = Reader(chip.prepare(1e-3, PassStreams(STREAMS, "train", 0))["w"])
    with pytest.raises(InstrumentError, match=r"would need 120 uA.*nothing was sent"):
        read(torch.ones(1, 3))
    assert max(np.abs(volts @ told.siemens).max() for volts in told.reads) <= 100e-6


def test_the_first_look_is_at_a_tenth_of_the_voltage(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    assert np.abs(told.reads[0]).max() == close(0.1 * chip.v_read)


def test_wear_and_clock_are_of_what_was_sent(told: Told, tmp_path: Path) -> None:
    chip = chip_of(told, tmp_path)
    sent = np.sum([np.abs(each.astype(int)) for each in told.writes], 0)
    assert max(int(array.cells["wear"].max()) for array in chip.arrays.values()) == sent.max()
    assert chip.now == close(chip.ledger.time_s)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("conductance: {v_0: 0.5 V}", "conductance.v_0: how currents bend"),
        ("array: {wires: {r_word: 1 ohm, r_bit: 1 ohm}}", "array.wires: the resistance of its lines"),
    ],
)
def test_what_is_in_every_measurement_is_not_modelled_again(told: Told, tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        chip_of(told, tmp_path, text=f"{PROFILE}{more}\n")
    assert said in str(error.value)


def test_pairs_beyond_their_range_are_not_moved_together(tmp_path: Path) -> None:
    told = Told(lines=9, bits=6)
    chip = chip_of(told, tmp_path, write="pulse", text=PAIRS)
    chip.held["w"][:] = 0.9e-6  # below g_min, by the noise of reads
    assert not bool(shared(torch.zeros(3, 3), chip.held["w"], chip.device.span).any())
