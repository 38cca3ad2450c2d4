"""Golden values for crates/ssl-methods: VICReg, SimSiam, Barlow Twins, SwAV with each add-on
criterion, and LARS.

    python tests/reference/methods.py             (PyTorch 2.15.0, CPU, one thread, half a minute)
    python tests/reference/methods.py --seeds     finds IMAGE_SEEDS again (a minute)

Written from docs/paper.md; Barlow Twins from its paper (Zbontar et al. 2021). Every golden value is
computed in f64. The trajectories are also run in f32, from weights changed by one unit in the last
place (MEMBERS times). Their distance to f64 is PyTorch's own rounding error, from which the tests
derive their tolerances. Files, in tests/reference/methods/:

    terms.json               value and gradients of each loss and criterion on small inputs (null
                             if a gradient is not unique)
    lars.json                LARS on single tensors
    function_in_optimizer.pth    one parameter and its momentum, beside a function in the
                             optimizer's groups
    init_*.pth, *.pth.tar    the tiny networks of the trajectories in the official layouts, written
                             by torch.save
    trajectory.safetensors   input images (u8), first-step gradients, final weights and statistics
    trajectory.json          settings, each term of each step, and PyTorch's own f32-to-f64
                             distances for each run

In trajectory.safetensors, `views` is [step, view, sample, 1, 28, 28], and `full` and `small` the
same for SwAV's crops; the networks see (u8 / 255 - 0.5) / 0.25. `GRADIENTS.gradient.NAME` and
`RUN.final.NAME` are named as in the state dict, without `module.`; trajectory.json says which
GRADIENTS belong to a run (two runs with the same first step share them).
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from e2mc_loss import F32_EPSILON, criterion as e2mc, off_diagonal_covariance
from methods_common import (
    Larc, Lars, SmallResNet, as_bytes, distance, initialise, jittered, normalised, pictures, rounded, write_json,
    write_safetensors,
)
from swav import SwavNet, sinkhorn, swapped_prediction

OUT = Path(__file__).parent / "methods"
STEPS, BATCH, WIDTH, MEMBERS = 10, 16, 4, 32
CROPS = {"two views": ((2, 28),), "multi-crop": ((2, 28), (4, 14))}
# The two views of a picture are very similar, since an untrained network sees no further
# similarity.
LIKENESS = {"two views": dict(canvas=30, noise=0.01), "multi-crop": dict(canvas=40, noise=0.04)}


# Base methods: forward(crops) -> named terms, base loss, the embeddings for a criterion. `crops` is
# a list of resolutions, each a list of views.


def projector(sizes, bias):
    """Linear, batch norm and ReLU for each hidden size, then a linear layer without bias."""
    hidden = [[nn.Linear(i, o, bias=bias), nn.BatchNorm1d(o), nn.ReLU()] for i, o in zip(sizes, sizes[1:-1])]
    return nn.Sequential(*sum(hidden, []), nn.Linear(sizes[-2], sizes[-1], bias=False))


def invariance(a, b):
    return (a - b).square().mean()


def variance(z):
    """mean over dimensions of relu(1 - std), std = sqrt(unbiased variance + 1e-4)."""
    return F.relu(1 - torch.sqrt(z.var(dim=0, unbiased=True) + 1e-4)).mean()


def vicreg_loss(a, b, weights=(25.0, 25.0, 1.0)):
    terms = {
        "invariance": invariance(a, b),
        "variance": (variance(a) + variance(b)) / 2,
        "covariance": off_diagonal_covariance(a) + off_diagonal_covariance(b),
    }
    return terms, sum(w * t for w, t in zip(weights, terms.values()))


class Vicreg(nn.Module):
    def __init__(self, backbone, sizes):
        super().__init__()
        self.backbone, self.projector = backbone, projector(sizes, bias=True)

    def forward(self, crops):
        za, zb = [self.projector(self.backbone(x)) for x in crops[0]]
        return *vicreg_loss(za, zb), [za, zb]


def negative_cosine(p1, p2, z1, z2):
    c = lambda p, z: F.cosine_similarity(p, z.detach(), dim=1).mean()
    return -(c(p1, z2) + c(p2, z1)) / 2


class SimSiam(nn.Module):
    """`encoder` is a network whose last layer, `fc`, the projector replaces."""

    def __init__(self, encoder, features, out, bottleneck):
        super().__init__()
        hidden = lambda i, o: [nn.Linear(i, o, bias=False), nn.BatchNorm1d(o), nn.ReLU()]
        self.encoder = encoder
        self.encoder.fc = nn.Sequential(
            *hidden(features, out), *hidden(out, out), nn.Linear(out, out), nn.BatchNorm1d(out, affine=False)
        )
        self.encoder.fc[6].bias.requires_grad_(False)
        self.predictor = nn.Sequential(*hidden(out, bottleneck), nn.Linear(bottleneck, out))

    def forward(self, crops):
        z1, z2 = [self.encoder(x) for x in crops[0]]
        loss = negative_cosine(self.predictor(z1), self.predictor(z2), z1, z2)
        return {"negative_cosine": loss}, loss, [z1, z2]


def barlow_twins_loss(a, b, weight):
    """`a` and `b` are normalized over the batch."""
    c = a.T @ b / len(a)
    on_diagonal = (1 - c.diagonal()).square().sum()
    off_diagonal = c.square().sum() - c.diagonal().square().sum()
    return {"on_diagonal": on_diagonal, "off_diagonal": off_diagonal}, on_diagonal + weight * off_diagonal


class BarlowTwins(nn.Module):
    def __init__(self, backbone, sizes):
        super().__init__()
        self.backbone, self.projector = backbone, projector(sizes, bias=False)
        self.bn = nn.BatchNorm1d(sizes[-1], affine=False)

    def forward(self, crops):
        za, zb = [self.projector(self.backbone(x)) for x in crops[0]]
        return *barlow_twins_loss(self.bn(za), self.bn(zb), 0.005), [za, zb]


class Swav(SwavNet):
    """No queue and no freezing: swav.py has them. The criteria need the embeddings before L2
    normalization."""

    @torch.no_grad()
    def before_step(self):
        self.prototypes.weight.copy_(F.normalize(self.prototypes.weight, dim=1))

    def forward(self, crops):
        n = len(crops[0][0])
        z = self.projection_head(torch.cat([self.features(torch.cat(views)) for views in crops]))
        scores = self.prototypes(F.normalize(z, dim=1)).split(n)
        codes = [sinkhorn(s.detach(), 0.05, 3) for s in scores[: len(crops[0])]]
        loss = swapped_prediction(list(scores), codes, 0.1)
        return {"swapped_prediction": loss}, loss, list(z.split(n))


# Add-on criteria: (views, options) -> named terms without weights, loss.


def e2mc_criterion(views, space, entropy_weight, covariance_weight, epsilon):
    loss, entropy, covariance = e2mc(views, space, entropy_weight, covariance_weight, None, epsilon)
    return {"entropy": entropy, "covariance": covariance}, loss


def vcreg(views, variance_weight, covariance_weight):
    terms = {
        "variance": sum(map(variance, views)) / len(views),
        "covariance": sum(map(off_diagonal_covariance, views)),
    }
    return terms, variance_weight * terms["variance"] + covariance_weight * terms["covariance"]


def uniformity(views, weight, t):
    """log of the mean over pairs, through logsumexp: exp(-t * distance^2) can underflow for all of
    them."""

    def of(z):
        z = F.normalize(z, dim=1)
        p, q = torch.triu_indices(len(z), len(z), 1)
        exponents = -t * (z[p] - z[q]).square().sum(dim=1)
        return torch.logsumexp(exponents, dim=0) - np.log(len(p))

    value = sum(map(of, views)) / len(views)
    return {"uniformity": value}, weight * value


def mmcr(views, weight):
    centroids = sum(F.normalize(z, dim=1) for z in views) / len(views)
    value = torch.linalg.svdvals(centroids).sum()
    return {"nuclear_norm": value}, -weight * value


CRITERIA = {"e2mc": e2mc_criterion, "vcreg": vcreg, "auh": uniformity, "mmcr": mmcr}


# terms.json


def draw(g, n, d, scale=1.0):
    """Normal numbers, rounded to multiples of 1/1024, which are exact in f32 and as decimals in the
    file."""
    return (1024 * scale * torch.randn(n, d, dtype=torch.float64, generator=g)).round() / 1024


def case(term, name, f, inputs, unique=True, **options):
    inputs = [x.clone().requires_grad_() for x in inputs]
    value = f(*inputs)
    gradients = torch.autograd.grad(value, inputs, allow_unused=True, materialize_grads=True)
    assert all(g.isfinite().all() for g in gradients) or not unique, (term, name)
    return {
        "term": term, "name": name, "inputs": [rounded(x.detach()) for x in inputs], "options": options,
        "value": value.item(), "gradients": [rounded(g, 15) for g in gradients] if unique else None,
    }


def term_goldens():
    g = torch.Generator().manual_seed(1)
    cases = []
    add = lambda *args, **kwargs: cases.append(case(*args, **kwargs))

    def shapes():
        """Some columns have a standard deviation above 1, some below: both sides of VICReg's
        hinge."""
        for n, d in ((6, 4), (5, 9), (12, 3), (2, 5)):
            scales = torch.tensor([0.5, 1.5, 0.9, 2.5])[torch.arange(d) % 4].double()
            yield f"{n}x{d}", draw(g, n, d, scales), draw(g, n, d, scales)
        a, b = draw(g, 6, 4), draw(g, 6, 4)
        a[:, 1] = 0.25
        yield "6x4, a constant column", a, b

    for name, a, b in shapes():
        add("vicreg_invariance", name, invariance, [a, b])
        add("vicreg_variance", name, variance, [a])
        add("vicreg_covariance", name, off_diagonal_covariance, [a])
        add("vicreg", name, lambda a, b: vicreg_loss(a, b)[1], [a, b],
            invariance_weight=25.0, variance_weight=25.0, covariance_weight=1.0)
        add("vicreg", name + ", other weights", lambda a, b: vicreg_loss(a, b, (2.0, 3.0, 0.5))[1], [a, b],
            invariance_weight=2.0, variance_weight=3.0, covariance_weight=0.5)
        bn = lambda z: F.batch_norm(z, None, None, training=True, eps=1e-5)
        for weight in (0.005, 0.05, 1.0):
            add("barlow_twins", f"{name}, weight {weight}", lambda a, b: barlow_twins_loss(bn(a), bn(b), weight)[1], [a, b],
                off_diagonal_weight=weight)
        for mu, nu in ((0.1, 0.001), (2.0, 0.5)):
            add("vcreg", f"{name}, weights {mu} {nu}", lambda a, b: vcreg([a, b], mu, nu)[1], [a, b],
                variance_weight=mu, covariance_weight=nu)
        # At t = 100, exp(-t * distance^2) underflows f32 for every pair.
        for weight, t in ((0.5, 2.0), (1.0, 0.5), (0.5, 100.0)):
            add("auh", f"{name}, t {t}", lambda a, b: uniformity([a, b], weight, t)[1], [a, b], weight=weight, t=t)
        add("auh", f"{name}, one view", lambda a: uniformity([a], 0.5, 2.0)[1], [a], weight=0.5, t=2.0)
    repeated = draw(g, 3, 4).repeat(2, 1)
    add("auh", "repeated rows", lambda a: uniformity([a], 0.5, 2.0)[1], [repeated], weight=0.5, t=2.0)
    three = [draw(g, 6, 4) for _ in range(3)]
    add("vcreg", "three views", lambda *v: vcreg(v, 0.1, 0.001)[1], three, variance_weight=0.1, covariance_weight=0.001)
    add("auh", "three views", lambda *v: uniformity(v, 0.5, 2.0)[1], three, weight=0.5, t=2.0)

    for n, d in ((6, 4), (5, 9), (12, 3), (1, 4)):
        add("simsiam", f"{n}x{d}", negative_cosine, [draw(g, n, d) for _ in range(4)])
    p1, p2, z1, z2 = [draw(g, 6, 4) for _ in range(4)]
    z2[3] = 0
    add("simsiam", "a zero row in z2", negative_cosine, [p1, p2, z1, z2])
    # The gradient at a zero row of p is 1e8 times that of its neighbors and differs between
    # PyTorch's versions.
    p1[2] = 0
    add("simsiam", "zero rows in p1 and z2", negative_cosine, [p1, p2, z1, z2], unique=False)
    # Equal and opposite directions: the cosine's extremes.
    add("simsiam", "p equal to z", negative_cosine, [z1, p2, p2, z1 / 2])

    nuclear = lambda *views: mmcr(views, 0.005)[1]
    for n, d in ((6, 4), (5, 9), (12, 3), (4, 4)):
        for crops in (2, 8):
            add("mmcr", f"{n}x{d}, {crops} crops", nuclear, [draw(g, n, d) for _ in range(crops)], weight=0.005)
    add("mmcr", "6x4, one crop, weight 1", lambda z: mmcr([z], 1.0)[1], [draw(g, 6, 4)], weight=1.0)
    # Rank 3 in 3 columns: the rows repeat, but no singular value is 0, and the gradient is unique.
    add("mmcr", "12x3, repeated rows", nuclear, [draw(g, 4, 3).repeat(3, 1) for _ in range(2)], weight=0.005)
    # Rank 2 in 4 columns: two singular values are 0, and any U V^T + W is a subgradient.
    add("mmcr", "6x4, rank 2", nuclear, [draw(g, 2, 4).repeat(3, 1) for _ in range(2)], unique=False, weight=0.005)
    add("mmcr", "5x9, all rows equal", nuclear, [draw(g, 1, 9).repeat(5, 1) for _ in range(2)], unique=False, weight=0.005)
    # Crops that cancel: all centroids, and all singular values, are 0.
    z = draw(g, 6, 4)
    add("mmcr", "6x4, opposite crops", nuclear, [z, -z], unique=False, weight=0.005)
    # Centroids with orthogonal rows of one length: U and V are arbitrary, U V^T is not. The crops
    # of a pair lie on both sides of their centroid, or the gradient would be 0.
    apart = lambda u, w: [2 * u + w, 2 * u - w]
    hadamard = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]], dtype=torch.float64)
    for name, rows in (("4x4", [0, 1, 2, 3]), ("3x4", [0, 1, 2]), ("8x4", [0, 1, 2, 3, 0, 1, 2, 3])):
        u, w = hadamard[rows], hadamard.roll(1, 0)[rows]
        add("mmcr", f"{name}, singular values all equal", nuclear, apart(u, w), weight=0.005)
    # Rows e1, e2, e3, e3: two singular values are equal, the third is larger by the root of 2.
    e = torch.eye(3, dtype=torch.float64)
    add("mmcr", "4x3, a singular value twice", nuclear, apart(e[[0, 1, 2, 2]], e[[1, 2, 0, 1]]), weight=0.005)
    # Two columns nearly parallel: the smallest singular value is about 1% of the largest.
    near = draw(g, 6, 4)
    near[:, 3] = near[:, 2] + draw(g, 6, 1, 0.02)[:, 0]
    add("mmcr", "6x4, a small singular value", nuclear, [near], weight=0.005)
    write_json(OUT / "terms.json", cases)


# lars.json


def lars_goldens():
    g = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(*shape, dtype=torch.float64, generator=g)
    zeros = lambda *shape: torch.zeros(*shape, dtype=torch.float64)
    names = ["matrix", "convolution", "vector", "vector from zero", "matrix from zero", "matrix without gradient",
             "vector without gradient"]
    start = [draw(3, 4), draw(2, 3, 2, 2), draw(5), zeros(4), zeros(2, 3), draw(2, 2), draw(3)]
    steps = [[draw(3, 4), draw(2, 3, 2, 2), draw(5), draw(4), draw(2, 3), zeros(2, 2), zeros(3)] for _ in range(6)]
    cases = []
    for momentum, weight_decay, eta, lr in (
        (0.9, 1e-6, 0.001, 1.6), (0.0, 1e-6, 0.001, 1.6), (0.9, 0.01, 0.001, 1.6), (0.9, 0.01, 0.1, 0.3),
        (0.0, 0.0, 0.001, 1.6),
    ):
        params = [nn.Parameter(p.clone()) for p in start]
        opt = Lars(params, lr, weight_decay, momentum, eta)
        for grads in steps:
            for p, grad in zip(params, grads):
                p.grad = grad.clone()
            opt.step()
        cases.append({"momentum": momentum, "weight_decay": weight_decay, "eta": eta, "lr": lr,
                      "end": [rounded(p.detach()) for p in params], "mu": [rounded(m) for m in opt.mu]})
    write_json(OUT / "lars.json", {
        "names": names,
        "start": [rounded(p) for p in start],
        "gradients": [[rounded(x) for x in grads] for grads in steps],
        "cases": cases,
    })


# The networks of the trajectories, and their checkpoints


NETWORKS = {
    "vicreg": lambda: Vicreg(SmallResNet(WIDTH), [32, 24, 24, 24]),
    "simsiam": lambda: SimSiam(SmallResNet(WIDTH), 32, 32, 8),
    "barlow_twins": lambda: BarlowTwins(SmallResNet(WIDTH), [32, 24, 24, 24]),
    "swav": lambda: Swav(width=WIDTH, hidden=32, out=24, prototypes=20),
}
FILES = {
    "vicreg": "init_vicreg.pth", "simsiam": "init_simsiam.pth.tar", "barlow_twins": "init_barlow_twins.pth",
    "swav": "init_swav.pth.tar",
}


@torch.no_grad()
def align_predictor(net):
    """The predictor returns part of its input, since a cosine near 0 would have no digits to
    compare."""
    net.predictor[3].weight.copy_(3 * net.predictor[0].weight.T)


def initial(method):
    """Initial state and VICReg's momentum, one tensor per parameter."""
    torch.manual_seed(4)
    net = NETWORKS[method]()
    initialise(net)
    if method == "simsiam":
        align_predictor(net)
    # Momentum much smaller than the first updates would test nothing.
    mu = [0.3 * p.detach().norm() * F.normalize(torch.randn(p.shape).flatten(), dim=0).view(p.shape)
          for p in net.parameters()]
    return net.state_dict(), mu


