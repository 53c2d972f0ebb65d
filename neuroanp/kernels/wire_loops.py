"""Ladders of resistors, compiled: the bits of `neuroanp.substrates.wires_fast.plain_ladder`."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, error_model="numpy")
def ladder(g, out):  # pyright: ignore
    """Fill out with the voltage at each node of ladders (batch, length, lines) driven with 1 V before their first.

    Args: g: ohm a segment times siemens at each node. Products along a ladder are taken in double precision.
    """
    batch, length, lines = g.shape
    beyond, reached, one = np.empty(lines, g.dtype), np.empty(lines), g.dtype.type(1)
    for k in range(batch):
        beyond[:] = 0
        for at in range(length - 1, -1, -1):
            own, left = g[k, at], out[k, at]
            for i in range(lines):
                beyond[i] = own[i] + beyond[i] / (beyond[i] + one)
                left[i] = one / (beyond[i] + one)
        reached[:] = 1
        for at in range(length):
            left = out[k, at]
            for i in range(lines):
                reached[i] *= left[i]
                left[i] = reached[i]


@njit(cache=True, error_model="numpy")
def solve(G, places, r_word, r_bit, along, across, floor, seen, reach):  # pyright: ignore
    """Fill seen and reach with G_eff and gain of `wires_fast.solve_fast`, a tile at a time: it stays in a near cache.

    Args:
        G, seen, reach: (planes, outputs, inputs) of whole arrays. places: (tiles, 3), where each tile (n, m) begins.
        along, across: waves (n, P) of word lines and (m, K) of bit lines, each with their eigenvalues; P = 0: no
            remainder. floor: least weight of a line.
    """
    (U, tau), (Q, theta) = along, across
    n, P, m = len(U), U.shape[1], len(Q)
    g, w, of = np.empty((1, n, m), G.dtype), np.empty((1, n, m), G.dtype), np.empty((n, m), G.dtype)
    turned, fall = np.empty((1, m, n), G.dtype), np.empty((1, m, n), G.dtype)
    lam = np.empty((n, m), G.dtype)
    whole, to_see, to_reach = G.reshape(G.size), seen.reshape(G.size), reach.reshape(G.size)
    UU, QQ = pairs(U), pairs(Q).T.copy()
    down = np.empty(m, G.dtype)
    for j in range(m):
        down[j] = r_bit * G.dtype.type(m - j)
    for b in range(len(places)):
        plane, top, start = places[b]
        first = (plane * G.shape[1] + top) * G.shape[2] + start
        for i in range(n):
            to, scaled, row = of[i], g[0, i], whole[first + i * G.shape[2] :]
            for j in range(m):
                to[j] = row[j]
            for j in range(m):
                scaled[j] = to[j] * r_word
        ladder(g, w)
        for j in range(m):
            for i in range(n):
                turned[0, m - 1 - j, i] = of[i, j] * r_bit
        ladder(turned, fall)
        for j in range(m):
            for i in range(n):
                lam[i, j] = fall[0, m - 1 - j, i]
        for i in range(n):
            out, gain = to_see[first + i * G.shape[2] :], to_reach[first + i * G.shape[2] :]
            act(of[i], w[0, i], lam[i], r_word * G.dtype.type(i + 1), down, out, gain)
        if P:
            left, right = round_about(of, w[0], lam, r_word, r_bit, (U, tau, UU), (Q, theta, QQ), floor)
            np.dot(left, right, lam)
            for i in range(n):
                out, more = to_see[first + i * G.shape[2] :], lam[i]
                for j in range(m):
                    out[j] += more[j]


@njit(cache=True, error_model="numpy")
def act(g, w, lam, up, down, seen, reach):  # pyright: ignore
    """Fill seen and reach of the devices on a bit line (m,), all but the remainder; w and lam times g, for that."""
    one = g.dtype.type(1)
    for j in range(len(g)):
        reach[j] = w[j] * lam[j] / ((one + up * g[j]) * (one + down[j] * g[j]))
    for j in range(len(g)):
        seen[j] = g[j] * (w[j] * lam[j])
    for j in range(len(g)):
        w[j] *= g[j]
    for j in range(len(g)):
        lam[j] *= g[j]


@njit(cache=True, error_model="numpy")
def pairs(U):  # pyright: ignore
    """Return U_ip U_ip', (P P, n)."""
    n, P = U.shape
    out = np.empty((P * P, n), U.dtype)
    for p in range(P):
        for q in range(P):
            for i in range(n):
                out[p * P + q, i] = U[i, p] * U[i, q]
    return out


@njit(cache=True, error_model="numpy")
def weights(load, r, floor, out):  # pyright: ignore
    """Fill out with how far current from elsewhere moves each line, relative to the mean; see `wires_fast._weight`."""
    total = 0.0
    for i in range(len(load)):
        out[i] = load[i] / (1 + r * load[i] / 3)
        total += out[i]
    mean = total / len(load)
    for i in range(len(load)):
        out[i] = out[i] / (mean if mean > 0 else 1.0) + floor


