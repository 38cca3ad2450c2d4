"""The trajectories of methods.py at the paper's full size: a temporary reference, compared and
discarded.

    python tests/reference/full_size.py --method vicreg --criterion e2mc --out DIR
        [--steps 10] [--f64]

ResNet-50 (torchvision's) with real heads, batch 8: VICReg and Barlow Twins 2048-8192-8192-8192,
SimSiam 2048 x 3 with predictor 512, SwAV 2048-2048-128 with 3000 prototypes; two views of 224 x
224, for SwAV six more of 96 x 96. Random initial weights, batch norms away from 1 and 0, residual
branches small; smooth random pictures. The losses, criteria and optimizers are those of methods.py.
PyTorch 2.15.0, torchvision 0.29.2, two threads.

Differences between two f32 runs of PyTorch: in SimSiam's first step, 68 of 154 million ReLU inputs
fell on different sides of 0. The loss differed by 4e-7 and the backbone's gradients by 4e-3. With a
smooth activation (and average pooling), they differed by 1e-5. So the backbone's gradients are a
weak comparison in any f32. The heads' gradients differed by 2e-5 in SimSiam and 2e-3 in VICReg with
E2MC (against f64; the cause of the latter was not investigated).

Peak memory: VICReg and Barlow Twins 8.2 GiB (VICReg with --f64 9.5), SwAV 3.9, SimSiam 3.2 (with
--f64 5.3).

The run is made in f32, again in f32 from weights changed by at most one unit in the last place, and
with --f64 also in f64. The reference is the f64 run if there is one, else the first f32 run. The
other runs are its *members*, and their distance to it is PyTorch's own spread.

Files in DIR:

    init.pth             initial weights of VICReg and Barlow Twins in the official layout, without
                         momentum (SimSiam and SwAV: init.pth.tar)
    views.safetensors    u8: `views` [step, view, sample, 3, 224, 224]; for SwAV `full` the same and
                         `small` [.., 96, 96]
    final.safetensors    f32: weights and running statistics of the reference after the last step,
                         named as in the state dict, without `module.`
    report.json          {
      "method", "criterion" (null: none), "options" (the criterion's), "optimiser", "lr", "eta",
      "predictor_lr",
      "weight_decay", "mean", "std"     the network's input is (u8 / 255 - mean) / std, per channel
      "reference": "f32" | "f64", "members": [names],
      "steps" (of the reference): [{"loss", "base", "base_terms": {name: value}, "criterion",
                                    "criterion_terms": {..}}]
      "step_distances": [the same, each value the members' largest relative distance],
      "gradients": {name: {"norm", "sketch": [16 values]}}     of the first step
      "gradient_distances", "final_distances": {name: members' largest relative distance in norm},
      "inert": [..], "inert_at_the_end": [..], "untrained": [..]     as in methods/trajectory.json
    }

A sketch is the gradient's inner products with sign vectors: entry i (row-major) counts +1 in
product r where bit r of mix(2^60 + i) is set, else -1; mix is the finalizer of SplitMix64, as in
e2mc_loss.py. For two gradients g and h, the root mean square difference of their sketches estimates
|g - h| to about 18%.
"""

import argparse
import gc
import platform
import resource
import time
from pathlib import Path

import numpy as np
import torch
import torchvision
from torch import nn
from torchvision.models.resnet import Bottleneck, ResNet

from e2mc_loss import F32_EPSILON, mix
from methods import (
    INERT, INERT_AT_THE_END, BarlowTwins, SimSiam, Swav, Training, Vicreg, align_predictor, distance, flat, furthest, largest,
)
from methods_common import as_bytes, initialise, normalised, pictures, write_json, write_safetensors

BATCH, SKETCH, IMAGE_SEED, WEIGHT_SEED = 8, 16, 1, 0
CROPS = {"swav": ((2, 224), (6, 96))}
MEAN = (0.485, 0.456, 0.406)
STD = {"swav": (0.228, 0.224, 0.225)}


def resnet50():
    net = torchvision.models.resnet50()
    net.fc = nn.Identity()
    return net


class SwavResNet50(ResNet):
    features, forward, before_step = ResNet.forward, Swav.forward, Swav.before_step

    def __init__(self):
        super().__init__(Bottleneck, [3, 4, 6, 3])
        self.fc = nn.Identity()
        self.projection_head = nn.Sequential(nn.Linear(2048, 2048), nn.BatchNorm1d(2048), nn.ReLU(), nn.Linear(2048, 128))
        self.prototypes = nn.Linear(128, 3000, bias=False)


