"""Reference values for e2mc-eval: diagnostics of embeddings (NumPy, SciPy), weighted nearest
neighbors (scikit-learn), and statistics over draws and resampled images (SciPy).

    pip install numpy==2.4.6 scipy==1.17.1 scikit-learn==1.9.1
    python tests/reference/embeddings_and_draws.py

writes diagnostics.json, knn.json and draws.json to tests/reference/eval. The effective rank is
RankMe's (Garrido et al. 2023, eq. 1): the entropy of the singular values over their sum, plus 1e-7.
"""

import json
import pathlib
import sys

import numpy
import scipy
import scipy.spatial
import scipy.stats
import sklearn
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

# Pairs of dimensions and the neighbor for the diagnostics.
PAIRS = [(0, 1), (2, 6)]
K = 4

OUT = pathlib.Path(__file__).parent / "eval"


def made_by():
    return {
        "script": "tests/reference/embeddings_and_draws.py",
        "python": sys.version.split()[0],
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
        "sklearn": sklearn.__version__,
    }


def f32(values):
    """The f64 values of the test's f32 numbers."""
    return values.astype(numpy.float32).astype(numpy.float64)


def rankme(values):
    singular = numpy.linalg.svd(values, compute_uv=False)
    p = singular / singular.sum() + 1e-7
    return float(numpy.exp(-(p * numpy.log(p)).sum()))


def entropies(compact):
    """Equation 4 of the paper, with the published spacing and VICReg's epsilon."""
    n = len(compact)
    m = round(n**0.5)
    ordered = numpy.sort(compact, axis=0)
    spacings = (n + 1) / m * (ordered[m:] - ordered[:-m])
    return numpy.log(spacings + 1e-7).mean(axis=0).tolist()


def pair_distance(points):
    lines = numpy.arange(1, 33) / 32
    below = (points[:, None, None, 0] <= lines[:, None]) & (points[:, None, None, 1] <= lines)
    return float(abs(below.mean(axis=0) - numpy.outer(lines, lines)).max())


def neighbors(values):
    distances = numpy.sort(scipy.spatial.distance.cdist(values, values), axis=1)
    nearest, kth = distances[:, 1], distances[:, K]
    overlap = 1 - scipy.stats.ks_2samp(nearest, kth).statistic
    return {"nearest": nearest.tolist(), "kth": kth.tolist(), "overlap": float(overlap)}


def embedding(name, values):
    values = f32(values)
    compact = f32(scipy.stats.norm.cdf(values))
    varying = values[:, values.std(0) > 0]
    correlation = abs(numpy.corrcoef(varying, rowvar=False))
    pairs = ~numpy.eye(len(correlation), dtype=bool)
    distances = [scipy.stats.kstest(column, "uniform").statistic for column in compact.T]
    return {
        "name": name,
        "shape": values.shape,
        "values": values.flatten().tolist(),
        "compact": compact.flatten().tolist(),
        "effective_rank": rankme(values),
        "mean_std": float(values.std(0, ddof=1).mean()),
        "mean_absolute_correlation": float(correlation[pairs].mean()),
        "marginal_uniformity": float(numpy.mean(distances)),
        "entropies": entropies(compact),
        "pair_uniformity": [pair_distance(compact[:, list(pair)]) for pair in PAIRS],
        "neighbors": neighbors(values),
    }


def diagnostics():
    rng = numpy.random.default_rng(11)
    tall, wide = rng.normal(size=(40, 12)), rng.normal(size=(12, 40))
    low_rank = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 16))
    with_constant = numpy.hstack([tall[:, :5], numpy.full((40, 1), 0.25), 3 * tall[:, 5:7]])
    left, right = (numpy.linalg.qr(rng.normal(size=(24, 16)))[0] for _ in range(2))
    decaying = (left * 2.0 ** -numpy.arange(16)) @ right[:16].T
    cases = [
        ("tall", tall),
        ("wide", wide),
        ("far from the origin", tall + 5.0),
        ("rank 3", low_rank),
        ("a constant dimension", with_constant),
        ("singular values that halve", decaying),
    ]
    return {"made_by": made_by(), "cases": [embedding(*case) for case in cases]}


def knn():
    rng = numpy.random.default_rng(5)
    classes, dims, temperature, ks = 5, 8, 0.07, [1, 5, 20, 120]
    centres = rng.normal(size=(classes, dims))

    def draw(n):
        labels = numpy.arange(n) % classes
        return f32(numpy.round(centres[labels] + 1.3 * rng.normal(size=(n, dims)), 3)), labels

    (x, y), (x_test, y_test) = draw(120), draw(60)
    predictions = {}
    for k in ks:
        weights = lambda distance: numpy.exp((1.0 - distance) / temperature)
        model = KNeighborsClassifier(k, weights=weights, metric="cosine", algorithm="brute").fit(x, y)
        predictions[k] = model.predict(x_test).tolist()
        # No prediction may depend on f32 rounding.
        two = numpy.sort(model.predict_proba(x_test), axis=1)[:, -2:]
        assert ((two[:, 1] - two[:, 0]) > 1e-3).all(), k
        if k < len(x):
            distances, _ = NearestNeighbors(n_neighbors=k + 1, metric="cosine").fit(x).kneighbors(x_test)
            assert (distances[:, k] - distances[:, k - 1] > 1e-6).all(), k
    return {
        "made_by": made_by(),
        "dims": dims,
        "classes": classes,
        "temperature": temperature,
        "train": {"values": x.flatten().tolist(), "labels": y.tolist()},
        "test": {"values": x_test.flatten().tolist(), "labels": y_test.tolist()},
        "ks": ks,
        "predictions": [predictions[k] for k in ks],
    }


def paired_t(differences):
    test = scipy.stats.ttest_1samp(differences, 0.0)
    interval = test.confidence_interval(0.95)
    wide = test.confidence_interval(0.99)
    return {
        "differences": differences,
        "mean": float(numpy.mean(differences)),
        "std": float(numpy.std(differences, ddof=1)),
        "t": float(test.statistic),
        "p_value": float(test.pvalue),
        "interval_95": [float(interval.low), float(interval.high)],
        "half_width_99": float((wide.high - wide.low) / 2),
    }


def bootstrap(n, n01, n10):
    difference = numpy.array([1.0] * n01 + [-1.0] * n10 + [0.0] * (n - n01 - n10))
    interval = scipy.stats.bootstrap(
        (difference,),
        numpy.mean,
        n_resamples=20_000,
        confidence_level=0.95,
        method="percentile",
        batch=500,
        rng=numpy.random.default_rng(3),
    ).confidence_interval
    return {
        "n": n,
        "n01": n01,
        "n10": n10,
        "std": float(difference.std()),
        "interval": [float(interval.low), float(interval.high)],
    }


def draws():
    differences = [
        [0.4, 1.1],
        [0.3, 0.5, -0.1],
        [1.54, 1.61, 1.47, 1.66, 1.5],
        [-0.02, 0.03, 0.01, -0.04, 0.05, 0.0, -0.01],
        [1e-3 * (i % 7) - 2.5e-3 for i in range(40)],
        [100.0, 100.5, 99.5, 100.25],
    ]
    return {
        "made_by": made_by(),
        "paired_t": [paired_t(d) for d in differences],
        "bootstrap": [bootstrap(*counts) for counts in [(200, 30, 12), (2_000, 210, 190), (1_000, 0, 40)]],
    }


if __name__ == "__main__":
    for name, content in [("diagnostics", diagnostics()), ("knn", knn()), ("draws", draws())]:
        (OUT / f"{name}.json").write_text(json.dumps(content) + "\n")
