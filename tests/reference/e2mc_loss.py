"""Golden values and gradients of the E2MC criterion, in f64, for crates/e2mc-loss.

Written from the paper (eqs. 4 to 8, C.7). Inputs are not stored. Both sides rebuild them, bit for
bit, from an integer hash (`embeddings` here, tests/common/inputs.rs there). Every entry is a dyadic
rational that is exact in f32, and no two entries of a column are equal.

Large gradients are stored as a digest: their norm and their inner products with 64 pseudo-random
sign vectors, also from the hash. The root mean square difference of two such sketches, over the
norm, estimates the norm-wise relative difference of the gradients to about 9%.

The reference is also accurate in the tails: spacings are computed on the side where the tail mass
is small, as differences of erfc or of the sigmoid of the negated value. `check_against_mpmath`
proves it at 40 digits.

    python e2mc_loss.py            writes e2mc_loss/*.json and *.f32 beside this file
"""

import json
import math
from pathlib import Path

import mpmath
import numpy as np
import torch

OUT = Path(__file__).parent / "e2mc_loss"
SPACES = ["hypersphere", "hypercube"]
SHAPES = [(2, 1), (16, 3), (63, 10), (512, 128), (256, 2048), (512, 8192)]
# The inputs are integers divided by 2^exponent: (exponent, shift) gives about (std, mean)
# (0.144, 1), (1.155, 2) and (4.62, -2), each column's mean moved by up to 0.87 std.
SCALES = [(23, 1 << 23), (20, 1 << 21), (18, -(1 << 19))]
FULL_GRADIENT_UP_TO = 1000  # elements; beyond, the sketch
SKETCH = 64
F32_EPSILON = 2.0**-23


# Inputs


def mix(x):
    """The finalizer of SplitMix64 on a uint64 array."""
    x = x.astype(np.uint64)
    with np.errstate(over="ignore"):
        x = x + np.uint64(0x9E3779B97F4A7C15)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def embeddings(n, d, exponent, shift, seed):
    """f32 array [n, d], n at most 512: bell-shaped, distinct in each column, columns correlated."""
    i, j = np.meshgrid(np.arange(n), np.arange(d), indexing="ij")
    key = (seed << 40) + (i << 20)
    own, shared = mix(key + j), mix(key + (1 << 19) + j % 3)
    total = sum((own >> np.uint64(s)) & np.uint64(4095) for s in (0, 12, 24))
    total = (total + (shared & np.uint64(4095))).astype(np.int64)
    numerator = total * 512 + i - (1 << 22) + shift + (j % 5 - 2) * (1 << 19)
    assert np.abs(numerator).max() < 1 << 24
    z = numerator.astype(np.float32) * np.float32(2.0**-exponent)
    assert all(len(np.unique(c)) == n for c in z.T)
    return z


def checksum(z):
    """Wrapping sum of the bit patterns, each times its 1-based index."""
    bits = z.view(np.uint32).astype(np.uint64).ravel()
    with np.errstate(over="ignore"):
        return str((bits * np.arange(1, bits.size + 1, dtype=np.uint64)).sum())


def sketch(gradient):
    """Inner products with the 64 sign vectors: +1 where bit r of mix(2^60 + index) is set."""
    g = gradient.ravel()
    signs = mix(np.uint64(1 << 60) + np.arange(g.size, dtype=np.uint64))
    out = []
    for r in range(SKETCH):
        bit = (signs >> np.uint64(r)) & np.uint64(1)
        out.append(float(np.where(bit == 1, g, -g).sum()))
    return out


# The criterion


def lower(x, space):
    """Psi(x), with full relative precision for x < 0; the upper tail is lower(-x)."""
    return torch.sigmoid(x) if space == "hypercube" else 0.5 * torch.erfc(-x / math.sqrt(2))


