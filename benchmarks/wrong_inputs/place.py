"""A folder with all that wrong inputs are wrong about: runs, tables, profiles, configs, files that are none."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

TASK = {"name": "copy", "length": 1, "delay": 1, "symbols": 2, "test_size": 4}
TINY: dict[str, Any] = {
    "task": TASK, "network": {"hidden": 4}, "rule": {"name": "anp", "K": 2},
    "training": {"batch": 2, "controls": False, "updates": 2, "checkpoint_every": 1, "log_every": 1},
}  # fmt: skip
QUIET: dict[str, Any] = {"report": False, "progress": False}
ROWS = [f"{0.1 * (k % 7):.1f},{0.3 * (k % 5):.1f},{'on' if k % 2 else 'off'}" for k in range(80)]


UNCOPIED = ("pipe.csv", "huge.csv")


def make(folder: Path) -> None:
    """Fill a folder, which is the working directory."""
    tables(folder)
    configs(folder)
    runs(folder)


def runs(folder: Path) -> None:
    """Train what runs are asked for by label: good, stopped, tampered, forged, other, gone, spikes."""
    import neuroanp as na
    from neuroanp.errors import RunError
    from neuroanp.records import labels

    def named(label: str, run: Path) -> None:
        labels.give(run.parent, run.name, label)

    store = folder / "runs"
    for seed, label in enumerate(("good", "tampered", "forged", "damaged", "torn", "gone")):
        named(label, na.train(TINY, overrides={"seed": seed}, runs=store, **QUIET).path)
    spikes = {"backend": "lif", "encoder": {"name": "poisson", "hold": 4}, "dt": "1 ms"}
    named("spikes", na.train({**TINY, **spikes}, runs=store, **QUIET).path)
    before = {*store.iterdir()}
    try:
        na.train(TINY, overrides={"seed": 9}, runs=store, callbacks=[lambda event: event.stop()], **QUIET)
    except RunError:
        named("stopped", next(iter({*store.iterdir()} - before)))
    of = {label: store / run for label, run in labels.read(store).items()}
    for kept in (Path(), Path("copies")):
        change(of["tampered"] / kept / "result.json", b'"passes": ', b'"passes": 1')
        change(of["forged"] / kept / "config.yaml", b"hidden: 4", b"hidden: 5")
        (of["damaged"] / kept / "manifest.json").write_bytes(b'{"format": 1, ')
    for path in (of["torn"] / "checkpoints").iterdir():
        path.write_bytes(path.read_bytes()[:-8] + b"\xff" * 8)
    import shutil

    shutil.rmtree(of["gone"])
    (store / "linked").symlink_to(of["good"])
    (folder / "empty_store").mkdir()


def change(path: Path, old: bytes, new: bytes) -> None:
    """Put something else where a file says something."""
    data = path.read_bytes()
    assert old in data, path
    path.write_bytes(data.replace(old, new, 1))


def tables(folder: Path) -> None:
    """Write tables, each wrong in its own way."""
    head = "a,b,state"
    good = "\n".join([head, *ROWS]) + "\n"

    def put(name: str, data: str | bytes) -> None:
        (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())

    def row(k: int, text: str, names: str = head) -> str:
        rows = list(ROWS)
        rows[k] = text
        return "\n".join([names, *rows]) + "\n"

    put("good.csv", good)
    put("cell.csv", row(10, "zehn,0.3,on"))
    put("nan.csv", row(10, "nan,0.3,on"))
    put("inf.csv", row(10, "inf,0.3,on"))
    put("one_row.csv", "\n".join([head, ROWS[0]]) + "\n")
    put("only_names.csv", head + "\n")
    put("empty.csv", "")
    put("no_names.csv", "\n".join(ROWS) + "\n")
    put("twice.csv", row(10, ROWS[10], "a,a,state"))
    put("short_row.csv", row(10, "0.1"))
    put("long_row.csv", row(10, "0.1,0.2,on,4"))
    put("mixed.csv", row(10, "0;1,5;on"))
    put("constant.csv", "a,b\n" + "1,2\n" * 80)
    put("constant_end.csv", "a,b\n" + "".join(f"{k},{k % 3}\n" for k in range(60)) + "60,1\n" * 40)
    put("words.csv", "a,b\n" + "x,y\n" * 80)
    put("binary.csv", bytes(range(256)) * 20)
    put("utf16.csv", good.encode("utf-16-le"))
    put("latin.csv", good.replace("state", "zustand\xe4").encode("latin-1"))
    put("dates.csv", "when,a\n" + "".join(f"2026-01-{1 + k // 24:02d} {k % 24:02d}:00,{k % 5}\n" for k in range(200)))
    put("back.csv", "when,a\n" + "".join(f"2026-01-{30 - k // 24:02d} {k % 24:02d}:00,{k % 5}\n" for k in range(200)))
    put(
        "gap.csv",
        "when,a\n"
        + "".join(f"2026-01-{1 + k // 24:02d} {k % 24:02d}:00,{k % 5}\n" for k in range(200) if k not in (50, 51, 52)),
    )
    put(
        "bad_date.csv",
        "when,a\n"
        + "".join(
            f"{'2026-02-31' if k == 50 else f'2026-01-{1 + k // 24:02d}'} {k % 24:02d}:00,{k % 5}\n" for k in range(200)
        ),
    )
    put("bom.csv", b"\xef\xbb\xbf" + good.encode())
    put("semicolons.csv", good.replace(",", ";").replace(".", ","))
    put("two_bom.csv", b"\xef\xbb\xbf\xef\xbb\xbf" + good.encode())
    put("sentinel.csv", "a,b\n" + "".join(f"{-999.9 if k in (9, 30) else k % 7},{k % 5}\n" for k in range(200)))
    put("one_column.csv", "a\n" + "on\noff\n" * 60)
    put("many_labels.csv", "a,id\n" + "".join(f"{k % 7},row{k}\n" for k in range(300)))
    put("not_parquet.parquet", good)
    put("magic.parquet", b"PAR1" + b"x" * 60 + b"PAR1")
    put("short.parquet", b"PAR1")
    put("claims.parquet", b"PAR1" + b"\x00" * 20 + struct.pack("<I", 2**31 - 1) + b"PAR1")
    put("encrypted.parquet", b"PARE" + b"\x00" * 20 + struct.pack("<I", 12) + b"PARE")
    parquet(folder)
    (folder / "is_a_folder.csv").mkdir()
    uncopied(folder)


def uncopied(folder: Path) -> None:
    """Make what no copy of the folder can have: a pipe, and a file that is large by a hole."""
    import os

    os.mkfifo(folder / "pipe.csv")
    with (folder / "huge.csv").open("wb") as file:
        file.write(b"a,b\n1,2\n")
        file.truncate(300 << 20)


def parquet(folder: Path) -> None:
    """Write Parquet files that are damaged, nested, encrypted, or lie about their size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = pa.table({"a": [0.1 * (k % 7) for k in range(80)], "b": [0.3 * (k % 5) for k in range(80)]})
    pq.write_table(plain, folder / "good.parquet")
    whole = (folder / "good.parquet").read_bytes()
    (folder / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (folder / "torn.parquet").write_bytes(whole[:40] + b"\xff" * 200 + whole[240:])
    nested = pa.table({"a": [1.0] * 80, "list": [[1, 2]] * 80, "raw": [b"\x00"] * 80})
    pq.write_table(nested, folder / "nested.parquet")
    pq.write_table(pa.table({"a": pa.array([], pa.float64())}), folder / "none.parquet")
    pq.write_table(pa.table([[1.0] * 9, [2.0] * 9], names=["a", "a"]), folder / "twice.parquet")
    many = pa.table({f"c{k}": pa.nulls(200_000, pa.int8()) for k in range(300)})
    pq.write_table(many, folder / "wide.parquet")
    pq.write_table(pa.table({"a": [None] * 80, "b": [0.5 * k for k in range(80)]}), folder / "nulls.parquet")
    wide = pa.table(
        {"a": [0.1 * (k % 7) if k != 40 else float("inf") for k in range(80)], "b": [1.0 * k for k in range(80)]}
    )
    pq.write_table(wide, folder / "inf.parquet")


def configs(folder: Path) -> None:
    """Write configs and profiles that are wrong, and files that are in the way."""
    texts = {
        "ok.yaml": json.dumps(TINY),
        "empty.yaml": "",
        "list.yaml": "- task: copy\n",
        "scalar.yaml": "copy\n",
        "tab.yaml": "task:\n\tname: copy\n",
        "open.yaml": "task: {name: copy\n",
        "twice.yaml": "seed: 1\ntask: copy\nseed: 2\n",
        "unknown.yaml": "task: copy\nnetwrok: {hidden: 4}\n",
        "deep.yaml": "[" * 3000 + "\n",
        "alias.yaml": "a: &a [x, x]\ntask: *a\n",
        "tag.yaml": "task: !!python/object/apply:os.system ['true']\n",
        "two_documents.yaml": "task: copy\n---\ntask: xor\n",
        "values.yaml": "task: {name: copy, length: -1}\nnetwork: {hidden: many}\ndt: 3\nrule: {name: anp, K: 0}\n",
        "number_key.yaml": "task: copy\n1: 2\n",
        "null_task.yaml": "task:\nseed: 1\n",
        "unit.yaml": "extends: pcm\nmeta: {name: mine}\nconductance: {g_max: 25 mV}\n",
        "no_unit.yaml": "extends: pcm\nmeta: {name: mine}\nconductance: {g_max: 25e-6}\n",
        "law.yaml": "extends: pcm\nmeta: {name: mine}\nread: {law: pcmm}\n",
        "extends_itself.yaml": "extends: extends_itself.yaml\nmeta: {name: mine}\n",
        "extends_none.yaml": "extends: pcmx\nmeta: {name: mine}\n",
        "range.yaml": "extends: pcm\nmeta: {name: mine}\nconductance: {g_min: 30 uS, g_max: 25 uS}\n",
        "status.yaml": "extends: pcm\nmeta: {name: mine}\nconductance: {g_max: {value: 25 uS, status: guessed}}\n",
        "latin.yaml": "",
        "a_file": "in the way\n",
        "queue.yaml": "scheduler: slurmm\n",
        "trace.csv": "t,v\n1,2\n",
        "levels.csv": "time_us,voltage_mV\n" + "".join(f"{k},1\n" for k in range(300)),
        "inputs.csv": "x,y\n1,2\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    (folder / "latin.yaml").write_bytes("task: copy # gr\xfc\xdfe\n".encode("latin-1"))
    (folder / "binary.yaml").write_bytes(bytes(range(256)))
    np.save(folder / "wrong_shape.npy", np.zeros((3, 2, 17)))
    np.save(folder / "nan.npy", np.full((3, 2, 3), np.nan))
    np.save(folder / "objects.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    (folder / "text.npy").write_text("no array")
    (folder / "lab" / "taken").mkdir(parents=True)
    (folder / "copied").mkdir()
    (folder / "copied" / "copy3.yaml").write_text("mine\n")
    (folder / "page.json").write_text("{}")
    (folder / "x.nir").write_bytes(b"no hdf5")
