"""Reference predictions for e2mc_eval::knn at the paper's settings: PyTorch, float64.

    pip install torch==2.15.0 numpy==2.4.6
    python tests/reference/eval_knn.py

writes tests/reference/eval/knn_torch.json: k 20 and 200, temperature 0.07, cosine similarity.
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).parent / "eval"
CLASSES, DIMS, TEMPERATURE = 6, 5, 0.07


def draw(n, centres, rng):
    labels = torch.arange(n) % CLASSES
    values = centres[labels] + 1.2 * torch.randn(n, DIMS, generator=rng, dtype=torch.float64)
    return torch.round(values, decimals=3), labels


def predictions(x, y, x_test, k):
    x, x_test = (F.normalize(values.float().double()) for values in (x, x_test))
    similarity, found = (x_test @ x.T).topk(k + 1)
    # No prediction may depend on f32 rounding.
    assert (similarity[:, k - 1] - similarity[:, k] > 1e-6).all(), k
    weights = (similarity[:, :k] / TEMPERATURE).exp()
    votes = torch.zeros(len(x_test), CLASSES, dtype=torch.float64)
    votes.scatter_add_(1, y[found[:, :k]], weights)
    best = votes.topk(2).values
    assert (1 - best[:, 1] / best[:, 0] > 1e-4).all(), k
    return votes.argmax(1).tolist()


if __name__ == "__main__":
    rng = torch.Generator().manual_seed(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
    centres = torch.randn(CLASSES, DIMS, generator=rng, dtype=torch.float64)
    (x, y), (x_test, y_test) = draw(420, centres, rng), draw(60, centres, rng)
    content = {
        "made_by": {
            "script": "tests/reference/eval_knn.py",
            "python": sys.version.split()[0],
            "torch": torch.__version__,
        },
        "dims": DIMS,
        "classes": CLASSES,
        "temperature": TEMPERATURE,
        "train": {"values": x.flatten().tolist(), "labels": y.tolist()},
        "test": {"values": x_test.flatten().tolist(), "labels": y_test.tolist()},
        "ks": [20, 200],
        "predictions": [predictions(x, y, x_test, k) for k in (20, 200)],
    }
    (OUT / "knn_torch.json").write_text(json.dumps(content) + "\n")
