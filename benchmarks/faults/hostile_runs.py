"""Hostile run directories and stores: whole by their seals, which anybody can compute, and false in what they say."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.families import ESCAPES, FAMILIES, Family, Place, family
from neuroanp.records import manifest as manifests
from neuroanp.records.copies import FOLDER as COPIES
from neuroanp.records.seal import Seal, of_fields

Change = Callable[[Path, dict[str, Any], Place], None]
"""(run, the fields of its manifest, place): changes files or fields; all is sealed anew afterwards."""
SPOKEN = "<script>alert(1)</script>" + ESCAPES
NONE: list[Any] = [None, [], {}, "x", -1, 10**400, 1e308, True, [[[[1]]]], {"a": {"b": []}}, ESCAPES, [ESCAPES], [None]]


def _made(change: Change, cut: bool | None = None) -> Callable[[Place], Path]:
    def make(place: Place) -> Path:
        source = place.rng.choice([place.base.run, place.base.spiking, place.base.weather, place.base.cut])
        if cut is not None:
            source = place.base.cut if cut else place.base.run
        run = place.folder / source.name
        shutil.copytree(source, run)
        fields = json.loads((run / manifests.NAME).read_bytes())
        change(run, fields, place)
        reseal(run, fields)
        return run

    return make


def reseal(run: Path, fields: dict[str, Any]) -> None:
    """Write a manifest with the seals of what lies there now, as whoever made the files could."""
    seals = fields.get("seals")
    sealed: dict[str, Any] = seals if isinstance(seals, dict) else {}
    for name, value in list(sealed.items()):
        path = run / name
        if isinstance(value, dict) and "/" not in name and path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            sealed[name] = Seal.of(data).plain()
            if (run / COPIES / name).is_file() and not (run / COPIES).is_symlink():
                (run / COPIES / name).write_bytes(data)
    try:
        fields["seal"] = of_fields(fields)
        data = json.dumps(fields).encode()
    except (TypeError, ValueError, RecursionError):
        return
    for path in (run / COPIES / manifests.NAME, run / manifests.NAME):
        if not path.parent.is_symlink() and path.is_file() and not path.is_symlink():
            path.write_bytes(data)


def _fields(run: Path, fields: dict[str, Any], place: Place) -> None:
    for _ in range(place.rng.randrange(1, 4)):
        fields[place.rng.choice(sorted(fields))] = place.rng.choice(NONE)


def _within(run: Path, fields: dict[str, Any], place: Place) -> None:
    """What lies inside a field is something else."""
    inner = [value for value in fields.values() if isinstance(value, dict) and value]
    for _ in range(place.rng.randrange(1, 4)):
        section = place.rng.choice(inner)
        section[place.rng.choice(sorted(section))] = place.rng.choice(NONE)


def _spoken(run: Path, fields: dict[str, Any], place: Place) -> None:
    fields["log"] = [SPOKEN, f"warning: {SPOKEN}", f"diverged {SPOKEN}"]
    fields["argv"] = ["neuroanp", SPOKEN]
    fields["profile"] = {**fields["profile"], "name": SPOKEN}
    fields["status"] = place.rng.choice(["finished", "diverged", "failed", "interrupted"])
    for key in ("started", "code", "commit", "platform", "loss"):
        fields[key] = SPOKEN


def _row(run: Path, fields: dict[str, Any], place: Place) -> None:
    path = run / "result.json"
    if not path.exists():
        return
    row = json.loads(path.read_bytes())
    for _ in range(place.rng.randrange(1, 4)):
        row[place.rng.choice(sorted(row))] = place.rng.choice([*NONE, SPOKEN, "/etc/passwd", -1e-300])
    path.write_text(json.dumps(row))


def _json(run: Path, fields: dict[str, Any], place: Place) -> None:
    path = run / "result.json"
    if not path.exists():
        return
    row = json.loads(path.read_bytes())
    text = json.dumps(row)
    path.write_text(place.rng.choice([
        text[:-1] + ', "test_loss": 0.0}', "[" * 100_000, '{"a":' * 100_000, text.replace(":", ": NaN,", 1),
        "\ufeff" + text,
        text.replace("null", "1" + "0" * 5000, 1), " " * 20_000_000, text.encode("utf-16").decode("latin-1"),
        text + text,
        text[:-1] + ', "\\ud800": 0}', '"x"', "",
    ]))  # fmt: skip


def _seals(run: Path, fields: dict[str, Any], place: Place) -> None:
    """Seals of what lies elsewhere: whoever mends a run may set that aside, or write over it."""
    name = place.rng.choice(
        ["../secret", str(place.secret), "../../x", "copies/../../secret", ".lock", "checkpoints", ""]
    )
    other: Any = place.rng.choice([{"size": 1, "sha256": "0"}, {"size": -1}, None, {"size": 2**70, "sha256": "0" * 64}])
    fields["seals"] = {**fields.get("seals", {}), name: other}


def _config(run: Path, fields: dict[str, Any], place: Place) -> None:
    path = run / "config.yaml"
    text = path.read_text()
    path.write_text(place.rng.choice([
        text + "task: copy\n", "[" * 5000, text.replace("task:",
        f"task: !!python/object/apply:os.system ['touch {place.canary}']\nx:"),
        text.replace("hidden:", "hidden: 999999999 #"), text.replace("seed:", "seed: -1 #"),
        f'profile: "{place.secret}"\n' + text,
        text.replace("name: anp", f'name: "{ESCAPES.encode("unicode_escape").decode()}"'), "", "a: &a [*a]\n", "\0",
        text.replace("batch:", "batch: 1e999 #"),
    ]))  # fmt: skip


def _arrays(run: Path, fields: dict[str, Any], place: Place) -> None:
    """Checkpoints and predictions whose checksum is right and whose header is not, or whose numbers are none."""
    from neuroanp.records.tensors import _digest, _split

    path = place.rng.choice(sorted(run.rglob("*.safetensors")))
    header, data = _split(path.read_bytes())
    names = [name for name in header if name != "__metadata__"]
    entry = header[place.rng.choice(names)] if names else {}
    raw = bytearray(data)
    what = place.rng.randrange(7)
    if what == 0:
        entry["shape"] = place.rng.choice([[2**40], [-1], [], [[1]], "x", None, [0]])
    elif what == 1:
        entry["dtype"] = place.rng.choice(["F16", "BOOL", "C64", "x", None, "U8", "I64"])
    elif what == 2:
        entry["data_offsets"] = place.rng.choice([[0, len(raw)], [0, 2**62], [-8, 0], None, [8, 0]])
    elif what == 3 and len(raw) > 8:
        raw[:8] = struct.pack("<d", float("nan"))
        raw[-8:] = struct.pack("<d", float("inf"))
    elif what == 4 and names:
        header[place.rng.choice([SPOKEN, "x", ""])] = header.pop(place.rng.choice(names))
    elif what == 5:
        header["__metadata__"]["meta"] = place.rng.choice([
            "{}", "[]", "[" * 99_999, json.dumps({"update": 1e308, "identity": fields["identity"]}), '{"update": "x"}',
            json.dumps({"update": int(path.stem) if path.stem.isdigit() else 0, "identity": SPOKEN}),
        ])  # fmt: skip
    else:
        header["__metadata__"]["meta"] = json.dumps(
            {**json.loads(header["__metadata__"]["meta"]), "rng": SPOKEN, "wear": []}
        )
    extra = header["__metadata__"]
    extra.pop("sha256", None)
    try:
        extra["sha256"] = _digest(header, memoryview(raw))
    except (TypeError, ValueError):
        extra["sha256"] = "0" * 64
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + raw)


def _rows(run: Path, fields: dict[str, Any], place: Place) -> None:
    path = run / "metrics.csv"
    text = path.read_text() if path.exists() else "update,train_loss\n1,0.5\n"
    path.write_text(place.rng.choice([
        text.replace("\n", f"\n{SPOKEN.replace(',', '')}\n", 1), text.replace("update", "update\x1b[2J", 1),
        "a" * 5_000_000,
        text.replace(",", ",,", 3), "update,update\n1,1\n", "\0" * 4096, "1,2\n" * 50_000, text.replace("0.", "1e999,",
        2),
        "update,train_loss\n" + "nan,inf\n" * 1000, "update,train_loss\n" + "\u0661,\u0662\n" * 10, "x,y\n1,2\n",
        "\n\n\n",
    ]))  # fmt: skip


def _links(run: Path, fields: dict[str, Any], place: Place) -> None:
    """A file or folder of the run is a link out of it, a pipe, or a device."""
    names = ["manifest.json", "result.json", "config.yaml", "metrics.csv", "checkpoints", "copies",
    "predictions.safetensors",
             ".lock", "report.html", "export", "damaged"]  # fmt: skip
    for name in place.rng.sample(names, 3):
        path = run / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        if place.rng.random() < 0.3:
            os.mkfifo(path)
        else:
            path.symlink_to(place.rng.choice([place.secret, place.secret.parent, "/dev/zero", "/etc/passwd", name]))


def _profile(run: Path, fields: dict[str, Any], place: Place) -> None:
    fields["profile"] = {**fields["profile"], "text": place.rng.choice([
        "[" * 5000, "", f"extends: {place.secret}\n", "meta: {name: ../../x, summary: x, source: x}\nextends: pcm\n",
        SPOKEN,
        f"x: !!python/object/apply:os.system ['touch {place.canary}']\n",
        "extends: pcm\nread: {law: measured, file: /dev/zero}\n",
    ])}  # fmt: skip


CHANGES: dict[str, Change] = {
    "fields of the manifest": _fields, "parts of fields": _within, "escapes and scripts in texts": _spoken,
    "results": _row, "JSON that is none": _json, "seals of other files": _seals, "configurations": _config,
    "checkpoints": _arrays, "metrics": _rows, "links, pipes and devices inside": _links,
    "the profile in the manifest": _profile,
}  # fmt: skip
for _name, _change in CHANGES.items():
    FAMILIES.append(Family("run", _name, _made(_change), None))
for _name in ("seals of other files", "checkpoints", "configurations", "links, pipes and devices inside"):
    FAMILIES.append(Family("run", f"{_name}, to be gone on with", _made(CHANGES[_name], cut=True), None))


@family("store", "records of comparisons", fine=None)
def _comparison(place: Place) -> Path:
    store = place.folder / "store"
    shutil.copytree(place.base.store, store)
    path = next(store.rglob("comparison.json"))
    fields = json.loads(path.read_bytes())
    runs = fields["runs"]
    names: list[Any] = [
        "../../../../etc", str(place.secret.parent), "..", ".", "", "a\0b", 5, None, {}, "x" * 5000,
        f"../{runs[0]}/../{runs[0]}",
        ESCAPES, f"../{place.secret.parent.name}", place.base.run.name + "\n",
    ]  # fmt: skip
    what = place.rng.randrange(3)
    if what == 0:
        fields["runs"] = [*runs, place.rng.choice(names)]
    elif what == 1:
        fields[place.rng.choice(["axes", "for", "failed", "tuning", "argv", "kind"])] = place.rng.choice(NONE)
    else:
        fields["failed"], fields["tuning"] = [[SPOKEN, SPOKEN]], [{"key": SPOKEN}]
    fields["seal"] = of_fields({key: value for key, value in fields.items() if key != "seal"})
    path.write_text(json.dumps(fields))
    return path.parent


def _outside(place: Place) -> Path:
    """Make a whole run of somebody else, whose rule is called as the secret is."""
    run = place.canary.with_name(f"{place.canary.name}-run")
    shutil.copytree(place.base.run, run)
    row, fields = (json.loads((run / name).read_bytes()) for name in ("result.json", manifests.NAME))
    (run / "result.json").write_text(json.dumps({**row, "rule": place.secret.read_text().strip()}))
    reseal(run, fields)
    return run


@family("store", "what lies among runs", fine=None)
def _among(place: Place) -> Path:
    store = place.folder / "store"
    shutil.copytree(place.base.store, store)
    run = place.base.run.name
    os.mkfifo(store / "a-pipe")
    (store / ESCAPES.replace("/", "")).mkdir()
    (store / "loop").symlink_to(store)
    (store / "to-secret").symlink_to(place.secret.parent)
    (store / "to-a-run").symlink_to(_outside(place))
    shutil.copytree(store / run, store / f"z{ESCAPES.replace('/', '')}")
    for name in ("manifest.json", "result.json"):
        folder = store / f"{name}-pipe"
        folder.mkdir()
        os.mkfifo(folder / name)
    (store / "devices").mkdir()
    (store / "devices" / "manifest.json").symlink_to("/dev/zero")
    for n in range(place.rng.choice([10, 300])):
        (store / f"n{n}").mkdir()
        (store / f"n{n}" / "manifest.json").write_text(place.rng.choice(["{", "[]", "{}", '{"format": 2}', "\0"]))
    return store


@family("store", "caches of the listing", fine=None)
def _cache(place: Place) -> Path:
    store = place.folder / "store"
    shutil.copytree(place.base.store, store)
    path = store / ".listing.json"
    what = place.rng.randrange(5)
    if what == 0:
        os.mkfifo(path)
    elif what == 1:
        path.symlink_to(place.secret)
    else:
        path.write_text(
            place.rng.choice(["[" * 100_000, "{}", '{"format": 1, "runs": 5}', "\0", " " * 60_000_000, "[1e999]"])
        )
    return store