def marginal_entropy(z, space, m, epsilon):
    n = z.shape[0]
    # Equal values keep the order of their rows, which decides how they share their gradient.
    s, _ = torch.sort(z, dim=0, stable=True)
    low, high = s[: n - m], s[m:]
    spacing = torch.where(
        low + high > 0,
        lower(-low, space) - lower(-high, space),
        lower(high, space) - lower(low, space),
    )
    return torch.log((n + 1) / m * spacing + epsilon).mean(0)


def off_diagonal_covariance(x):
    n, d = x.shape
    centered = x - x.mean(0)
    if d > 4096:  # the n x n form; `check_gram_form` shows it is the same
        total = (centered @ centered.T).square().sum() - centered.square().sum(0).square().sum()
    else:
        k = centered.T @ centered
        total = (k - torch.diag(k.diag())).square().sum()
    return total / (n - 1) ** 2 / d


def criterion(views, space, beta, gamma, m, epsilon):
    entropy = sum(
        marginal_entropy(z, space, m or round(math.sqrt(len(z))), epsilon).mean() for z in views
    ) / len(views)
    covariance = sum(off_diagonal_covariance(lower(z, space)) for z in views)
    return gamma * covariance - beta * entropy, entropy, covariance


# Proofs of the reference


def check_against_mpmath():
    mpmath.mp.dps = 40

    def psi(x, space):
        return 1 / (1 + mpmath.exp(-x)) if space == "hypercube" else mpmath.ncdf(x)

    for space in SPACES:
        for exponent, shift in SCALES:
            z = embeddings(16, 3, exponent, shift, 7)
            m, n = 4, 16
            got = marginal_entropy(torch.tensor(z, dtype=torch.float64), space, m, 1e-7)
            for j in range(3):
                x = [psi(mpmath.mpf(float(v)), space) for v in sorted(z[:, j])]
                terms = [mpmath.log((x[i + m] - x[i]) * (n + 1) / m + mpmath.mpf(1e-7)) for i in range(n - m)]
                exact = mpmath.fsum(terms) / (n - m)
                assert abs(float(got[j]) - exact) < 1e-13 * max(1, abs(exact)), (space, j)


def check_gram_form():
    x = torch.tensor(embeddings(64, 5000, 20, 0, 8), dtype=torch.float64)
    k = (x - x.mean(0)).T @ (x - x.mean(0))
    direct = (k - torch.diag(k.diag())).square().sum() / 63**2 / 5000
    assert abs(off_diagonal_covariance(x) / direct - 1) < 1e-12


# Files


def with_gradient(f, z):
    z = torch.tensor(z, dtype=torch.float64, requires_grad=True)
    value = f(z)
    value.backward()
    return value.item(), z.grad.numpy()


def digest(gradient):
    out = {"norm": float(np.linalg.norm(gradient))}
    if gradient.size <= FULL_GRADIENT_UP_TO:
        out["full"] = gradient.ravel().tolist()
    else:
        out["sketch"] = sketch(gradient)
    return out


def term_cases():
    seed = 0
    for n, d in SHAPES:
        for space in SPACES:
            for exponent, shift in SCALES:
                seed += 1
                z = embeddings(n, d, exponent, shift, seed)
                m = round(math.sqrt(n))
                entropy, entropy_gradient = with_gradient(
                    lambda z: marginal_entropy(z, space, m, F32_EPSILON).mean(), z
                )
                covariance, covariance_gradient = with_gradient(
                    lambda z: off_diagonal_covariance(lower(z, space)), z
                )
                case = {
                    "n": n, "d": d, "space": space, "exponent": exponent, "shift": shift, "seed": seed,
                    "checksum": checksum(z), "std": float(z.std()), "mean": float(z.mean()),
                    "m": m, "epsilon": F32_EPSILON,
                    "entropy": entropy, "entropy_gradient": digest(entropy_gradient),
                    "covariance": covariance, "covariance_gradient": digest(covariance_gradient),
                }
                if (n, d, exponent) == (512, 128, 20):
                    for name, g in [("entropy", entropy_gradient), ("covariance", covariance_gradient)]:
                        file = f"512x128_{space}_{name}.f32"
                        g.astype("<f4").tofile(OUT / file)
                        case[f"{name}_gradient"]["file"] = file
                yield case


