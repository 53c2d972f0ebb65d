"""What lies between the units of a NIR graph: how many numbers pass, what linear nodes do with them, in which order.

Linear, Affine and Scale are matrices; inputs and outputs of graphs in graphs pass on what they get. So a unit gets the
sum of some matrices times what units and the input give, and a constant.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from neuroanp.errors import InputError
from neuroanp.export.nir_file import OPTIONAL, Node

Array = Any  # NDArray[np.float64]
SPIKING = ("LIF", "CubaLIF", "IF")
MATRICES = ("Linear", "Affine")
MOST_PRODUCTS = 10**11
"""Multiplications that linear nodes one after the other may take."""


@dataclass(frozen=True)
class Feed:
    """What reaches a node: the sum of matrices times what sources give, and a constant.

    Args:
        parts: (post, pre) by source; None is what the source gives itself. constant: (post,).
    """

    parts: dict[str, Array | None]
    constant: Array

    def matrix(self, source: str) -> Array | None:
        """Return the matrix of a source; None where it does not reach."""
        if source not in self.parts:
            return None
        W = self.parts[source]
        return np.eye(len(self.constant)) if W is None else W


@dataclass
class Walk:
    """A graph, and what its nodes get.

    Args:
        nodes: by name. edges: (from, to).
        source, sink: names of the input and the output of the whole graph.
        sizes: how many numbers each node gives.
        before: what edges come from, by node.
        limit: most numbers of all matrices that are made.
    """

    nodes: Mapping[str, Node]
    edges: Sequence[tuple[str, str]]
    limit: int
    source: str = field(init=False)
    sink: str = field(init=False)
    sizes: dict[str, int] = field(init=False)
    before: dict[str, list[str]] = field(init=False)
    _done: dict[str, Feed] = field(init=False, default_factory=dict)
    _under_way: list[str] = field(init=False, default_factory=list)
    _products: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        self.source, self.sink = (_only(self.nodes, kind) for kind in ("Input", "Output"))
        self.before = {name: list(dict.fromkeys(a for a, b in self.edges if b == name)) for name in self.nodes}
        if len(self.edges) != len(set(self.edges)):
            twice = next(edge for edge in self.edges if list(self.edges).count(edge) > 1)
            raise InputError(f"edge '{twice[0]}' -> '{twice[1]}' is there twice")
        _connected(self.nodes, self.edges, self.source, self.sink)
        self.sizes = _sizes(self.nodes, self.edges)

    @property
    def units(self) -> list[str]:
        """Names of the nodes that spike, each after all that reach it in the same step.

        Raises:
            InputError: two of them reach each other.
        """
        names = [name for name, node in self.nodes.items() if node.kind in SPIKING]
        needs = {name: {other for other in self.feed(name).parts if other in names and other != name} for name in names}
        found: list[str] = []
        while len(found) < len(names):
            ready = [name for name in names if name not in found and needs[name] <= {*found}]
            if not ready:
                loop = _loop(needs, [name for name in names if name not in found])
                raise InputError(
                    f"nodes {_way([*loop, loop[0]])} reach each other: an edge would go "
                    "backwards between layers; write the units of a loop as one node, with one Linear from it to itself"
                )
            found.append(ready[0])
        return found

    def feed(self, name: str) -> Feed:
        """Return what a node gets."""
        if name in self._done:
            return self._done[name]
        if name in self._under_way:
            loop = self._under_way[self._under_way.index(name) :]
            raise InputError(f"nodes {_way([*loop, name])}: a loop without a unit in it")
        self._under_way.append(name)
        size = self.sizes[name]
        if self.nodes[name].kind in MATRICES:
            size = self.nodes[name].fields["weight"].shape[1]
        total = Feed({}, np.zeros(size))
        for other in self.before[name]:
            total = self._sum(total, self._given(other))
        self._under_way.pop()
        self._done[name] = total
        return total

    def _given(self, name: str) -> Feed:
        """Return what a node gives."""
        node = self.nodes[name]
        if name == self.source or node.kind in (*SPIKING, "LI"):
            return Feed({name: None}, np.zeros(self.sizes[name]))
        got = self.feed(name)
        if node.kind in MATRICES:
            W, bias = node.fields["weight"], node.fields.get("bias", 0.0)
            parts = {key: W if M is None else self._product(W, M) for key, M in got.parts.items()}
            return Feed(parts, (W @ got.constant if got.constant.any() else np.zeros(len(W))) + bias)
        if node.kind == "Scale":
            scale = np.broadcast_to(node.fields["scale"].reshape(-1), self.sizes[name])
            parts = {
                key: self._made(scale[:, None] * (self._eye(name) if M is None else M)) for key, M in got.parts.items()
            }
            return Feed(parts, scale * got.constant)
        return got

    def _sum(self, a: Feed, b: Feed) -> Feed:
        parts = dict(a.parts)
        for key, W in b.parts.items():
            if key in parts:
                n = len(a.constant)
                one, other = (self._square(n) if M is None else M for M in (parts[key], W))
                parts[key] = self._made(one + other)
            else:
                parts[key] = W
        return Feed(parts, a.constant + b.constant)

    def _eye(self, name: str) -> Array:
        return self._square(self.sizes[name])

    def _square(self, n: int) -> Array:
        self._room(n * n)
        return np.eye(n)

    def _product(self, W: Array, M: Array) -> Array:
        self._products += W.shape[0] * W.shape[1] * M.shape[1]
        if self._products > MOST_PRODUCTS:
            raise InputError(
                f"linear nodes take over {MOST_PRODUCTS:g} multiplications; write their product as one node"
            )
        self._room(W.shape[0] * M.shape[1])
        return W @ M

    def _made(self, W: Array) -> Array:
        self._room(W.size)
        return W

    def _room(self, numbers: int) -> None:
        self.limit -= numbers
        if self.limit < 0:
            raise InputError("the matrices between units are over the limit on all (limit_bytes)")

    def dense(self, feed: Feed, source: str) -> Array | None:
        """Return the matrix of a source, or None; one that is what the source gives itself is counted."""
        if source in feed.parts and feed.parts[source] is None:
            self._room(len(feed.constant) ** 2)
        return feed.matrix(source)


def _only(nodes: Mapping[str, Node], kind: str) -> str:
    """Return the name of the whole graph's input or output."""
    found = [name for name, node in nodes.items() if node.kind == kind and "/" not in name]
    if len(found) != 1:
        raise InputError(f"{len(found)} nodes of type {kind}; 1 can be read")
    return found[0]


