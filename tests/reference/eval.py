"""Reference values for e2mc-eval: paired statistics (SciPy) and linear probes (PyTorch, float64).

    python tests/reference/eval.py

writes tests/reference/eval/statistics.json and crates/eval/golden/probe.json. Formulas: docs/paper.md,
"Evaluation" and "Optimizers".
"""

import json
import pathlib
import sys

import numpy
import scipy
import scipy.stats
import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).parent / "eval"
# For the unit tests, which are part of the package.
IN_CRATE = pathlib.Path(__file__).resolve().parents[2] / "crates/eval/golden"


def made_by():
    return {
        "script": "tests/reference/eval.py",
        "python": sys.version.split()[0],
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "scipy": scipy.__version__,
    }


def paired(n, n01, n10):
    k = n01 + n10
    difference = numpy.array([1.0] * n01 + [-1.0] * n10 + [0.0] * (n - k))
    chi2 = (n01 - n10) ** 2 / k if k else 0.0
    if k < 25:
        p = scipy.stats.binomtest(n01, k, 0.5).pvalue if k else 1.0
    else:
        p = scipy.stats.chi2.sf(chi2, df=1)
    # Every sign flip of the k non-zero differences is equally likely, so the exact permutation
    # p-value is a binomial tail.
    heads = numpy.arange(k + 1)
    extreme = abs(2 * heads - k) >= abs(n01 - n10)
    return {
        "n": n,
        "n01": n01,
        "n10": n10,
        "chi_squared": chi2,
        "mcnemar_p": float(p),
        "exact_permutation_p": float(scipy.stats.binom.pmf(heads, k, 0.5)[extreme].sum()),
        "mean_difference": float(difference.mean()),
        "cohens_d": float(difference.mean() / difference.std(ddof=1)) if k else 0.0,
    }


def statistics():
    counts = [(10, 0, 0), (10, 1, 0), (50, 8, 3), (50, 12, 12), (100, 24, 0), (100, 5, 20)]
    counts += [(10_000, 640, 550), (10_000, 401, 399), (50_000, 3200, 2900), (50_000, 2000, 3000)]
    trials = [[68.3], [68.3, 69.1, 67.4], [0.1, 0.1, 0.1], [1e6 + 1, 1e6 + 2, 1e6 + 4]]
    return {
        "made_by": made_by(),
        "paired": [paired(*count) for count in counts],
        "summaries": [
            {
                "trials": t,
                "mean": float(numpy.mean(t)),
                "std": float(numpy.std(t, ddof=1)) if len(t) > 1 else None,
            }
            for t in trials
        ],
    }


def features(rng, n, d, classes, centres):
    """Overlapping Gaussian classes of unequal feature scale; every class occurs."""
    labels = torch.arange(n) % classes
    values = centres[labels] + torch.randn(n, d, generator=rng, dtype=torch.float64)
    values *= torch.logspace(-1, 1, d, dtype=torch.float64)
    return torch.round(values, decimals=4), labels


def lars_step(weight, bias, velocity, lr, momentum, weight_decay):
    gradient = weight.grad + weight_decay * weight.detach()
    norms = weight.detach().norm(), gradient.norm()
    scale = 0.001 * norms[0] / norms[1] if norms[0] > 0 and norms[1] > 0 else 1.0
    for parameter, v, step in [(weight, velocity[0], gradient * scale), (bias, velocity[1], bias.grad)]:
        v.mul_(momentum).add_(step)
        parameter.data.sub_(lr * v)


def probe(train, test, start, orders, name, lr, momentum, weight_decay, batch, standardize):
    (x, y), (x_test, y_test) = train, test
    if standardize:
        mean, std = x.mean(0), x.std(0, unbiased=False)
        x, x_test = (x - mean) / std, (x_test - mean) / std
    weight = start.clone().requires_grad_()  # [d, classes]
    bias = torch.zeros(start.shape[1], dtype=torch.float64, requires_grad=True)
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    sgd = torch.optim.SGD([weight, bias], lr=lr, momentum=momentum, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=len(orders))
    losses, accuracies = [], []
    for order in orders:
        total = 0.0
        for indices in order.split(batch):
            loss = F.cross_entropy(x[indices] @ weight + bias, y[indices])
            sgd.zero_grad()
            loss.backward()
            total += loss.item() * len(indices)
            if name == "lars":
                rate = sgd.param_groups[0]["lr"]
                lars_step(weight, bias, velocity, rate, momentum, weight_decay)
                sgd._opt_called = True  # the schedule warns unless it saw a step
            else:
                sgd.step()
        schedule.step()
        losses.append(total / len(y))
        predicted = (x_test @ weight + bias).argmax(1)
        accuracies.append((predicted == y_test).double().mean().item())
    return {
        "optimizer": name,
        "learning_rate": lr,
        "momentum": momentum,
        "weight_decay": weight_decay,
        "batch_size": batch,
        "standardize": standardize,
        "weight": weight.flatten().tolist(),
        "bias": bias.tolist(),
        "train_loss": losses,
        "test_accuracy": accuracies,
        "predictions": predicted.tolist(),
    }


def probes():
    rng = torch.Generator().manual_seed(7)
    n, n_test, d, classes, epochs = 90, 60, 6, 4, 6
    centres = torch.randn(classes, d, generator=rng, dtype=torch.float64)
    train = features(rng, n, d, classes, centres)
    test = features(rng, n_test, d, classes, centres)
    start = torch.round(0.1 * torch.randn(d, classes, generator=rng, dtype=torch.float64), decimals=4)
    orders = [torch.randperm(n, generator=rng) for _ in range(epochs)]
    settings = [
        ("sgd", 0.02, 0.9, 1e-2, 32, False),
        ("sgd", 0.5, 0.9, 0.0, 32, True),
        ("sgd", 0.1, 0.0, 1e-4, 256, True),  # one batch holds all
        ("lars", 1.0, 0.5, 0.0, 32, True),
        ("lars", 0.5, 0.5, 1e-2, 45, False),
    ]
    return {
        "made_by": made_by(),
        "dims": d,
        "classes": classes,
        "train": {"values": train[0].flatten().tolist(), "labels": train[1].tolist()},
        "test": {"values": test[0].flatten().tolist(), "labels": test[1].tolist()},
        "start": start.flatten().tolist(),
        "orders": [order.tolist() for order in orders],
        "runs": [probe(train, test, start, orders, *setting) for setting in settings],
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    for file, content in [
        (OUT / "statistics.json", statistics()),
        (IN_CRATE / "probe.json", probes()),
    ]:
        file.write_text(json.dumps(content) + "\n")
