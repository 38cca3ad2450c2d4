"""Shared by the reference scripts of crates/ssl-methods: the tiny backbone, pictures, optimizers,
and the golden files."""

import json
import struct

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        if stride != 1 or cin != cout:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + (self.downsample(x) if hasattr(self, "downsample") else x))


class SmallResNet(nn.Module):
    """ResNet of basic blocks [1, 1, 1, 1] for gray images, with a 3x3 stem of stride 2 and 8 *
    width features."""

    def __init__(self, width):
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer1 = nn.Sequential(Block(width, width, 1))
        self.layer2 = nn.Sequential(Block(width, 2 * width, 2))
        self.layer3 = nn.Sequential(Block(2 * width, 4 * width, 2))
        self.layer4 = nn.Sequential(Block(4 * width, 8 * width, 2))
        self.fc = nn.Identity()

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
        return x.mean(dim=(2, 3))

    def forward(self, x):
        return self.fc(self.features(x))


def initialise(net):
    """Convolutions as in torchvision; linear layers keep PyTorch's default."""
    for m in net.modules():
        if isinstance(m, nn.Conv2d):
            nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(m, (nn.BatchNorm1d, nn.BatchNorm2d)) and m.affine:
            # Not 1 and 0, so that swapped scale and shift, or a skipped layer, are detected.
            nn.init.uniform_(m.weight, 0.8, 1.2)
            nn.init.uniform_(m.bias, -0.2, 0.2)


def pictures(generator, batch, crops, canvas=40, noise=0.04, channels=1, cells=7):
    """A batch of smooth random pictures of canvas x canvas, cut into crops that share their
    picture: one [count, batch, channels, side, side] for each (count, side) of `crops`, in [0, 1]
    but for the noise.

    The pictures avoid black and white. In a clipped region, many pixels have one value. If a ReLU's
    input is near 0 for all of them at once, f32 and f64 take different sides and diverge
    permanently.
    """
    base = 0.2 + 0.6 * torch.rand(batch, channels, cells, cells, generator=generator)
    base = F.interpolate(base, size=(canvas, canvas), mode="bilinear")
    out = []
    for count, side in crops:
        views = torch.zeros(count, batch, channels, side, side)
        for v in range(count):
            y, x = torch.randint(0, canvas - side, (2,), generator=generator).tolist()
            grain = noise * torch.randn(batch, channels, side, side, generator=generator)
            views[v] = base[:, :, y : y + side, x : x + side] + grain
        out.append(views)
    return out


def as_bytes(pixels):
    return (pixels.clamp(0, 1) * 255).round().to(torch.uint8)


def normalised(pixels, dtype, mean=0.5, std=0.25):
    """u8 -> the network's input; the arithmetic is f32 in every run."""
    return ((pixels.to(torch.float32) / 255 - mean) / std).to(dtype)


class Larc:
    """LARC over SGD with momentum, docs/paper.md, "Optimizers"."""

    def __init__(self, params, lr, weight_decay, momentum=0.9, trust=0.001):
        self.params, self.weight_decay, self.trust = list(params), weight_decay, trust
        self.inner = torch.optim.SGD(self.params, lr=lr, momentum=momentum, weight_decay=0.0)

    def step(self):
        for p in self.params:
            if p.grad is None:
                continue
            pn, gn = p.detach().norm(), p.grad.norm()
            if pn != 0 and gn != 0:
                adaptive = self.trust * pn / (gn + self.weight_decay * pn + 1e-8)
                p.grad = (p.grad + self.weight_decay * p.detach()) * adaptive
        self.inner.step()


class Lars:
    """LARS as VICReg uses it (docs/paper.md, "Optimizers"): one-dimensional parameters get neither
    decay nor adaptation."""

    def __init__(self, params, lr, weight_decay, momentum=0.9, eta=0.001, mu=None):
        self.params, self.lr, self.weight_decay = list(params), lr, weight_decay
        self.momentum, self.eta = momentum, eta
        self.mu = [torch.zeros_like(p) if mu is None else mu[i].to(p.dtype).clone() for i, p in enumerate(self.params)]

    @torch.no_grad()
    def step(self):
        for p, mu in zip(self.params, self.mu):
            update = p.grad
            if p.dim() > 1:
                update = update + self.weight_decay * p
                pn, un = p.norm(), update.norm()
                if pn > 0 and un > 0:
                    update = update * (self.eta * pn / un)
            mu.mul_(self.momentum).add_(update)
            p.sub_(self.lr * mu)


def distance(a, b):
    """Relative distance, in norm, of each tensor of two dictionaries."""
    return {k: ((a[k].double() - b[k].double()).norm() / b[k].double().norm()).item() for k in a}


def jittered(state, member):
    """The weights, each changed by at most one unit in the last place; member 0 is unchanged."""
    g = torch.Generator().manual_seed(member)
    ulps = lambda v: 1 + 2.0**-23 * torch.randint(-1, 2, v.shape, generator=g) if member and v.is_floating_point() else 1
    return {k: v * ulps(v) for k, v in state.items()}


def write_safetensors(path, tensors):
    names = {torch.float32: "F32", torch.uint8: "U8"}
    header, offset = {}, 0
    for name, t in tensors.items():
        end = offset + t.numel() * t.element_size()
        header[name] = {"dtype": names[t.dtype], "shape": list(t.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            file.write(t.contiguous().numpy().tobytes())


def rounded(t, digits=12):
    """Nested lists with 12 decimals, far below the f32 precision that the tests compare."""
    return [rounded(x, digits) for x in t] if t.dim() else round(t.item(), digits)


def write_json(path, value):
    path.write_text(json.dumps(value) + "\n")
