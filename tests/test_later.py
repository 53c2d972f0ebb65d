"""Numbers that a device knows first: the books are the same whoever looks when."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from neuroanp.later import fetch, number
from neuroanp.substrates.ledger import KINDS, STATED, Ledger

BOOKINGS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(KINDS), st.floats(0, 1e-3)),
        st.tuples(st.just("book_spikes"), st.integers(0, 2**40), st.integers(0, 2**40)),
        st.tuples(st.just("book_conversions"), st.integers(0, 2**40), st.integers(0, 2**40)),
        st.tuples(st.just("book_writes"), st.integers(0, 2**40), st.floats(0, 1e-6), st.integers(0, 2**30)),
        st.just(("look",)),
    ),
    max_size=30,
)


def booked(bookings, told) -> Ledger:
    """Return the books of some bookings; `told` makes what a device would tell of a number."""
    ledger = Ledger(dict.fromkeys(KINDS, STATED), True, 1e6, True)
    for what, *numbers in bookings:
        if what == "look":
            if told is not float:
                ledger.report()
        elif what == "book_spikes":
            ledger.book_spikes(told(numbers[0]), told(numbers[1]))
        elif what == "book_conversions":
            ledger.book_conversions(told(numbers[0]), numbers[1])
        elif what == "book_writes":
            ledger.book_writes(told(numbers[0]), told(numbers[1]), 1e-3, told(numbers[2]))
        else:
            ledger.book_energy(what, told(numbers[0]))
    return ledger


@given(BOOKINGS)
def test_books_of_tensors_are_those_of_numbers_to_the_bit(bookings):
    plain, there = booked(bookings, float), booked(bookings, lambda x: torch.tensor(float(x), dtype=torch.float64))
    for name in ("pulses", "wear", "clipped", "spikes", "events"):
        assert getattr(there, name) == getattr(plain, name)
    assert there.report() == plain.report()
    assert all(torch.equal(a, b) for a, b in zip(there.state_dict().values(), plain.state_dict().values(), strict=True))
    again = Ledger(dict.fromkeys(KINDS, STATED), True, 1e6, True)
    again.load_state_dict(there.state_dict())
    assert again.report() == plain.report()


def test_numbers_are_fetched_by_name_and_known_ones_stay():
    found = fetch({"a": torch.tensor(0.1, dtype=torch.float64), "b": 3, "c": torch.tensor(2.0)})
    assert found == {"a": 0.1, "b": 3, "c": 2.0}
    assert list(found) == ["a", "b", "c"]
    assert isinstance(number(torch.tensor(2)), int)
    assert number(torch.zeros(1, device="meta")).dtype == torch.float64  # pyright: ignore[reportAttributeAccessIssue]
