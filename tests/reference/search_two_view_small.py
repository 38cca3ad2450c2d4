"""Search tool for the two-view methods, like search_swav_small.py: a small VICReg or SimSiam,
continued with and without E2MC, and tested on validation images only.

    python tests/reference/search_two_view_small.py vicreg base.pt "lr=.003" \\
        "lr=.003,entropy=31,covariance=3.1" --d 256 --lr .05
    python tests/reference/search_two_view_small.py simsiam base.pt "lr=.01" \\
        "lr=.01,entropy=.001,covariance=.01" --lr .1

Loads the base. If the file does not exist, trains the base with a cosine and writes it. Written
from docs/paper.md. Images, crops and probes are from search_swav_small.py.
"""

import argparse
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import search_swav_small as small
import train_swav_base as base

RUN = {"lr": 0.01, "entropy": 0.0, "covariance": 0.0, "seed": 0, "epochs": 10, "batch": 256, "decay": 1e-6}
BASE_DECAY = 1e-4
PSI = {"vicreg": torch.sigmoid, "simsiam": small.normal_cdf}


class Network(base.Swav):
    """The backbone of train_swav_base.py with the heads of VICReg or SimSiam."""

    def __init__(self, args):
        base.DIMENSIONS, base.PROTOTYPES = args.d, 2  # they decide which random numbers come next
        super().__init__()
        d, out = args.d, self.projection_head[0].in_features
        del self.prototypes
        if args.method == "vicreg":
            self.projection_head = nn.Sequential(
                nn.Linear(out, d), nn.BatchNorm1d(d), nn.ReLU(),
                nn.Linear(d, d), nn.BatchNorm1d(d), nn.ReLU(), nn.Linear(d, d, bias=False),
            )  # fmt: skip
        else:
            self.projection_head = nn.Sequential(
                nn.Linear(out, d, bias=False), nn.BatchNorm1d(d), nn.ReLU(),
                nn.Linear(d, d), nn.BatchNorm1d(d, affine=False),
            )  # fmt: skip
            self.predictor = nn.Sequential(
                nn.Linear(d, d // 4, bias=False), nn.BatchNorm1d(d // 4), nn.ReLU(), nn.Linear(d // 4, d)
            )
        self.to(memory_format=torch.channels_last)
        self.train_features = torch.compile(self.features, dynamic=False)


def vicreg_loss(a, b):
    def variance(z):
        return F.relu(1 - torch.sqrt(z.var(0) + 1e-4)).mean()

    def covariance(z):
        z = z - z.mean(0)
        k = z.T @ z / (len(z) - 1)
        return (k.square().sum() - k.diagonal().square().sum()) / z.shape[1]

    return 25 * F.mse_loss(a, b) + 25 * (variance(a) + variance(b)) / 2 + covariance(a) + covariance(b)


def simsiam_loss(model, a, b):
    pairs = [(model.predictor(a), b), (model.predictor(b), a)]
    return -sum(F.cosine_similarity(p, z.detach()).mean() for p, z in pairs) / 2


def train(model, images, run, method, cosine):
    """Trains in place. Returns loss, entropy, covariance and embedding deviation of the last
    epoch."""
    rng = torch.Generator().manual_seed(int(run["seed"]))
    batch, epochs = int(run["batch"]), int(run["epochs"])
    optimiser = torch.optim.SGD(model.parameters(), run["lr"], 0.9, weight_decay=run["decay"])
    steps = len(images) // batch
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=rng)
        seen = []
        for step in range(steps):
            if cosine:
                done = epoch * steps + step
                rate = run["lr"] * 0.5 * (1 + math.cos(math.pi * done / (epochs * steps)))
                for group in optimiser.param_groups:
                    group["lr"] = rate * min(1.0, (done + 1) / steps)
            chosen = images[order[step * batch : (step + 1) * batch]]
            views = small.random_crops(chosen, 2, 28, base.FULL_CROPS[2], rng).split(batch)
            embeddings = [model.projection_head(model.train_features(view)) for view in views]
            loss = vicreg_loss(*embeddings) if method == "vicreg" else simsiam_loss(model, *embeddings)
            with torch.set_grad_enabled(bool(run["entropy"] or run["covariance"])):
                entropy, covariance = small.e2mc(embeddings, PSI[method])
            optimiser.zero_grad()
            (loss - run["entropy"] * entropy + run["covariance"] * covariance).backward()
            optimiser.step()
            seen.append([v.item() for v in (loss, entropy, covariance, embeddings[0].std(0).mean())])
        if cosine:
            print(f"epoch {epoch + 1:2}  loss {np.mean(seen, 0)[0]:.4f}", flush=True)
    return np.mean(seen, 0)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("method", choices=("vicreg", "simsiam"))
    parser.add_argument("file", help="the base")
    parser.add_argument("runs", nargs="*", help="lr=.01,entropy=1,covariance=25,seed=0,...")
    for name, value in (("d", 128), ("epochs", 40), ("batch", 256), ("seed", 0), ("lr", 0.1)):
        parser.add_argument(f"--{name}", type=type(value), default=value)
    args = parser.parse_args()

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    images, labels, validation, validation_labels = small.images_and_labels()
    model = Network(args)

    def report(name, measured):
        accuracies = small.probe(
            small.features_of(model, images), labels, small.features_of(model, validation), validation_labels
        )
        cells = [f"{v:.4f}" for v in measured] + [f"{a:.2f}" for a in accuracies]
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)

    print("| run | loss | entropy | covariance | std | 1% | 10% | 100% |", flush=True)
    if os.path.exists(args.file):
        state = torch.load(args.file)
    else:
        run = RUN | {"lr": args.lr, "epochs": args.epochs, "batch": args.batch, "seed": args.seed}
        run |= {"decay": BASE_DECAY}
        measured = train(model, images, run, args.method, cosine=True)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        torch.save(state, args.file)
        report("base", measured)
    for text in args.runs:
        named = {k: float(v) for k, v in (part.split("=") for part in text.split(","))}
        run = RUN | {"batch": args.batch} | named
        torch.manual_seed(int(run["seed"]))
        model.load_state_dict(state)
        report(text, train(model, images, run, args.method, cosine=False))


if __name__ == "__main__":
    main()
