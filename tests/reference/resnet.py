#!/usr/bin/env python3
"""Golden values and checkpoint fixtures for crates/resnet, made by PyTorch.

    python tests/reference/resnet.py
    python tests/reference/resnet.py check FILE

The first command writes tests/reference/resnet/. The second one loads a file of `save_backbone`
with strict=True, and compares it with FILE.expected.safetensors if that exists.

Needs torch, torchvision and safetensors. Values are computed in f64 from weights rounded to f32, as
the reference for f32 implementations. Made with torch 2.15, torchvision's blocks.
"""

import sys
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models.resnet import BasicBlock, Bottleneck

OUT = Path(__file__).parent / "resnet"


class ResNet(nn.Module):
    """torchvision's blocks and names at any width, with either stem, without fc."""

    def __init__(self, block, layers, width, in_channels=3, stem=None):
        super().__init__()
        kernel, stride = stem or (7, 2)
        self.conv1 = nn.Conv2d(in_channels, width, kernel, stride, kernel // 2, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.maxpool = nn.Identity() if stem else nn.MaxPool2d(3, 2, 1)
        channels = width
        for stage, depth in enumerate(layers):
            inner, blocks = width << stage, []
            for i in range(depth):
                stride = 2 if stage > 0 and i == 0 else 1
                out = inner * block.expansion
                downsample = None
                if stride != 1 or channels != out:
                    downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
                blocks.append(block(channels, inner, stride, downsample))
                channels = out
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def stages(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x):
        return self.stages(x)[-1].mean((2, 3))


def shake(model):
    """Random scales, shifts and running statistics, rounded to f32. Returns the model in f64."""
    with torch.no_grad():
        for m in model.modules():
            if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)):
                m.running_mean.normal_(0, 0.2)
                m.running_var.uniform_(0.5, 2)
                if m.affine:
                    m.weight.uniform_(0.5, 1.5)
                    m.bias.normal_(0, 0.2)
    return model.float().double()


def f32(tensors):
    return {k: v.detach().float().contiguous().clone() for k, v in tensors.items() if v.is_floating_point()}


def golden_network(name, model, inputs):
    """Weights, and per input: stage maps in eval mode; output, gradients and running statistics of
    a training step."""
    start = {k: v.clone() for k, v in model.state_dict().items()}
    out = {f"model.{k}": v for k, v in f32(start).items()}
    for case, shape in inputs.items():
        model.load_state_dict(start)
        x = torch.randn(shape).double()
        x.requires_grad_()
        model.eval()
        for i, stage in enumerate(model.stages(x)):
            out[f"{case}.eval.stage{i + 1}.sums"] = stage.sum((2, 3))
        out[f"{case}.eval.output"] = model(x)
        model.train()
        model.zero_grad()
        y = model(x)
        cotangent = torch.randn(y.shape).double()
        (y * cotangent).sum().backward()
        out |= {f"{case}.input": x, f"{case}.cotangent": cotangent, f"{case}.train.output": y}
        out[f"{case}.grad.input"] = x.grad
        out |= {f"{case}.grad.model.{k}": p.grad for k, p in model.named_parameters()}
        # Cloned, since the next case writes into the same buffers.
        out |= {f"{case}.after.{k}": b.clone() for k, b in model.named_buffers() if b.is_floating_point()}
    save_file(f32(out), OUT / f"{name}.safetensors")


def golden_batch_norm():
    out = {}
    cases = {
        "rank2": (nn.BatchNorm1d(5), (7, 5)),
        "rank4": (nn.BatchNorm2d(3), (4, 3, 5, 6)),
        "plain": (nn.BatchNorm1d(4, affine=False), (6, 4)),
        # Mean 100 times the deviation: variances computed as E[x^2] - E[x]^2 in f32 fail here.
        "offset": (nn.BatchNorm2d(3), (8, 3, 6, 6)),
    }
    for name, (norm, shape) in cases.items():
        shake(norm)
        x = torch.randn(shape) * 2 + (200 if name == "offset" else 1)
        x = x.double().requires_grad_()
        out |= {f"{name}.before.{k}": v for k, v in f32(norm.state_dict()).items()}
        out |= {f"{name}.input": x, f"{name}.eval": norm.eval()(x)}
        y = norm.train()(x)
        cotangent = torch.randn(shape).double()
        (y * cotangent).sum().backward()
        out |= {f"{name}.cotangent": cotangent, f"{name}.train": y, f"{name}.grad.input": x.grad}
        out |= {f"{name}.grad.{k}": p.grad for k, p in norm.named_parameters()}
        out |= {f"{name}.after.{k}": b for k, b in norm.named_buffers()}
    save_file(f32(out), OUT / "batch_norm.safetensors")


