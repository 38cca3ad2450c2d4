"""Search tool for the small study: finds the SwAV bases and continuations in which E2MC helps, on
validation images only.

    python tests/reference/search_swav_small.py --save base.pt --width 16 --dimensions 128 \\
        --prototypes 30 --epochs 20
    python tests/reference/search_swav_small.py --load base.pt "lr=.01" \\
        "lr=.01,entropy=1,covariance=25,seed=1"

Trains a base, or loads its own base or a checkpoint of train_swav_base.py with the given sizes, and
continues it once for each named run. Prints one line per run: loss, entropy and covariance (means
over the last epoch), standard deviation of the embeddings, linear probes at 1%, 10% and 100% of the
labels. Runs with the same seed see the same images in the same crops.

Validation images are 20,000 training images that are not among the 10,000 embedded ones. The test
images are never read. Written from docs/paper.md. Crops use tensor operations instead of Pillow, so
the numbers differ slightly from the study's and are only for choosing. With --compile (two minutes
the first time, needs a C++ compiler) a run of ten epochs of the smallest network takes about two
minutes on one core.
"""

import argparse
import math
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import train_swav_base as base

VALIDATION_PER_CLASS = 2000
DRAWS = {0.01: 20, 0.1: 6, 1.0: 1}  # share of the labels: draws
RUN = {
    "lr": 0.01, "entropy": 0.0, "covariance": 0.0, "freeze": 1, "seed": 0, "epochs": 10, "batch": 256,
    "decay": 1e-6, "n": 10_000,
}  # fmt: skip


def images_and_labels():
    images = base.read_idx("train-images-idx3", 16).reshape(-1, 28, 28)
    labels = base.read_idx("train-labels-idx1", 8)
    of_class = [np.flatnonzero(labels == label) for label in range(10)]
    end = base.PER_CLASS + VALIDATION_PER_CLASS
    train = np.sort(np.concatenate([i[: base.PER_CLASS] for i in of_class]))
    validation = np.sort(np.concatenate([i[base.PER_CLASS : end] for i in of_class]))
    split = [(torch.from_numpy(images[i]).float()[:, None] / 255, torch.from_numpy(labels[i]).long())
             for i in (train, validation)]  # fmt: skip
    return split[0] + split[1]


class Network(base.Swav):
    """The network of train_swav_base.py, with a given number of blocks per stage. Also returns the
    embeddings."""

    def __init__(self, args):
        base.WIDTH, base.HIDDEN = args.width, args.hidden
        base.DIMENSIONS, base.PROTOTYPES = args.dimensions, args.prototypes
        super().__init__()
        for stage in range(4):
            layer = getattr(self, f"layer{stage + 1}")
            for _ in range(args.blocks - 1):
                layer.append(base.BasicBlock(args.width << stage, args.width << stage, 1))
        self.to(memory_format=torch.channels_last)
        self.train_features = torch.compile(self.features, dynamic=False) if args.compile else self.features

    def forward(self, resolutions):
        embeddings = self.projection_head(torch.cat([self.train_features(crops) for crops in resolutions]))
        return embeddings, self.prototypes(F.normalize(embeddings, dim=1))


def random_crops(images, count, size, scale, rng):
    """Random resized crops, flips and jitter of `[n, 1, 28, 28]`, crop by crop, with the
    distributions of train_swav_base.py."""
    images = images.repeat(count, 1, 1, 1)
    n = len(images)

    def uniform(low, high):
        return torch.empty(n).uniform_(low, high, generator=rng)

    area, ratio = uniform(*scale), torch.exp(uniform(math.log(3 / 4), math.log(4 / 3)))
    w, h = (area * ratio).sqrt().clamp(max=1.0), (area / ratio).sqrt().clamp(max=1.0)
    x, y = uniform(-1, 1) * (1 - w), uniform(-1, 1) * (1 - h)
    flip = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    zero = torch.zeros(n)
    theta = torch.stack([torch.stack([w * flip, zero, x], 1), torch.stack([zero, h, y], 1)], 1)
    grid = F.affine_grid(theta, (n, 1, size, size), align_corners=False)
    crops = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    jittered = (uniform(0, 1) < base.JITTER_PROBABILITY).float()
    brightness, contrast = (
        (1 + jittered * uniform(-base.JITTER, base.JITTER))[:, None, None, None] for _ in range(2)
    )
    crops = (crops * brightness).clamp_(0, 1)
    mean = crops.mean((1, 2, 3), keepdim=True)
    crops = (mean + (crops - mean) * contrast).clamp_(0, 1)
    return (crops - base.MEAN) / base.STD


