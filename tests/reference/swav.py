"""Golden values for crates/ssl-methods: SwAV, SGD and LARC, written from docs/paper.md.

    /opt/venv/bin/python tests/reference/swav.py        (PyTorch 2.15, CPU, a minute)

Every golden value is computed in f64. The trajectories are also run in f32, from weights changed by
one unit in the last place (MEMBERS times). Their distance to f64 is PyTorch's own rounding error,
from which the tests derive their tolerances. Files, in tests/reference/swav/:

    terms.json               sinkhorn, swapped prediction loss and its gradient
    optimisers.json          SGD and LARC on single tensors
    init.pth.tar             the tiny network of the trajectories in SwAV's official layout, written
                             by torch.save
    trajectory.safetensors   input images (u8), first-step embeddings and gradients, final weights
                             and statistics
    trajectory.json          losses and PyTorch's own largest f32-to-f64 distances over the members
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from methods_common import (
    Larc, SmallResNet, as_bytes, distance, initialise, jittered, normalised, pictures, rounded, write_json, write_safetensors,
)

OUT = Path(__file__).parent / "swav"
STEPS, BATCH, FULL_CROPS, SMALL_CROPS = 10, 16, 2, 4
MEMBERS = 8
# If a ReLU input is within rounding of 0, f32 and f64 may fall on different sides, and the two runs
# diverge permanently (losses then differ by 1e-4 to 3e-2). PyTorch alone does this within ten steps
# for most seeds. This is the first seed, counted from 1, for which none of 32 members does. The
# comparison then tests the method rather than chance.
IMAGE_SEED = 74
RUNS = {
    # The paper's optimizer and prototype freezing, at a rate that moves the weights in ten steps.
    "larc": dict(optimiser="larc", lr=2.0, weight_decay=1e-6, freeze=3, queue=0, queue_epoch=0, steps_per_epoch=5),
    # Plain SGD and the queue: created in epoch 1 (step 2), full from step 4 on.
    "sgd": dict(optimiser="sgd", lr=0.003, weight_decay=1e-4, freeze=0, queue=32, queue_epoch=1, steps_per_epoch=2),
}


def sinkhorn(scores, epsilon, iterations):
    """Sinkhorn-Knopp in its plain form: scores [n, k] -> codes [n, k], rows summing to 1."""
    n, k = scores.shape
    q = torch.exp(scores / epsilon)
    q = q / q.sum()
    for _ in range(iterations):
        q = q / q.sum(dim=0, keepdim=True) / k  # every prototype gets 1/k of the mass
        q = q / q.sum(dim=1, keepdim=True) / n  # every sample gets 1/n
    return q * n


def swapped_prediction(scores, codes, temperature):
    """scores: list of [n, k], one per crop. codes: list for the leading crops."""
    total = 0.0
    for i, q in enumerate(codes):
        others = [v for v in range(len(scores)) if v != i]
        terms = [-(q * F.log_softmax(scores[v] / temperature, dim=1)).sum(dim=1).mean() for v in others]
        total = total + sum(terms) / len(others)
    return total / len(codes)


class SwavNet(SmallResNet):
    """A tiny ResNet, projector 64-32-16, 20 prototypes."""

    def __init__(self, width=8, hidden=32, out=16, prototypes=20):
        super().__init__(width)
        self.projection_head = nn.Sequential(
            nn.Linear(8 * width, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out)
        )
        self.prototypes = nn.Linear(out, prototypes, bias=False)
        initialise(self)

    def forward(self, full, small):
        """Two lists of crops -> unnormalized embeddings of all crops, scores of all crops."""
        features = torch.cat([self.features(torch.cat(full)), self.features(torch.cat(small))])
        z = self.projection_head(features)
        return z, self.prototypes(F.normalize(z, dim=1))


def images():
    """Full-size and small crops of STEPS batches: u8 [step, crop, sample, 1, side, side]."""
    g = torch.Generator().manual_seed(IMAGE_SEED)
    batches = [pictures(g, BATCH, ((FULL_CROPS, 28), (SMALL_CROPS, 14))) for _ in range(STEPS)]
    return [as_bytes(torch.stack(crops)) for crops in zip(*batches)]


def optimiser_for(name, params, lr, weight_decay, momentum=0.9):
    if name == "larc":
        return Larc(params, lr, weight_decay, momentum)
    return torch.optim.SGD(params, lr=lr, weight_decay=weight_decay, momentum=momentum)


def trajectory(state, crops, dtype, optimiser, lr, weight_decay, freeze, queue, queue_epoch, steps_per_epoch):
    torch.manual_seed(0)
    net = SwavNet()
    net.load_state_dict(state)
    net = net.to(dtype).train()
    full, small = [normalised(t, dtype) for t in crops]
    opt = optimiser_for(optimiser, list(net.parameters()), lr, weight_decay)
    stored = None  # per full crop: normalized embeddings, newest first
    out = {"losses": []}
    for step in range(STEPS):
        with torch.no_grad():
            net.prototypes.weight.copy_(F.normalize(net.prototypes.weight, dim=1))
        z, scores = net(list(full[step]), list(small[step]))
        with torch.no_grad():
            if queue and step // steps_per_epoch >= queue_epoch and stored is None:
                stored = [torch.zeros(0, z.shape[1], dtype=dtype) for _ in range(FULL_CROPS)]
            codes = []
            for i in range(FULL_CROPS):
                s = scores[i * BATCH : (i + 1) * BATCH]
                if stored is not None:
                    if len(stored[i]) == queue:
                        s = torch.cat([net.prototypes(stored[i]), s])
                    newest = F.normalize(z[i * BATCH : (i + 1) * BATCH], dim=1)
                    stored[i] = torch.cat([newest, stored[i]])[:queue]
                codes.append(sinkhorn(s, 0.05, 3)[-BATCH:])
        loss = swapped_prediction(list(scores.split(BATCH)), codes, 0.1)
        for p in net.parameters():
            p.grad = None
        loss.backward()
        out["losses"].append(loss.item())
        if step == 0:
            out["embeddings"] = z[: FULL_CROPS * BATCH].detach().clone()
            out["gradients"] = {k: p.grad.clone() for k, p in net.named_parameters()}
        if step < freeze:
            net.prototypes.weight.grad = None
        opt.step()
    out["final"] = {k: v.clone() for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    return out


def term_goldens():
    g = torch.Generator().manual_seed(2)
    unit = lambda *shape: F.normalize(torch.randn(*shape, dtype=torch.float64, generator=g), dim=-1)
    scores = unit(24, 8) @ unit(10, 8).T
    # Unnormalized scores: exp(score / 0.05) overflows f32, and most entries in f64 are tiny.
    large = 12 * torch.randn(16, 6, dtype=torch.float64, generator=g)
    cases = [
        {"scores": rounded(s), "epsilon": e, "iterations": i, "codes": rounded(sinkhorn(s, e, i), 15)}
        for s, e, i in ((scores, 0.05, 3), (scores, 0.25, 1), (scores, 0.05, 10), (large, 0.05, 3))
    ]

    crops = [(unit(6, 8) @ unit(7, 8).T).requires_grad_() for _ in range(5)]
    codes = [sinkhorn(s.detach(), 0.05, 3) for s in crops[:2]]
    loss = swapped_prediction(crops, codes, 0.1)
    loss.backward()
    write_json(OUT / "terms.json", {
        "sinkhorn": cases,
        "swapped_prediction": {
            "scores": [rounded(s.detach()) for s in crops],
            "codes": [rounded(q) for q in codes],
            "temperature": 0.1,
            "loss": loss.item(),
            "gradient": [rounded(s.grad) for s in crops],
        },
    })


def optimiser_goldens():
    g = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=g)
    # A matrix, a vector, a vector that starts at zero (a new bias), and one whose gradient is
    # always zero.
    start = [draw(3, 4), draw(5), torch.zeros(4, dtype=torch.float64), draw(3)]
    steps = [[draw(3, 4), draw(5), draw(4), torch.zeros(3, dtype=torch.float64)] for _ in range(6)]
    cases = []
    for name, momentum, weight_decay, lr in (
        ("sgd", 0.9, 0.01, 0.1), ("sgd", 0.0, 0.0, 0.1), ("larc", 0.9, 0.01, 4.8), ("larc", 0.0, 1e-6, 4.8),
    ):
        params = [nn.Parameter(p.clone()) for p in start]
        opt = optimiser_for(name, params, lr, weight_decay, momentum)
        for grads in steps:
            for p, grad in zip(params, grads):
                p.grad = grad.clone()
            opt.step()
        cases.append({"optimiser": name, "momentum": momentum, "weight_decay": weight_decay, "lr": lr,
                      "end": [rounded(p.detach()) for p in params]})
    write_json(OUT / "optimisers.json", {
        "start": [rounded(p) for p in start],
        "gradients": [[rounded(x) for x in grads] for grads in steps],
        "cases": cases,
    })


def trajectory_goldens():
    torch.manual_seed(4)
    state = SwavNet().state_dict()
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}}, OUT / "init.pth.tar")
    crops = images()
    tensors, report = {"full": crops[0], "small": crops[1]}, {}
    # The projector's first bias precedes a batch normalization, so its true gradient is 0. In f32
    # it is noise, which LARC scales to the bias's own size. Neither the bias nor the mean that
    # absorbs it affects any output.
    inert = ("projection_head.0.bias", "projection_head.1.running_mean")
    largest = lambda d: max(v for k, v in d.items() if k not in inert)
    for name, run in RUNS.items():
        exact = trajectory(state, crops, torch.float64, **run)
        f32 = [trajectory(jittered(state, m), crops, torch.float32, **run) for m in range(MEMBERS)]
        report[name] = {
            "losses": exact["losses"],
            "loss_distance": [max(abs(m["losses"][i] / x - 1) for m in f32) for i, x in enumerate(exact["losses"])],
            "gradient_distance": max(largest(distance(m["gradients"], exact["gradients"])) for m in f32),
            "final_distance": max(largest(distance(m["final"], exact["final"])) for m in f32),
            "inert": inert,
        }
        # The first step of both runs is the same: same weights, same images, and no queue yet.
        tensors["embeddings"] = exact["embeddings"].float()
        tensors |= {f"gradient.{k}": v.float() for k, v in exact["gradients"].items()}
        tensors |= {f"{name}.{k}": v.float() for k, v in exact["final"].items()}
        moved = largest(distance({k: state[k] for k in exact["gradients"] if k.endswith("weight")}, exact["final"]))
        print(name, [f"{x:.4f}" for x in report[name]["losses"]], f"weights moved by {moved:.1e}; f32 against f64: losses",
              f"{max(report[name]['loss_distance']):.1e}, gradients {report[name]['gradient_distance']:.1e},",
              f"final {report[name]['final_distance']:.1e}")
    write_safetensors(OUT / "trajectory.safetensors", tensors)
    write_json(OUT / "trajectory.json", report)


if __name__ == "__main__":
    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    term_goldens()
    optimiser_goldens()
    trajectory_goldens()
