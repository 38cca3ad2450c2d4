"""Reference values for the power of the paired tests (SciPy's noncentral t).

    pip install numpy==2.4.6 scipy==1.17.1
    python tests/reference/power.py

writes power.json to tests/reference/eval.
"""

import json
import pathlib
import sys

import numpy
import scipy
import scipy.optimize
import scipy.stats

OUT = pathlib.Path(__file__).parent / "eval"


def paired_t(differences, alpha, power):
    df = len(differences) - 1
    critical = scipy.stats.t.ppf(1 - alpha / 2, df)

    def excess(shift):
        t = scipy.stats.nct(df, shift)
        # NaN if it is too small for SciPy.
        other_tail = numpy.nan_to_num(t.cdf(-critical))
        return t.sf(critical) + other_tail - power

    # Not statsmodels' solve_power, whose search misses the root for three draws.
    high = 1.0
    while excess(high) < 0:
        high *= 1.5
    shift = scipy.optimize.brentq(excess, 0.1, high, xtol=1e-13)
    error = numpy.std(differences, ddof=1) / len(differences) ** 0.5
    return {
        "differences": differences,
        "alpha": alpha,
        "power": power,
        "detectable": float(shift * error),
    }


def mcnemar(images, disagreements, alpha, power):
    errors = scipy.stats.norm.ppf(1 - alpha / 2) + scipy.stats.norm.ppf(power)
    return {
        "images": images,
        "disagreements": disagreements,
        "alpha": alpha,
        "power": power,
        "detectable": float(errors * disagreements**0.5 / images),
    }


def main():
    rng = numpy.random.default_rng(7)
    draws = [rng.normal(0.1, 0.5, n).round(3).tolist() for n in (3, 4, 8, 24, 100)]
    levels = [(0.05, 0.8), (0.05 / 3, 0.8), (0.05, 0.95)]
    content = {
        "made_by": {
            "script": "tests/reference/power.py",
            "python": sys.version.split()[0],
            "numpy": numpy.__version__,
            "scipy": scipy.__version__,
        },
        "paired_t": [paired_t(d, *level) for d in draws for level in levels],
        "mcnemar": [
            mcnemar(*counts, *level)
            for counts in [(10_000, 312), (30, 4)]
            for level in levels
        ],
    }
    (OUT / "power.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
