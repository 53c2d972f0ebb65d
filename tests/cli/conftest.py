"""A stand-in for `neuroanp.api` that records how the commands call it."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import neuroanp
from neuroanp.reporting import reading

RESULT: dict[str, Any] = {
    "task": "copy", "profile": "pcm", "backend": "rate", "rule": "anp", "seed": 0, "status": "finished",
    "updates": 10, "passes": 20, "test_loss": 0.0123, "test_loss_noise_free": 0.0101, "score": {"accuracy": 0.97},
    "controls": {"ridge": 0.0002, "frozen": 0.04, "mean": 0.1875}, "energy_J": 1.25e-6, "chip_time_s": 0.003,
    "pulses": 12345, "wear": 1.2e-5, "run": "runs/0123456789abcdef",
}  # fmt: skip


class FakeApi:
    """Returns what the contract of `neuroanp.api` promises, and keeps the calls."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple, dict]] = []
        self.results = [dict(RESULT)]
        self.failed: list[tuple[str, str]] = []
        self.error: BaseException | None = None
        self.log = ["perturbation: [auto] Gaussian, sigma 0.01"]

    def _called(self, name: str, *args: Any, **kwargs: Any) -> SimpleNamespace:
        self.calls.append((name, args, kwargs))
        if self.error is not None:
            raise self.error
        return self._run(self.results[0])

    def _run(self, result: dict[str, Any]) -> SimpleNamespace:
        run = SimpleNamespace(result=result, path=Path("runs/0123456789abcdef"))
        manifest = {"log": self.log, "code": "0.1.0", "status": result["status"]}
        run.record = SimpleNamespace(
            manifest=manifest, path=run.path, result=result, metrics=lambda: None, sealed=True, damage=list
        )  # fmt: skip
        run.report = lambda path=None: run.path / "report.html"
        return run

    def train(self, *args: Any, **kwargs: Any) -> SimpleNamespace:
        return self._called("train", *args, **kwargs)

    def resume(self, *args: Any, **kwargs: Any) -> SimpleNamespace:
        return self._called("resume", *args, **kwargs)

    def configure(self, *args: Any, **kwargs: Any) -> SimpleNamespace:
        return self._called("configure", *args, **kwargs)

    def estimate(self, config: Any) -> dict[str, Any]:
        self._called("estimate", config)
        return {"passes": 20, "memory_bytes": 123456, "seconds": 1.5}

    def compare(self, *args: Any, **kwargs: Any) -> SimpleNamespace:
        self._called("compare", *args, **kwargs)
        runs = [self._run(result) for result in self.results]
        return SimpleNamespace(
            runs=runs,
            results=self.results,
            failed=self.failed,
            report=Path("runs/report.html"),
            ablation=[],
            tuning=[],
        )

    def report(self, *args: Any, **kwargs: Any) -> Path:
        self._called("report", *args, **kwargs)
        return Path("all.html")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi()
    monkeypatch.setattr(neuroanp, "api", fake, raising=False)
    monkeypatch.setattr(reading, "_config", lambda run: {"task": {"name": run.result["task"]}})
    return fake


@pytest.fixture
def invoke(monkeypatch: pytest.MonkeyPatch):
    """Call the command line in this process: invoke("train", "x.yaml") -> result with exit_code, stdout, stderr."""
    from neuroanp.cli.main import app

    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: str):
        return CliRunner().invoke(app, list(words))

    return call
