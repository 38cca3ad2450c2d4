"""Reference values for e2mc_eval::map_probe: PyTorch, float64.

    pip install torch==2.15.0
    python tests/reference/eval_map_probe.py

writes crates/eval/golden/map_probe.json: 6 x 6 average pooling with stride 1, batch normalization
over the channels, a linear layer, SGD with steps (App. B.2 of the paper, iNat18).
"""

import json
import pathlib
import sys

import torch
import torch.nn.functional as F

# For the unit tests, which are part of the package.
OUT = pathlib.Path(__file__).resolve().parents[2] / "crates/eval/golden"
SHAPE, CLASSES, EPOCHS = (3, 7, 7), 4, 6
CONFIG = {
    "learning_rate": 0.2,
    "steps": [2, 4],
    "factor": 0.1,
    "epochs": EPOCHS,
    "batch_size": 16,
    "momentum": 0.9,
    "weight_decay": 1e-2,
    "seed": 0,
}


def maps(n, centres, rng):
    labels = torch.arange(n) % CLASSES
    values = centres[labels] + 1.5 * torch.randn(n, *SHAPE, generator=rng, dtype=torch.float64)
    return torch.round(values, decimals=3), labels


def main():
    rng = torch.Generator().manual_seed(9)
    centres = torch.randn(CLASSES, *SHAPE, generator=rng, dtype=torch.float64)
    (x, y), (x_test, y_test) = maps(40, centres, rng), maps(20, centres, rng)
    start = torch.round(0.1 * torch.randn(12, CLASSES, generator=rng, dtype=torch.float64), decimals=4)
    orders = [torch.randperm(len(y), generator=rng) for _ in range(EPOCHS)]
    linear = torch.nn.Linear(12, CLASSES, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(start.T)
        linear.bias.zero_()
    model = torch.nn.Sequential(
        torch.nn.AvgPool2d(6, stride=1),
        torch.nn.BatchNorm2d(SHAPE[0], dtype=torch.float64),
        torch.nn.Flatten(),
        linear,
    )
    sgd = torch.optim.SGD(
        model.parameters(), lr=CONFIG["learning_rate"], momentum=CONFIG["momentum"],
        weight_decay=CONFIG["weight_decay"],
    )
    schedule = torch.optim.lr_scheduler.MultiStepLR(sgd, CONFIG["steps"], CONFIG["factor"])
    losses = []
    for order in orders:
        total = 0.0
        for indices in order.split(CONFIG["batch_size"]):
            loss = F.cross_entropy(model(x[indices]), y[indices])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            total += loss.item() * len(indices)
        schedule.step()
        losses.append(total / len(y))
    model.eval()
    content = {
        "made_by": {
            "script": "tests/reference/eval_map_probe.py",
            "python": sys.version.split()[0],
            "torch": torch.__version__,
        },
        "shape": SHAPE,
        "classes": CLASSES,
        "train": {"values": x.flatten().tolist(), "labels": y.tolist()},
        "test": {"values": x_test.flatten().tolist(), "labels": y_test.tolist()},
        "start": start.flatten().tolist(),
        "orders": [order.tolist() for order in orders],
        "config": CONFIG,
        "weight": linear.weight.T.flatten().tolist(),
        "bias": linear.bias.tolist(),
        "train_loss": losses,
        "predictions": model(x_test).argmax(1).tolist(),
    }
    (OUT / "map_probe.json").write_text(json.dumps(content) + "\n")


if __name__ == "__main__":
    main()