def degenerate_inputs():
    """Ties, constant columns and saturated entries, made from 63 x 10 distinct embeddings."""
    z = embeddings(63, 10, 20, 0, 100)
    yield "ties", (np.round(z * 4) / 4).astype(np.float32)
    constant = z.copy()
    constant[:, ::2] = constant[0, ::2]
    yield "constant columns", constant
    yield "all constant", np.full_like(z, 0.25)
    yield "saturated above", np.full_like(z, 40.0)
    yield "saturated both ways", np.where(z > 0, 40.0, -40.0).astype(np.float32)
    partly = z.copy()
    partly[::3], partly[1::3] = 40.0, -40.0
    yield "partly saturated", partly


def degenerate_cases():
    for name, z in degenerate_inputs():
        for space in SPACES:
            entropy, entropy_gradient = with_gradient(
                lambda z: marginal_entropy(z, space, 8, F32_EPSILON).mean(), z
            )
            covariance, covariance_gradient = with_gradient(
                lambda z: off_diagonal_covariance(lower(z, space)), z
            )
            assert np.isfinite(entropy_gradient).all() and np.isfinite(covariance_gradient).all()
            yield {
                "name": name, "space": space, "n": 63, "d": 10, "m": 8, "epsilon": F32_EPSILON,
                "z": z.ravel().tolist(),
                "entropy": entropy, "entropy_gradient": digest(entropy_gradient),
                "covariance": covariance, "covariance_gradient": digest(covariance_gradient),
            }


def criterion_cases():
    presets = [
        ("vicreg", "hypercube", 1000.0, 100.0, None, 1e-7, [63, 63]),
        ("swav", "hypersphere", 1.0, 25.0, None, F32_EPSILON, [63, 63]),
        ("simsiam", "hypersphere", 0.001, 0.01, None, F32_EPSILON, [63, 63]),
        ("one view, m = 1", "hypersphere", 2.0, 3.0, 1, 1e-5, [16]),
        ("one view, m = n - 1", "hypercube", 2.0, 3.0, 15, 1e-5, [16]),
        ("three views of different n", "hypercube", 1.0, 25.0, None, 1e-7, [63, 16, 5]),
        ("entropy alone", "hypersphere", 1.0, 0.0, None, 1e-7, [16, 16]),
        ("covariance alone", "hypersphere", 0.0, 1.0, None, 1e-7, [16, 16]),
    ]
    for number, (name, space, beta, gamma, m, epsilon, sizes) in enumerate(presets):
        seeds = [200 + 10 * number + v for v in range(len(sizes))]
        views = [
            torch.tensor(embeddings(n, 10, 20, 0, s), dtype=torch.float64, requires_grad=True)
            for n, s in zip(sizes, seeds)
        ]
        loss, entropy, covariance = criterion(views, space, beta, gamma, m, epsilon)
        loss.backward()
        yield {
            "name": name, "space": space, "entropy_weight": beta, "covariance_weight": gamma,
            "m": m, "epsilon": epsilon, "d": 10, "exponent": 20, "shift": 0,
            "loss": loss.item(), "entropy": entropy.item(), "covariance": covariance.item(),
            "views": [
                {"n": n, "seed": s, "gradient": digest(v.grad.numpy())}
                for n, s, v in zip(sizes, seeds, views)
            ],
        }


def main():
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)
    check_against_mpmath()
    check_gram_form()
    OUT.mkdir(exist_ok=True)
    for name, cases in [
        ("terms", term_cases()), ("degenerate", degenerate_cases()), ("criterion", criterion_cases()),
    ]:
        lines = ",\n".join(json.dumps(case) for case in cases)
        (OUT / f"{name}.json").write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
