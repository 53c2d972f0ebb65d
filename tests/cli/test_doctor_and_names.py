"""doctor, tasks list, rules list, ...: what is there, and how to get what is not."""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

from neuroanp.cli import doctor
from neuroanp.kernels import cache


def rows(done) -> dict[str, dict]:
    return {row["name"]: row for row in json.loads(done.stdout)["results"]}


def test_doctor_checks_what_runs_need(invoke, tmp_path: Path) -> None:
    done = invoke("doctor", "--json", "--runs", str(tmp_path / "runs"))
    found = rows(done)
    assert {"neuroanp", "Python", "torch", "backends", "CUDA", "threads", "runs folder", "disk space"} <= set(found)
    assert found["torch"]["detail"] == metadata.version("torch")
    assert "rate" in found["backends"]["detail"]
    assert all(row["remedy"] for row in found.values() if row["status"] != "ok")
    assert not (tmp_path / "runs").exists()


def test_doctor_as_a_table(invoke, tmp_path: Path) -> None:
    shown = invoke("doctor", "--runs", str(tmp_path))
    assert "torch" in shown.stdout
    assert "ok" in shown.stdout
    assert "[" not in shown.stdout.replace("neuroanp[", "")
    assert max(map(len, shown.stdout.splitlines())) <= 100


