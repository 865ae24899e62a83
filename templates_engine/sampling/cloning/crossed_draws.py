"""Effects of several classifications given the parameters, for binomial and Poisson responses: exact draws of u | y, θ.

A draw begins at the Laplace approximation of this θ, N(b̂, H^-1) of all spherical effects jointly, H = L L'
(glm.laplace_likelihood), and takes TRAJECTORIES of Hamiltonian Monte Carlo in w = L'(b - b̂), in which the target is
nearly N(0, I): the Normal part of the motion is a rotation and exact, and only the gradient of log p(b | y) + w'w/2,
which is zero where the approximation is right, is met in steps (Shahbaba, Lan, Johnson and Neal 2014, Statistics and
Computing 24, 339-349). A quarter turn makes a new draw whatever the units have in common, where steps of one unit at a
time would go slowly. What such steps err by is accepted or not by Metropolis' rule.

What the approximation of the likelihood errs by is told in the same coordinates. Its log ratio to the likelihood is
D(θ) = log E[exp g(w; θ)] over w ~ N(0, I), g the logarithm above less its value at w = 0, and so D changes along a way
from one θ to another by the mean of the derivative of g at fixed w, over draws of w from the exact law (thermodynamic
integration: Gelman and Meng 1998, Statistical Science 13, 163-185). g hardly changes, so few draws do: `Centre.path`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from templates_engine.sampling.compiled import njit
from templates_engine.sampling.glm import (
    CODES,
    constant,
    factor,
    find_mode,
    gather,
    information,
    predict,
    row,
    solve_back,
    solve_forth,
)
from templates_engine.sampling.normal import Factor, Floats
from templates_engine.sampling.sparse import eliminate

TRAJECTORIES = 4  # after the approximation; in the tests nothing of it is left after two
TURNS = 4  # steps of a quarter turn, doubled until enough are accepted
MOST_TURNS = 32
NODES, _STEP = 4, 0.01  # of an integral over parameters, and of differences along it
_PILOT, _ACCEPTED = 20, 0.8


class Centre:
    """The Laplace approximation of the effects given the parameters."""

    def __init__(
        self, link: str, y: Floats, x: Floats, factors: Sequence[Factor], *, trials: Floats, offset: Floats
    ):  # fmt: skip
        self.shape = eliminate(factors, len(y))
        turn = self.shape.turn
        y, trials = (np.ascontiguousarray(v[turn], dtype=float) for v in (y, trials))
        self.x, self.offset = x[turn], offset[turn]
        self.z = [factors[c].z[turn] for c in self.shape.order]
        self.pattern, self.matrix = self.shape.pattern(CODES[link], y, trials), self.shape.matrix()
        self.mode = np.zeros(self.shape.count)
        self.eta, self.weight = np.empty(len(y)), np.empty(len(y))
        self.constant = constant(CODES[link], y, trials)

    def at(self, beta: Floats, roots: Sequence[Floats]) -> float:
        """The approximate log likelihood at β and the roots T_c of Ω_c = T_c T_c', all constants kept; its mode,
        weights and factor are left here. -inf where there is none."""
        parts = [z @ roots[c] for c, z in zip(self.shape.order, self.z, strict=True)]
        self.turned = np.ascontiguousarray(np.concatenate(parts, axis=1))
        self.fixed = self.offset + self.x @ beta
        top, logs = _settle(self.pattern, self.fixed, self.turned, self.mode, self.matrix, self.eta, self.weight)
        if not np.isfinite(top + logs):
            self.mode[:] = 0.0
            return -math.inf
        return float(top - 0.5 * logs) + self.constant

    def draw(self, noise: Floats) -> Floats:
        """(D,) spherical effects from N(b̂, H^-1), of standard Normal noise (D,), after `at`."""
        away = np.array(noise, dtype=float)
        solve_back(self.pattern, self.matrix, away)
        return self.mode + away

    def turns(self, rng: np.random.Generator) -> int:
        """How many steps a quarter turn takes at these parameters."""
        turns = TURNS
        while turns < MOST_TURNS:
            tried = [self._move(rng, 1, turns)[1] for _ in range(_PILOT)]
            if float(np.mean(tried)) >= _ACCEPTED:
                break
            turns *= 2
        return turns

    def sample(self, rng: np.random.Generator, trajectories: int, turns: int) -> Floats:
        """(D,) a draw of the spherical effects from their exact law, after `at`."""
        return self.draw(self._move(rng, trajectories, turns)[0])

    def _move(self, rng: np.random.Generator, trajectories: int, turns: int) -> tuple[Floats, float]:
        w = rng.standard_normal(self.shape.count)
        accepted = _move(rng, self.pattern, self.fixed, self.turned, self.mode, self.matrix, w, trajectories, turns)
        return w, accepted

    def path(
        self, begin: tuple[Floats, Sequence[Floats]], end: tuple[Floats, Sequence[Floats]], draws: int,
        rng: np.random.Generator,
    ) -> tuple[float, float]:  # fmt: skip
        """(by how much log likelihood less its approximation is more at `end` than at `begin`, its standard error),
        each (β, roots); `draws` at each of NODES points of Gauss and Legendre on the straight line between them."""
        points, weights = np.polynomial.legendre.leggauss(NODES)
        total, variance, turns = 0.0, 0.0, 0

        def place(t: float) -> bool:
            roots = [a + t * (b - a) for a, b in zip(begin[1], end[1], strict=True)]
            return math.isfinite(self.at(begin[0] + t * (end[0] - begin[0]), roots))

        for t, weight in zip((1.0 + points) / 2.0, weights / 2.0, strict=True):
            if not place(t):
                return math.nan, math.nan
            turns = turns or self.turns(rng)
            drawn = [self._move(rng, TRAJECTORIES, turns)[0] for _ in range(draws)]
            slopes = np.zeros(draws)
            for side in (1.0, -1.0):
                if not place(t + side * _STEP):
                    return math.nan, math.nan
                slopes += side / (2.0 * _STEP) * np.array([self._excess(w) for w in drawn])
            total += weight * float(slopes.mean())
            variance += weight**2 * float(slopes.var(ddof=1)) / draws
        return total, math.sqrt(variance)

    def _excess(self, w: Floats) -> float:
        """g at w, after `at`."""
        count, n = len(w), len(self.fixed)
        room = [np.empty(size) for size in (count, n, n, count)]
        given = (self.pattern, self.fixed, self.turned, self.mode, self.matrix)
        return float(_excess(*given, w, *room) - _excess(*given, np.zeros(count), *room))

    def effects(self, spherical: Floats, roots: Sequence[Floats]) -> list[Floats]:
        """(J, q) u_c = T_c b_c by classification."""
        found: list[Floats] = [np.zeros(0)] * len(roots)
        for first, c in zip(self.shape.first, self.shape.order, strict=True):
            q = len(roots[c])
            found[c] = spherical[first[:, None] + np.arange(q)] @ roots[c].T
        return found


def general_crossed_effects(
    link: str, y: Floats, x: Floats, factors: Sequence[Factor], beta: Floats, omegas: Sequence[Floats],
    rng: np.random.Generator, *, trials: Floats, offset: Floats, trajectories: int = TRAJECTORIES,
) -> list[Floats]:  # fmt: skip
    """One draw of all effects for each of S parameter values, beta (S, p), omegas (S, q, q) by classification.

    (S, J, q) by classification; the draws are independent. A variance of zero gives effects of (nearly) zero.
    """
    centre = Centre(link, y, x, factors, trials=trials, offset=offset)
    size, roots = len(beta), [_roots(omega) for omega in omegas]
    found = [np.empty((size, f.groups, f.q)) for f in factors]
    turns = 0
    for s in range(size):
        root = [r[s] for r in roots]
        same = s > 0 and np.array_equal(beta[s], beta[s - 1])
        same = same and all(np.array_equal(r[s], r[s - 1]) for r in roots)
        if not same and not np.isfinite(centre.at(beta[s], root)):
            raise ArithmeticError("no mode of the effects was found at the parameters drawn")
        turns = turns or centre.turns(rng)
        for c, u in enumerate(centre.effects(centre.sample(rng, trajectories, turns), root)):
            found[c][s] = u
    return found


def _roots(omega: Floats) -> Floats:
    """(S, q, q) lower factors; a small ridge, so that a variance of zero has one."""
    q = omega.shape[-1]
    ridge = np.maximum(1e-13 * np.trace(omega, axis1=-2, axis2=-1), 1e-12)
    return np.asarray(np.linalg.cholesky(omega + ridge[..., None, None] * np.eye(q)), dtype=float)


@njit
def _settle(at: Any, fixed: Any, z: Any, mode: Any, h: Any, eta: Any, weight: Any) -> Any:
    """(log p(y | b̂) - b̂'b̂/2, log |H|) with Fisher's weights, the mode improved in place and H factored."""
    top = find_mode(at, 0.0, fixed, z, mode, h, eta)
    if not np.isfinite(top):
        return top, np.nan
    for i in range(len(eta)):
        weight[i] = information(at.link, at.trials[i], eta[i])
    return top, factor(at, z, weight, h)


@njit
def _excess(
    at: Any, fixed: Any, z: Any, mode: Any, h: Any, w: Any, effects: Any, eta: Any, score: Any, slope: Any
) -> float:
    """log p(y | b) - b'b/2 + w'w/2 at b = b̂ + L'^-1 w, and its gradient in w."""
    count, total = len(w), 0.0
    for k in range(count):
        effects[k] = w[k]
    solve_back(at, h, effects)
    for k in range(count):
        effects[k] += mode[k]
        slope[k] = -effects[k]
        total += 0.5 * (w[k] * w[k] - effects[k] * effects[k])
    predict(at, fixed, z, effects, eta)
    for i in range(len(eta)):
        value, score[i] = row(at.link, at.y[i], at.trials[i], eta[i])
        total += value
    gather(at, z, score, slope)
    solve_forth(at, h, slope)
    for k in range(count):
        slope[k] += w[k]
    return total if total == total else -np.inf


@njit
def _move(rng: Any, at: Any, fixed: Any, z: Any, mode: Any, h: Any, w: Any, trajectories: int, turns: int) -> float:
    """Trajectories of about a quarter turn from w, which becomes where they end; returns how many were accepted."""
    count, n = len(w), len(fixed)
    effects, eta, score = np.empty(count), np.empty(n), np.empty(n)
    slope, new, gradient, speed = np.empty(count), np.empty(count), np.empty(count), np.empty(count)
    accepted = 0.0
    value = _excess(at, fixed, z, mode, h, w, effects, eta, score, slope)
    for _ in range(trajectories):
        angle = (0.75 + 0.5 * rng.random()) * 0.5 * math.pi / turns
        cosine, sine = math.cos(angle), math.sin(angle)
        energy = -value
        for k in range(count):
            speed[k] = rng.standard_normal()
            energy += 0.5 * (w[k] * w[k] + speed[k] * speed[k])
            new[k], gradient[k] = w[k], slope[k]
        there = value
        for _ in range(turns):
            for k in range(count):
                half = speed[k] + 0.5 * angle * gradient[k]
                speed[k] = cosine * half - sine * new[k]
                new[k] = cosine * new[k] + sine * half
            there = _excess(at, fixed, z, mode, h, new, effects, eta, score, gradient)
            if not there > -np.inf:
                break
            for k in range(count):
                speed[k] += 0.5 * angle * gradient[k]
        if not there > -np.inf:
            continue
        after = -there
        for k in range(count):
            after += 0.5 * (new[k] * new[k] + speed[k] * speed[k])
        if math.log(rng.random()) < energy - after:
            accepted += 1.0
            value = there
            for k in range(count):
                w[k], slope[k] = new[k], gradient[k]
    return accepted