def checkpoint_fixtures():
    """One small network, saved as each published layout (docs/paper.md, "Checkpoints"), and its
    outputs."""
    backbone = ResNet(BasicBlock, [1, 1, 1, 1], 2, in_channels=1, stem=(3, 2))
    features = 16
    head = nn.Sequential(nn.Linear(features, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 4))
    prototypes = nn.Linear(4, 6, bias=False)
    for m in (backbone, head, prototypes):
        shake(m).eval()
    x = torch.randn(3, 1, 28, 28).double()
    y = backbone(x)
    z = head(y)
    save_file(f32({"input": x, "features": y, "embeddings": z, "scores": prototypes(z)}), OUT / "expected.safetensors")

    def named(module, prefix):
        return {prefix + k: v.float() if v.is_floating_point() else v for k, v in module.state_dict().items()}

    def save(name, obj, **options):
        torch.save(obj, OUT / name, **options)

    swav = lambda p: (
        named(backbone, p) | named(head, f"{p}projection_head.") | named(prototypes, f"{p}prototypes.")
    )
    momentum = {"state": {0: {"momentum_buffer": torch.randn(2, 1, 3, 3)}}, "param_groups": [{"lr": 0.6}]}
    save("swav_bare.pth.tar", swav("module."))
    save("swav_state_dict.pth.tar", {"epoch": 800, "state_dict": swav("module."), "optimizer": momentum})
    save("swav_legacy.pth.tar", swav(""), _use_new_zipfile_serialization=False)
    save("swav_half.pth.tar", {k: v.half() if v.is_floating_point() else v for k, v in swav("module.").items()})
    save("vicreg.pth", {"epoch": 1000, "model": named(backbone, "module.backbone.") | named(head, "module.projector.")})
    save(
        "simsiam.pth.tar",
        {"epoch": 99, "arch": "resnet", "state_dict": named(backbone, "module.encoder.")
         | named(head, "module.encoder.fc.") | named(head, "module.predictor.")},
    )
    save("torchvision.pth", named(backbone, "") | named(nn.Linear(features, 10), "fc."))
    # A parameter that is an integer, and a tensor of 4 bytes that claims 4 GB by its strides.
    save("integers.pth", named(backbone, "") | {"conv1.weight": torch.ones(2, 1, 3, 3, dtype=torch.int64)})
    save("expanded.pth", named(backbone, "") | {"conv1.weight": torch.zeros(1).expand(10**6, 10**3, 1, 1)})
    save("no_tensors.pth", {"epoch": 3})


def mlp(*sizes, bias=(True, True, True), last_norm=False):
    """Linear + BN + ReLU between the sizes, and a last Linear: `Sequential` numbers 0, 1, 3, 4,
    6."""
    layers = []
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        layers.append(nn.Linear(a, b, bias=bias[i]))
        if i + 2 < len(sizes):
            layers += [nn.BatchNorm1d(b), nn.ReLU()]
    if last_norm:
        layers.append(nn.BatchNorm1d(sizes[-1], affine=False))
    return nn.Sequential(*layers)


class Parts(nn.Module):
    """Named modules, registered in the given order, like a method's own module."""

    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


