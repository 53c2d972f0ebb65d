"""The full name of an instrument, which tells whether two configurations mean the same one."""

from __future__ import annotations


def full_name(resource: str) -> str:
    """Return the full name of a resource of VISA; any other text as it is.

    VISA takes many spellings for one instrument: what is left out has a default, and case does not matter.

    >>> full_name("TCPIP::bench::INSTR"), full_name("tcpip0::Bench::inst0::INSTR"), full_name("board 7")
    ('tcpip0::bench::inst0::instr', 'tcpip0::bench::inst0::instr', 'board 7')
    """
    try:
        from pyvisa import rname
    except ImportError:  # nothing of VISA is driven without it
        return resource
    try:
        return str(rname.parse_resource_name(resource)).casefold()
    except (ValueError, rname.InvalidResourceName):  # of a driver of one's own
        return resource
