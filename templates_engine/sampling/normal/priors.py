"""Priors of the mixed models, in the one form that the samplers use.

A single variance has an inverse gamma prior, p(v) ∝ v^-(a+1) exp(-b/v), that is Gamma(a, b) on the precision 1/v.
"Uniform", p(v) ∝ 1, is its limit a = -1, b = 0. A covariance matrix (q x q) has an inverse Wishart prior,
p(Ω) ∝ |Ω|^-((ν+q+1)/2) exp(-tr(S Ω^-1)/2); "Uniform" on its free elements is ν = -(q+1), S = 0.
Fixed effects have a Normal prior, flat when its precision matrix is zero.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from templates_engine.sampling import GAMMA, UNIFORM, WISHART

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class InverseGamma:
    """On a variance: shape a, scale b (in units of the variance)."""

    shape: float
    scale: float


@dataclass(frozen=True)
class InverseWishart:
    """On a q x q covariance matrix: degrees of freedom ν and scale matrix S."""

    df: float
    scale: Floats


@dataclass(frozen=True)
class Priors:
    """Priors of one model. `beta_mean` and `beta_precision` None: flat."""

    sigma2: InverseGamma
    omega: InverseWishart
    beta_mean: Floats | None = None
    beta_precision: Floats | None = None

    def scale(self, q: int) -> Floats:
        """The inverse Wishart's scale with the shape that the kernels rely on; they do not check bounds."""
        scale = np.ascontiguousarray(self.omega.scale, dtype=float)
        if scale.shape != (q, q):
            raise ValueError(f"a prior for {scale.shape[0]} random coefficients, and the model has {q}")
        return scale

    def beta(self, p: int) -> tuple[Floats, Floats]:
        mean = np.zeros(p) if self.beta_mean is None else np.asarray(self.beta_mean, dtype=float)
        precision = np.zeros((p, p)) if self.beta_precision is None else np.asarray(self.beta_precision, dtype=float)
        if mean.shape != (p,) or precision.shape != (p, p):
            raise ValueError(f"a prior for {mean.shape[0]} coefficients, and the model has {p}")
        return mean, precision


def named(choice: str, q: int, guess: Floats | None = None) -> Priors:
    """The priors behind an answer.

    GAMMA       Gamma(0.001, 0.001) on the precision of each single variance
    WISHART     for a matrix: inverse Wishart with q degrees of freedom, the fewest that are proper, and scale
                q times `guess`, so that `guess` (the REML estimate) is the prior's own centre and
                the prior weighs as much as q groups (as in MLwiN's manual, Browne 2019); Gamma(0.001, 0.001) for σ²
    UNIFORM     flat on variances and covariances
    """
    q = max(q, 1)  # without groups the prior of Ω is never used, but it has a shape
    if choice == UNIFORM:
        return Priors(InverseGamma(-1.0, 0.0), InverseWishart(-(q + 1.0), np.zeros((q, q))))
    if choice == GAMMA and q == 1:
        return Priors(InverseGamma(0.001, 0.001), InverseWishart(0.002, np.array([[0.002]])))
    if choice == WISHART and guess is not None:
        return Priors(InverseGamma(0.001, 0.001), InverseWishart(float(q), q * np.asarray(guess, dtype=float)))
    raise ValueError(f"no prior {choice!r} for {q} random coefficients")
