"""Say in sentences what was found of a device: the verdicts, what they rest on, what training took, what is missing."""

from __future__ import annotations

from neuroanp.assessing.asked import IDEAL, few
from neuroanp.assessing.found import Found, Needed, Trained, number
from neuroanp.assessing.rests import sentences as rests_on
from neuroanp.assessing.verdict import AS_IDEAL, LEARNS, NOT, OPEN, Held
from neuroanp.reporting.method import Method
from neuroanp.reporting.origins import ENERGY, TIME, WEAR
from neuroanp.reporting.ranking import ranking
from neuroanp.reporting.tables import SHOWN, verdicts
from neuroanp.reporting.values import digits, middle, quantity
from neuroanp.requiring.words import missing

NO_RESULT = "has no result"
DOES_NOT_DESCRIBE = "The fit does not describe its data"


def sentences(found: Found) -> list[str]:
    """Return what was found, the verdicts first."""
    told = [*doubts(found), headline(found)]
    for one, need in zip(found.trained, found.needed, strict=True):
        told += [f"{one.name}: {line}" for line in (*of_task(one), *required(need))]
    return told + rests_on(found.profile, found.measured.doubts)


def doubts(found: Found) -> list[str]:
    """Say that the fit does not describe its data, where that is so: then nothing here is of what was measured."""
    if not found.measured.doubts:
        return []
    said = "; ".join(found.measured.doubts)
    return [f"{DOES_NOT_DESCRIBE} ({said}): no verdict here is one of the device that was measured."]


def headline(found: Found) -> str:
    """Say of all tasks what the device does with them, and how many seeds could tell.

    A task's word is that of `verdict`.
    """
    by_word = {
        word: [one.name for one in found.trained if word_of(one) == word]
        for word in (AS_IDEAL, LEARNS, NOT, OPEN, NO_RESULT)
    }
    said = [f"{word} ({', '.join(names)})" for word, names in by_word.items() if names]
    short = few(len(found.asked.seeds))
    return f"{found.measured.name}: {'; '.join(said)}." + (f" {short[0].upper()}{short[1:]}." if short else "")


def word_of(one: Trained) -> str:
    """Return the word of a task's verdict."""
    return NO_RESULT if one.verdict is None else one.verdict.word


def of_task(one: Trained) -> list[str]:
    """Say what a task's verdict rests on, what separates the device from the ideal one, and what training took."""
    own, found = one.of_profile(one.device), one.verdict
    failed = [f"{label} failed: {error}." for label, error in one.failed]
    if own is None or found is None:
        return [f"{one.device} {NO_RESULT}.", *failed]
    does = f"{one.device} {found.word}." if found.word != OPEN else f"Whether {one.device} learns {OPEN}: {found.why}."
    held = "; ".join(each.text for each in found.held)
    told = [f"{does} {held[:1].upper()}{held[1:]}." if held else does]
    if found.ideal is not None and one.device != IDEAL:
        told.append(beside_ideal(own, one.of_profile(IDEAL), found.ideal))
    noise_free = own.values("test_loss_noise_free")
    if found.word != AS_IDEAL and noise_free and middle(noise_free) < 0.5 * middle(own.values("test_loss")):
        told.append(f"Without the device's noise the same weights have a loss of {number(noise_free)}.")
    short = [line for line in verdicts([own]) if not line.startswith(SHOWN)]
    return [*told, *short, took(own), *ranking(one.group), *failed]


def beside_ideal(own: Method, ideal: Method | None, held: Held) -> str:
    """Say how far a device is from the ideal one, and whether the seeds tell the two apart."""
    mine = own.values("test_loss")
    theirs = [] if ideal is None else ideal.values("test_loss")
    if not mine or not theirs:
        return "No run on it finished that could be held to the ideal device's."
    lower = f"the ideal device is below it in {held.below} of {len(held.losses)} seeds"
    tells = "which tells the two apart" if held.told is not None else "which does not tell the two apart"
    return f"Test loss {number(mine)} beside {number(theirs)} on {IDEAL}; {lower}, {tells}."


def took(own: Method) -> str:
    """Say what training took of the chip, with the marks of what that rests on; what is not stated is said."""
    parts = []
    for key, name, unit in ((ENERGY, "energy", "J"), (TIME, "chip time", "s"), (WEAR, "share of the endurance", "")):
        values = own.values(key)
        if not values:
            parts.append(f"{name} not stated")
            continue
        amount = quantity(middle(values), unit) if unit else digits(middle(values))
        parts.append(f"{name} {amount}{own.origins.marks(key)}")
    return f"Training took: {', '.join(parts)}."


def required(need: Needed) -> list[str]:
    """Say what the device must reach for a task, or why that was not looked for."""
    if need.found is not None:
        return missing(need.found)
    if need.target is None:
        return [f"No requirements: {need.why}."]
    if need.why == "met":
        return [f"It meets {need.target.text}."]
    return [f"No requirements for {need.target.text}: {need.why}."]