def no_decay(p):
    return p.dim() == 1


def save_checkpoints():
    for method, file in FILES.items():
        state, mu = initial(method)
        model = {f"module.{k}": v for k, v in state.items()}
        ids = list(range(len(mu)))
        if method == "vicreg":
            group = {"lr": 0.3, "weight_decay": 1e-6, "momentum": 0.9, "eta": 0.001, "params": ids}
            optimiser = {"state": {i: {"mu": m} for i, m in enumerate(mu)}, "param_groups": [group]}
            content = {"epoch": 3, "model": model, "optimizer": optimiser}
        elif method == "barlow_twins":
            content = {"epoch": 3, "model": model}
        elif method == "simsiam":
            content = {"epoch": 3, "arch": "resnet", "state_dict": model, "optimizer": {"state": {}, "param_groups": []}}
        else:
            content = {"state_dict": model}
        torch.save(content, OUT / file)
    # An optimizer's groups may contain functions (such as LARS's choice of parameters), which
    # torch.save writes as a name in the training program. A reader must skip it, without looking
    # for the program.
    group = {"lr": 0.3, "weight_decay": 1e-6, "momentum": 0.9, "eta": 0.001, "weight_decay_filter": no_decay, "params": [0]}
    torch.save({
        "epoch": 3, "model": {"module.backbone.conv1.weight": torch.ones(1, 1, 3, 3)},
        "optimizer": {"state": {0: {"mu": torch.full((1, 1, 3, 3), 0.5)}}, "param_groups": [group]},
    }, OUT / "function_in_optimizer.pth")


