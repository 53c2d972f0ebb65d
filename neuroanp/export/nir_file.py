"""Load the nodes of a NIR file from a stranger.

Nothing is loaded before its size is known: links within the file only, datasets of plain numbers whose logical size is
within the limit. HDF5 unpacks no chunk, as its inflate lets one grow without bound, and reads no text of variable
length, as a damaged heap makes it loop for ever: both are done here. Its parser still reads headers and groups.
"""

from __future__ import annotations

import stat
import zlib
from dataclasses import dataclass, field
from itertools import product
from math import prod
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from neuroanp.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

Array = Any  # NDArray[np.float64]
MiB = 1 << 20
MOST_NODES, MOST_EDGES, MOST_CHUNKS, LONGEST_TEXT = 64, 256, 4096, 1 << 16
MOST_IN_HEAP = 1 << 16
DEEPEST = 8
"""Graphs in graphs; nodes and edges count in all of them together."""
UNITS = {
    "LIF": ("tau", "r", "v_leak", "v_threshold"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_threshold"),
    "IF": ("r", "v_threshold"),
    "LI": ("tau", "r", "v_leak"),
}
FIELDS = {
    "Input": (), "Output": (), "Linear": ("weight",), "Affine": ("weight", "bias"), "Scale": ("scale",), **UNITS
}  # fmt: skip
OPTIONAL = {"LIF": {"v_reset": 0.0}, "CubaLIF": {"v_reset": 0.0, "w_in": 1.0}, "IF": {"v_reset": 0.0}}
GRAPH = "NIRGraph"


@dataclass
class Node:
    """One node: its type, the arrays of its fields, and its metadata."""

    kind: str
    fields: dict[str, Array] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)


class Loaded(NamedTuple):
    """A graph without graphs in it: the nodes of one called a are a/..., its edges go to and from its ports.

    Args:
        nodes: by name. edges: (from, to). about: the graph's metadata. notes: what was mended, in sentences.
    """

    nodes: dict[str, Node]
    edges: list[tuple[str, str]]
    about: dict[str, Any]
    notes: list[str]


def load(path: Path, limit: int) -> Loaded:
    """Return nodes, edges and metadata of a graph, those of graphs in it among them.

    Args:
        path: the file. limit: most bytes, of the file and of all arrays together.

    Raises:
        InputError: no such file, not a NIR file, too large, not safe to load, or a node of a type that is not read.
    """
    try:
        import h5py  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise InputError(f"h5py cannot be imported ({error}); pip install 'neuroanp[nir]'") from None
    file_size = size_of(path, limit)
    try:
        with path.open("rb") as raw, h5py.File(path, "r") as file:
            if file.userblock_size or file.id.get_create_plist().get_sizes() != (8, 8):
                raise InputError("an unusual HDF5 file; write it with nir.write")
            root, loader = _child(h5py, file, "node", "/"), _Loader(h5py, limit, file_size, raw)
            nodes, edges = loader.graph(root, "", 0)
            return Loaded(nodes, edges, loader.about(root, "/node"), loader.notes)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.problems) from None
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, OverflowError, MemoryError, zlib.error) as error:
        raise InputError(f"{path}: not a NIR file (HDF5), or damaged: {error}") from None


def size_of(path: Path, limit: int) -> int:
    """Return how many bytes a file has; InputError where it is no regular file, or larger than `limit`."""
    try:
        info = path.stat()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a zero byte
        raise InputError(f"{path}: cannot be read: {error}") from None
    if not stat.S_ISREG(info.st_mode):
        raise InputError(f"{path}: not a file")
    if info.st_size > limit:
        raise InputError(f"{path}: {info.st_size} bytes, at most {limit} are read")
    return info.st_size


def _child(h5py: Any, group: Any, name: str, where: str) -> Any:
    link = group.get(name, getlink=True) if isinstance(group, h5py.Group) else None
    if link is None:
        raise InputError(f"{where}: has no '{name}'; not a NIR graph")
    if not isinstance(link, h5py.HardLink):
        raise InputError(f"{where}: '{name}' is a link ({type(link).__name__}); links are not followed")
    return group[name]


