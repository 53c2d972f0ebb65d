"""Present the stimulus in every reader that is here and compare what it gives with what is expected."""

import importlib.util
import json
import os
import shutil
import sys
import warnings

import numpy as np


def load(name):
    """Return the arrays of an .npz file by name; nothing in it is run."""
    try:
        with np.load(name, allow_pickle=False) as file:
            return {key: file[key] for key in file.files}
    except Exception as error:  # np.load does not say of which file it speaks
        raise ValueError(f"{name}: {error}") from None


def presented():
    """Return the stimulus, by name."""
    return load("stimulus.npz")


def wanted():
    """Return what must come out, by name; of "a", if it is not whole, "a.tolerance" is how far it may be off."""
    return load("expected.npz")


def missing(needs):
    """Return the modules and programs of `needs` that are not here.

    >>> missing(["numpy", "no_such_module"])
    ['no_such_module']
    """
    return [name for name in needs if importlib.util.find_spec(name) is None and shutil.which(name) is None]


def compared(found, expected):
    """Return of each expected array how what was found agrees with it.

    Whole numbers must be equal, others within their tolerance; what is no number agrees with nothing.

    >>> [row] = compared({"spikes": np.array([0, 1])}, {"spikes": np.array([1, 1])})
    >>> row["agrees"], row["said"]
    (False, 'spikes 1 of 2 differ (2 are not 0)')
    """
    return [
        {"array": name, **of_array(name, found.get(name), array, expected.get(f"{name}.tolerance"))}
        for name, array in expected.items()
        if not name.endswith(".tolerance")
    ]


def of_array(name, found, expected, tolerance):
    """Return how one array agrees: in figures, as a sentence, and whether it does."""
    if found is None or np.shape(found) != expected.shape:
        what = "is not given" if found is None else f"has the shape {np.shape(found)}"
        return {"agrees": False, "said": f"{name} {what}, expected {expected.shape}"}
    if expected.dtype.kind in "biu":
        differ = int((found != expected).sum())
        said = f"{name} {differ:,} of {expected.size:,} differ ({int((expected != 0).sum()):,} are not 0)"
        return {"agrees": differ == 0, "differ": differ, "of": expected.size, "said": said}
    if tolerance is None or not np.isfinite(tolerance).all():
        return {"agrees": False, "said": f"{name} has no {name}.tolerance beside it that is a number"}
    largest, allowed = float(np.abs(found - expected).max()), float(tolerance)
    said = f"{name} {largest:.2g} off at most ({allowed:.2g} allowed)"
    return {"agrees": largest <= allowed, "largest": largest, "tolerance": allowed, "said": said}


def asked(run, stimulus, expected):
    """Return whether a reader agrees, what is said of it, and its figures.

    Args:
        run: takes the stimulus and gives arrays by name. expected: those that must come out.
    """
    try:
        rows = compared(run(stimulus), expected)
    except NotImplementedError:
        raise
    except Exception as error:  # whatever the reader says of a damaged file
        return False, fault(error), []
    said = "; ".join(row["said"] for row in rows) or "nothing is expected, so nothing was compared"
    return bool(rows) and all(row["agrees"] for row in rows), said, rows


def fault(error):
    """Return an exception as one line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"


def main(readers, words, stimulus=presented, expected=wanted):
    """Print one line and return the exit code: 0 all agree, 1 one does not, 3 there is no reader.

    Args:
        readers: by name (what it needs, how to get it, run). words: a reader's name, to ask that one alone; --json.
        stimulus, expected: return what is presented and what must come out, by name.
    """
    os.chdir(os.path.dirname(os.path.abspath(__file__)))
    warnings.simplefilter("ignore")  # of readers: one line is to be printed
    named = [word for word in words if word != "--json"]
    if unknown := [word for word in named if word not in readers]:
        print(f"no reader {', '.join(unknown)}; known: {', '.join(readers)}", file=sys.stderr)
        return 2
    results, absent, unable = {}, [], []
    for name in named or readers:
        needs, install, run = readers[name]
        if gone := missing(needs):
            absent.append(f"{name} is not here ({', '.join(gone)} missing); {install}")
            continue
        try:
            given = stimulus(), expected()
        except Exception as error:  # a file is missing or damaged, whoever is to read it
            results = {"files": (False, fault(error), [])}
            break
        try:
            results[name] = asked(run, *given)
        except NotImplementedError as reason:
            unable.append(f"{name} {reason}")
    code = 3 if not results else int(not all(agrees for agrees, _, _ in results.values()))
    line = " | ".join(f"{name}: {said}" for name, (_, said, _) in results.items())
    others = f" | not asked: {'; '.join(unable)}" if unable else ""  # readers that are here, and cannot take this
    if code == 3:
        line = f"NOT CHECKED: {'; or '.join([*absent, *unable])}"
    else:
        line = f"{'FAIL' if code else 'PASS'} {line}{others}"
    rows = {name: rows for name, (_, _, rows) in results.items()}
    whole = {"exit_code": code, "said": line, "readers": rows, "not_asked": [*absent, *unable]}
    print(json.dumps(whole) if "--json" in words else line)
    return code
