"""Logarithms and quantiles with the same bits on every machine.

libm differs from system to system in the last bit, and a run's identity is a hash of its parameters: one other bit
would be another run. `decimal` rounds correctly; Python's own + - * / and sqrt are IEEE operations, one at a time.
"""

from decimal import Context, Decimal
from math import erfc, sqrt

_CONTEXT = Context(prec=20)

# Wichura, Algorithm AS 241 (PPND16): the normal quantile to about 16 digits, rational functions in three ranges.
_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
     1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
     5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
)  # fmt: skip
_NEAR = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258e0,
     3.64784832476320460504e0, 5.76949722146069140550e0, 4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
     6.89767334985100004550e-1, 1.67638483018380384940e0, 2.05319162663775882187e0, 1.0),
)  # fmt: skip
_FAR = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
     2.96560571828504891230e-1, 1.78482653991729133580e0, 5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5, 7.86869131145613259100e-4,
     1.48753612908506148525e-2, 1.36929880922735805310e-1, 5.99832206555887937690e-1, 1.0),
)  # fmt: skip


def decimal(value: float) -> Decimal:
    """The number as it is written: 0.1 is a tenth."""
    return Decimal(repr(value))


def ln(value: float | Decimal) -> Decimal:
    """The natural logarithm of a number above 0, to 20 digits."""
    return _CONTEXT.ln(value if isinstance(value, Decimal) else decimal(value))


def exp(value: float | Decimal) -> float:
    """e to this power, correctly rounded but for one case in thousands, and then the same everywhere."""
    return float(_CONTEXT.exp(value if isinstance(value, Decimal) else Decimal(value)))


def between(low: Decimal, high: Decimal, share: Decimal) -> Decimal:
    """`low` at share 0, `high` at share 1."""
    return _CONTEXT.add(low, _CONTEXT.multiply(_CONTEXT.subtract(high, low), share))


def normal_quantile(u: float) -> float:
    """The z below which a standard normal variable lies with probability `u`, 0 < u < 1."""
    q = u - 0.5
    if abs(q) <= 0.425:
        r = 0.180625 - q * q
        return q * _ratio(_CENTRE, r)
    r = sqrt(float(-ln(u if q < 0 else 1.0 - u)))
    z = _ratio(_NEAR, r - 1.6) if r <= 5.0 else _ratio(_FAR, r - 5.0)
    return -z if q < 0 else z


def normal_share(z: float) -> float:
    """The probability below `z`, rounded so far that no libm matters."""
    return round(erfc(-z / sqrt(2.0)) / 2.0, 12)


def _ratio(polynomials: tuple[tuple[float, ...], tuple[float, ...]], x: float) -> float:
    return _polynomial(polynomials[0], x) / _polynomial(polynomials[1], x)


def _polynomial(coefficients: tuple[float, ...], x: float) -> float:
    total = 0.0
    for coefficient in coefficients:
        total = total * x + coefficient
    return total
