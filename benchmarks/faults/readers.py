"""What reads a file of a stranger: every command that takes one of its kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from benchmarks.faults.common import command
from benchmarks.faults.material import Material

Work = Callable[[], object]
NETWORK = ("--set", "network.hidden=8")
COPY = ("--task", "copy", "--set", "task.length=2", "--set", "task.symbols=2", *NETWORK)


def readers(kind: str, path: Path, out: Path, base: Material, fine: bool | None) -> dict[str, Work]:
    """Return the commands that take a file, by what a fault calls them.

    Args:
        kind: of the file. path: where it is. out: an empty folder for what they write. base: files of ours.
        fine: as of the family; what is to be refused is given to commands as well that would train on it otherwise.
    """
    return {name: command(*words) if isinstance(words, tuple) else words
            for name, words in _READERS[kind](str(path), str(out), base, fine).items()}  # fmt: skip


Words = dict[str, "tuple[str, ...] | Work"]


def _config(path: str, out: str, base: Material, fine: bool | None) -> Words:
    found: Words = {
        "train --dry-run": ("train", path, "--dry-run"),
        "requirements": ("requirements", path, "--target", "test_loss < 1", "--dry-run", "--runs", out),
    }
    if fine is False:
        found["train"] = ("train", path, "--runs", out)
        found["compare"] = ("compare", path, "--runs", out, "--workers", "1", "--seeds", "1")
        found["diagnose"] = ("diagnose", path, "-o", f"{out}/d")
    return found


def _profile(path: str, out: str, base: Material, fine: bool | None) -> Words:
    return {
        "profiles validate": ("profiles", "validate", path),
        "profiles show": ("profiles", "show", path),
        "profiles diff": ("profiles", "diff", "pcm", path),
        "characterize": ("characterize", path, "--only", "read_noise", "-o", f"{out}/c.html"),
        "train --profile": ("train", *COPY, "--profile", path, "--dry-run"),
        "fit --extends": ("profiles", "fit", "examples/data/read_noise.csv", "--extends", path, "-o", f"{out}/f.yaml",
        "--no-figure"),
    }  # fmt: skip


def _csv(path: str, out: str, base: Material, fine: bool | None) -> Words:
    weather = ("train", "--task", "weather", "--set", f"task.path={path}", *NETWORK)
    return {
        "profiles fit": ("profiles", "fit", path, "-o", f"{out}/f.yaml", "--no-figure"),
        "train, its task": (*weather, "--target", "nir", "--set", "task.target=voltage_mV", "--dry-run"),
        "train, its data": (*weather, "--set", "task.target=voltage_mV", "--dry-run"),
        "assess": ("assess", path, "--dry-run", "-o", f"{out}/a"),
        "predict": ("predict", str(base.run), "--inputs", path, "-o", f"{out}/y.csv"),
        "predict, a table": ("predict", str(base.weather), "--inputs", path, "-o", f"{out}/z.csv"),
        "tabulate": ("profiles", "tabulate", path, path, "-o", f"{out}/t.yaml"),
        **_of_law(path, out),
    }


def _of_law(path: str, out: str) -> Words:
    """A law of a profile whose numbers are the file."""
    profile = Path(out) / "law.yaml"
    profile.write_text(
        "extends: smtj_koenders\nmeta: {name: mine, summary: x, source: x}\nstochastic: {law: measured, mode: replay, "
        f"file: {_quoted(path)}, sampling_time: 1 us, n_sources: 1, kappa: 1, volts_per_unit: 1 V}}\n"
    )
    return {
        "validate, its law": ("profiles", "validate", str(profile)),
        "train, its law": ("train", *COPY, "--profile", str(profile), "--dry-run"),
    }


def _quoted(path: str) -> str:
    return (
        '"'
        + "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else f"\\U{ord(c):08x}" for c in path)
        + '"'
    )


def _npz(path: str, out: str, base: Material, fine: bool | None) -> Words:
    return _of_law(path, out)


def _npy(path: str, out: str, base: Material, fine: bool | None) -> Words:
    return {"predict": ("predict", str(base.run), "--inputs", path, "-o", f"{out}/y.npy")}


def _idx(path: str, out: str, base: Material, fine: bool | None) -> Words:
    return {"train --dry-run": ("train", "--task", "mnist", "--set", f"task.path={path}", *NETWORK, "--dry-run")}


def _nir(path: str, out: str, base: Material, fine: bool | None) -> Words:
    return {
        "import": ("import", path, "--task", "xor", "-o", f"{out}/i"),
        "import, foreign": ("import", path, "--task", "xor", "-o", f"{out}/j", "--ignore-metadata", "--dt", "1 ms"),
        "train --set network.weights": ("train", *COPY, "--set", f"network.weights={path}", "--dry-run"),
    }


def _netx(path: str, out: str, base: Material, fine: bool | None) -> Words:
    def read() -> None:
        import sys

        from neuroanp.errors import NeuroanpError
        from neuroanp.export.netx import read as netx

        try:
            netx(Path(path))
        except NeuroanpError as error:
            sys.stderr.write(f"error: {error}\n")
            sys.exit(error.exit_code)

    return {"netx.read": read}


def _safetensors(path: str, out: str, base: Material, fine: bool | None) -> Words:
    return {
        "train --set network.weights": ("train", str(base.run / "config.yaml"), "--set", f"network.weights={path}",
        "--dry-run"),
        "its start": ("train", str(base.run / "config.yaml"), "--set", f"network.weights={path}", "--updates", "1",
        "--runs", f"{out}/r"),
    }  # fmt: skip


def _run(path: str, out: str, base: Material, fine: bool | None) -> Words:
    def loaded() -> None:
        import sys

        import neuroanp as na
        from neuroanp.errors import NeuroanpError

        try:
            run = na.load_run(path)
            _ = run, repr(run), run.result, run.metrics, run.weights(), run.weights(as_held=True)
        except NeuroanpError as error:
            sys.stderr.write(f"error: {error}\n")
            sys.exit(error.exit_code)

    spiking = base.spiking.name == Path(path).name
    return {
        "runs list": ("runs", "list", str(Path(path).parent)),
        "runs show": ("runs", "show", path),
        "report": ("report", path, "-o", f"{out}/r.html"),
        "evaluate": ("evaluate", path),
        "predict": ("predict", path),
        "export": ("export", path, "--format", "nir" if spiking else "crossbar", "-o", f"{out}/e"),
        "weights": loaded,
        "train RUN/config.yaml": ("train", f"{path}/config.yaml", "--dry-run"),
        "train --set network.weights": ("train", str(base.run / "config.yaml"), "--set", f"network.weights={path}",
        "--dry-run"),
        "diagnose": ("diagnose", path, "--draws", "2", "-o", f"{out}/d"),
        "resume": ("resume", path, "--no-report"),
    }  # fmt: skip


def _store(path: str, out: str, base: Material, fine: bool | None) -> Words:
    return {
        "report": ("report", path, "-o", f"{out}/r.html"),
        "runs list": ("runs", "list", path),
        "runs list, of its store": ("runs", "list", str(Path(path).parent), "--json"),
    }


_READERS = {
    "config": _config, "profile": _profile, "csv": _csv, "npz": _npz, "npy": _npy, "idx": _idx, "nir": _nir,
    "netx": _netx, "safetensors": _safetensors, "run": _run, "store": _store,
}  # fmt: skip