def test_a_missing_package_is_said_with_its_remedy(invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def version(package: str) -> str:
        if package in ("safetensors", "scikit-learn"):
            raise metadata.PackageNotFoundError(package)
        return "1"

    monkeypatch.setattr(doctor, "version", version)
    done = invoke("doctor", "--json", "--runs", str(tmp_path))
    found = rows(done)
    assert done.exit_code == 1
    assert found["safetensors"]["status"] == "missing"
    assert "pip install" in found["safetensors"]["remedy"]
    assert found["extra digits"]["status"] == "optional"
    assert "neuroanp[digits]" in found["extra digits"]["remedy"]


def test_a_runs_folder_that_cannot_be_written_is_said(invoke, tmp_path: Path) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    done = invoke("doctor", "--json", "--runs", str(in_the_way / "runs"))
    assert done.exit_code == 1
    assert "--runs" in rows(done)["runs folder"]["remedy"]


def test_more_threads_than_cores_are_warned_of(invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import torch

    monkeypatch.setattr(torch, "get_num_threads", lambda: 10_000)
    done = invoke("doctor", "--json", "--runs", str(tmp_path))
    assert done.exit_code == 0
    threads = rows(done)["threads"]
    assert threads["status"] == "warning"
    assert "OMP_NUM_THREADS=" in threads["remedy"]


def test_doctor_names_what_the_spiking_backend_needs_without_importing_it(invoke, monkeypatch, tmp_path: Path) -> None:
    found = rows(invoke("doctor", "--json", "--runs", str(tmp_path)))
    assert found["brian2"]["detail"] == metadata.version("brian2")
    assert found["Cython"]["detail"] == metadata.version("Cython")
    code = (
        "import sys; from neuroanp.cli.main import app\n"
        "try: app(['doctor', '--json'])\n"
        "except SystemExit: pass\n"
        "sys.exit([name for name in ('brian2', 'Cython.Build') if name in sys.modules] or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 0, done.stderr


def test_doctor_says_which_path_rate_networks_take(invoke, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    loops = rows(invoke("doctor", "--json", "--runs", str(tmp_path)))["rate networks"]
    assert loops["status"] == "ok"
    assert f"numba {metadata.version('numba')} keeps the loops in /" in loops["detail"]
    assert "compiled loops" in invoke("doctor", "--runs", str(tmp_path)).stdout.replace("\n", " ")
    monkeypatch.setenv("NUMBA_DISABLE_JIT", "1")
    off = rows(invoke("doctor", "--json", "--runs", str(tmp_path)))["rate networks"]
    assert (off["status"], off["remedy"]) == ("warning", "unset NUMBA_DISABLE_JIT")


def test_doctor_names_a_folder_of_loops_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "writable", lambda folder: False)
    found = doctor.rate_loops()
    assert found.status == "missing"
    assert "cannot be written" in found.detail
    assert found.remedy.startswith("export NUMBA_CACHE_DIR=")


def test_numba_itself_says_where_it_can_keep_nothing(tmp_path: Path) -> None:
    """A package in a folder without rights, and no home: what numba raises is the doctor's line, no traceback."""
    code = (
        "from numba.core import caching as c; c.CacheImpl._locator_classes = []\n"
        "from neuroanp.cli.doctor import rate_loops; found = rate_loops(); print(found.status, found.remedy)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith("missing export NUMBA_CACHE_DIR="), done.stderr


def test_each_package_is_named_once(invoke, tmp_path: Path) -> None:
    names = [row["name"] for row in json.loads(invoke("doctor", "--json", "--runs", str(tmp_path)).stdout)["results"]]
    assert len(names) == len(set(names))


def test_a_missing_compiler_is_a_warning_that_says_what_happens(invoke, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CXX", f"{tmp_path}/none++ -O2")
    done = invoke("doctor", "--json", "--runs", str(tmp_path))
    assert done.exit_code == 0
    compiler = rows(done)["C++ compiler"]
    assert compiler["status"] == "warning"
    assert "none++: the spiking backend computes with NumPy" in compiler["detail"]
    assert "g++" in compiler["remedy"]
    there = tmp_path / "mine++"
    there.write_text("")
    there.chmod(0o755)
    monkeypatch.setenv("CXX", str(there))
    assert rows(invoke("doctor", "--json", "--runs", str(tmp_path)))["C++ compiler"]["detail"] == str(there)


def test_backends_say_what_their_units_have(invoke) -> None:
    found = rows(invoke("backends", "list", "--json"))
    kinds = {name: row["kind"] for name, row in found.items()}
    assert kinds | {"rate": "backend of rates", "spiking": "backend of spikes", "lif": "backend of spikes"} == kinds
    assert all(row["summary"] for row in found.values())
    assert "Brian2" in invoke("backends", "list").stdout


@pytest.mark.parametrize(
    ("what", "name", "option", "default"),
    [
        ("encoders", "poisson", "rate", "200 Hz"),
        ("neurons", "lif", "tau_m", "20 ms"),
        ("encoders", "latency", "theta", 0.2),
    ],
)
def test_encoders_and_neurons_are_listed_with_their_units(invoke, what: str, name: str, option: str, default) -> None:
    found = rows(invoke(what, "list", "--json"))[name]
    options = {one["option"]: one for one in found["options"]}
    assert options[option]["default"] == default
    assert options[option]["meaning"]
    assert "name" not in options
    shown = invoke(what, "list").stdout
    assert str(default) in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_tasks_are_listed_with_their_options(invoke) -> None:
    found = rows(invoke("tasks", "list", "--json"))
    assert {"copy", "mackey_glass", "weather"} <= set(found)
    options = {option["option"]: option for option in found["copy"]["options"]}
    assert {"length", "delay", "symbols"} <= set(options)
    assert options["delay"]["default"] == 3
    assert all(option["meaning"] for row in found.values() for option in row["options"])
    shown = invoke("tasks", "list").stdout
    assert "mackey_glass" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_rules_say_which_are_local(invoke) -> None:
    found = rows(invoke("rules", "list", "--json"))
    assert found["anp"]["kind"] == "local rule"
    assert found["bptt"]["kind"] == found["bptt1"]["kind"] == "baseline"
    assert "gamma" in {option["option"] for option in found["anp"]["options"]}
    assert "a scalar loss at every step" in found["anp"]["hardware must provide"]
    assert "reference silent: a noise-free twin" in found["anp"]["and with"]
    assert "hardware must provide" not in found["bptt"]
    assert found["anp"]["other classes"] == ["S+: with readout delta, readout rls"]
    assert found["echo"]["other classes"] == ["S+: with hears loss"]
    assert "other classes" not in {**found["bptt"], **found["wp"]}
    assert "anp" in invoke("rules", "list").stdout
    assert "hardware must provide: a scalar loss at every step" in invoke("rules", "list").stdout


def test_a_gpu_is_told_with_its_path_and_what_it_lacks():
    assert doctor._on_cuda("H200", None).status == "ok"
    without = doctor._on_cuda("H200", "Failed to find C compiler")
    assert (without.status, without.remedy) == ("warning", "pip install triton, and a C compiler (gcc)")
    assert "one CUDA graph; Triton does not work (Failed to find C compiler)" in without.detail