@njit(cache=True, error_model="numpy")
def round_about(G, Gw, Gl, r_word, r_bit, along, across, floor):  # pyright: ignore
    """Return left (n, P K) and right (P K, m) whose product is the remainder G_eff - G w lambda of a tile.

    Args: G, Gw, Gl: (n, m). along, across: waves, eigenvalues and `pairs` of either side, transposed across.
    """
    (U, tau, UU), (Q, theta, QQ) = along, across
    (n, P), (m, K) = U.shape, Q.shape
    of_word, of_bit = np.zeros(m, G.dtype), np.zeros(n, G.dtype)
    for i in range(n):
        total = G.dtype.type(0)
        for j in range(m):
            of_word[j] += G[i, j]
            total += G[i, j]
        of_bit[i] = total
    a, c = np.empty(n, G.dtype), np.empty(m, G.dtype)  # weights of bit lines, of word lines
    weights(of_word, r_word * n, floor, c)
    weights(of_bit, r_bit * m, floor, a)
    R, S = P * P, K * K
    rows, columns = np.empty((3 * R, n), G.dtype), np.empty((3, m, S), G.dtype)
    of_bits, of_words = np.zeros(R), np.zeros(S, G.dtype)
    for k in range(R):  # word, coupling, bit
        total = G.dtype.type(0)
        for i in range(n):
            rows[k, i] = UU[k, i]
            rows[R + k, i] = UU[k, i] * a[i]
            rows[2 * R + k, i] = UU[k, i] * a[i] * a[i]
            total += rows[2 * R + k, i]
        of_bits[k] = total
    for j in range(m):
        for k in range(S):
            columns[0, j, k] = QQ[j, k] * c[j] * c[j]
            columns[1, j, k] = QQ[j, k] * c[j]
            columns[2, j, k] = QQ[j, k]
            of_words[k] += columns[0, j, k]
    seen = np.dot(rows, G)
    word, coupling, bit = (
        matrix(np.dot(seen[:R], columns[0]), P, K),
        matrix(np.dot(seen[R : 2 * R], columns[1]), P, K),
        matrix(np.dot(seen[2 * R :], columns[2]), P, K),
    )
    for p in range(P):
        for q in range(K):
            for k in range(P):
                for l in range(K):  # noqa: E741 - the equation's letter
                    row, column = p * K + q, k * K + l
                    word[row, column] = word[row, column] * r_word + (tau[p] * of_words[q * K + l] if p == k else 0.0)
                    bit[row, column] = bit[row, column] * r_bit + (theta[q] * of_bits[p * P + k] if q == l else 0.0)
    between = word_of_bit(word, coupling, bit, r_word, r_bit).astype(G.dtype)
    reached, leaving = np.dot(Gl, weighted(Q, c)), np.dot(weighted(U, a).T.copy(), Gw)
    left, right = np.empty((n, P * K), G.dtype), np.empty((P * K, m), G.dtype)
    for i in range(n):
        for p in range(P):
            for q in range(K):
                left[i, p * K + q] = U[i, p] * reached[i, q]
    for p in range(P):
        for q in range(K):
            for j in range(m):
                right[p * K + q, j] = leaving[p, j] * Q[j, q]
    return np.dot(left, between), right


@njit(cache=True, error_model="numpy")
def weighted(U, a):  # pyright: ignore
    """Return U_ip a_i."""
    out = np.empty_like(U)
    for i in range(len(U)):
        for p in range(U.shape[1]):
            out[i, p] = U[i, p] * a[i]
    return out


@njit(cache=True, error_model="numpy")
def matrix(projected, P, K):  # pyright: ignore
    """Return (p p', q q') as (p q, p' q'), in double precision."""
    out = np.empty((P * K, P * K))
    for p in range(P):
        for k in range(P):
            for q in range(K):
                for l in range(K):  # noqa: E741
                    out[p * K + q, k * K + l] = projected[p * P + k, q * K + l]
    return out


@njit(cache=True, error_model="numpy")
def word_of_bit(word, coupling, bit, r_word, r_bit):  # pyright: ignore
    """Return that block of the inverse of [[word, -r_word C], [-r_bit C^T, bit]], times r_bit."""
    through = coupling.copy()
    eliminate(word, through)
    rest = bit - r_bit * r_word * np.dot(coupling.T.copy(), through)
    out = np.eye(len(bit)) * r_bit
    eliminate(rest, out)
    return r_word * np.dot(through, out)


@njit(cache=True, error_model="numpy")
def eliminate(A, B):  # pyright: ignore
    """Put A^-1 B in place of B (k, columns), for a symmetric positive definite A (k, k), which is used up."""
    k = len(A)
    for j in range(k):
        for i in range(j + 1, k):
            share = A[i, j] / A[j, j]
            for c in range(j + 1, k):
                A[i, c] -= share * A[j, c]
            for c in range(B.shape[1]):
                B[i, c] -= share * B[j, c]
    for j in range(k - 1, -1, -1):
        for i in range(j + 1, k):
            share = A[j, i]
            for c in range(B.shape[1]):
                B[j, c] -= share * B[i, c]
        for c in range(B.shape[1]):
            B[j, c] /= A[j, j]
