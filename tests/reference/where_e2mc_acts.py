"""Measures where the criterion acts in the small study, in projector or backbone, on validation
images only.

    python tests/reference/where_e2mc_acts.py base.pth.tar "lr=.01" \\
        "lr=.01,entropy=1,covariance=25" "lr=.01,entropy=1,covariance=25,frozen=1" --dimensions 64
        --prototypes 100

Continues a base like search_swav_small.py, with the same names of runs; `frozen=1` freezes the
projector. For each run it prints the effective rank of embeddings Z and of features Y (exponential
of the entropy of the covariance's spectrum), the linear CKA of the features with the base's, the
movement of the weights of the last stage and of the projector relative to their norm, and the
probes.
"""

import argparse

import torch

import search_swav_small as small


def effective_rank(x):
    x = x - x.mean(0)
    share = torch.linalg.eigvalsh((x.T @ x).double()).clamp(min=1e-12)
    share = share / share.sum()
    return torch.exp(-(share * share.log()).sum()).item()


def linear_cka(x, y):
    x, y = x - x.mean(0), y - y.mean(0)
    return ((x.T @ y).square().sum() / ((x.T @ x).norm() * (y.T @ y).norm())).item()


def moved(now, before, part):
    names = [name for name in before if name.startswith(part) and "running" not in name and "tracked" not in name]
    square = sum((now[name] - before[name]).square().sum() for name in names)
    return (square / sum(before[name].square().sum() for name in names)).sqrt().item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file")
    parser.add_argument("runs", nargs="+")
    for name, value in (("width", 16), ("blocks", 1), ("hidden", 128), ("dimensions", 64), ("prototypes", 100)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()

    torch.set_num_threads(1)
    images, labels, validation, validation_labels = small.images_and_labels()
    model = small.Network(args)
    state = torch.load(args.file)
    state = state.get("state_dict", state)
    state.pop("sizes", None)
    state = {name.removeprefix("module."): value for name, value in state.items()}
    model.load_state_dict(state)
    base = small.features_of(model, validation)

    print("| run | entropy | covariance | rank Z | rank Y | CKA | layer4 | projector | 1% | 10% | 100% |", flush=True)
    for text in ["", *args.runs]:
        named = {k: float(v) for k, v in (part.split("=") for part in text.split(",") if part)}
        run = small.RUN | {"frozen": 0} | named
        torch.manual_seed(int(run["seed"]))
        model.load_state_dict(state)
        model.projection_head.requires_grad_(not run["frozen"])
        entropy = covariance = float("nan")
        if text:
            _, entropy, covariance, _ = small.train(model, images, run, cosine=False)
        train, features = small.features_of(model, images), small.features_of(model, validation)
        with torch.no_grad():
            ranks = effective_rank(model.projection_head(features)), effective_rank(features)
        weights = [moved(model.state_dict(), state, part) for part in ("layer4", "projection_head")]
        accuracies = small.probe(train, labels, features, validation_labels)
        cells = [f"{entropy:.3f}", f"{covariance:.4f}", *(f"{rank:.1f}" for rank in ranks)]
        cells += [f"{value:.3f}" for value in (linear_cka(base, features), *weights)]
        print(f"| {text or 'base'} | " + " | ".join(cells + [f"{a:.2f}" for a in accuracies]) + " |", flush=True)


if __name__ == "__main__":
    main()
