"""Hostile configurations and profiles: bombs of aliases, depth and equations, tags, names that act on a terminal."""

from __future__ import annotations

from benchmarks.faults.families import ESCAPES, Place, instead, texts

XOR = "task: xor\nbackend: {backend}\nnetwork: {{hidden: 4}}\ntraining: {{updates: 1, batch: 2, controls: false}}\n"


def _tag(place: Place) -> str:
    call = place.rng.choice(["os.system", "subprocess.Popen", "builtins.eval", "builtins.exec", "pathlib.Path.touch"])
    kind = place.rng.choice(["object/apply", "object/new", "object", "name", "module"])
    return f"{place.rng.choice(['task', 'meta', 'x'])}: !!python/{kind}:{call} ['touch {place.canary}']\n"


def _aliases(place: Place) -> str:
    width, depth = place.rng.randrange(5, 12), place.rng.randrange(6, 15)
    lines = ["a0: &a0 [x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * width)}]" for n in range(1, depth)]
    return "\n".join(lines) + "\n"


def _deep(place: Place) -> str:
    depth = place.rng.choice([40, 1000, 60_000])
    return place.rng.choice([
        "task: " + "[" * depth, "task: " + "{a: " * (depth // 4), "task:\n" + "".join(f"{' ' * n}a:\n" for n in range(
            1, min(depth, 600))), "? " * depth, "- " * depth, "task: " + "[" * depth + "]" * depth,
    ])  # fmt: skip


def _equations(place: Place) -> str:
    power = place.rng.choice([9, 20, 60, 400, 99999])
    lines = [f"x0 = (v+I+z+Iext)**{power} : 1"]
    lines += [f"x{n} = (x{n - 1}+v+{n})**{power} : 1" for n in range(1, place.rng.randrange(1, 5))]
    return _neuron(place, "\n    ".join([*lines, f"dw/dt = -x{len(lines) - 1}/ms : 1"]))


def _code(place: Place) -> str:
    touch = f"open('{place.canary}','w')"
    text = place.rng.choice([
        f"__import__('os').system('touch {place.canary}')", f"(lambda: {touch})()", f"exec(\"{touch}\")", touch,
        f"[x for x in (1,) if {touch}]", f"v.__class__.__base__.__subclasses__()[0]({touch})", "v if v else I",
        f"f'{{{touch}}}'", "(v := 1)", f"system('touch {place.canary}')", "'%n'*v", "`v`", "v; import os",
    ])  # fmt: skip
    return _neuron(place, f"dw/dt = ({text})/ms : 1")


def _neuron(place: Place, line: str) -> str:
    return (
        XOR.format(backend="spiking")
        + f"""neuron:
  name: equations
  model: |
    dv/dt = (-v + I + Iext)/tau_m : 1 (unless refractory)
    dI/dt = -I/(5*ms) : 1
    dz/dt = -z/tau_r : 1
    Iext : 1
    {line}
  threshold: v > 1
  reset: v = 0; z += 1
  refractory: 2 ms
  tau_m: 20 ms
  method: {place.rng.choice(["exponential_euler", "exact", "euler", "rk4"])}
"""
    )


def _sizes(place: Place) -> str:
    most = place.rng.choice(["999999999", "99999999999999999999", "1e18", "9" * 5000, "0x7fffffffffffffff", "2e9"])
    key = place.rng.choice(["network.hidden", "training.batch", "training.updates", "rule.K", "task.length"])
    section, name = key.split(".")
    extra = "  name: copy\n" if section == "task" else "  name: anp\n" if section == "rule" else ""
    task = "" if section == "task" else "task: copy\n"
    return f"{task}{section}:\n{extra}  {name}: {most}\n"


def _numbers(place: Place) -> str:
    value = place.rng.choice([
        ".nan", "-.inf", "1e999", "-0.0e999", "\u0661\u0662", "\uff11\uff12", "1_000", "12:30:45", "0b11", "'4'",
        "1+2j", "-1", "0x", "[1]", "{a: 1}", "!!float 'x'", "!!int '1_0'", "\u00b2",
    ])  # fmt: skip
    return f"task: copy\noptimizer: {{lr: {value}}}\n"


def _names(place: Place) -> str:
    spoken = '"' + "".join(f"\\u{ord(c):04x}" for c in ESCAPES) + '"'
    return place.rng.choice([
        f"{spoken}: 1\ntask: copy\n", f"task: {spoken}\n", f"task: copy\nrule: {{name: {spoken}}}\n",
        f"task: {{name: copy, {spoken}: 2}}\n", f"task: copy\nprofile: {spoken}\n",
        f"task: copy\nnetwork: {{weights: {spoken}}}\n", f"task: {{name: weather, path: {spoken}, target: x}}\n",
    ])  # fmt: skip


def _paths(place: Place) -> str:
    secret = place.secret
    return place.rng.choice([
        f"task: copy\nprofile: {secret}\n", f"task: copy\nnetwork: {{weights: {secret}}}\n",
        f"task: {{name: weather, path: {secret}, target: x}}\n", "task: copy\nprofile: /dev/zero\n",
        "task: {name: weather, path: /dev/random, target: x}\n", "task: copy\nnetwork: {weights: /proc/self/mem}\n",
        "task: {name: mnist, path: /dev}\n", "task: copy\nprofile: ../../../../../../etc/passwd\n",
    ])  # fmt: skip


