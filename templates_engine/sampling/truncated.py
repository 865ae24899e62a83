"""Exact draws from truncated Normals, fast near the mean and safe at any distance from it.

One-sided, N(0, 1) given x > a (every branch accepts at least half of its proposals, so none can hang):
    a <= 0          draw Normals until one exceeds a
    0 < a < 0.25    draw |Normal| until one exceeds a
    otherwise       shifted exponential proposal (Robert, 1995, Statistics and Computing 5, 121-125)
Two-sided:
    bounds reach within 4 sd of the mean    inverse distribution function (Wichura, 1988, AS 241)
    wholly beyond 4 sd                      truncated exponential proposal, acceptance above 0.94
"""

from __future__ import annotations

import math

import numpy as np

from templates_engine.sampling.compiled import njit, njit_inlined

TAIL = 4.0  # beyond this many sd the inverse distribution function gives way to the tail sampler
FOLD = 0.25  # up to this bound the folded Normal accepts at least 0.80 of its draws


@njit
def normal_quantile(p: float) -> float:
    """Inverse of the standard Normal distribution function, relative error about 1e-15 (AS 241, PPND16)."""
    q = p - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return (
            q
            * (((((((2.5090809287301226727e3 * r + 3.3430575583588128105e4) * r + 6.7265770927008700853e4) * r
                + 4.5921953931549871457e4) * r + 1.3731693765509461125e4) * r + 1.9715909503065514427e3) * r
                + 1.3314166789178437745e2) * r + 3.3871328727963666080e0)
            / (((((((5.2264952788528545610e3 * r + 2.8729085735721942674e4) * r + 3.9307895800092710610e4) * r
                + 2.1213794301586595867e4) * r + 5.3941960214247511077e3) * r + 6.8718700749205790830e2) * r
                + 4.2313330701600911252e1) * r + 1.0)
        )  # fmt: skip
    r = p if q < 0.0 else 1.0 - p
    if r <= 0.0:
        return -np.inf if q < 0.0 else np.inf
    r = math.sqrt(-math.log(r))
    if r <= 5.0:
        r -= 1.6
        x = (
            (((((((7.74545014278341407640e-4 * r + 2.27238449892691845833e-2) * r + 2.41780725177450611770e-1) * r
                + 1.27045825245236838258e0) * r + 3.64784832476320460504e0) * r + 5.76949722146069140550e0) * r
                + 4.63033784615654529590e0) * r + 1.42343711074968357734e0)
            / (((((((1.05075007164441684324e-9 * r + 5.47593808499534494600e-4) * r + 1.51986665636164571966e-2) * r
                + 1.48103976427480074590e-1) * r + 6.89767334985100004550e-1) * r + 1.67638483018380384940e0) * r
                + 2.05319162663775882187e0) * r + 1.0)
        )  # fmt: skip
    else:
        r -= 5.0
        x = (
            (((((((2.01033439929228813265e-7 * r + 2.71155556874348757815e-5) * r + 1.24266094738807843860e-3) * r
                + 2.65321895265761230930e-2) * r + 2.96560571828504891230e-1) * r + 1.78482653991729133580e0) * r
                + 5.46378491116411436990e0) * r + 6.65790464350110377720e0)
            / (((((((2.04426310338993978564e-15 * r + 1.42151175831644588870e-7) * r + 1.84631831751005468180e-5) * r
                + 7.86869131145613259100e-4) * r + 1.48753612908506148525e-2) * r + 1.36929880922735805310e-1) * r
                + 5.99832206555887937690e-1) * r + 1.0)
        )  # fmt: skip
    return -x if q < 0.0 else x


@njit_inlined
def normal_above(generator: np.random.Generator, a: float) -> float:
    """A standard Normal given that it exceeds a."""
    if a <= 0.0:
        while True:
            x = generator.standard_normal()
            if x > a:
                return x
    if a < FOLD:
        while True:
            x = abs(generator.standard_normal())
            if x > a:
                return x
    rate = 0.5 * (a + math.sqrt(a * a + 4.0))  # the best rate: Robert (1995), equation 2.7
    while True:
        x = a + generator.standard_exponential() / rate
        d = x - rate
        # accept with probability exp(-d^2 / 2): an exponential variable exceeds d^2 / 2 that often
        if 2.0 * generator.standard_exponential() >= d * d:
            return x


@njit
def _between_positive(generator: np.random.Generator, a: float, b: float) -> float:
    """A standard Normal in (a, b), where 0 <= a < b < infinity."""
    if a < TAIL:
        upper_a = 0.5 * math.erfc(a * math.sqrt(0.5))
        upper_b = 0.5 * math.erfc(b * math.sqrt(0.5))
        x = -normal_quantile(upper_b + generator.random() * (upper_a - upper_b))
        return min(max(x, a), b)
    mass = -math.expm1(-a * (b - a))  # of the exponential with rate a, between 0 and b - a
    while True:
        x = -math.log1p(-generator.random() * mass) / a
        if 2.0 * generator.standard_exponential() >= x * x:
            return min(a + x, b)


@njit_inlined
def normal_between(generator: np.random.Generator, a: float, b: float) -> float:
    """A standard Normal given that it lies in (a, b); either bound may be infinite."""
    if b == np.inf:
        return normal_above(generator, a)
    if a == -np.inf:
        return -normal_above(generator, -b)
    if a >= 0.0:
        return _between_positive(generator, a, b)
    if b <= 0.0:
        return -_between_positive(generator, -b, -a)
    lower_a = 0.5 * math.erfc(-a * math.sqrt(0.5))
    lower_b = 0.5 * math.erfc(-b * math.sqrt(0.5))
    x = normal_quantile(lower_a + generator.random() * (lower_b - lower_a))
    return min(max(x, a), b)