# Trajectories

# Rates are large enough that ten steps move every matrix by more than 0.02%, and small enough that
# rounding does not dominate. One-dimensional parameters move by the rate times their gradient. With
# the paper's entropy weight of 1000, only a small rate is stable, and eta is raised so that
# matrices move too.
E2MC = dict(space="hypersphere", epsilon=F32_EPSILON)
RUNS = {
    "vicreg": dict(method="vicreg", optimiser="lars", lr=0.02, eta=0.001, weight_decay=1e-6),
    "vicreg_e2mc": dict(method="vicreg", optimiser="lars", lr=2e-5, eta=5.0, weight_decay=1e-6, criterion="e2mc",
                        options=dict(space="hypercube", epsilon=1e-7, entropy_weight=1000.0, covariance_weight=100.0)),
    "vicreg_e2mc_momentum": dict(method="vicreg", optimiser="lars", lr=2e-5, eta=5.0, weight_decay=1e-6, criterion="e2mc",
                                 options=dict(space="hypercube", epsilon=1e-7, entropy_weight=1000.0, covariance_weight=100.0),
                                 momentum_from_file=True, gradients="vicreg_e2mc"),
    "simsiam": dict(method="simsiam", optimiser="sgd", lr=0.005, predictor_lr=0.02, weight_decay=1e-4),
    "simsiam_e2mc": dict(method="simsiam", optimiser="sgd", lr=0.005, predictor_lr=0.02, weight_decay=1e-4, criterion="e2mc",
                         options=dict(E2MC, entropy_weight=0.001, covariance_weight=0.01)),
    "barlow_twins": dict(method="barlow_twins", optimiser="lars", lr=0.005, eta=0.1, weight_decay=1e-6),
    "barlow_twins_e2mc": dict(method="barlow_twins", optimiser="lars", lr=0.005, eta=0.1, weight_decay=1e-6, criterion="e2mc",
                              options=dict(space="hypercube", epsilon=1e-7, entropy_weight=1.0, covariance_weight=25.0)),
    "swav_e2mc": dict(method="swav", optimiser="larc", lr=2.0, weight_decay=1e-6, criterion="e2mc",
                      options=dict(E2MC, entropy_weight=1.0, covariance_weight=25.0)),
    "swav_vcreg": dict(method="swav", optimiser="larc", lr=2.0, weight_decay=1e-6, criterion="vcreg",
                       options=dict(variance_weight=0.1, covariance_weight=0.001)),
    "swav_auh": dict(method="swav", optimiser="larc", lr=2.0, weight_decay=1e-6, criterion="auh",
                     options=dict(weight=0.5, t=2.0)),
    "swav_mmcr": dict(method="swav", optimiser="larc", lr=2.0, weight_decay=1e-6, criterion="mmcr",
                      options=dict(weight=0.005)),
}
# Parameters without effect: a bias before batch normalization. Its true gradient is 0. In f32 it is
# noise, which LARC scales to the bias's own size. So neither the bias nor the mean that absorbs it
# can be compared at the end.
INERT = {
    "vicreg": ["projector.0.bias", "projector.3.bias"], "simsiam": [], "barlow_twins": [],
    "swav": ["projection_head.0.bias"],
}
# The mean of SimSiam's hidden predictor layer is 0 except for rounding: its input is normalized,
# and it has no bias.
INERT_AT_THE_END = {
    "swav": ["projection_head.0.bias", "projection_head.1.running_mean"], "simsiam": ["predictor.1.running_mean"],
}
# If a ReLU input is within rounding of 0, f32 and f64 may fall on different sides, and the two runs
# diverge permanently. The same holds for two embeddings that the entropy sorts, and for VICReg's
# hinge. So each step's batch has its own seed: the first one, counted from 1, with which all
# MEMBERS of all runs take the same sides as f64. The comparison then tests the methods rather than
# chance.
IMAGE_SEEDS = {
    "two views": [2, 3, 6, 11, 19, 22, 23, 30, 41, 54],
    "multi-crop": [1, 2, 3, 4, 6, 7, 8, 10, 11, 12],
}


