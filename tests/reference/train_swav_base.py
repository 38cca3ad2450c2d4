"""Trains the base checkpoint of `e2mc continue`: SwAV from scratch on the embedded Fashion-MNIST
images.

    python tests/reference/train_swav_base.py checkpoints/swav_fashion_mnist.pth.tar

Written from docs/paper.md, with a small ResNet and small images. Uses the first 1,000 training
images of each class (the images embedded in e2mc-data), without their labels. About 12 minutes on
one core. Made with torch 2.15.0, Pillow 13.0.0 and numpy 2.4.6, one thread; other versions give
other weights.

The defaults made the checkpoint in the repository. docs/reproduction.md lists other bases and their
options.

The file is in the layout of SwAV's official checkpoints: parameters under `module.`,
`projection_head`, `prototypes`. `stem` beside them has kernel, stride and padding of the first
convolution, which shapes do not show.
"""

import argparse
import gzip
import math

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageEnhance
from torch import nn

DATA = "/usr/share/datasets/fashion-mnist"  # Debian's package dataset-fashion-mnist
PER_CLASS = 1000
MEAN, STD = 0.2860, 0.3530

EPOCHS, BATCH, SEED = 40, 128, 0
LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.15, 0.9, 1e-4  # cosine to 0 after one epoch of warm-up
WIDTH, HIDDEN, DIMENSIONS, PROTOTYPES = 16, 128, 64, 100
TEMPERATURE, SINKHORN_EPSILON, SINKHORN_ITERATIONS = 0.1, 0.05, 3
FULL_CROPS, SMALL_CROPS = (2, 28, (0.3, 1.0)), (4, 14, (0.1, 0.3))  # count, pixels, share of the area
JITTER, JITTER_PROBABILITY = 0.4, 0.8
STEM = {"kernel": 3, "stride": 2, "padding": 1}


def read_idx(name, header):
    with gzip.open(f"{DATA}/{name}-ubyte.gz") as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def embedded_images():
    images = read_idx("train-images-idx3", 16).reshape(-1, 28, 28)
    labels = read_idx("train-labels-idx1", 8)
    first = [np.flatnonzero(labels == label)[:PER_CLASS] for label in range(10)]
    return images[np.sort(np.concatenate(first))]


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            self.downsample = nn.Sequential(
                nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
            )

    def forward(self, x):
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class Swav(nn.Module):
    """ResNet of one basic block per stage with a 3x3 stem of stride 2, projector and prototypes."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, WIDTH, STEM["kernel"], STEM["stride"], STEM["padding"], bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTH)
        channels = WIDTH
        for stage in range(4):
            outputs = WIDTH << stage
            block = BasicBlock(channels, outputs, 1 if stage == 0 else 2)
            setattr(self, f"layer{stage + 1}", nn.Sequential(block))
            channels = outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        self.projection_head = nn.Sequential(
            nn.Linear(channels, HIDDEN), nn.BatchNorm1d(HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, DIMENSIONS)
        )
        self.prototypes = nn.Linear(DIMENSIONS, PROTOTYPES, bias=False)

    def features(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return x.mean((2, 3))

    def forward(self, resolutions):
        features = torch.cat([self.features(crops) for crops in resolutions])
        return self.prototypes(F.normalize(self.projection_head(features), dim=1))


def random_crop(image, size, scale, rng):
    for _ in range(10):
        area = 784 * rng.uniform(*scale)
        ratio = math.exp(rng.uniform(math.log(3 / 4), math.log(4 / 3)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= 28 and 0 < h <= 28:
            x, y = rng.integers(0, 29 - w), rng.integers(0, 29 - h)
            break
    else:
        x, y, w, h = 0, 0, 28, 28
    image = image.crop((x, y, x + w, y + h)).resize((size, size), Image.Resampling.BILINEAR)
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if rng.random() < JITTER_PROBABILITY:
        enhancers = [ImageEnhance.Brightness, ImageEnhance.Contrast]
        for enhancer in enhancers if rng.random() < 0.5 else enhancers[::-1]:
            image = enhancer(image).enhance(rng.uniform(1 - JITTER, 1 + JITTER))
    return np.asarray(image)


def crops_of(batch, rng):
    """One tensor per resolution, `[count * n, 1, size, size]`, crop by crop."""
    resolutions = []
    for count, size, scale in (FULL_CROPS, SMALL_CROPS):
        crops = [random_crop(image, size, scale, rng) for _ in range(count) for image in batch]
        resolutions.append((torch.from_numpy(np.stack(crops)).float()[:, None] / 255 - MEAN) / STD)
    return resolutions


@torch.no_grad()
def sinkhorn(scores):
    q = torch.exp((scores - scores.max()) / SINKHORN_EPSILON)
    for _ in range(SINKHORN_ITERATIONS):
        q = q / (q.sum(0, keepdim=True) * q.shape[1])
        q = q / (q.sum(1, keepdim=True) * q.shape[0])
    return q * q.shape[0]


def swav_loss(scores, n):
    scores = scores.split(n)
    loss = 0.0
    for full in range(FULL_CROPS[0]):
        codes = sinkhorn(scores[full].detach())
        others = [other for crop, other in enumerate(scores) if crop != full]
        for other in others:
            cross_entropy = -(codes * F.log_softmax(other / TEMPERATURE, 1)).sum(1).mean()
            loss = loss + cross_entropy / len(others) / FULL_CROPS[0]
    return loss


def main():
    global EPOCHS, BATCH, DIMENSIONS, PROTOTYPES
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--batch", type=int, default=BATCH)
    parser.add_argument("--dimensions", type=int, default=DIMENSIONS)
    parser.add_argument("--prototypes", type=int, default=PROTOTYPES)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    EPOCHS, BATCH, DIMENSIONS, PROTOTYPES = args.epochs, args.batch, args.dimensions, args.prototypes

    torch.set_num_threads(1)
    torch.manual_seed(args.seed)
    rng = np.random.default_rng(args.seed)
    images = embedded_images()
    pictures = [Image.fromarray(image) for image in images]
    model = Swav().train()
    optimiser = torch.optim.SGD(model.parameters(), LEARNING_RATE, MOMENTUM, weight_decay=WEIGHT_DECAY)
    steps = len(images) // BATCH
    print(f"{sum(p.numel() for p in model.parameters())} parameters, ln K = {math.log(PROTOTYPES):.3f}")
    for epoch in range(EPOCHS):
        total = 0.0
        order = rng.permutation(len(images))
        for step in range(steps):
            done = epoch * steps + step
            rate = LEARNING_RATE * 0.5 * (1 + math.cos(math.pi * done / (EPOCHS * steps)))
            rate *= min(1.0, (done + 1) / steps)
            for group in optimiser.param_groups:
                group["lr"] = rate
            with torch.no_grad():
                model.prototypes.weight.copy_(F.normalize(model.prototypes.weight, dim=1))
            batch = [pictures[i] for i in order[step * BATCH : (step + 1) * BATCH]]
            loss = swav_loss(model(crops_of(batch, rng)), BATCH)
            optimiser.zero_grad()
            loss.backward()
            if epoch == 0:
                model.prototypes.weight.grad = None
            optimiser.step()
            total += loss.item()
        print(f"epoch {epoch + 1:2}  loss {total / steps:.4f}", flush=True)
    state = {f"module.{name}": value for name, value in model.state_dict().items()}
    torch.save({"state_dict": state, "stem": STEM}, args.output)


if __name__ == "__main__":
    main()
