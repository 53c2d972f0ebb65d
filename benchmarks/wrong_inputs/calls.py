"""Wrong calls from Python: words that are none, wrong types, runs and files that are none."""

# pyright: reportArgumentType=false, reportCallIssue=false, reportIndexIssue=false
# Wrong types are what is tried here.

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import neuroanp as na
from benchmarks.wrong_inputs.case import Case
from benchmarks.wrong_inputs.commands import without
from benchmarks.wrong_inputs.going_on import run_of, trained
from benchmarks.wrong_inputs.memory import X
from benchmarks.wrong_inputs.place import QUIET, TINY


def _call(what: str, call: Callable[[], object], *said: str) -> Case:
    return Case("calls", what, call, said)


CASES = [
    _call("na.train(tsk=)", lambda: na.train(tsk="copy", **QUIET), "1 keyword is unknown"),
    _call(
        "na.train(profil=, ruel=)",
        lambda: na.train(task="copy", profil="pcm", ruel="anp", **QUIET),
        "2 keywords are unknown",
    ),
    _call(
        "na.train(3)", lambda: na.train(3, **QUIET), "source: 3 (int) is no configuration; pass a YAML file's path, its"
    ),
    _call("na.train('')", lambda: na.train("", **QUIET), "source: is empty; name a file or a directory"),
    _call(
        "na.train([])",
        lambda: na.train([], **QUIET),
        "source: [] (list) is no configuration; pass a YAML file's path, its",
    ),
    _call(
        "na.train(task=3)",
        lambda: na.train(task=3, **QUIET),
        "task=3: task: 3 is not a section; write 'name: ...' and its keys below",
    ),
    _call(
        "na.train(task=X)",
        lambda: na.train(task=X, **QUIET),
        "task=[[[0.2739233746429086, -0.4604265724722594],",
        "a section; write 'name: ...' and its keys below",
    ),
    _call(
        "na.train(task=None)",
        lambda: na.train(task=None, **QUIET),
        "no task; name one with --task or 'task:' in a file",
    ),
    _call(
        "na.train(task={})",
        lambda: na.train(task={}, **QUIET),
        "task={}: task.name: required key is missing: it picks the task",
    ),
    _call(
        "na.train(rule=print)",
        lambda: na.train(task="copy", rule=print, **QUIET),
        "rule: <built-in function print> (builtin_function_or_method) cannot",
        "a text, a path, a list or a mapping of these",
    ),
    _call(
        "na.train(profile=3)",
        lambda: na.train(task="copy", profile=3, **QUIET),
        "profile: 3 (int) is no profile; pass a name, a YAML file's path, or a loaded profile",
    ),
    _call(
        "na.train(seed='a')",
        lambda: trained(seed="a"),
        "configuration has 1 problem seed=a: seed: 'a' is not a whole number",
    ),
    _call(
        "na.train(seed=True)",
        lambda: trained(seed=True),
        "configuration has 1 problem seed=true: seed: True is not a whole number",
    ),
    _call(
        "na.train(seed=nan)",
        lambda: trained(seed=float("nan")),
        "configuration has 1 problem seed=nan: seed: nan is not a whole number",
    ),
    _call(
        "na.train(updates=-1)",
        lambda: trained(updates=-1),
        "configuration has 1 problem training.updates=-1: training.updates: -1 must be at least 0",
    ),
    _call(
        "na.train(updates=2.5)",
        lambda: trained(updates=2.5),
        "configuration has 1 problem training.updates=2.5: training.updates: 2.5 is not a whole number",
    ),
    _call(
        "na.train(overrides=[...])",
        lambda: trained(overrides=["a=b"]),
        "overrides: ['a=b'] (list) is not a mapping; pass e.g. {'training.batch': 16}",
    ),
    _call(
        "na.train(overrides={3: 4})",
        lambda: trained(overrides={3: 4}),
        "overrides: 3 (int) is no key; keys are words, such as 'training.batch'",
    ),
    _call(
        "na.train(overrides=a set)",
        lambda: trained(overrides={"rule.K": {1, 2}}),
        "configuration has 1 problem --set rule.K=[1, 2]: rule.K: [1, 2] is not a whole number",
    ),
    _call(
        "na.train(progress=3)",
        lambda: trained(progress=3),
        "progress: 3 (int) cannot be called; pass a function of one event, or False for no bars and no notes",
    ),
    _call("na.train(report='no')", lambda: trained(report="no"), "report: 'no' (str) is neither True nor False"),
    _call("na.train(force=1)", lambda: trained(force=1), "force: 1 (int) is neither True nor False"),
    _call(
        "na.train(runs=3)", lambda: na.train(TINY, runs=3, **QUIET), "runs: 3 is no path; pass text or a pathlib.Path"
    ),
    _call("na.train(workers=0)", lambda: trained(workers=0), "workers: 0 (int) is not a whole number of at least 1"),
    _call(
        "na.train(workers='all')",
        lambda: trained(workers="all"),
        "workers: 'all' (str) is not a whole number of at least 1",
    ),
    _call("na.train(argv=3)", lambda: trained(argv=3), "argv: 3 (int) is not a name, or a list of names"),
    _call(
        "na.train(network=[4])",
        lambda: trained(network=[4]),
        "configuration has 1 problem network=[4]: network: [4] is not a",
    ),
    _call("na.train(hidden=4)", lambda: trained(hidden=4), "1 keyword is unknown"),
    _call("na.train(lr=1)", lambda: trained(lr=1), "1 keyword is unknown"),
    _call(
        "na.compare(seeds=-1)",
        lambda: na.compare(TINY, seeds=-1, **QUIET),
        "seeds: -1 (int) is not a whole number from 1 to 9,223,372,036,854,775,807",
    ),
    _call(
        "na.compare(seeds=1.5)",
        lambda: na.compare(TINY, seeds=1.5, **QUIET),
        "seeds: 1.5 (float) is not a whole number from 1 to 9,223,372,036,854,775,807",
    ),
    _call(
        "na.compare(seeds=[])",
        lambda: na.compare(TINY, seeds=[], **QUIET),
        "seeds: nothing is in it; name at least one, or leave it out",
    ),
    _call(
        "na.compare(profiles=[])",
        lambda: na.compare(TINY, profiles=[], **QUIET),
        "profiles: nothing is in it; name at least one, or leave it out",
    ),
    _call(
        "na.compare(profiles=3)",
        lambda: na.compare(TINY, profiles=3, **QUIET),
        "profiles: 3 (int) is not a name, or a list of names",
    ),
    _call(
        "na.compare(axes=[...])",
        lambda: na.compare(TINY, axes=["rule.K"], **QUIET),
        "--axis: ['rule.K'] is not a mapping; pass e.g. {'network.hidden': [100, 200]}",
    ),
    _call(
        "na.compare(axes of nothing)",
        lambda: na.compare(TINY, axes={"rule.K": []}, **QUIET),
        "--axis rule.K: nothing is in it; name at least one value",
    ),
    _call("na.evaluate(None)", lambda: na.evaluate(None), "run: None is no path; pass text or a pathlib.Path"),
    _call(
        "na.evaluate(after=3)", lambda: na.evaluate(run_of("good"), after=3), "after: '3' has no unit; write e.g. '3 h'"
    ),
    _call(
        "na.evaluate(after='3 mV')",
        lambda: na.evaluate(run_of("good"), after="3 mV"),
        "--after: '3 mV' is not a time; write e.g. '1 h'",
    ),
    _call(
        "na.export(format)",
        lambda: na.export(run_of("good"), "nirr", "out"),
        "unknown export format 'nirr'; did you mean 'nir'?",
    ),
    _call(
        "na.export(a network it cannot hold)",
        lambda: na.export(run_of("good"), "loihi", "out"),
        "neuroanp train --adapt RUN --target loihi backend: tanh",
        "--backend spiking, or export to onnx or crossbar",
    ),
    _call(
        "run.export onto a file",
        lambda: na.load_run(run_of("good")).export("onnx", "a_file"),
        "a_file: is there already, and is no directory; give another place with -o",
    ),
    _call(
        "na.report([])",
        lambda: na.report([]),
        "paths: empty; name a run that `neuroanp train` made, or the folder of several",
    ),
    _call("na.report(3)", lambda: na.report(3), "paths: 3 is no run; pass runs, their directories, or a store"),
    _call(
        "na.report(onto a folder)",
        lambda: na.report([run_of("good")], "lab"),
        "lab: a folder is there, no file; name a file, e.g. lab/page.html",
    ),
    _call("na.characterize('pmc')", lambda: na.characterize("pmc"), "unknown profile 'pmc'; did you mean 'pcm'?"),
    _call(
        "na.characterize(devices='many')",
        lambda: na.characterize("pcm", devices="many"),
        "devices: 'many' (str) is not a whole number from 2 to 1,000,000",
    ),
    _call("na.configure('ok.yaml', tsk=)", lambda: na.configure("ok.yaml", tsk="copy"), "1 keyword is unknown"),
    _call(
        "na.configure(source twice)",
        lambda: na.configure("ok.yaml", {"rule": 3}),
        "ok.yaml has 1 problem --set rule=3: rule: 3 is not a section; write 'name: ...' and its keys below",
    ),
    _call(
        "na.estimate(3)", lambda: na.estimate(3), "source: 3 (int) is no configuration; pass a YAML file's path, its"
    ),
    _call(
        "na.runs('a_file')",
        lambda: na.runs("a_file"),
        "a_file: a file, not a directory; name a store, such as the folder given with --runs",
    ),
    _call(
        "na.runs('nothing')",
        lambda: na.runs("nothing"),
        "nothing: no such directory; name a store, such as the folder given with --runs",
    ),
    _call(
        "run.predict(words)",
        lambda: na.load_run(run_of("good")).predict([["a"]]),
        "inputs: words are no real numbers; give an array (T, B, I) of them",
    ),
    _call(
        "run.predict(wrong width)",
        lambda: na.load_run(run_of("good")).predict(np.zeros((3, 2, 17))),
        "inputs: shape (3, 2, 17) cannot be presented; give (T, B, 3): steps,",
        "inputs: 17 values a step, the network takes 3",
    ),
    _call(
        "run.predict(NaN)",
        lambda: na.load_run(run_of("good")).predict(np.full((3, 2, 3), np.nan)),
        "inputs: shape (3, 2, 3) cannot be presented; give (T, B, 3): steps,",
        "18 numbers are not finite, the first at [0, 0, 0]",
    ),
    _call(
        "run.predict(complex)",
        lambda: na.load_run(run_of("good")).predict(np.full((3, 2, 3), 1j)),
        "inputs: complex numbers are no real numbers; give an array (T, B, I) of them",
    ),
    _call(
        "run.predict(noise='no')",
        lambda: na.load_run(run_of("good")).predict(np.zeros((3, 2, 3)), "no"),
        "noise: 'no' is neither True nor False",
    ),
    _call(
        "run.forward(None)",
        lambda: na.load_run(run_of("good")).forward(None),
        "inputs: None is no table of numbers; give an array (T, B, I)",
    ),
    _call(
        "run.forward(empty)",
        lambda: na.load_run(run_of("good")).forward(np.zeros((0, 2, 3))),
        "inputs: shape (0, 2, 3) cannot be presented; give (T, B, 3): steps,",
        "or no sequence in it; give at least one of each",
    ),
    _call(
        "run.weights('as_held')",
        lambda: na.load_run(run_of("good")).weights("as_held"),
        "as_held: 'as_held' is neither True nor False",
    ),
    _call("run.metrics['loss']", lambda: na.load_run(run_of("good")).metrics["loss"], "metrics: no column 'loss'"),
    Case(
        "calls",
        "to_dataframe without pandas",
        lambda: na.load_run(run_of("good")).to_dataframe(),
        ("pip install",),
        within=lambda: without("pandas"),
    ),
    _call(
        "na.live(every=0)",
        lambda: na.live(run_of("good"), "1 d", every=0),
        "--every: '0' has no unit; write e.g. '1 h'",
    ),
    _call("na.diagnose('nothing')", lambda: na.diagnose("nothing"), "nothing: no such file"),
    _call(
        "na.diagnose(draws=0)",
        lambda: na.diagnose(run_of("good"), draws=0),
        "draws: 0 (int) is not a whole number of at least 1",
    ),
    _call("na.diagnose(K=[])", lambda: na.diagnose(run_of("good"), K=[]), "--K: nothing is in it; name one at least"),
    _call(
        "na.requirements(target='low')",
        lambda: na.requirements(TINY, target="low"),
        "--target: 'low' is no target; write METRIC < NUMBER, or <=, >, >=, e.g. 'test_loss < 0.01'",
    ),
    _call(
        "na.transfer(fine_tune=-1)",
        lambda: na.transfer(TINY, profiles="pcm", fine_tune=-1),
        "fine_tune: -1 (int) is not a whole number of at least 1",
    ),
    _call(
        "na.assess(nothing)",
        lambda: na.assess("nothing.csv", tasks="copy"),
        "nothing.csv: no such file",
    ),
    _call("na.reproduce('x')", lambda: na.reproduce("x"), "'x': 'paper' is all that can be reproduced"),
    _call("na.run_facts(3)", lambda: na.run_facts(3), "run: 3 is no path; pass text or a pathlib.Path"),
    _call(
        "na.check_export('lab')",
        lambda: na.check_export("lab"),
        "lab: holds no report.json, so it is no export; name one that neuroanp export wrote",
    ),
]
