"""What terms and predictors are at given values: products of powers and indicators. See arrays.Terms."""

from __future__ import annotations

from templates_engine.sampling.compiled import njit, njit_inlined
from templates_engine.sampling.onepass.arrays import Floats, Interest, Ints, Terms


@njit_inlined
def factor_of(form: int, x: float) -> float:
    """What a variable with value x contributes to a product; see arrays.Terms."""
    if form == 0:
        return 1.0
    if form < 0:
        return 1.0 if x == -form - 1 else 0.0
    s = x
    for _ in range(form - 1):
        s *= x
    return s


@njit_inlined
def product(form: Floats, h: int, value: Floats, i: int, start: float) -> float:
    """start times the factors of line h of the forms, at line i of the values."""
    s = start
    for k in range(form.shape[1]):
        s *= factor_of(form[h, k], value[i, k])
    return s


@njit
def heights(form2: Ints, value2: Floats, j: int, out: Floats) -> None:
    """out (M,): the product of each term's factors of level 2 variables, in group j."""
    for m in range(form2.shape[0]):
        out[m] = product(form2, m, value2, j, 1.0) if form2.shape[1] > 0 else 1.0


@njit
def effective(terms: Terms, interest: Interest, height: Floats, out: Floats) -> None:
    """out (J, H): what multiplies each shape in each group, fixed and random part together."""
    for j in range(out.shape[0]):
        for h in range(out.shape[1]):
            out[j, h] = 0.0
        for k in range(terms.fixed.size):
            m = terms.fixed[k]
            out[j, terms.shape[m]] += interest.beta[k] * height[j, m]
        for r in range(terms.random.size):
            out[j, terms.shape[terms.random[r]]] += interest.u[j, r]


@njit_inlined
def polynomial(
    form: Ints, column: Floats, value: Floats, by: Floats, i: int, g: int, response: int, out: Floats
) -> None:
    """out: the predictor of row i as a polynomial in one measurement, constant first, the others as they are."""
    for k in range(out.size):
        out[k] = 0.0
    for h in range(form.shape[0]):
        s = by[g, h] * column[i, h]
        for k in range(form.shape[1]):
            if k != response:
                s *= factor_of(form[h, k], value[i, k])
        out[form[h, response]] += s


@njit_inlined
def predictor(form: Ints, column: Floats, value: Floats, by: Floats, i: int, g: int) -> float:
    """The linear predictor of row i in group g."""
    total = 0.0
    for h in range(form.shape[0]):
        total += product(form, h, value, i, by[g, h] * column[i, h])
    return total


@njit_inlined
def horner(coefficients: Floats, x: float) -> float:
    s = 0.0
    for k in range(coefficients.size - 1, -1, -1):
        s = s * x + coefficients[k]
    return s


@njit
def group_line(terms: Terms, interest: Interest, height: Floats, g: int, out: Floats) -> None:
    """out (H,): what multiplies each shape in group g, where its terms have these heights (M,)."""
    for h in range(out.size):
        out[h] = 0.0
    for k in range(terms.fixed.size):
        m = terms.fixed[k]
        out[terms.shape[m]] += interest.beta[k] * height[m]
    for r in range(terms.random.size):
        out[terms.shape[terms.random[r]]] += interest.u[g, r]
