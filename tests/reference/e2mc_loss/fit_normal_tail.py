"""Fits the polynomial of crates/e2mc-loss/src/space/hypersphere.rs.

Psi(-x) = exp(-x^2/2) t P(t), t = 1/(1 + x/4), x >= 0, where Psi is the normal distribution
function. Lawson's iteration: least squares on Chebyshev nodes, reweighted until the largest
relative error is least. Prints the coefficients, lowest power first, rounded to f32, and their
relative error, exact and in f32 arithmetic.

    python fit_normal_tail.py
"""

import numpy as np
from numpy.polynomial import chebyshev, polynomial
from scipy.special import erfcx

DEGREE, KNEE, NODES, ITERATIONS = 9, 4.0, 4000, 300


def scaled_tail(x):
    """Psi(-x) exp(x^2/2)."""
    return 0.5 * erfcx(x / np.sqrt(2))


def main():
    u = np.cos((np.arange(NODES) + 0.5) * np.pi / NODES)
    t = (u + 1) / 2
    target = scaled_tail(KNEE * (1 - t) / t) / t
    weight = np.full(NODES, 1 / NODES)
    for _ in range(ITERATIONS):
        fit = chebyshev.chebfit(u, target, DEGREE, w=np.sqrt(weight) / target)
        error = np.abs(chebyshev.chebval(u, fit) / target - 1)
        weight *= error / error.max() + 1e-12
        weight /= weight.sum()
    powers = np.zeros(1)
    for c in chebyshev.cheb2poly(fit)[::-1]:  # u = 2t - 1
        powers = polynomial.polyadd(polynomial.polymul(powers, [-1, 2]), [c])
    powers = powers.astype(np.float32)

    x = np.linspace(0, 13, 200_001).astype(np.float32)
    t32 = 1 / (x * np.float32(1 / KNEE) + np.float32(1))
    t64 = 1 / (x.astype(np.float64) / KNEE + 1)
    value32, value64 = np.zeros_like(t32), np.zeros_like(t64)
    for c in powers[::-1]:
        value32, value64 = value32 * t32 + c, value64 * t64 + np.float64(c)
    exact = scaled_tail(x.astype(np.float64))
    for c in powers:
        print(f"    {c:.9g},")
    print("relative error", np.abs(value64 * t64 / exact - 1).max())
    print("relative error in f32", np.abs(value32 * t32 / exact - 1).max())


if __name__ == "__main__":
    main()