NETWORKS = {
    "vicreg": lambda: Vicreg(resnet50(), [2048, 8192, 8192, 8192]),
    "simsiam": lambda: SimSiam(resnet50(), 2048, 2048, 512),
    "barlow_twins": lambda: BarlowTwins(resnet50(), [2048, 8192, 8192, 8192]),
    "swav": SwavResNet50,
}
OPTIMISERS = {
    "vicreg": dict(optimiser="lars", eta=5.0, weight_decay=1e-6),
    "simsiam": dict(optimiser="sgd", weight_decay=1e-4),
    "barlow_twins": dict(optimiser="lars", eta=5.0, weight_decay=1e-6),
    "swav": dict(optimiser="larc", weight_decay=1e-6),
}
# SwAV: the paper's rate would hardly move f32 weights in a few steps. LARS: as in methods.py, a
# small rate for one-dimensional parameters, whose gradients are large at first, and a large eta so
# that matrices move.
LEARNING_RATE = {"vicreg": 2e-5, "simsiam": 0.001, "barlow_twins": 2e-5, "swav": 0.1}
PREDICTOR_LEARNING_RATE = 0.05 * BATCH / 256
HYPERSPHERE = dict(space="hypersphere", epsilon=F32_EPSILON)
HYPERCUBE = dict(space="hypercube", epsilon=1e-7)
E2MC = {
    "vicreg": HYPERCUBE | dict(entropy_weight=1000.0, covariance_weight=100.0),
    "simsiam": HYPERSPHERE | dict(entropy_weight=0.001, covariance_weight=0.01),
    "barlow_twins": HYPERCUBE | dict(entropy_weight=1.0, covariance_weight=25.0),
    "swav": HYPERSPHERE | dict(entropy_weight=1.0, covariance_weight=25.0),
}
ADD_ONS = {
    "vcreg": dict(variance_weight=0.1, covariance_weight=0.001), "auh": dict(weight=0.5, t=2.0), "mmcr": dict(weight=0.005),
}


def sketch(gradient, block=1 << 20):
    flat, out = gradient.flatten().double().numpy(), np.zeros(SKETCH)
    for start in range(0, flat.size, block):
        part = flat[start : start + block]
        signs = mix(np.uint64((1 << 60) + start) + np.arange(part.size, dtype=np.uint64))
        for r in range(SKETCH):
            bit = (signs >> np.uint64(r)) & np.uint64(1)
            out[r] += 2 * part[bit == 1].sum() - part.sum()
    return out.tolist()


def checkpoint(method, state):
    model = {f"module.{k}": v for k, v in state.items()}
    if method == "swav":
        return {"state_dict": model}
    optimiser = {"state": {}, "param_groups": []}
    if method == "simsiam":
        return {"epoch": 0, "arch": "resnet50", "state_dict": model, "optimizer": optimiser}
    return {"epoch": 0, "model": model, "optimizer": optimiser}


@torch.no_grad()
def initial(method):
    torch.manual_seed(WEIGHT_SEED)
    net = NETWORKS[method]()
    initialise(net)
    for name, p in net.named_parameters():
        if name.endswith("bn3.weight"):  # a random ResNet-50 that is not damped maps all pictures to nearly one point
            p.mul_(0.3)
    if method == "simsiam":
        align_predictor(net)
    return net.state_dict()


def batches(method, steps):
    """u8 crops of each step; pictures differ in brightness and contrast, crops of one picture do
    not."""
    g = torch.Generator().manual_seed(IMAGE_SEED)
    out = []
    for _ in range(steps):
        crops = pictures(g, BATCH, CROPS.get(method, ((2, 224),)), canvas=256, noise=0.02, channels=3, cells=14)
        contrast = 0.4 + 0.8 * torch.rand(BATCH, 3, 1, 1, generator=g)
        brightness = 0.3 * (torch.rand(BATCH, 3, 1, 1, generator=g) - 0.5)
        out.append([as_bytes(0.5 + contrast * (x - 0.5) + brightness) for x in crops])
    return out


def is_head(name):
    return name.startswith(("projector", "encoder.fc", "predictor", "projection_head", "prototypes", "bn.running"))


class Reference:
    """The reference of the members."""

    def __init__(self):
        self.steps, self.gradients, self.digests, self.final = [], {}, {}, {}

    def take_gradients(self, training):
        self.gradients = {k: v.float() for k, v in training.gradients().items()}
        self.digests = {k: {"norm": v.double().norm().item(), "sketch": sketch(v)} for k, v in self.gradients.items()}


