"""Training one network imports nothing that it does not use: no comparison, no figures, no other simulator."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
{train}
print(json.dumps(sorted(name for name in sys.modules if "__main__" not in name)))
"""
TASK = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
TINY = {"task": TASK, "network": {"hidden": 4}, "profile": "pcm", "training": {"updates": 1, "batch": 1}}
BY_HAND = f"import neuroanp as na\nna.train({TINY!r}, report=False, progress=False)"
BY_COMMAND = """
import runpy
sys.argv = ["neuroanp", "train", "tiny.yaml", "--no-report", "--no-progress"]
try:
    runpy.run_module("neuroanp", run_name="__main__")
except SystemExit as end:
    assert not end.code, end.code
"""
UNUSED = {
    "neuroanp.comparing", "neuroanp.reporting.html", "neuroanp.export", "neuroanp.fitting", "neuroanp.characterizing",
    "neuroanp.diagnosing",
    "neuroanp.backends.spiking", "matplotlib", "pandas", "brian2", "sympy", "jinja2", "h5py",
}  # fmt: skip


@pytest.mark.parametrize(
    "train",
    [pytest.param(BY_HAND, id="python"), pytest.param(BY_COMMAND, id="command", marks=pytest.mark.slow)],
)
def test_training_a_rate_network_imports_nothing_that_it_does_not_use(train, tmp_path):
    (tmp_path / "tiny.yaml").write_text(json.dumps(TINY))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(train=train)], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert {"neuroanp.training.loop", "neuroanp.backends.rate", "torch"} <= loaded  # it did train
    assert loaded & UNUSED == set()
    assert len([*(tmp_path / "runs").glob("[!.]*")]) == 1


def test_names_of_the_package_are_found_where_they_are_and_no_others():
    import neuroanp as na
    from neuroanp import api

    for name in api.__all__:
        assert getattr(api, name).__module__.startswith("neuroanp.api."), name
        assert name in dir(api)
    with pytest.raises(AttributeError, match=r"module 'neuroanp\.api' has no attribute 'trian'"):
        api.trian  # noqa: B018  # pyright: ignore[reportAttributeAccessIssue]
    assert na.compare is api.compare