class Decisions(TorchDispatchMode):
    """Digests of every ReLU's sides and every sort's order."""

    def __init__(self):
        super().__init__()
        self.taken = []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        out = function(*args, **(kwargs or {}))
        if function is torch.ops.aten.relu.default:
            self.note(np.packbits(args[0].detach().numpy() > 0))
        elif function is torch.ops.aten.sort.stable:
            self.note(out[1].numpy())
        return out

    def note(self, array):
        self.taken.append(hashlib.sha1(array.tobytes()).digest())


def batch_of(layout, seed):
    """u8 crops of one step, one [count, BATCH, 1, side, side] per resolution."""
    g = torch.Generator().manual_seed(seed)
    return [as_bytes(x) for x in pictures(g, BATCH, CROPS[layout], **LIKENESS[layout])]


def layout_of(run):
    return "multi-crop" if run["method"] == "swav" else "two views"


class Training:
    """A network and its optimizer. Member None is f64, the others are f32 from jittered weights."""

    def __init__(self, run, member, net, state, mu=None, normalise=normalised):
        self.run, self.normalise, self.dtype = run, normalise, torch.float64 if member is None else torch.float32
        net.load_state_dict(jittered(state, member or 0))
        self.net = net.to(self.dtype).train()
        self.trained = [p for p in self.net.parameters() if p.requires_grad]
        lr, decay = run["lr"], run["weight_decay"]
        if run["optimiser"] == "lars":
            self.opt = Lars(self.trained, lr, decay, eta=run["eta"], mu=mu)
        elif run["optimiser"] == "larc":
            self.opt = Larc(self.trained, lr, decay)
        else:
            predictor = list(self.net.predictor.parameters())
            ids = set(map(id, predictor))
            groups = [{"params": [p for p in self.trained if id(p) not in ids]},
                      {"params": predictor, "lr": run["predictor_lr"]}]
            self.opt = torch.optim.SGD(groups, lr=lr, momentum=0.9, weight_decay=decay)

    def losses(self, crops):
        """Loss and a record of its parts."""
        if hasattr(self.net, "before_step"):
            self.net.before_step()
        terms, base, z = self.net(crops)
        record = {"base": base.item(), "base_terms": {k: v.item() for k, v in terms.items()}}
        loss, name = base, self.run.get("criterion")
        if name:
            # MMCR uses all crops, the others use the full-size crops.
            views = z if name == "mmcr" else z[: len(crops[0])]
            terms, extra = CRITERIA[name](views, **self.run["options"])
            record |= {"criterion": extra.item(), "criterion_terms": {k: v.item() for k, v in terms.items()}}
            loss = loss + extra
        return loss, {"loss": loss.item()} | record

    def step(self, crops, after_backward=lambda training: None):
        loss, record = self.losses([list(self.normalise(x, self.dtype)) for x in crops])
        for p in self.trained:
            p.grad = None
        loss.backward()
        after_backward(self)
        self.opt.step()
        return record

    @torch.no_grad()
    def decide(self, crops):
        """The decisions of a forward pass, without changing the running statistics."""
        statistics = [b.clone() for b in self.net.buffers()]
        with Decisions() as decisions:
            self.losses([list(self.normalise(x, self.dtype)) for x in crops])
        for b, before in zip(self.net.buffers(), statistics):
            b.copy_(before)
        return decisions.taken

    def gradients(self):
        return {k: p.grad.clone() for k, p in self.net.named_parameters() if p.grad is not None}

    def state(self):
        return {k: v.clone() for k, v in self.net.state_dict().items() if not k.endswith("num_batches_tracked")}


