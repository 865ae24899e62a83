"""The curves of the six-part picture, as plain functions of draws (chain, draw). No drawing here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ACF_LAGS, PACF_LAGS = 100, 10  # as R2MLwiN's sixway draws them


def thinned(values: Array, points: int = 1500) -> tuple[Array, Array]:
    """(positions, values) of one chain with at most `points` points that look the same when drawn.

    Each block of a long chain gives its smallest and its largest value, in the order in which they came.
    """
    n = len(values)
    if n <= points:
        return np.arange(n, dtype=np.float64), values
    size = -(-n // (points // 2))
    blocks = np.append(values, np.full(-n % size, values[-1])).reshape(-1, size)
    begin = size * np.arange(len(blocks))
    at = np.unique(np.concatenate([begin + blocks.argmin(axis=1), begin + blocks.argmax(axis=1), [n - 1]]))
    at = at[at < n]
    return at.astype(np.float64), values[at]


def density(values: Array, low: float, high: float, points: int = 200) -> tuple[Array, Array]:
    """Gaussian kernel density at `points` places from `low` to `high`; Silverman's (1986) rule, equation 3.31.

    Draws are shared out linearly over a fine grid, which is then smoothed. Draws that are all positive are
    reflected at zero, so that a variance has no density below it. A constant gives zeros.
    """
    at = np.linspace(low, high, points)
    sd = values.std(ddof=1) if len(values) > 1 else 0.0
    quartiles = np.quantile(values, [0.25, 0.75])
    spread = min(sd, float(quartiles[1] - quartiles[0]) / 1.349) or sd
    width = 0.9 * spread * len(values) ** -0.2
    if width <= 1e-12 * max(1e-300, float(np.abs(values).max())):
        return at, np.zeros(points)
    step = width / 8
    start = float(values.min()) - 5 * width
    cells = int((float(values.max()) - start) / step) + 42  # room of 5 widths at both ends
    if cells > 200_000:  # a few draws far from all others: a coarser grid is no visible loss
        cells, step = 200_000, (float(values.max()) + 5 * width - start) / 199_998
    place = (values - start) / step
    left = place.astype(np.int64)
    part = place - left
    grid = np.bincount(left, 1 - part, cells) + np.bincount(left + 1, part, cells)
    reach = max(1, int(4 * width / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / width) ** 2)
    smooth = np.convolve(grid, kernel / kernel.sum(), mode="same") / (len(values) * step)
    centres = start + step * np.arange(cells)
    found = np.interp(at, centres, smooth, left=0.0, right=0.0)
    if values.min() > 0:
        found = np.where(at < 0, 0.0, found + np.interp(-at, centres, smooth, left=0.0, right=0.0))
    return at, found


def autocorrelation(values: Array, lags: int = ACF_LAGS) -> Array:
    """Lags 0 to `lags` (fewer for a short series) of one series; divisor n at every lag. NaN for a constant."""
    n = len(values)
    lags = min(lags, n - 1)
    centred = values - values.mean()
    size = 1 << int(2 * n - 1).bit_length()
    spectrum = np.fft.rfft(centred, size)
    covariance = np.fft.irfft(spectrum * np.conj(spectrum), size)[: lags + 1]
    if covariance[0] <= 0:
        return np.full(lags + 1, np.nan)
    return np.asarray(covariance / covariance[0])


def partial_autocorrelation(values: Array, lags: int = PACF_LAGS) -> Array:
    """Lags 1 to `lags` (fewer for a short series): the Durbin-Levinson recursion on `autocorrelation`."""
    rho = autocorrelation(values, lags)
    lags = len(rho) - 1
    partial = np.full(lags, np.nan)
    before = np.zeros(0)
    for k in range(1, lags + 1):
        rest = 1.0 - before @ rho[1:k]
        if not rest > 1e-12:  # an exact linear recursion: nothing is left to correlate
            break
        partial[k - 1] = (rho[k] - before @ rho[k - 1 : 0 : -1]) / rest
        before = np.append(before - partial[k - 1] * before[::-1], partial[k - 1])
    return partial


@dataclass(frozen=True)
class Gelman:
    """Brooks and Gelman's curves against the draws of each chain used."""

    length: npt.NDArray[np.int64]
    between: Array  # width of the interval of all chains together
    within: Array  # mean width of the chains' own intervals
    ratio: Array  # between / within; aim 1


def brooks_gelman_rubin(values: Array, points: int = 40, coverage: float = 0.8) -> Gelman | None:
    """Brooks and Gelman (1998), section 3.2: interval widths of the later half of the first n draws, n growing.

    Widths of central 80% intervals of all chains together and of each chain alone (mean), both divided by the
    largest of either, as WinBUGS draws them; ratio = together / alone. None with one chain or under 20 draws.
    """
    chains, n = values.shape
    if chains < 2 or n < 20:
        return None
    lengths = np.unique(np.linspace(max(20, n / 15), n, points).astype(np.int64))
    tails = [(1 - coverage) / 2, (1 + coverage) / 2]
    between, within = np.empty(len(lengths)), np.empty(len(lengths))
    for j, length in enumerate(lengths):
        later = values[:, length // 2 : length]
        between[j] = np.diff(np.quantile(later, tails))[0]
        within[j] = np.diff(np.quantile(later, tails, axis=1), axis=0).mean()
    largest = max(between.max(), within.max())
    if not largest > 0:
        return None
    ratio = np.divide(between, within, out=np.full(len(lengths), np.nan), where=within > 0)
    return Gelman(lengths, between / largest, within / largest, ratio)


def standard_error(mcse: float, draws: int, points: int = 100) -> tuple[Array, Array]:
    """Monte Carlo standard error of the mean against length: (draws, error).

    `mcse` is that of all `draws`; with the autocorrelation that they show, n of them have mcse sqrt(draws / n).
    """
    at = np.linspace(max(1.0, draws / 20), draws, points)
    return at, mcse * np.sqrt(draws / at)