def crops_of(images, rng):
    return [random_crops(images, *kind, rng) for kind in (base.FULL_CROPS, base.SMALL_CROPS)]


def normal_cdf(z):
    return 0.5 * (1 + torch.erf(z / math.sqrt(2)))


def e2mc(views, psi=normal_cdf):
    """Entropy (mean over the views) and covariance (sum over the views). psi maps to the compact
    space."""
    entropy = covariance = 0.0
    for z in views:
        n, d = z.shape
        compact = psi(z)
        m = round(math.sqrt(n))
        ordered = compact.sort(0).values
        spacings = (n + 1) / m * (ordered[m:] - ordered[:-m])
        entropy = entropy + torch.log(spacings + 1.1920929e-7).mean() / len(views)
        centred = compact - compact.mean(0)
        k = centred.T @ centred / (n - 1)
        covariance = covariance + (k.square().sum() - k.diagonal().square().sum()) / d
    return entropy, covariance


@torch.no_grad()
def features_of(model, images):
    model.eval()
    images = (images - base.MEAN) / base.STD
    return torch.cat([model.features(part) for part in images.split(1000)])


def probe(train, train_labels, validation, validation_labels, iterations=60):
    """Accuracies in per cent, one for each share of DRAWS: logistic regression on standardized
    features."""
    rows = []
    for share, draws in DRAWS.items():
        correct = []
        for draw in range(draws):
            rng = np.random.default_rng(draw)
            of_class = [np.flatnonzero(train_labels.numpy() == label) for label in range(10)]
            chosen = np.concatenate([rng.permutation(i)[: round(share * len(i))] for i in of_class])
            x, y = train[chosen], train_labels[chosen]
            mean, std = x.mean(0), x.std(0) + 1e-6
            linear = nn.Linear(x.shape[1], 10)
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
            solver = torch.optim.LBFGS(linear.parameters(), max_iter=iterations, line_search_fn="strong_wolfe")
            x = (x - mean) / std

            def closure():
                solver.zero_grad()
                loss = F.cross_entropy(linear(x), y) + 5e-4 * linear.weight.square().sum()
                loss.backward()
                return loss

            solver.step(closure)
            with torch.no_grad():
                predicted = linear((validation - mean) / std).argmax(1)
            correct.append((predicted == validation_labels).float().mean().item() * 100)
        rows.append(float(np.mean(correct)))
    return rows