def small_trainings(run):
    """The f64 run and its f32 members."""
    state, mu = initial(run["method"])
    mu = mu if run.get("momentum_from_file") else None
    return [Training(run, m, NETWORKS[run["method"]](), state, mu) for m in [None, *range(MEMBERS)]]


def find_image_seeds(layout, runs):
    trainings = [small_trainings(run) for run in runs]
    found, seed = [], 0
    while len(found) < STEPS:
        seed += 1
        crops = batch_of(layout, seed)
        if all(t.decide(crops) == exact for group in trainings for exact in [group[0].decide(crops)] for t in group[1:]):
            found.append(seed)
            for group in trainings:
                for t in group:
                    t.step(crops)
            print(layout, found, flush=True)
    return found


def flat(record):
    return {f"{k}.{j}" if j else k: x for k, v in record.items() for j, x in (v.items() if isinstance(v, dict) else [("", v)])}


def furthest(members, exact):
    """The record `exact` with each value replaced by the largest relative distance of the members'
    to it."""
    def of(ms, x):
        return {k: of([m[k] for m in ms], v) for k, v in x.items()} if isinstance(x, dict) else max(abs(m / x - 1) for m in ms)
    return of(members, exact)


def largest(distances, name, d):
    """Keeps the larger of distances[name] and `d`, for each tensor."""
    known = distances.setdefault(name, {})
    for k, v in d.items():
        known[k] = max(known.get(k, 0.0), v)


