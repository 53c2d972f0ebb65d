"""Runs on an instrument: by the same words as any other, cut and resumed, refused where they cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import neuroanp as na
from neuroanp.errors import InputError
from neuroanp.fitting.several import fit_files
from neuroanp.instruments.bench import BenchChip
from neuroanp.instruments.played import array_of
from neuroanp.instruments.protocol import INSTRUMENTS, LinkLostError
from neuroanp.instruments.visa import VisaInstrument
from neuroanp.instruments.visa_options import VisaOptions
from neuroanp.training.build import Experiment
from neuroanp.training.configure import configure
from neuroanp.training.revisit import restored
from tests.close import close
from tests.instruments.conftest import settings, without


def test_a_run_learns_on_the_instrument_and_keeps_what_it_measured(bench_profile: Path, tmp_path: Path) -> None:
    run = na.train(settings(bench_profile), runs=tmp_path / "runs")
    manifest = run.record.manifest
    assert manifest["status"] == "finished"
    assert manifest["instrument"] == {
        "name": "neuroanp,played bench_ecram,0,1", "lines": 16, "bits": 4, "resource": "TCPIP::bench::INSTR",
        "tells_energy": True, "tells_time": True,
    }  # fmt: skip
    assert manifest["ledger"]["pulses"] > 0
    for table in ("noise", "writes"):
        assert len((run.path / "measured" / f"{table}.csv").read_text().splitlines()) > 10
    [found] = fit_files([run.path / "measured" / "noise.csv"], kind="read_noise")
    assert found.law == "gaussian"
    assert found["sigma_relative"].value == close(0.01, rel=0.2)


def test_the_weights_it_is_exported_and_evaluated_with_are_those_that_were_measured(
    bench_profile: Path, tmp_path: Path
) -> None:
    plain = settings(bench_profile, seed=11)
    run = na.train(plain, runs=tmp_path / "runs")
    options = VisaOptions.model_validate(plain["hardware"]["options"])
    played = array_of(str(bench_profile), "TCPIP0::bench::inst0::INSTR", options)
    _, trainer = restored(run.record)
    g = trainer.substrate.arrays["w_in"].cells["g"][0].numpy()  # pyright: ignore[reportAttributeAccessIssue]
    n, m = g.shape
    np.testing.assert_allclose(g.T, played.siemens[:m, :n], rtol=0.02)  # four reads of 1 %
    assert na.evaluate(run)[0]["test_loss"] > 0


def test_a_dry_run_looks_and_writes_nothing(bench_profile: Path, tmp_path: Path) -> None:
    plain = settings(bench_profile, seed=12)
    found = na.estimate(plain)
    assert found["instrument"]["lines"] == 16
    assert 0.005 < found["instrument"]["noise"] < 0.1
    assert found["instrument"]["most_pulses"] > 10
    options = VisaOptions.model_validate(plain["hardware"]["options"])
    played = array_of(str(bench_profile), "TCPIP0::bench::inst0::INSTR", options)
    assert (played.written, played.pulses) == (0, 0)
    assert played.message > 20


def test_a_run_whose_link_is_cut_is_resumed_to_its_end(
    bench_profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, begin = list[int](), BenchChip.begin
    monkeypatch.setattr(BenchChip, "begin", lambda self, first: begun.append(1) or begin(self, first))
    plain = settings(bench_profile, seed=13, cut_rate=0.002)
    plain["hardware"] |= {"retries": 0}
    plain["training"] |= {"updates": 12, "checkpoint_every": 1}
    lost = 0
    for _ in range(60):
        saved, before = any(tmp_path.glob("runs/*/checkpoints/*")), len(begun)
        try:
            run = na.train(plain, runs=tmp_path / "runs")
            break
        except LinkLostError:
            lost += 1
        finally:
            assert not (saved and len(begun) > before), "the first weights were written over what was learned"
    else:
        raise AssertionError("no run came to its end")
    assert lost >= 1
    assert run.record.manifest["status"] == "finished"
    assert run.result["updates"] == 12
    options = VisaOptions.model_validate(plain["hardware"]["options"])
    played = array_of(str(bench_profile), "TCPIP0::bench::inst0::INSTR", options)
    assert played.cut == lost
    assert not played.beyond


def test_a_short_cut_goes_unnoticed(bench_profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuroanp.instruments.guard.time.sleep", lambda seconds: None)
    plain = settings(bench_profile, seed=14, cut_rate=0.01)
    run = na.train(plain, runs=tmp_path / "runs")
    options = VisaOptions.model_validate(plain["hardware"]["options"])
    assert array_of(str(bench_profile), "TCPIP0::bench::inst0::INSTR", options).cut > 0
    assert run.record.manifest["status"] == "finished"


@pytest.mark.slow
def test_the_command_line_resumes_in_another_process(bench_profile: Path, tmp_path: Path) -> None:
    plain = settings(bench_profile, seed=15, cut_rate=0.001, state=str(tmp_path / "devices.npz"))
    plain["hardware"] |= {"retries": 0}
    plain["training"] |= {"updates": 12, "checkpoint_every": 1}
    (tmp_path / "bench.yaml").write_text(yaml.safe_dump(plain))
    command = [sys.executable, "-m", "neuroanp", "train", "bench.yaml", "--no-progress", "--no-report"]
    codes = []
    for _ in range(40):
        done = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "NO_COLOR": "1"}
        )
        codes.append(done.returncode)
        if not done.returncode:
            break
        assert "the link is lost" in done.stderr
        assert "Traceback" not in done.stderr
        [run] = (tmp_path / "runs").iterdir()
        command = [sys.executable, "-m", "neuroanp", "resume", str(run), "--no-progress", "--no-report"]
    assert codes[-1] == 0
    assert {*codes[:-1]} == {1}


def test_a_driver_of_ones_own_is_sixty_lines_and_learns(tmp_path: Path, bench_profile: Path) -> None:
    source = Path(__file__).parents[2] / "examples" / "bench_driver.py"
    text = source.read_text(encoding="utf-8")
    driver = text[text.index("@INSTRUMENTS.register") :]
    assert len(driver.splitlines()) <= 60
    if "my_board" not in INSTRUMENTS.names():
        exec(compile(text, str(source), "exec"), {"__name__": "bench_driver"})
    plain = settings(bench_profile)
    plain["hardware"] |= {"substrate": "my_board", "resource": "board 7", "options": {}}
    plain["hardware"]["pulse"] |= {"step": "100 nS"}
    run = na.train(plain, runs=tmp_path / "runs")
    assert run.record.manifest["instrument"]["name"] == "board 7"
    assert run.record.manifest["ledger"]["energy"]["array_reads"] is None


WRONG: list[tuple[dict[str, Any], tuple[str, ...], str]] = [
    ({"hardware": {"limits": None}}, (), "hardware.limits: is missing: an instrument ('visa') wants it"),
    ({"hardware": {"substrate": "vsia"}}, (), "unknown instrument 'vsia'; did you mean 'visa'?"),
    ({"hardware": {"substrate": "simulated"}}, (), "hardware.resource: is of an instrument"),
    ({"hardware": {"write": "ideal"}}, (), "hardware.write: 'ideal' is of simulated arrays"),
    ({"hardware": {"read": "sampled"}}, (), "hardware.read: 'sampled' is of simulated arrays"),
    ({"rule": {"name": "wp"}}, (), "rule: is not for an instrument: rules that move weights"),
    ({"rule": {"name": "anp", "reference": "silent"}}, (), "rule.reference: 'silent' compares with a pass without"),
    ({"rule": {"name": "anp", "reference": "antithetic"}}, (), "rule.reference: 'antithetic' turns the sign"),
    ({"backend": "lif"}, (), "backend: 'lif' simulates the arrays"),
    ({"hardware": {"without": ["drift"]}}, (), "hardware.without: changes simulated arrays"),
    ({"hardware": {"only": ["drift"]}}, (), "hardware.only: changes simulated arrays"),
    ({"hardware": {"temperature": "350 K"}}, (), "hardware.temperature: changes simulated arrays"),
    ({"hardware": {"wires": "exact"}}, (), "hardware.wires: changes simulated arrays"),
    ({"training": {"evaluate_after": ["1 h"]}}, (), "training.evaluate_after: is of simulated chips"),
]


@pytest.mark.parametrize(("changes", "_", "said"), WRONG, ids=[said[:40] for *_, said in WRONG])
def test_what_does_not_go_with_an_instrument_is_said(
    bench_profile: Path, changes: dict[str, Any], _: tuple[str, ...], said: str
) -> None:
    plain = settings(bench_profile)
    for section, value in changes.items():
        whole = section in ("rule", "backend")
        plain[section] = value if whole else {**plain[section], **value}
    with pytest.raises(InputError) as error:
        configure(plain)
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"pulse": {"up": "1.6 V", "down": "-1.2 V", "width": "100 ns"}}, "hardware.pulse.up: 1.6 V is beyond"),
        ({"options": {"libary": "x"}}, "unknown key; did you mean 'library'?"),
        ({"resource": "nonsense"}, "hardware.resource: 'nonsense' is no VISA resource"),
        ({"options": {"library": "played:pcm"}}, "has no pulses up and down of one size"),
        ({"options": {"library": "played:ecram", "lines": 4, "bits": 4}}, "network: its arrays take"),
        ({"options": {"library": "played:ecram", "state": "nowhere/x.npz"}}, "nowhere is no directory"),
        ({"options": {"library": "played:ecram", "commands": {"size": "{foo}"}}}, "'foo' in braces is not known"),
    ],
)
def test_what_the_driver_or_its_limits_refuse_leaves_no_run(
    bench_profile: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    plain = settings(bench_profile)
    plain["hardware"] |= change
    with pytest.raises(InputError) as error:
        na.train(plain, runs=tmp_path / "runs")
    assert said in str(error.value)
    assert not (tmp_path / "runs").exists()


def test_a_run_is_not_resumed_on_another_instrument(
    bench_profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = settings(bench_profile, seed=16)

    def lost(*_: Any, **__: Any) -> None:
        raise LinkLostError("cut")

    with monkeypatch.context() as patch:
        patch.setattr(BenchChip, "apply", lost)
        with pytest.raises(LinkLostError):
            na.train(plain, runs=tmp_path / "runs")
    [path] = (tmp_path / "runs").iterdir()
    record = na.load_run(path).record
    record.update(instrument={**record.manifest["instrument"], "name": "the other one"})
    with pytest.raises(InputError, match="the run was begun on the other one"):
        na.resume(path)


def test_requirements_are_of_simulated_devices(bench_profile: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="the devices of an instrument are what they are"):
        na.requirements(settings(bench_profile), target="test_loss < 0.01", runs=tmp_path / "runs")


def test_passes_that_would_be_run_twice_are_refused(bench_profile: Path, tmp_path: Path) -> None:
    plain = settings(bench_profile)
    plain["training"] |= {"memory": "1 B"}
    with pytest.raises(InputError, match=r"training\.memory: too little"):
        na.train(plain, runs=tmp_path / "runs")


def test_a_simulated_run_keeps_its_name(bench_profile: Path) -> None:
    plain = configure(
        without(settings(bench_profile), "substrate", "resource", "options", "limits", "pulse")
    ).to_plain()
    assert set(plain["hardware"]) == {"write", "read", "temperature", "wires", "only", "without"}


def test_a_configuration_with_an_instrument_comes_back(bench_profile: Path) -> None:
    config = configure(settings(bench_profile))
    again = configure(yaml.safe_load(config.to_yaml()))
    assert again == config
    assert again.to_plain()["hardware"]["limits"]["current"] == "100 uA"


def test_files_of_a_driver_are_where_the_run_was_begun_from_wherever_it_goes_on(
    bench_profile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the profile of the same configuration is."""
    plain = settings(Path(bench_profile.name), seed=17, cut_rate=0.01, state="devices.npz")
    plain["hardware"] |= {"retries": 0}
    plain["training"] |= {"updates": 12, "checkpoint_every": 1}
    monkeypatch.chdir(bench_profile.parent)
    with pytest.raises(LinkLostError):
        na.train(plain, runs="runs")
    [path] = (tmp_path / "runs").glob("[!.]*")
    named = Experiment.of(configure(plain)).directory
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    options = configure(path / "config.yaml").hardware.options
    assert options["library"] == f"played:{bench_profile}"
    assert options["state"] == str(tmp_path / "devices.npz")
    assert named == path.name  # the run is found again by what was typed, too
    with suppress(LinkLostError):
        na.resume(path)
    assert not [*(tmp_path / "elsewhere").iterdir()]
    assert (tmp_path / "devices.npz").exists()


def test_names_of_libraries_and_profiles_are_no_files(bench_profile: Path) -> None:
    for library in ("", "@py", "visa32.dll", "played:ecram"):
        plain = settings(bench_profile)
        plain["hardware"]["options"] = {"library": library}
        assert configure(plain).anchored().hardware.options == {"library": library}


def test_options_of_a_driver_of_ones_own_stay_as_they_are(bench_profile: Path) -> None:
    plain = settings(bench_profile)
    if "mine" not in INSTRUMENTS.names():
        INSTRUMENTS.register("mine")(VisaInstrument)
    plain["hardware"] |= {"substrate": "mine", "options": {"library": "a/b.so", "state": "x"}}
    assert configure(plain).anchored().hardware.options == {"library": "a/b.so", "state": "x"}
