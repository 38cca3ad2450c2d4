"""Reference values for e2mc_eval::svm: decision values and average precisions of scikit-learn's
LinearSVC (liblinear), costs chosen by its cross-validation.

    pip install numpy==2.4.6 scikit-learn==1.9.1
    python tests/reference/eval_svm.py

writes tests/reference/eval/svm.json. Settings are the benchmark's (Goyal et al. 2019): squared
hinge, class weights 2 and 1, features divided by their length plus 1e-5, three stratified folds.
Only the tolerance is 1e-10, so that the minimum itself is compared.
"""

import json
import pathlib
import sys
import warnings

import numpy
import sklearn
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.svm import LinearSVC

OUT = pathlib.Path(__file__).parent / "eval"
COSTS = [1e-4, 1e-2, 0.3, 1.0, 10.0, 200.0, 1000.0]


def svc(cost):
    return LinearSVC(
        C=cost,
        class_weight={1: 2, -1: 1},
        intercept_scaling=1.0,
        loss="squared_hinge",
        dual=True,
        tol=1e-10,
        max_iter=5_000_000,
        random_state=0,
    )


def interpolated(labels, scores):
    """Area under the curve, with each precision raised to the highest at any larger recall."""
    order = numpy.argsort(-scores)
    hits = numpy.cumsum(labels[order] == 1)
    precision = hits / numpy.arange(1, len(order) + 1)
    raised = numpy.maximum.accumulate(precision[::-1])[::-1]
    return float(raised[labels[order] == 1].mean())


def eleven_point(labels, scores):
    order = numpy.argsort(-scores)
    hits = numpy.cumsum(labels[order] == 1)
    precision = hits / numpy.arange(1, len(order) + 1)
    return float(numpy.mean([precision[10 * hits >= t * hits[-1]].max() for t in range(11)]))


def sample(rng, n, centres, noise):
    """Features of images that show any number of classes. A share of the labels is difficult
    (-1)."""
    classes, dims = centres.shape
    shown = rng.random((n, classes)) < [0.12, 0.3, 0.5, 0.2][:classes]
    values = shown @ centres + noise * rng.normal(size=(n, dims)) + 0.5
    labels = numpy.where(shown, 1, 0)
    labels[rng.random((n, classes)) < 0.05] = -1
    return numpy.round(numpy.maximum(values, 0.0), 3), labels


def unit(values):
    # The test's f32 values, then the benchmark's division.
    values = values.astype(numpy.float32).astype(numpy.float64)
    return values / (numpy.linalg.norm(values, axis=1) + 1e-5)[:, None]


def case(name, rng, n, dims, noise):
    centres = rng.normal(size=(4, dims))
    (x, y), (x_test, y_test) = sample(rng, n, centres, noise), sample(rng, n // 2, centres, noise)
    classes = []
    for k in range(y.shape[1]):
        labels = numpy.where(y[:, k] == 1, 1, -1)
        validation, scores = [], []
        for cost in COSTS:
            folds = StratifiedKFold(3)
            aps = cross_val_score(svc(cost), unit(x), labels, cv=folds, scoring="average_precision")
            validation.append(float(aps.mean()))
            scores.append(svc(cost).fit(unit(x), labels).decision_function(unit(x_test)))
        chosen = int(numpy.argmax(validation))
        counted = y_test[:, k] != -1
        truth, score = y_test[counted, k], scores[chosen][counted]
        classes.append(
            {
                "validation": validation,
                "cost": COSTS[chosen],
                "scores": [s.tolist() for s in scores],
                "step_average_precision": float(average_precision_score(truth, score)),
                "average_precision": interpolated(truth, score),
                "eleven_point": eleven_point(truth, score),
            }
        )
    return {
        "name": name,
        "dims": dims,
        "train": {"values": x.flatten().tolist(), "labels": y.flatten().tolist()},
        "test": {"values": x_test.flatten().tolist(), "labels": y_test.flatten().tolist()},
        "classes": classes,
    }


if __name__ == "__main__":
    warnings.simplefilter("error")  # a fit that stops early is no reference
    rng = numpy.random.default_rng(20)
    content = {
        "made_by": {
            "script": "tests/reference/eval_svm.py",
            "python": sys.version.split()[0],
            "numpy": numpy.__version__,
            "sklearn": sklearn.__version__,
        },
        "costs": COSTS,
        "cases": [
            case("classes that overlap", rng, 120, 10, 1.2),
            case("separable classes, more dimensions than images", rng, 60, 70, 0.8),
        ],
    }
    (OUT / "svm.json").write_text(json.dumps(content) + "\n")