def methods(make_backbone, features, projector):
    """Each method's model with the official names, their order, and heads of `projector`
    dimensions."""
    d = projector
    swav = make_backbone()
    swav.projection_head = mlp(features, d, d // 4)
    swav.prototypes = nn.Linear(d // 4, 3 * d // 2, bias=False)
    simsiam = make_backbone()
    simsiam.fc = mlp(features, d, d, d, bias=(False, False, True), last_norm=True)
    # PyTorch's SimSiam does not train the bias before the last normalization.
    simsiam.fc[6].bias.requires_grad = False
    moco = Parts(encoder_q=make_backbone(), encoder_k=make_backbone())
    for encoder in (moco.encoder_q, moco.encoder_k):
        encoder.fc = nn.Sequential(nn.Linear(features, d), nn.ReLU(), nn.Linear(d, d // 4))
    moco.register_buffer("queue", torch.randn(d // 4, 32))
    moco.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))
    barlow = Parts(
        backbone=make_backbone(),
        projector=mlp(features, d, d, d, bias=(False,) * 3),
        bn=nn.BatchNorm1d(d, affine=False),
    )
    vicreg = Parts(backbone=make_backbone(), projector=mlp(features, d, d, d, bias=(True, True, False)))
    return {"vicreg": vicreg, "swav": swav, "simsiam": Parts(encoder=simsiam, predictor=mlp(d, d // 4, d)),
            "moco": moco, "barlow_twins": barlow}


class LARS(torch.optim.Optimizer):
    """VICReg's optimizer (docs/paper.md, "Optimizers"); the momentum is kept under `mu`."""

    def __init__(self, params, lr=0.1, weight_decay=1e-6, momentum=0.9, eta=0.001):
        super().__init__(params, dict(lr=lr, weight_decay=weight_decay, momentum=momentum, eta=eta))

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                dp = p.grad
                if p.ndim > 1:
                    dp = dp + group["weight_decay"] * p
                    norms = p.norm(), dp.norm()
                    if all(n > 0 for n in norms):
                        dp = dp * (group["eta"] * norms[0] / norms[1])
                mu = self.state[p].setdefault("mu", torch.zeros_like(p))
                mu.mul_(group["momentum"]).add_(dp)
                p.sub_(group["lr"] * mu)


def give_momentum(optimizer):
    """Two steps with random gradients, so that every trained parameter has momentum."""
    for _ in range(2):
        for group in optimizer.param_groups:
            for p in group["params"]:
                p.grad = torch.randn_like(p) if p.requires_grad else None
        optimizer.step()


def official_fixtures():
    """Every published layout at small width with its official names, the optimizers' momentum by
    name, and the features of one input."""
    made = methods(lambda: ResNet(BasicBlock, [1, 1, 1, 1], 2, in_channels=1, stem=(3, 2)), 16, 8)
    backbone_prefix = {"vicreg": "backbone", "swav": "", "simsiam": "encoder", "moco": "encoder_q", "barlow_twins": "backbone"}
    optimizers = {
        "vicreg": lambda m: LARS(m.parameters()),
        "swav": lambda m: torch.optim.SGD(m.parameters(), lr=0.6, momentum=0.9, weight_decay=1e-6),
        # Two groups, as SimSiam fixes the predictor's rate.
        "simsiam": lambda m: torch.optim.SGD(
            [{"params": m.encoder.parameters(), "fix_lr": False}, {"params": m.predictor.parameters(), "fix_lr": True}],
            lr=0.05, momentum=0.9),
        "moco": lambda m: torch.optim.SGD(m.parameters(), lr=0.03, momentum=0.9),
        "barlow_twins": lambda m: LARS(m.parameters()),
    }
    x = torch.randn(3, 1, 28, 28)
    expected, momentum = {"input": x}, {}
    states = {}
    for name, model in made.items():
        shake(model).float()
        if name == "moco":
            for p in model.encoder_k.parameters():
                p.requires_grad = False
        optimizer = optimizers[name](model)
        give_momentum(optimizer)
        for parameter, p in model.named_parameters():
            state = optimizer.state.get(p, {})
            for value in state.values():
                if torch.is_tensor(value) and value.shape == p.shape:
                    momentum[f"{name}.{parameter}"] = value.clone()
        prefix = backbone_prefix[name]
        backbone = model.get_submodule(prefix) if prefix else model
        expected[f"{name}.features"] = backbone.double().eval()(x.double()).float()
        model.float()
        states[name] = ({f"module.{k}": v for k, v in model.state_dict().items()}, optimizer.state_dict())
    save_file({k: v.contiguous() for k, v in expected.items()}, OUT / "official_features.safetensors")
    save_file({k: v.contiguous() for k, v in momentum.items()}, OUT / "official_momentum.safetensors")

    def save(name, obj, **options):
        torch.save(obj, OUT / "official" / name, **options)

    (OUT / "official").mkdir(exist_ok=True)
    state, optimizer = states["vicreg"]
    save("vicreg_full.pth", {"epoch": 1000, "model": state, "optimizer": optimizer})
    save("vicreg_backbone.pth", {k[len("module.backbone."):]: v for k, v in state.items() if ".backbone." in k})
    # The same at other precisions and in the legacy format.
    cast = lambda dtype: {k: v.to(dtype) if v.is_floating_point() else v for k, v in state.items()}
    save("vicreg_f64.pth", {"epoch": 1000, "model": cast(torch.float64)})
    save("vicreg_bf16.pth", {"epoch": 1000, "model": cast(torch.bfloat16)}, _use_new_zipfile_serialization=False)
    save_file(cast(torch.float16), OUT / "official" / "vicreg_f16.safetensors", {"format": "pt", "epoch": "1000"})
    # Lightning: the model under an attribute of the module, hyper-parameters and callbacks around
    # it.
    save("lightning.ckpt", {
        "epoch": 99, "global_step": 1000, "pytorch-lightning_version": "2.5.0",
        "state_dict": {f"model.{k[len('module.'):]}": v for k, v in state.items()},
        "optimizer_states": [optimizer], "lr_schedulers": [{"last_epoch": 3}], "loops": {}, "callbacks": {},
        "hyper_parameters": {"lr": 0.2, "name": "vicreg"},
    })
    state, optimizer = states["swav"]
    save("swav.pth.tar", {"epoch": 800, "state_dict": state, "optimizer": optimizer})
    save("swav_bare_legacy.pth.tar", state, _use_new_zipfile_serialization=False)
    save_file(state, OUT / "official" / "swav.safetensors")
    state, optimizer = states["simsiam"]
    save("simsiam.pth.tar", {"epoch": 100, "arch": "resnet18", "state_dict": state, "optimizer": optimizer})
    state, optimizer = states["moco"]
    save("moco.pth.tar", {"epoch": 200, "arch": "resnet18", "state_dict": state, "optimizer": optimizer})
    save("moco_query_only.pth.tar", {
        "epoch": 200, "arch": "resnet18", "state_dict": {k: v for k, v in state.items() if "encoder_q" in k}})
    state, optimizer = states["barlow_twins"]
    save("barlow_twins.pth", {"epoch": 1000, "model": state, "optimizer": optimizer})
    bare = {k[len("module.backbone."):]: v for k, v in state.items() if ".backbone." in k}
    fc = {"fc.weight": torch.randn(10, 16), "fc.bias": torch.randn(10)}
    # Optimizer states of other models.
    other = lambda shape, n: {"state": {0: {"momentum_buffer": torch.ones(shape)}}, "param_groups": [{"params": list(range(n))}]}
    save("optimizer_of_fewer.pth", {"model": bare, "optimizer": other((2, 1, 3, 3), 2)})
    save("optimizer_of_another.pth", {"model": bare, "optimizer": other(3, 36)})
    # timm's training script, and its published weights.
    save("timm.pth.tar", {"epoch": 299, "arch": "resnet50", "state_dict": bare | fc, "version": 2, "metric": 80.4,
                          "state_dict_ema": {k: 2 * v for k, v in (bare | fc).items()}})
    save_file(bare | fc, OUT / "official" / "timm.safetensors")


def exact_input(n, channels, height, width):
    """Values from -2 to 2 that Rust reproduces to the last bit, so that no image is stored."""
    i = torch.arange(n * channels * height * width, dtype=torch.int64)
    return ((i * 2654435761 % 2**32 >> 8).double() / 2**22 - 2).reshape(n, channels, height, width)


def golden_sizes():
    """ResNet-50's depth at width 4: eval mode and a training step at the sizes of the paper's crops
    and at an odd one."""
    model = ResNet(Bottleneck, [3, 4, 6, 3], 4)
    shake(model)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    out = {f"model.{k}": v for k, v in f32(start).items()}
    for height, width in ((224, 224), (96, 96), (197, 131)):
        model.load_state_dict(start)
        case, x = f"{height}x{width}", exact_input(2, 3, height, width)
        model.eval()
        for i, stage in enumerate(model.stages(x)):
            out[f"{case}.eval.stage{i + 1}.sums"] = stage.sum((2, 3))
        out[f"{case}.eval.output"] = model(x)
        model.train()
        out[f"{case}.train.output"] = model(x)
        out |= {f"{case}.after.{k}": b.clone() for k, b in model.named_buffers() if b.is_floating_point()}
    save_file(f32(out), OUT / "sizes.safetensors")


def check(path):
    """Loads a backbone that Rust wrote, with strict=True, and compares the outputs of both."""
    state = load_file(path)
    bottleneck = "layer1.0.conv3.weight" in state
    layers = [len({k.split(".")[1] for k in state if k.startswith(f"layer{s}.")}) for s in range(1, 5)]
    width, in_channels, kernel, _ = state["conv1.weight"].shape
    block = Bottleneck if bottleneck else BasicBlock
    if (width, in_channels, kernel) == (64, 3, 7):
        model = torchvision.models.ResNet(block, layers)
        model.fc = nn.Identity()
    else:
        model = ResNet(block, layers, width, in_channels, None if kernel == 7 else (kernel, 2))
    model.load_state_dict(state, strict=True)
    print(f"{path}: {len(state)} tensors loaded with strict=True into {type(model)}")
    expected = Path(f"{path}.expected.safetensors")
    if expected.exists():
        e = load_file(expected)
        y = model.eval()(e["input"])
        print("relative difference of the outputs:", ((y - e["output"]).norm() / y.norm()).item())


def main():
    OUT.mkdir(exist_ok=True)
    torch.manual_seed(0)
    basic = ResNet(BasicBlock, [1, 1, 1, 1], 4, in_channels=1)
    golden_network("basic", shake(basic), {"28x28": (4, 1, 28, 28)})
    bottleneck = ResNet(Bottleneck, [1, 1, 1, 1], 4)
    golden_network("bottleneck", shake(bottleneck), {"64x64": (2, 3, 64, 64), "65x49": (3, 3, 65, 49)})
    small = ResNet(BasicBlock, [2, 1, 1, 1], 4, in_channels=2, stem=(3, 1))
    golden_network("small_stem", shake(small), {"20x17": (3, 2, 20, 17)})
    golden_batch_norm()
    checkpoint_fixtures()
    torch.manual_seed(1)
    official_fixtures()
    golden_sizes()


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["check"] else main()