def _connected(nodes: Mapping[str, Node], edges: Iterable[tuple[str, str]], source: str, sink: str) -> None:
    """Raise InputError where a node is not between the input and the output."""
    edges = list(edges)
    for start, ways, what in (
        (source, edges, "nothing of the input reaches it"),
        (sink, [(b, a) for a, b in edges], "it reaches no output"),
    ):
        reached, new = {start}, {start}
        while new:
            new = {b for a, b in ways if a in new} - reached
            reached |= new
        lost = [name for name in nodes if name not in reached]
        if lost:
            raise InputError(f"node '{lost[0]}' ({nodes[lost[0]].kind}): {what}; take it out, or add its edges")


def _sizes(nodes: Mapping[str, Node], edges: Sequence[tuple[str, str]]) -> dict[str, int]:
    """Return how many numbers each node gives; InputError where two that an edge joins differ."""
    gets: dict[str, int] = {}
    gives: dict[str, int] = {}
    for name, node in nodes.items():
        if node.kind in MATRICES:
            weight = node.fields["weight"]
            if weight.ndim != 2:
                raise InputError(f"node '{name}': weight has shape {weight.shape}; (post, pre) is needed")
            gives[name], gets[name] = weight.shape
            bias = node.fields.get("bias")
            if bias is not None and bias.shape != (len(weight),):
                raise InputError(f"node '{name}': bias has shape {bias.shape}, and needs {(len(weight),)}")
            continue
        shapes = {key: np.shape(value) for key, value in node.fields.items() if np.size(value) > 1}
        if any(len(shape) != 1 for shape in shapes.values()) or len({*shapes.values()}) > 1:
            raise InputError(
                f"node '{name}' ({node.kind}): shapes {shapes}; one number, or one for each unit, is needed"
            )
        if shapes:
            gives[name] = gets[name] = next(iter(shapes.values()))[0]
    for _ in range(len(nodes) + 1):
        for a, b in edges:
            known = gives.get(a) or gets.get(b)
            for ends, name in ((gives, a), (gets, b)):
                if known is not None:
                    ends.setdefault(name, known)
            if gives.get(a) != gets.get(b):
                raise InputError(f"edge '{a}' -> '{b}': '{a}' gives {gives[a]} numbers, and '{b}' takes {gets[b]}")
        for name, node in nodes.items():
            if node.kind not in MATRICES and (known := gives.get(name) or gets.get(name)):
                gives[name] = gets[name] = known
    return {name: gives.get(name, 1) for name in nodes}


def _loop(needs: Mapping[str, set[str]], left: Sequence[str]) -> list[str]:
    """Return the names of a loop among units of which each needs another that is left."""
    way = [left[0]]
    while True:
        before = next(name for name in left if name in needs[way[-1]])
        if before in way:
            return [*reversed(way[way.index(before) :])]
        way.append(before)


def _way(names: Iterable[str]) -> str:
    return " -> ".join(f"'{name}'" for name in names)


def filled(node: Node, size: int) -> tuple[dict[str, Array], tuple[str, ...]]:
    """Return the fields of units, (n,) each, and the names of those that the file does not have, at NIR's defaults."""
    optional = OPTIONAL.get(node.kind, {})
    fields = {
        key: np.broadcast_to(np.reshape(value, -1), size).astype(np.float64)
        for key, value in {**optional, **node.fields}.items()
    }
    return fields, tuple(key for key in optional if key not in node.fields)
