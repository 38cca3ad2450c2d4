"""scikit-learn's (liblinear's) side of crates/eval/benches/svm.rs: the VOC07 grid as in the
benchmark (Goyal et al. 2019), on the features written by the Rust side.

    pip install numpy==2.4.6 scikit-learn==1.9.1
    mkdir -p /tmp/voc && cargo bench -p e2mc-eval --bench svm -- /tmp/voc
    python benches/peers/svm.py /tmp/voc [--classes N] [--costs C,C,...]

Settings are the benchmark's: squared hinge, dual, tolerance 1e-4, at most 2000 passes, class
weights 2 and 1. Fits run in two processes, one class after the other. Only the chosen cost is
fitted on all images, while the benchmark fits each cost.
"""

import argparse
import time
import warnings
from multiprocessing import Pool

import numpy
from sklearn.model_selection import cross_val_score
from sklearn.svm import LinearSVC

COSTS = [1e-6, 3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3]
COSTS += [1, 2, 5, 10, 15, 20, 50, 100, 200, 500, 1000]


def svc(cost):
    return LinearSVC(
        C=cost, class_weight={1: 2, -1: 1}, loss="squared_hinge", dual=True, tol=1e-4, max_iter=2000
    )


def one_class(arguments):
    k, labels, costs = arguments
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    validation, times = [], []
    for cost in costs:
        begun = time.perf_counter()
        scores = cross_val_score(svc(cost), FEATURES, labels, cv=3, scoring="average_precision")
        validation.append(scores.mean())
        times.append(time.perf_counter() - begun)
    best = int(numpy.argmax(validation))
    svc(costs[best]).fit(FEATURES, labels)
    return k, costs[best], validation[best], times, time.perf_counter() - start


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder")
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--costs", type=lambda text: [float(c) for c in text.split(",")], default=COSTS)
    options = parser.parse_args()
    shown = numpy.fromfile(f"{options.folder}/labels.u8", dtype=numpy.uint8).reshape(-1, 20)
    FEATURES = numpy.fromfile(f"{options.folder}/features.f32", dtype=numpy.float32)
    FEATURES = FEATURES.reshape(len(shown), -1).astype(numpy.float64)
    FEATURES /= (numpy.linalg.norm(FEATURES, axis=1) + 1e-5)[:, None]
    jobs = [(k, numpy.where(shown[:, k] == 1, 1, -1), options.costs) for k in range(options.classes)]
    start = time.perf_counter()
    with Pool(2) as pool:
        results = pool.map(one_class, jobs, chunksize=1)
    print(f"{time.perf_counter() - start:.2f} s for {options.classes} classes")
    for k, cost, precision, times, total in results:
        print(f"class {k}: C {cost:g} (validation {precision:.4f}), {total:.1f} s:", end=" ")
        print(" ".join(f"{t:.2f}" for t in times))
