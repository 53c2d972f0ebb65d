"""Read the text of a table that anybody may have saved: any of the common encodings, any end of line."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from neuroanp.errors import InputError
from neuroanp.files import not_utf8, opening, read_regular
from neuroanp.tables import parquet
from neuroanp.yaml_io import display

MAX_BYTES = 256 * 2**20
PACKED = {
    b"\x1f\x8b": "compressed by gzip; unpack it",
    b"\xfd7zXZ\x00": "compressed by xz; unpack it",
    b"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    **{b"BZh%d1AY&SY" % level: "compressed by bzip2; unpack it" for level in range(1, 10)},
    b"PK\x03\x04": "a spreadsheet or a zip archive; save the table as CSV",
    b"\xd0\xcf\x11\xe0": "an old spreadsheet; save the table as CSV",
    b"\x89HDF": "an HDF5 file; save the table as CSV",
    b"PARE": "an encrypted Parquet file; save it without encryption",
}
"""What is no text, by its first bytes."""
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like UTF-16's
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
LATIN = "cp1252"
"""Taken for what is not UTF-8; whether that is safe depends on where its letters stand (`Sheet` looks)."""


@dataclass(frozen=True)
class Source:
    """A text file.

    Args:
        path: the file; label: its name in messages.
        sha256: of its bytes, hexadecimal.
        text: its content, lines ended by one line feed.
        encoding: how it was written.
    """

    path: Path
    label: str
    sha256: str
    text: str
    encoding: str


def read_source(path: str | Path) -> Source:
    """Read a text file: UTF-8, UTF-16 or UTF-32 with a byte order mark, or Windows-1252; or a Parquet file, as CSV.

    Raises:
        InputError: it is missing, a folder, no regular file, cannot be opened, is larger than
            256 MiB, or holds bytes that are no text.
    """
    path = Path(path)
    label = display(path)
    raw = _content(path, label)
    digest = sha256(raw).hexdigest()
    text, encoding = (parquet.text_of(raw, label), "Parquet") if raw.startswith(parquet.MAGIC) else decoded(raw, label)
    if "\0" in text:
        hint = "UTF-16 without a byte order mark" if text.count("\0") > len(text) // 3 else "binary data"
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError(f"{label}:{line}: zero bytes: {hint}; save the table as CSV in UTF-8")
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return Source(path, label, digest, text, encoding)


def decoded(raw: bytes, label: str) -> tuple[str, str]:
    """Return bytes as text, and the encoding they were in; InputError names the line that is no text."""
    for mark, encoding in BOMS:
        if raw.startswith(mark):
            try:
                return raw[len(mark) :].decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise not_utf8(raw, error.start + len(mark), label) from None
    try:
        return raw.decode("utf-8"), "utf-8"
    except UnicodeDecodeError as error:
        try:
            return raw.decode(LATIN), LATIN
        except UnicodeDecodeError:
            raise not_utf8(raw, error.start, label) from None


def _content(path: Path, label: str) -> bytes:
    with opening(label, "a folder; give the path of a CSV file", f"no such file (looked in {path.absolute().parent})"):
        raw = read_regular(path, MAX_BYTES, "name a CSV file", label)
    if len(raw) > MAX_BYTES:
        raise InputError(f"{label}: more than the {MAX_BYTES >> 20} MiB allowed; cut it")
    for start, said in PACKED.items():
        if raw.startswith(start):
            raise InputError(f"{label}: {said}")
    return raw