@dataclass
class _Loader:
    h5py: Any
    left: int
    file_size: int
    raw: BinaryIO
    notes: list[str] = field(default_factory=list)
    nodes_left: int = MOST_NODES
    edges_left: int = MOST_EDGES

    def graph(self, root: Any, path: str, depth: int) -> tuple[dict[str, Node], list[tuple[str, str]]]:
        """Return nodes and edges of a graph, and of those in it; `path`: what its names begin with."""
        where = f"node '{path[:-1]}'" if path else "/node"
        kind = self.text(self.child(root, "type"), f"{where}, type")
        if kind != GRAPH:
            raise InputError(f"{where}: is of type {kind!r}; allowed: {GRAPH}")
        if depth > DEEPEST:
            raise InputError(f"{where}: graphs in graphs {depth} deep; at most {DEEPEST} are read")
        group = self.child(root, "nodes")
        names = self.names(group, f"{where}, nodes", self.nodes_left)
        self.nodes_left -= len(names)
        edges = self.mended(names, self.edges(self.child(root, "edges"), where), where)
        nodes: dict[str, Node] = {}
        inner: list[tuple[str, str]] = []
        ports: dict[str, tuple[str, str]] = {}  # of each node: where edges to it end, and those from it begin
        for name in names:
            full, one = f"{path}{name}", self.child(group, name)
            if self.text(self.child(one, "type"), f"node '{full}'") != GRAPH:
                nodes[full], ports[name] = self.node(one, full), (full, full)
                continue
            within, joined = self.graph(one, f"{full}/", depth + 1)
            nodes, inner = {**nodes, **within}, [*inner, *joined]
            ports[name] = _ports(within, full)
        return nodes, [*inner, *((ports[a][1], ports[b][0]) for a, b in edges)]

    def mended(self, names: list[str], edges: list[tuple[str, str]], where: str) -> list[tuple[str, str]]:
        """Return edges between nodes that are there.

        Where one name is of no node, and one node in no edge, the two are the same: writers have given nodes of a
        graph in a graph another name than its edges do.
        """
        named = dict.fromkeys(name for edge in edges for name in edge)
        unknown, unused = [name for name in named if name not in names], [name for name in names if name not in named]
        if len(unknown) == 1 and len(unused) == 1:
            self.notes.append(f"{where}: its edges name '{unknown[0]}', which is taken for its node '{unused[0]}'")
            new = {unknown[0]: unused[0]}
            return [(new.get(a, a), new.get(b, b)) for a, b in edges]
        for a, b in edges:
            for name in (a, b):
                if name in unknown:
                    within = f" in {where}" * (where != "/node")
                    raise InputError(f"edge '{a}' -> '{b}'{within}: there is no node '{name}'")
        return edges

    def child(self, group: Any, name: str) -> Any:
        return _child(self.h5py, group, name, getattr(group, "name", "?"))

    def names(self, group: Any, where: str, most: int) -> list[str]:
        if not isinstance(group, self.h5py.Group):
            raise InputError(f"{where}: not a group")
        if len(group) > most:
            raise InputError(f"{where}: {len(group)} entries; at most {MOST_NODES} are read in all")
        return list(group)

    def node(self, group: Any, name: str) -> Node:
        where = f"node '{name}'"
        kind = self.text(self.child(group, "type"), where)
        if kind not in FIELDS:
            raise InputError(f"{where} is of type {kind!r}; allowed: {', '.join(FIELDS)}, {GRAPH}")
        fields = {key: self.array(self.child(group, key), f"{where}, {key}") for key in FIELDS[kind]}
        for key in OPTIONAL.get(kind, {}):
            if key in group:
                fields[key] = self.array(self.child(group, key), f"{where}, {key}")
        return Node(kind, fields, self.about(group, where))

    def about(self, group: Any, where: str) -> dict[str, Any]:
        """Return metadata: numbers and texts; nothing else is loaded."""
        if "metadata" not in group:
            return {}
        inside, found = self.child(group, "metadata"), {}
        for name in self.names(inside, f"{where}, metadata", MOST_NODES):
            item = self.child(inside, name)
            if isinstance(item, self.h5py.Dataset):
                text = self.h5py.check_string_dtype(item.dtype) is not None
                found[name] = (self.text if text else self.array)(item, f"{where}, metadata {name}")
        return found

    def edges(self, item: Any, where: str) -> list[tuple[str, str]]:
        shape = getattr(item, "shape", None)
        if not isinstance(item, self.h5py.Dataset) or shape is None or len(shape) != 2 or shape[1] != 2:
            raise InputError(f"{where}, edges: not a list of pairs")
        if shape[0] > self.edges_left:
            raise InputError(f"{where}, edges: {shape[0]} edges; at most {MOST_EDGES} are read in all")
        self.edges_left -= shape[0]
        cells = self.texts(item, f"{where}, edges")
        return list(zip(cells[::2], cells[1::2], strict=True))

    def text(self, item: Any, where: str) -> str:
        if not isinstance(item, self.h5py.Dataset) or item.shape != ():
            raise InputError(f"{where}: not a text")
        return self.texts(item, where)[0]

    def texts(self, item: Any, where: str) -> list[str]:
        """Return texts in the order of the dataset: of a fixed length, or kept in heaps (HDF5 format, III.E)."""
        kind, count = self.h5py.check_string_dtype(item.dtype), prod(item.shape)
        if kind is None or (kind.length or 0) > LONGEST_TEXT:
            raise InputError(f"{where}: not a text of at most {LONGEST_TEXT} bytes")
        made, size = self.within_file(item, where), kind.length or 16
        at = item.id.get_offset()
        if made.get_layout() != self.h5py.h5d.CONTIGUOUS or at is None or item.id.get_storage_size() != count * size:
            raise InputError(f"{where}: a text in chunks, or an unusual one; write the file with nir.write")
        cells = [self.bytes_at(at + k * size, size, where) for k in range(count)]
        if kind.length is None:
            cells = [self.in_heap(cell, where) for cell in cells]
        return [cell.rstrip(b"\0").decode("utf8", "replace") for cell in cells]

    def bytes_at(self, at: int, size: int, where: str) -> bytes:
        if at + size > self.file_size or size > LONGEST_TEXT:
            raise InputError(f"{where}: a text lies outside the file, or is over {LONGEST_TEXT} bytes")
        self.raw.seek(at)
        return self.raw.read(size)

    def in_heap(self, cell: bytes, where: str) -> bytes:
        """Return the text that a cell (length, address of a heap, number of an object in it) points to."""
        length, heap, wanted = np.frombuffer(cell, [("n", "<u4"), ("at", "<u8"), ("k", "<u4")])[0].tolist()
        head = self.bytes_at(heap, 16, where)
        at, end = heap + 16, min(heap + int.from_bytes(head[8:], "little"), self.file_size)
        for _ in range(MOST_IN_HEAP if head[:4] == b"GCOL" else 0):
            if at + 16 > end:
                break
            entry = self.bytes_at(at, 16, where)
            number, size = (int.from_bytes(part, "little") for part in (entry[:2], entry[8:]))
            if number == wanted and number and length <= size:
                return self.bytes_at(at + 16, length, where)
            if number == 0:  # the free space at the end
                break
            at += 16 + -(-size // 8) * 8
        raise InputError(f"{where}: a text is missing in its heap; the file is damaged")

    def within_file(self, item: Any, where: str) -> Any:
        """Return how the dataset is stored; refuse what lies in other files or is made of other datasets."""
        made = item.id.get_create_plist()
        if made.get_layout() == self.h5py.h5d.VIRTUAL or made.get_external_count():
            raise InputError(f"{where}: data outside this dataset; such are not read")
        return made

    def array(self, item: Any, where: str) -> Array:
        """Return an array of plain numbers, as float64."""
        h5py = self.h5py
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            raise InputError(f"{where}: not an array")
        dtype, size = item.dtype, prod(item.shape)
        if dtype.kind not in "fiu" or dtype.itemsize > 8 or h5py.h5t.py_create(dtype) != item.id.get_type():
            raise InputError(f"{where}: holds {dtype}; allowed: floats and whole numbers of up to 64 bits")
        if not size:
            raise InputError(f"{where}: is empty")
        stored = size * dtype.itemsize
        self.left -= size * 8
        if self.left < 0 or stored > self.left + size * 8:
            raise InputError(f"{where}: an array of {item.shape} is over the limit on all (limit_bytes)")
        made = self.within_file(item, where)
        if made.get_layout() == h5py.h5d.CHUNKED:
            values = self.unpacked(item, made, where)
        else:
            if item.id.get_storage_size() != stored or (item.id.get_offset() or 0) + stored > self.file_size:
                raise InputError(f"{where}: says {stored} bytes and has {item.id.get_storage_size()}")
            values = item[()]
        values = np.asarray(values, dtype=np.float64)
        if not np.isfinite(values).all():
            raise InputError(f"{where}: has values that are not finite")
        return values

    def unpacked(self, item: Any, made: Any, where: str) -> Array:
        """Read chunk by chunk: HDF5's own inflate lets a chunk grow without bound."""
        h5z = self.h5py.h5z
        filters = [made.get_filter(i)[0] for i in range(made.get_nfilters())]
        known = {h5z.FILTER_DEFLATE: _inflate, h5z.FILTER_SHUFFLE: _unshuffle}
        if unknown := [code for code in filters if code not in known]:
            raise InputError(f"{where}: HDF5 filter {unknown[0]}; allowed: gzip and shuffle, as nir.write does")
        if len(filters) != len(set(filters)):
            raise InputError(f"{where}: packed twice; write the file with nir.write")
        chunk, dtype = item.chunks, item.dtype
        nbytes, counts = prod(chunk) * dtype.itemsize, [-(-n // c) for n, c in zip(item.shape, chunk, strict=True)]
        if prod(counts) > MOST_CHUNKS or prod(counts) * nbytes > 8 * item.size * dtype.itemsize + MiB:
            raise InputError(f"{where}: {prod(counts)} chunks of {nbytes} bytes; write the file with nir.write")
        values = np.empty(item.shape, dtype)
        for at in product(*(range(count) for count in counts)):
            start = tuple(i * c for i, c in zip(at, chunk, strict=True))
            info = item.id.get_chunk_info_by_coord(start)
            if not info.size or info.byte_offset is None or info.byte_offset + info.size > self.file_size:
                raise InputError(f"{where}: a chunk lies outside the file, or is missing")
            mask, raw = item.id.read_direct_chunk(start)
            for k in reversed(range(len(filters))):
                if not mask >> k & 1:
                    raw = known[filters[k]](raw, nbytes, dtype.itemsize)
            if len(raw) != nbytes:
                raise InputError(f"{where}: a chunk has {len(raw)} bytes, and should have {nbytes}")
            part = tuple(slice(s, min(s + c, n)) for s, c, n in zip(start, chunk, item.shape, strict=True))
            block = np.frombuffer(raw, dtype).reshape(chunk)
            values[part] = block[tuple(slice(p.stop - p.start) for p in part)]
        return values


def _ports(nodes: dict[str, Node], graph: str) -> tuple[str, str]:
    """Return the names of the input and the output of a graph in a graph."""
    found = []
    for kind in ("Input", "Output"):
        own = [name for name, node in nodes.items() if node.kind == kind and "/" not in name[len(graph) + 1 :]]
        if len(own) != 1:
            raise InputError(f"node '{graph}': has {len(own)} nodes of type {kind}; a graph in a graph needs one")
        found.append(own[0])
    return found[0], found[1]


def _inflate(raw: bytes, nbytes: int, itemsize: int) -> bytes:
    return zlib.decompressobj().decompress(raw, nbytes + 1)


def _unshuffle(raw: bytes, nbytes: int, itemsize: int) -> bytes:
    if len(raw) % itemsize:
        raise InputError("a chunk has a part of a number")
    return np.frombuffer(raw, np.uint8).reshape(itemsize, -1).T.tobytes()
