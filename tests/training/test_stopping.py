"""Requests to end: the first is heard at the next update, a second ends at once, and one that is told twice is one."""

import os
import signal

import pytest

from neuroanp.training import stopping
from neuroanp.training.stopping import AT_ONCE_S, StopRequested


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [100.0]
    monkeypatch.setattr(stopping.time, "monotonic", lambda: now[0])
    return now


def test_a_parents_death_that_is_told_thrice_is_one_request(clock):
    with StopRequested() as stop:
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGTERM)
            clock[0] += AT_ONCE_S / 4
        assert stop.requested
        clock[0] += AT_ONCE_S
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_second_ctrl_c_ends_at_once(clock, number):
    with StopRequested() as stop:
        os.kill(os.getpid(), number)
        assert stop.requested
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
