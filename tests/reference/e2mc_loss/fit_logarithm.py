"""Fits the polynomial P of crates/e2mc-loss/src/fused/flex/math.rs:

    ln(1 + f) = f - f^2/2 + f^3 P(f),    sqrt(1/2) - 1 <= f <= sqrt(2) - 1

by interpolation at Chebyshev points, which is within a small factor of the best fit. Measures the
result with its coefficients rounded to f32.

    python fit_logarithm.py [degree]
"""

import sys

import mpmath
import numpy as np
from numpy.polynomial import chebyshev, polynomial

mpmath.mp.dps = 40
degree = int(sys.argv[1]) if len(sys.argv) > 1 else 7
low, high = 0.5**0.5 - 1, 2**0.5 - 1


def target(f):
    f = mpmath.mpf(float(f))
    return (mpmath.log1p(f) - f + f * f / 2) / f**3 if f else mpmath.mpf(1) / 3


points = np.cos((np.arange(degree + 1) + 0.5) * np.pi / (degree + 1))
values = [float(target(low + (high - low) * (x + 1) / 2)) for x in points]
series = chebyshev.Chebyshev(chebyshev.chebfit(points, values, degree), domain=[low, high])
coefficients = np.float32(series.convert(kind=polynomial.Polynomial).coef)
print("lowest power first:", ", ".join(f"{c:.9g}" for c in coefficients))

worst = 0.0
for f in np.linspace(low, high, 4001):
    exact = mpmath.log1p(mpmath.mpf(float(f)))
    p = sum(mpmath.mpf(float(c)) * mpmath.mpf(float(f)) ** k for k, c in enumerate(coefficients))
    found = f - mpmath.mpf(f) ** 2 / 2 + mpmath.mpf(f) ** 3 * p
    if f:
        worst = max(worst, abs(float(found / exact - 1)))
print(f"relative error {worst:.1e}")
