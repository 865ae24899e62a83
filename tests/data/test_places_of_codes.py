"""Which columns are read a second time: those with cells that look like codes, and no others."""

from __future__ import annotations

import pytest

from templates_engine.data.readers import identifiers


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (b"1,2,3\n4,5,6\n", set()),
        (b"007,2,3\n4,5,6\n", {0}),
        (b"1,2,3\n4,05,6\n", {1}),
        (b"1,2,1E2\n4,5,6\n", {2}),
        (b"1,0.5,10\n4,100,6.0\n", set()),
        (b"1,2,3\n4,5,06", {2}),
        (b"01,2E1,3\n", {0, 1}),
        (b"1,1.5E-3,2e+5\n", set()),
        (b"a0123,b,c\n", set()),
    ],
)
def test_places(lines: bytes, found: set[int]) -> None:
    assert identifiers.places(lines, b",") == found
    assert identifiers.places(lines.replace(b",", b";"), b";") == found