def _encoding(place: Place) -> bytes:
    text = "task: copy\nnetwork: {hidden: 4}\n"
    return place.rng.choice([
        text.encode("utf-16"), text.encode("utf-32"), b"\xef\xbb\xbf" + text.encode(), text.encode() + b"\0",
        text.replace("copy", "c\0py").encode(), text.encode() + b"\xff", text.encode() + b"\xed\xa0\x80",
        b"%YAML 9.9\n---\n" + text.encode(), text.encode() + b"---\n" + text.encode(), b"\x1f\x8b" + text.encode(),
    ])  # fmt: skip


def _lines(place: Place) -> str:
    long = "x" * place.rng.choice([200_000, 300_000, 5_000_000])
    return place.rng.choice([f"task: {long}\n", f"{long}: 1\n", f"task: copy\n# {long}\n{long}", "a: 1\n" * 60_000])


def _merge(place: Place) -> str:
    return place.rng.choice([
        "base: &b {hidden: 4}\ntask: copy\nnetwork: {<<: *b}\n", "task: copy\ntask: xor\n", "? [a, b]\n: 1\n",
        "<<: {task: copy}\n", "task: copy\nnetwork: {hidden: 4, hidden: 400}\n", "task: &t [*t]\n", "&a *a : 1\n",
        "task: copy\n!!str network: {!!int '3': 4}\n", "task: !!binary aGVsbG8=\n", "task: !!set {a, b}\n",
        "task: !!timestamp 2020-01-01\n", "task: copy\nnetwork: !!omap [hidden: 4]\n", "1: 2\n", "null: 2\n",
    ])  # fmt: skip


instead("config", ".yaml")
texts("config", ".yaml", {
    "tags that call Python": _tag, "aliases that multiply": _aliases, "depth": _deep,
    "merge and duplicate keys": _merge,
    "escapes in names and values": _names, "encodings, NUL, BOM": _encoding, "long lines": _lines,
    "huge sizes": _sizes, "numbers that are none": _numbers, "code in equations": _code,
    "paths to what is no such file": _paths,
})  # fmt: skip
texts("config", ".yaml", {"powers in equations that multiply out": _equations}, fine=None)


# ---- profiles ----

PROFILE = """extends: pcm
meta: {{name: {name}, summary: x, source: x}}
{more}
"""


def _profile(more: str, name: str = "mine") -> str:
    return PROFILE.format(name=name, more=more)


def _values(place: Place) -> str:
    value = place.rng.choice([
        "nan S", "inf S", "-1 uS", "1e999 S", "\u0661\u0660 uS", "\uff11 uS", "1_0 uS", "1 uS uS", "25", "5 bananas",
        "'1e400 uS'", "0x10 uS", ".nan", "[1 uS]", "'1 uS\\n'", "1 uS # \0", "'" + "9" * 400 + " uS'", "1e-400 S",
        "2**99 uS", "__import__('os') uS", "1 uS**999999999", "1 m/" + "(" * 200, "1 " + "u" * 10_000,
    ])  # fmt: skip
    return _profile(f"conductance: {{g_max: {value}}}")


def _files(place: Place) -> str:
    path = place.rng.choice([
        "/dev/zero", str(place.secret), "../" * 30 + "etc/passwd", "/proc/self/environ", "x.csv\\0y", ".", "",
        "a\\u202eb.csv", "/dev/stdin", "x.npz", "x" * 5000,
    ])  # fmt: skip
    kind = place.rng.choice(["programming", "read", "stochastic"])
    return _profile(f'{kind}: {{law: measured, file: "{path}"}}')


def _bases(place: Place) -> str:
    return place.rng.choice([
        "extends: hostile.yaml\n", f"extends: {place.secret}\n", "extends: [pcm, pcm]\n", "extends: ../hostile.yaml\n",
        "extends: /dev/zero\n", 'extends: "pcm\\u001b[31m"\n', "extends: {extends: pcm}\n",
        "extends: pcm\nextends: ideal\n",
    ])  # fmt: skip


def _spoken(place: Place) -> str:
    spoken = '"' + "".join(f"\\u{ord(c):04x}" for c in ESCAPES) + '"'
    return place.rng.choice([
        _profile("", spoken), f"extends: pcm\nmeta: {{name: mine, summary: {spoken}, source: {spoken}}}\n",
        f"extends: pcm\nmeta: {{name: mine, summary: x, source: x, doi: {spoken}}}\n",
        _profile(f"{spoken}: {{a: 1}}"), _profile(f"conductance: {{{spoken}: 1 uS}}"),
        _profile(f"read: {{law: {spoken}}}"), _profile(f"conductance: {{g_max: {{value: 25 uS, source: {spoken}}}}}"),
    ])  # fmt: skip


def _names_of_profiles(place: Place) -> str:
    return _profile("", place.rng.choice(["../../x", "/etc/x", "a/b", '"x\\0"', '""', "x" * 5000, "[a]", "'<script>'"]))


instead("profile", ".yaml")
texts("profile", ".yaml", {
    "tags that call Python": _tag, "aliases that multiply": _aliases, "depth": _deep,
    "quantities that are none": _values, "files of laws that are none": _files, "bases that are none": _bases,
    "encodings, NUL, BOM": _encoding, "long lines": _lines,
})  # fmt: skip
texts(
    "profile", ".yaml", {"escapes in names and values": _spoken, "names that are paths": _names_of_profiles}, fine=None
)
