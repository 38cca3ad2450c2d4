"""PyTorch's side of `cargo bench -p e2mc-eval --bench linear_probe -- --imagenet EPOCHS FOLDER`:
softmax regression on the features that the Rust side writes, 12,811 of 2048 dimensions, 1000
classes, batch 256, SGD.

    pip install numpy==2.4.6 torch==2.15.0
    python benches/peers/linear_probe.py EPOCHS FOLDER [--seed N]
"""

import argparse
import math
import time

import numpy
import torch
import torch.nn.functional as F


def features(folder, part):
    values = torch.from_numpy(numpy.fromfile(f"{folder}/{part}.f32", dtype=numpy.float32))
    values = values.view(-1, 2048)
    return values, torch.arange(len(values)) % 1000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("epochs", type=int)
    parser.add_argument("folder")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    epochs = options.epochs
    torch.set_num_threads(2)
    torch.manual_seed(options.seed)
    (x, y), (x_test, y_test) = (features(options.folder, part) for part in ["train", "test"])
    start = time.perf_counter()
    model = torch.nn.Linear(2048, 1000)
    torch.nn.init.normal_(model.weight, std=0.01)
    torch.nn.init.zeros_(model.bias)
    sgd = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=1e-6)
    best = 0.0
    for epoch in range(epochs):
        for group in sgd.param_groups:
            group["lr"] = 0.3 * (1 + math.cos(math.pi * epoch / epochs)) / 2
        total = 0.0
        for indices in torch.randperm(len(y)).split(256):
            loss = F.cross_entropy(model(x[indices]), y[indices])
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            total += loss.detach() * len(indices)
        with torch.no_grad():
            found = model(x_test).topk(5).indices == y_test[:, None]
            top1, _top5 = found[:, 0].float().mean().item(), found.any(1).float().mean().item()
        best = max(best, top1)
    seconds = time.perf_counter() - start
    print(
        f"{seconds:.2f} s for {epochs} epochs (last loss {total.item() / len(y):.4f}, "
        f"top-1 {100 * top1:.2f}%, best {100 * best:.2f}%)"
    )


if __name__ == "__main__":
    main()
