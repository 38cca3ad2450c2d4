"""scikit-learn's side of crates/eval/benches/knn.rs: finds the 200 nearest of 60,000 images for
each of 10,000 by brute force, with 512 features, then takes the weighted votes of 20 and 200.

    pip install numpy==2.4.6 scikit-learn==1.9.1
    OMP_NUM_THREADS=2 python benches/peers/knn.py

The features are normalized, so that the Euclidean order is the cosine order. This allows
scikit-learn's fused search, which is faster than its cosine search.
"""

import time

import numpy
from sklearn.neighbors import NearestNeighbors


def features(images, rng):
    labels = numpy.arange(images) % 10
    values = rng.uniform(-1, 1, size=(images, 512)).astype(numpy.float32)
    values += 0.1 * (numpy.arange(512) % 10 == labels[:, None])
    return values, labels


def unit(values):
    return values / numpy.linalg.norm(values, axis=1, keepdims=True)


def main():
    rng = numpy.random.default_rng(1)
    (train, labels), (test, test_labels) = features(60_000, rng), features(10_000, rng)
    for _ in range(3):
        start = time.perf_counter()
        search = NearestNeighbors(n_neighbors=200, algorithm="brute").fit(unit(train))
        distances, found = search.kneighbors(unit(test))
        weights = numpy.exp((1 - distances**2 / 2) / 0.07)
        accuracies = []
        for k in (20, 200):
            votes = numpy.zeros((len(test), 10))
            numpy.add.at(votes, (numpy.arange(len(test))[:, None], labels[found[:, :k]]), weights[:, :k])
            accuracies.append((votes.argmax(1) == test_labels).mean())
        print(f"{time.perf_counter() - start:.2f} s (accuracies {accuracies[0]:.4f}, {accuracies[1]:.4f})")


if __name__ == "__main__":
    main()