def main():
    parser = argparse.ArgumentParser(description="makes a full-size reference")
    parser.add_argument("--method", choices=NETWORKS, required=True)
    parser.add_argument("--criterion", choices=["none", "e2mc", *ADD_ONS], default="none")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--lr", type=float, help="default: see LEARNING_RATE")
    parser.add_argument("--f64", action="store_true", help="adds an f64 run and uses it as the reference")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    torch.set_num_threads(2)
    args.out.mkdir(parents=True, exist_ok=True)
    method, criterion = args.method, None if args.criterion == "none" else args.criterion
    run = dict(method=method, criterion=criterion, lr=args.lr or LEARNING_RATE[method], **OPTIMISERS[method])
    run["options"] = E2MC[method] if criterion == "e2mc" else ADD_ONS.get(criterion)
    run["predictor_lr"] = PREDICTOR_LEARNING_RATE if method == "simsiam" else None
    std = STD.get(method, (0.229, 0.224, 0.225))
    channels = lambda x: torch.tensor(x).view(3, 1, 1)
    normalise = lambda pixels, dtype: normalised(pixels, dtype, channels(MEAN), channels(std))

    file = args.out / ("init.pth.tar" if method in ("simsiam", "swav") else "init.pth")
    torch.save(checkpoint(method, initial(method)), file)
    crops = batches(method, args.steps)
    views = {k: torch.stack(x) for k, x in zip(("full", "small") if method == "swav" else ("views",), zip(*crops))}
    write_safetensors(args.out / "views.safetensors", views)

    names = (["f64"] if args.f64 else []) + ["f32", "f32, one unit in the last place changed"]
    reference, others, distances, untrained = Reference(), [], {}, []
    for number, name in enumerate(names):
        content = torch.load(file, mmap=True)
        state = {k.removeprefix("module."): v for k, v in content.get("model", content.get("state_dict")).items()}
        training = Training(run, None if name == "f64" else int(name != "f32"), NETWORKS[method](), state, normalise=normalise)
        untrained = [k for k, p in training.net.named_parameters() if not p.requires_grad]

        def compare(training):
            if number == 0:
                reference.take_gradients(training)
            else:
                largest(distances, "gradients", distance(training.gradients(), reference.gradients))

        records = []
        for i, batch in enumerate(crops):
            started = time.time()
            records.append(training.step(batch, **({"after_backward": compare} if i == 0 else {})))
            print(f"{name}: step {i}, {time.time() - started:.1f} s:", {k: f"{x:.7g}" for k, x in flat(records[-1]).items()},
                  flush=True)
        final = {k: v.float() for k, v in training.state().items()}
        if number == 0:
            reference.steps, reference.final = records, final
            moved = [v for k, v in distance({k: state[k] for k in reference.gradients}, final).items() if state[k].dim() > 1]
            print(f"moved: matrices {min(moved):.1e} to {max(moved):.1e}")
            write_safetensors(args.out / "final.safetensors", final)
        else:
            others.append(records)
            largest(distances, "final", distance(final, reference.final))
        del training, final
        gc.collect()

    step_distances = [furthest([o[i] for o in others], x) for i, x in enumerate(reference.steps)]
    write_json(args.out / "report.json", {
        **run, "mean": MEAN, "std": std, "torch": torch.__version__, "processor": platform.processor() or platform.machine(),
        "reference": names[0], "members": names[1:],
        "steps": reference.steps, "step_distances": step_distances,
        "gradients": reference.digests,
        "gradient_distances": distances["gradients"], "final_distances": distances["final"],
        "inert": INERT[method], "inert_at_the_end": INERT_AT_THE_END.get(method, []), "untrained": untrained,
    })
    for i, d in enumerate(step_distances):
        print(f"spread at step {i}:", {k: f"{x:.1e}" for k, x in flat(d).items()})
    for key, inert in (("gradients", INERT[method]), ("final", INERT_AT_THE_END.get(method, []))):
        for part in ("backbone", "head"):
            values = sorted((v, k) for k, v in distances[key].items() if k not in inert and is_head(k) == (part == "head"))
            print(f"spread of {key}, {part}: median {values[len(values) // 2][0]:.1e}, "
                  f"largest {values[-1][0]:.1e} ({values[-1][1]})")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
