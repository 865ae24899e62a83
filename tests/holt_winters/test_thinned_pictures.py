"""Protects: a picture of a long series is small, and shows what it showed: every extreme, every gap, every mark."""

from __future__ import annotations

import numpy as np
import pytest
from test_series_figures import draw, story

from model_templates.holt_winters import figures_thinned as thinned

N = 10_000


def test_a_line_keeps_each_columns_first_lowest_highest_and_last_value() -> None:
    rng = np.random.default_rng(1)
    across, up = np.linspace(60.0, 860.0, N), 100 + 20 * rng.standard_normal(N)
    x, y = thinned.line(across, up)
    assert len(x) <= 4 * 801
    for column in range(60, 860):
        whole, part = up[np.floor(across) == column], y[np.floor(x) == column]
        assert (part.min(), part.max()) == (whole.min(), whole.max())
        assert (part[0], part[-1]) == (whole[0], whole[-1])
    assert set(zip(x, y, strict=True)) <= set(zip(across, up, strict=True)), "no value is made up"


def test_a_line_breaks_where_it_broke() -> None:
    across, up = np.linspace(0.0, 100.0, N), np.sin(np.arange(N))
    up[4000:4003] = np.nan
    up[7000] = np.nan
    _, y = thinned.line(across, up)
    assert np.isnan(y).sum() == 2
    gap = int(np.flatnonzero(np.isnan(y))[0])
    assert (y[gap - 1], y[gap + 1]) == (up[3999], up[4003])


def test_few_values_are_drawn_as_they_are() -> None:
    across, up = np.linspace(0.0, 100.0, 300), np.arange(300.0)
    assert thinned.line(across, up)[1] is up
    assert len(thinned.sticks(np.linspace(0.0, 100.0, 90), np.arange(90.0), 5.0)) == 90
    assert len(thinned.marks(across, up)[0]) == 300


def test_sticks_cover_what_they_covered() -> None:
    rng = np.random.default_rng(2)
    across, up = np.linspace(10.0, 510.0, N), 50 + 10 * rng.standard_normal(N)
    drawn = thinned.sticks(across, up, 50.0)
    assert len(drawn) <= 501
    for (x, low), (_, high) in drawn:
        there = up[np.floor(across) == x - 0.5]
        assert (low, high) == (min(50.0, there.min()), max(50.0, there.max()))


def test_every_mark_has_one_within_half_a_pixel() -> None:
    rng = np.random.default_rng(3)
    across, up = 50 * rng.random(N), 20 * rng.random(N)
    x, y = thinned.marks(across, up)
    assert len(x) <= 101 * 41
    near = {(round(2 * a), round(2 * b)) for a, b in zip(x, y, strict=True)}
    assert all((round(2 * a), round(2 * b)) in near for a, b in zip(across, up, strict=True))


@pytest.mark.parametrize("n", [N, 40_000])
def test_no_picture_of_a_long_series_is_large(n: int) -> None:
    sizes = {name: len(svg) for name, svg in draw(story(n)).items()}
    assert max(sizes.values()) < 300_000, sizes