def train(run, exact, members, batches):
    """Trains all in parallel. Returns the exact run's records and first gradients, and the members'
    distances to them."""
    steps, distances, gradients = [], {"steps": []}, {}

    def compare(training):
        if training is exact:
            gradients.update(training.gradients())
        else:
            largest(distances, "gradients", distance(training.gradients(), gradients))

    for i, crops in enumerate(batches):
        sides = exact.decide(crops)
        assert all(m.decide(crops) == sides for m in members), f"step {i}: find IMAGE_SEEDS again"
        hook = {"after_backward": compare} if i == 0 else {}
        record, *others = [t.step(crops, **hook) for t in [exact, *members]]
        steps.append(record)
        distances["steps"].append(furthest(others, record))
    for m in members:
        largest(distances, "final", distance(m.state(), exact.state()))
    return steps, gradients, distances


def trajectory_goldens():
    batches = {layout: [batch_of(layout, s) for s in seeds] for layout, seeds in IMAGE_SEEDS.items()}
    tensors, report = {}, {}
    tensors["views"] = torch.stack([b[0] for b in batches["two views"]])
    for i, name in enumerate(("full", "small")):
        tensors[name] = torch.stack([b[i] for b in batches["multi-crop"]])
    for name, run in RUNS.items():
        method = run["method"]
        exact, *members = small_trainings(run)
        start = exact.state()
        steps, gradients, distances = train(run, exact, members, batches[layout_of(run)])
        final = exact.state()
        inert, inert_at_the_end = INERT[method], INERT_AT_THE_END.get(method, [])
        worst = {
            key: max((v, k) for k, v in distances[key].items() if k not in without)
            for key, without in (("gradients", inert), ("final", inert_at_the_end))
        }
        report[name] = {
            "method": method, "init": FILES[method], "images": ["full", "small"] if method == "swav" else ["views"],
            **{k: run.get(k) for k in ("optimiser", "lr", "eta", "predictor_lr", "weight_decay", "criterion", "options")},
            "momentum_from_file": run.get("momentum_from_file", False),
            "steps": steps,
            "gradients": run.get("gradients", name),
            "inert": inert, "inert_at_the_end": inert_at_the_end,
            "untrained": [k for k, p in exact.net.named_parameters() if not p.requires_grad],
            "step_distances": distances["steps"],
            "gradient_distance": worst["gradients"][0],
            "final_distance": worst["final"][0],
        }
        if "gradients" not in run:
            tensors |= {f"{name}.gradient.{k}": v.float() for k, v in gradients.items()}
        tensors |= {f"{name}.final.{k}": v.float() for k, v in final.items()}
        moved = [[v for k, v in distance(start, final).items() if k in gradients and k not in inert and (start[k].dim() > 1) == m]
                 for m in (True, False)]
        term = max((x, k) for d in distances["steps"] for k, x in flat(d).items())
        print(f"{name}: losses", " ".join(f"{s['loss']:.4g}" for s in steps))
        print("    moved: matrices {:.1e} to {:.1e}, vectors {:.1e} to {:.1e}".format(*(f(m) for m in moved for f in (min, max))))
        print(f"    f32 against f64: loss, first step {distances['steps'][0]['loss']:.1e}, all steps "
              f"{max(d['loss'] for d in distances['steps']):.1e}; terms {term[0]:.1e} ({term[1]});",
              "gradients {:.1e} ({}); final {:.1e} ({})".format(*worst["gradients"], *worst["final"]), flush=True)
    write_safetensors(OUT / "trajectory.safetensors", tensors)
    write_json(OUT / "trajectory.json", report)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", action="store_true", help="search IMAGE_SEEDS and print them; writes nothing")
    args = parser.parse_args()
    torch.set_num_threads(1)
    OUT.mkdir(exist_ok=True)
    if args.seeds:
        for layout in IMAGE_SEEDS:
            find_image_seeds(layout, [run for run in RUNS.values() if layout_of(run) == layout])
        return
    term_goldens()
    lars_goldens()
    save_checkpoints()
    trajectory_goldens()


if __name__ == "__main__":
    main()
