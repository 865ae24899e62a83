"""Maximum likelihood of counts and successes computed another way: numbers of 64-bit mantissa, no derivative of the
product's, no code of it. One group factor: Gauss-Hermite quadrature with 31 nodes; several, or a negative binomial
response: the Laplace approximation with all effects in one vector. Hessians are central differences of the value."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LONG = np.longdouble


@dataclass
class Made:
    """One simulated data set."""

    family: str  # log, logit, nb
    y: np.ndarray
    trials: np.ndarray
    x: np.ndarray
    codes: list[np.ndarray]


def made(seed: int) -> Made:
    """Counts from 0.1 to 1e7 on average, trials up to 1e6, variances from 0 to 2, one or two group factors."""
    rng = np.random.default_rng(seed)
    family = ("log", "log", "logit", "nb")[seed % 4]
    crossed = seed % 3 == 0
    groups, each = int(rng.integers(8, 20)), int(rng.integers(4, 9))
    n = groups * each
    codes = [np.repeat(np.arange(groups), each)]
    if crossed:
        codes.append(np.tile(np.arange(each), groups))
    x = np.column_stack([np.ones(n), rng.normal(size=n)])
    level = 10.0 ** rng.uniform(-1, 7)
    trials = np.ones(n)
    eta = 0.2 * x[:, 1]
    for one in codes:
        sd = 0.0 if rng.random() < 0.25 else np.sqrt(10.0 ** rng.uniform(-6, 0.3))
        eta = eta + sd * rng.normal(size=one.max() + 1)[one]
    if family == "logit":
        trials = np.full(n, np.ceil(10.0 ** rng.uniform(0.3, 6)))
        y = rng.binomial(trials.astype(int), 1 / (1 + np.exp(-eta - rng.normal())))
    elif family == "log":
        y = rng.poisson(level * np.exp(eta))
    else:
        alpha = 10.0 ** rng.uniform(-4, 0)
        y = rng.poisson(level * np.exp(eta) * rng.gamma(1 / alpha, alpha, n))
    return Made(family, y.astype(float), trials, x, codes)


def row(family: str, y, n, eta, alpha=0.0):
    """(log likelihood less a constant of y, score, observed information, Fisher information), all long."""
    if family == "log":
        mu = np.exp(eta)
        return y * eta - mu, y - mu, mu, mu
    if family == "logit":
        p = 1 / (1 + np.exp(-eta))
        return y * eta - n * np.logaddexp(LONG(0), eta), y - n * p, n * p * (1 - p), n * p * (1 - p)
    mu = np.exp(eta)
    grown = 1 + alpha * mu
    value = y * eta - (y + 1 / alpha) * np.log1p(alpha * mu)
    return value, (y - mu) / grown, mu * (1 + alpha * y) / grown**2, mu / grown


def rising(alpha, y) -> LONG:
    """Σ_i Σ_{k<y_i} log(1 + kα), in whole: by the sum up to 2,000 and by Euler and Maclaurin beyond."""
    total = LONG(0)
    for one in y:
        stop = int(min(one, 2000))
        total += np.log1p(alpha * np.arange(stop, dtype=LONG)).sum()
        if one > stop:
            a, b = LONG(stop), LONG(one)

            def whole(k):
                return (k + 1 / alpha) * np.log1p(alpha * k) - k

            def slope(k):
                return alpha / (1 + alpha * k)

            total += whole(b) - whole(a) - (np.log1p(alpha * b) - np.log1p(alpha * a)) / 2
            total += (slope(b) - slope(a)) / 12
    return total


def quadrature(m: Made, beta, sd) -> LONG:
    """Log likelihood with one group factor, u = sd b."""
    y, n = m.y.astype(LONG), m.trials.astype(LONG)
    fixed = m.x.astype(LONG) @ np.asarray(beta, LONG)
    code = m.codes[0]
    first = np.flatnonzero(np.diff(code, prepend=-1))
    top = LONG(0)
    if m.family == "log":  # from the highest that rows can have, so that no digits are lost
        top = np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0)
    elif m.family == "logit":
        share = np.clip(y / n, LONG(1e-30), 1 - LONG(1e-18))
        top = y * np.log(share) + (n - y) * np.log1p(-share)
    b = np.zeros(len(first), LONG)
    lower, upper = np.full(len(b), LONG(-1e6)), np.full(len(b), LONG(1e6))
    for _ in range(300):  # the slope falls in b: Newton's step where it stays in the bracket, else halves
        _, score, seen, _ = row(m.family, y, n, fixed + sd * b[code])
        slope = np.add.reduceat(sd * score, first) - b
        lower, upper = np.where(slope > 0, b, lower), np.where(slope > 0, upper, b)
        step = slope / (1 + np.add.reduceat(sd * sd * seen, first))
        limit = 2 / max(sd, LONG(1e-12))
        new = b + np.clip(step, -limit, limit)
        b, before = np.where((new >= lower) & (new <= upper), new, (lower + upper) / 2), b
        if np.abs(b - before).max() < 1e-17 * (1 + np.abs(b).max()):
            break
    width = 1 / np.sqrt(1 + np.add.reduceat(sd * sd * row(m.family, y, n, fixed + sd * b[code])[2], first))
    points, weights = np.polynomial.hermite_e.hermegauss(31)
    parts = []
    for at, weight in zip(points.astype(LONG), weights.astype(LONG), strict=True):
        place = b + width * at
        value = np.add.reduceat(row(m.family, y, n, fixed + sd * place[code])[0] - top, first)
        parts.append(np.log(weight / np.sqrt(2 * LONG(np.pi))) + at * at / 2 - place * place / 2 + value)
    parts = np.stack(parts)
    high = parts.max(axis=0)
    return (high + np.log(np.exp(parts - high).sum(axis=0)) + np.log(width)).sum()


def _factor(a):
    """Cholesky of a small long matrix."""
    a = a.copy()
    for j in range(len(a)):
        a[j, j] = np.sqrt(a[j, j] - a[j, :j] @ a[j, :j])
        a[j + 1 :, j] = (a[j + 1 :, j] - a[j + 1 :, :j] @ a[j, :j]) / a[j, j]
        a[j, j + 1 :] = 0
    return a


def _solve(factor, b):
    x = b.copy()
    for i in range(len(x)):
        x[i] = (x[i] - factor[i, :i] @ x[:i]) / factor[i, i]
    for i in range(len(x) - 1, -1, -1):
        x[i] = (x[i] - factor[i + 1 :, i] @ x[i + 1 :]) / factor[i, i]
    return x


class Laplace:
    """Log likelihood by the Laplace approximation; the mode of one value starts the next, and is searched anew."""

    def __init__(self, m: Made):
        self.m = m
        self.z = np.hstack([np.eye(c.max() + 1)[c] for c in m.codes]).astype(LONG)
        self.sizes = [int(c.max()) + 1 for c in m.codes]
        self.b = np.zeros(sum(self.sizes), LONG)

    def __call__(self, beta, sds, alpha=0.0) -> LONG:
        m = self.m
        y, n = m.y.astype(LONG), m.trials.astype(LONG)
        fixed = m.x.astype(LONG) @ np.asarray(beta, LONG)
        z = self.z * np.repeat(np.asarray(sds, LONG), self.sizes)
        family = "log" if m.family == "nb" and alpha == 0 else m.family
        top = LONG(0)
        if family == "log":
            top = np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0)
        elif family == "logit":
            share = np.clip(y / n, LONG(1e-30), 1 - LONG(1e-18))
            top = y * np.log(share) + (n - y) * np.log1p(-share)
        else:
            top = y * np.log(np.maximum(y, LONG(1e-30))) - (y + 1 / alpha) * np.log1p(alpha * y)
            top = np.where(y > 0, top, 0)
        b = self.b
        for _ in range(200):
            value, score, seen, _ = row(family, y, n, fixed + z @ b, alpha)
            here = (value - top).sum() - b @ b / 2
            slope = z.T @ score - b
            step = _solve(_factor(np.eye(len(b), dtype=LONG) + z.T @ (z * seen[:, None])), slope)
            size = LONG(1)
            while size > 1e-12:
                there = (row(family, y, n, fixed + z @ (b + size * step), alpha)[0] - top).sum()
                there -= (b + size * step) @ (b + size * step) / 2
                if there >= here or slope @ step < 1e-12:
                    break
                size /= 2
            b = b + size * step
            if slope @ step < 1e-24:
                break
        self.b = b
        value, _, _, fisher = row(family, y, n, fixed + z @ b, alpha)
        logs = 2 * np.log(np.diag(_factor(np.eye(len(b), dtype=LONG) + z.T @ (z * fisher[:, None])))).sum()
        ends = LONG(0)
        if family == "nb":
            counts = m.y
            ends = rising(LONG(alpha), counts) + top.sum()
            ends -= np.where(y > 0, y * np.log(np.maximum(y, 1)) - y, 0).sum()
        return (value - top).sum() - b @ b / 2 - logs / 2 + ends


def derivatives(value, at, errors):
    """Gradient and Hessian of value at a point, by differences of a fiftieth of a standard error, extrapolated."""
    size = len(at)
    found = []
    for share in (LONG(0.04), LONG(0.02)):
        step = share * np.asarray(errors, LONG)
        centre = value(at)
        gradient, hessian = np.zeros(size, LONG), np.zeros((size, size), LONG)
        ends = {}
        for a in range(size):
            for sign in (1, -1):
                move = np.zeros(size, LONG)
                move[a] = sign * step[a]
                ends[a, sign] = value(at + move)
            gradient[a] = (ends[a, 1] - ends[a, -1]) / (2 * step[a])
            hessian[a, a] = (ends[a, 1] + ends[a, -1] - 2 * centre) / step[a] ** 2
        for a in range(size):
            for b in range(a):
                move = np.zeros(size, LONG)
                move[a], move[b] = step[a], step[b]
                other = move.copy()
                other[b] = -step[b]
                mixed = value(at + move) + value(at - move) - value(at + other) - value(at - other)
                hessian[a, b] = hessian[b, a] = mixed / (4 * step[a] * step[b])
        found.append((gradient, hessian))
    (g1, h1), (g2, h2) = found
    return ((4 * g2 - g1) / 3).astype(float), ((4 * h2 - h1) / 3).astype(float)
