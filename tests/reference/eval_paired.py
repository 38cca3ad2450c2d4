"""Paired tests on the correctness of two models, by the functions of statsmodels and SciPy:
McNemar's test, the permutation test of pairs, and the bootstrap interval of the mean difference.

    pip install numpy==2.4.6 scipy==1.17.1 statsmodels==0.15.0
    python tests/reference/eval_paired.py

writes tests/reference/eval/paired.json. Correctness is drawn from a seed and written as one 0 or 1
per image. Formulas: docs/paper.md, "Evaluation".
"""

import json
import pathlib

import numpy
import scipy
import scipy.stats
import statsmodels
from statsmodels.stats.contingency_tables import mcnemar

SEED = 20_260_711
RESAMPLES = 20_000
# Images, accuracy of the first model, and the shares of images on which only one of the two is
# right.
CASES = [(60, 0.7, 0.10, 0.06), (400, 0.8, 0.05, 0.09), (2_000, 0.75, 0.06, 0.06), (5_000, 0.6, 0.04, 0.05)]


def difference(first, second):
    return numpy.mean(second) - numpy.mean(first)


def case(rng, images, accuracy, only_first, only_second):
    kinds = rng.choice(4, images, p=[accuracy - only_first, only_first, only_second, 1 - accuracy - only_second])
    first, second = (kinds < 2).astype(int), numpy.isin(kinds, [0, 2]).astype(int)
    table = [[int(((first == a) & (second == b)).sum()) for b in (1, 0)] for a in (1, 0)]
    disagreements = table[0][1] + table[1][0]
    test = mcnemar(table, exact=disagreements < 25, correction=False)
    permuted = scipy.stats.permutation_test(
        (first, second), difference, permutation_type="samples", n_resamples=RESAMPLES, rng=rng
    )
    interval = scipy.stats.bootstrap(
        (first, second), difference, paired=True, method="percentile", n_resamples=RESAMPLES,
        vectorized=False, rng=rng,
    ).confidence_interval
    return {
        "first": "".join(map(str, first)),
        "second": "".join(map(str, second)),
        "chi_squared": float(mcnemar(table, exact=False, correction=False).statistic),
        "mcnemar_p": float(test.pvalue),
        "mean_difference": float(difference(first, second)),
        "permutation_p": float(permuted.pvalue),
        "interval": [float(interval.low), float(interval.high)],
    }


if __name__ == "__main__":
    rng = numpy.random.default_rng(SEED)
    content = {
        "made_by": {
            "script": "tests/reference/eval_paired.py",
            "seed": SEED,
            "numpy": numpy.__version__,
            "scipy": scipy.__version__,
            "statsmodels": statsmodels.__version__,
        },
        "resamples": RESAMPLES,
        "cases": [case(rng, *settings) for settings in CASES],
    }
    path = pathlib.Path(__file__).parent / "eval" / "paired.json"
    path.write_text(json.dumps(content) + "\n")
