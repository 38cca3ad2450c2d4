#!/usr/bin/env python3
"""Golden values and checkpoint fixtures for crates/resnet, made by PyTorch.

    python tests/reference/resnet.py            writes tests/reference/resnet/
    python tests/reference/resnet.py check FILE  loads a file of `save_backbone` with strict=True, and compares with
                                                 FILE.expected.safetensors if it is there

Needs torch, torchvision and safetensors. Values are computed in f64 from weights rounded to f32, so that they are the
truth to which f32 implementations are compared. Made with torch 2.15, torchvision's blocks.
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
    """Random scales, shifts and running statistics, rounded to f32; the model ends in f64."""
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
    """Weights, and per input: stage maps in eval mode; output, gradients and running statistics of a training step."""
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
        # Cloned: the next case writes into the same buffers.
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
    """One small network, saved as each published layout (PAPER.md section 4), and its outputs."""
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


def check(path):
    """Loads a written backbone with strict=True, and compares its outputs with those that Rust wrote beside it."""
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


if __name__ == "__main__":
    check(sys.argv[2]) if sys.argv[1:2] == ["check"] else main()
