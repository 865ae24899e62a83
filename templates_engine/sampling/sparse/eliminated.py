"""The arrays of a matrix H = I + Z̃'WZ̃ of which one classification is eliminated, as the kernels of glm share them."""

from __future__ import annotations

from typing import Any, NamedTuple

Array = Any  # inside kernels: float64 arrays


class Eliminated(NamedTuple):
    """Rows, sorted by unit of the eliminated classification, and where their effects stand."""

    link: int
    y: Array  # (n,)
    trials: Array  # (n,)
    q: int  # columns of z̃ that belong to the eliminated classification: the first ones
    unit: Array  # (n,) unit of the eliminated classification, ascending
    first: Array  # (J + 1,) its rows
    core_at: Array  # (n, Q - q) the effect that each other column of z̃ belongs to
    place: Array  # (n, Q - q) the same among the effects that the row's unit meets
    meet_ptr: Array  # (J + 1,) effects of the core that a unit meets,
    meet: Array  # by their place in their part
    part: Array  # (J,) the part that they belong to
    part_ptr: Array  # (parts + 1,) first effect of each part, counted in the core
    square_ptr: Array  # (parts + 1,) where its dense matrix begins


class Factored(NamedTuple):
    """H = I + Z̃'WZ̃, factored in place."""

    blocks: Array  # (J, q, q) Cholesky factors of the eliminated part
    half: Array  # their inverses times the coupling, (q, m_j) one after the other
    square: Array  # Cholesky factors of what is left, (P, P) one after the other