def train(model, images, run, cosine):
    """Trains in place. Returns loss, entropy, covariance and embedding deviation of the last
    epoch."""
    rng = torch.Generator().manual_seed(int(run["seed"]))
    batch, epochs = int(run["batch"]), int(run["epochs"])
    optimiser = torch.optim.SGD(model.parameters(), run["lr"], 0.9, weight_decay=run["decay"])
    steps = len(images) // batch
    model.train()
    for epoch in range(epochs):
        order = torch.randperm(len(images), generator=rng)
        seen, start = [], time.time()
        for step in range(steps):
            if cosine:
                done = epoch * steps + step
                rate = run["lr"] * 0.5 * (1 + math.cos(math.pi * done / (epochs * steps)))
                for group in optimiser.param_groups:
                    group["lr"] = rate * min(1.0, (done + 1) / steps)
            with torch.no_grad():
                model.prototypes.weight.copy_(F.normalize(model.prototypes.weight, dim=1))
            embeddings, scores = model(crops_of(images[order[step * batch : (step + 1) * batch]], rng))
            loss = base.swav_loss(scores, batch)
            views = embeddings[: 2 * batch].split(batch)
            with torch.set_grad_enabled(bool(run["entropy"] or run["covariance"])):
                entropy, covariance = e2mc(views)
            total = loss - run["entropy"] * entropy + run["covariance"] * covariance
            optimiser.zero_grad()
            total.backward()
            if epoch < run["freeze"]:
                model.prototypes.weight.grad = None
            optimiser.step()
            deviation = views[0].std(0).mean()
            seen.append([value.item() for value in (loss, entropy, covariance, deviation)])
        seen = np.mean(seen, 0)
        if cosine:
            print(f"epoch {epoch + 1:2}  loss {seen[0]:.4f}  {time.time() - start:.1f} s", flush=True)
    return seen


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", help="lr=.01,entropy=1,covariance=25,freeze=1,seed=0,...")
    parser.add_argument("--load", help="base to load instead of training one")
    parser.add_argument("--save", help="where to write the base trained")
    parser.add_argument("--rows", help="Markdown file to which each run is added as a row")
    for name, value in (("width", 16), ("blocks", 1), ("hidden", 128), ("dimensions", 64), ("prototypes", 100),
                        ("epochs", 40), ("batch", 128), ("seed", 0)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--compile", action="store_true", help="a quarter faster, after two minutes")
    parser.add_argument("--lr", type=float, default=base.LEARNING_RATE)
    args = parser.parse_args()

    torch.set_num_threads(1)
    images, labels, validation, validation_labels = images_and_labels()
    loaded = torch.load(args.load) if args.load else {}
    for name, value in loaded.pop("sizes", {}).items():
        setattr(args, name, value)
    sizes = {name: getattr(args, name) for name in ("width", "blocks", "hidden", "dimensions", "prototypes")}
    torch.manual_seed(args.seed)
    model = Network(args)

    def report(name, seed, measured, seconds):
        accuracies = probe(features_of(model, images), labels, features_of(model, validation), validation_labels)
        cells = [f"{v:.4f}" for v in measured] + [f"{a:.2f}" for a in accuracies] + [f"{seconds:.0f} s"]
        row = f"| {args.load or args.save} | {name} | {seed} | " + " | ".join(cells) + " |"
        print(row, flush=True)
        if args.rows:
            with open(args.rows, "a") as file:
                file.write(row + "\n")

    print("| base | run | seed | loss | entropy | covariance | std | 1% | 10% | 100% | time |", flush=True)
    start = time.time()
    if loaded:
        state = {name.removeprefix("module."): value for name, value in loaded.items()}
        model.load_state_dict(state)
        measured = [math.nan] * 4
    else:
        print(f"{sizes}: {sum(p.numel() for p in model.parameters())} parameters, ln K {math.log(args.prototypes):.3f}")
        run = RUN | {"decay": base.WEIGHT_DECAY}
        run |= {"lr": args.lr, "epochs": args.epochs, "batch": args.batch, "seed": args.seed}
        measured = train(model, images, run, cosine=True)
        state = {name: value.clone() for name, value in model.state_dict().items()}
        if args.save:
            torch.save(state | {"sizes": sizes}, args.save)
    if not loaded or not args.runs:
        report("base", args.seed, measured, time.time() - start)
    for text in args.runs:
        run = RUN | {k: float(v) for k, v in (part.split("=") for part in text.split(","))}
        torch.manual_seed(int(run["seed"]))
        model.load_state_dict(state)
        start = time.time()
        measured = train(model, images[: int(run["n"])], run, cosine=False)
        report(text.replace(f",seed={run['seed']:.0f}", ""), int(run["seed"]), measured, time.time() - start)


if __name__ == "__main__":
    main()
