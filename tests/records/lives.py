"""The life of a run on the disk, told as it goes."""

import json
from pathlib import Path

import numpy as np
import torch

from neuroanp.records import RESULT_KEYS, RunDir

UPDATES, EVERY = 6, 2
FIELDS = {"identity": "0123456789abcdef", "profile": {"name": "ideal", "text": "", "hash": "0"}}
RESULT = dict.fromkeys(RESULT_KEYS) | {"task": "copy", "status": "finished", "controls": {"ridge": 0.1}}
TWICE = ("config.yaml", "start.safetensors", "metrics.csv", "result.json")
SEALED = (*TWICE, "predictions.safetensors")


def life(root: Path, told: list[str]) -> RunDir:
    """Do what a training does with its record, from wherever that stands, and return the record at its end."""
    if not (root / "one").exists():
        RunDir.create(root, "one", "seed: 0\n", FIELDS)
    run = RunDir.open(root / "one", quiet=True)
    if run.manifest["status"] == "finished" and run.sealed:
        return run
    with run.lock():
        run = RunDir.open(run.path, quiet=True)
        told += run.mend()
        if run.manifest["status"] == "finished" and run.result is not None:
            return run
        if "start.safetensors" not in run.manifest["seals"]:
            run.save_arrays("start", {"w": np.arange(3.0)})
            run.update()
        run.begin()
        newest, value, update, meta = run.latest_checkpoint(), torch.zeros(1), 0, None
        if newest is not None:
            tensors, meta = run.load_checkpoint(newest)
            value, update = tensors["value"], meta["update"]
        told += [*run.warnings, *run.restore_metrics(meta)]
        rows = []
        while update < UPDATES:
            update += 1
            value = 3 * value + update
            rows.append({"update": update, "train_loss": 1 / float(value)})
            if update % EVERY == 0:
                run.append_metrics(rows)
                run.save_checkpoint(update, {"value": value}, {})
                rows = []
        run.save_arrays("predictions", {"y": value.numpy(), "target": np.zeros(1), "mask": np.ones(1)})
        run.update(scores={"loss": float(value)})
        run.write_result({**RESULT, "updates": update, "test_loss": 1 / float(value)})
        run.end("finished")
    return run


def content(run: RunDir) -> dict[str, bytes]:
    """All that the run left, but for where it lies."""
    names = {*SEALED, f"checkpoints/{UPDATES:08d}.safetensors"} - {"result.json"}
    found = {name: (run.path / name).read_bytes() for name in names}
    result = {key: value for key, value in (run.result or {}).items() if key != "run"}
    return {**found, "result": json.dumps(result).encode()}
