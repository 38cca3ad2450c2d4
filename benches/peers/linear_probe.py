"""PyTorch's side of `cargo bench -p e2mc-eval --bench linear_probe -- --imagenet EPOCHS`: softmax
regression on 12,811 cached features of 2048 dimensions, 1000 classes, batch 256, SGD.

    pip install torch==2.15.0
    python benches/peers/linear_probe.py EPOCHS

Features have the same scale as on the Rust side, but are other random numbers.
"""

import math
import sys
import time

import torch
import torch.nn.functional as F


def features(images, rng):
    labels = torch.arange(images) % 1000
    values = torch.empty(images, 2048).uniform_(-1, 1, generator=rng)
    values += 0.3 * (torch.arange(2048) % 1000 == labels[:, None])
    return values, labels


def main():
    epochs = int(sys.argv[1])
    torch.set_num_threads(2)
    rng = torch.Generator().manual_seed(1)
    (x, y), (x_test, y_test) = features(12_811, rng), features(2_000, rng)
    start = time.perf_counter()
    model = torch.nn.Linear(2048, 1000)
    torch.nn.init.normal_(model.weight, std=0.01)
    torch.nn.init.zeros_(model.bias)
    sgd = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9, weight_decay=1e-6)
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
            top5 = model(x_test).topk(5).indices
            (top5[:, 0] == y_test).float().mean().item(), (top5 == y_test[:, None]).float().sum().item()
    seconds = time.perf_counter() - start
    print(f"{seconds:.2f} s for {epochs} epochs (last loss {total.item() / len(y):.4f})")


if __name__ == "__main__":
    main()
