"""Golden files for e2mc-data's augmentations: results of torchvision on Pillow for given
parameters.

    python tests/reference/augment.py

Writes tests/reference/augment/cases.json (inputs and parameters), outputs.u8 (the results, one
after the other, planar) and tables.json (digests over all colors and dense parameters), and
crates/data/golden/sampling.json (torchvision's crop sampling) and shards.json (PyTorch's
DistributedSampler). Pinned: Pillow 13.0.0, torchvision 0.29.2, torch 2.15. Inputs are Fashion-MNIST test images by index, so that they need not
be stored. Larger pictures are mosaics of them, and color pictures have three of them as planes.
"""
import gzip
import hashlib
import json
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image, ImageFilter, ImageOps
from torch.utils.data import DistributedSampler
from torchvision.transforms import ColorJitter, InterpolationMode, RandomResizedCrop
from torchvision.transforms import functional as F

assert PIL.__version__ == "13.0.0", PIL.__version__
assert torchvision.__version__.split("+")[0] == "0.29.2", torchvision.__version__

OUT = Path(__file__).resolve().parent / "augment"
# For the unit tests, which are part of the package.
IN_CRATE = Path(__file__).resolve().parents[2] / "crates/data/golden"
SOURCE = Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")
TEST = np.frombuffer(gzip.open(SOURCE).read(), np.uint8, offset=16).reshape(-1, 28, 28)
FILTERS = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}

rng = np.random.default_rng(2025)
cases, outputs = [], []


def picture(planes):
    """A PIL image from one or three grids of test-image indices."""
    planes = [np.block([[TEST[i] for i in row] for row in grid]) for grid in planes]
    return Image.fromarray(planes[0] if len(planes) == 1 else np.stack(planes, -1))


def grey(rows=1, columns=1):
    return [rng.integers(0, 10_000, (rows, columns)).tolist()]


def colour(rows=1, columns=1):
    return [rng.integers(0, 10_000, (rows, columns)).tolist() for _ in range(3)]


def planar(image):
    array = np.asarray(image)
    return array if array.ndim == 2 else array.transpose(2, 0, 1)


def f32(value):
    """A Python float that is exact in f32, so that both sides start from the same parameter."""
    return float(np.float32(value))


def add(planes, operation, result):
    array = planar(result)
    shape = [1, *array.shape] if array.ndim == 2 else list(array.shape)
    cases.append({"planes": planes, "operation": operation, "shape": shape})
    outputs.append(np.ascontiguousarray(array).tobytes())


def resized_crop(planes, box, size, name):
    top, left, height, width = box
    image = picture(planes)
    parameters = {"box": list(box), "size": size, "interpolation": name}
    result = F.resized_crop(image, top, left, height, width, size, FILTERS[name], antialias=True)
    add(planes, {"resized_crop": {**parameters, "pass_order": "shorter"}}, result)
    # Two calls, one per direction, equal the older Pillow's single call, which also rounds to u8
    # between its passes.
    rows = F.resized_crop(image, top, left, height, width, [height, size[1]], FILTERS[name], antialias=True)
    add(planes, {"resized_crop": {**parameters, "pass_order": "horizontal_first"}}, F.resize(rows, size, FILTERS[name]))


def random_box(height, width):
    h, w = int(rng.integers(1, height + 1)), int(rng.integers(1, width + 1))
    return int(rng.integers(0, height - h + 1)), int(rng.integers(0, width - w + 1)), h, w


def geometry():
    for size in (28, 14):
        for _ in range(40):
            resized_crop(grey(), random_box(28, 28), [size, size], "bilinear")
    for _ in range(20):
        resized_crop(grey(), random_box(28, 28), rng.integers(1, 40, 2).tolist(), "bicubic")
    resized_crop(grey(), (0, 0, 28, 28), [28, 28], "bilinear")
    resized_crop(grey(), (27, 27, 1, 1), [5, 3], "bicubic")
    for kind in (grey, colour):
        for name in FILTERS:
            for _ in range(6):
                resized_crop(kind(4, 6), random_box(112, 168), rng.integers(3, 90, 2).tolist(), name)
    for kind in (grey, colour):
        planes = kind(1, 2)
        add(planes, "flip_horizontal", F.hflip(picture(planes)))


def colours():
    factors = [0.0, 0.2, 0.5, 1.0, 1.4, 1.8, 3.0, *rng.uniform(0.0, 2.0, 12)]
    for kind in (grey, colour):
        for factor in map(f32, factors):
            for name in ("brightness", "contrast", "saturation"):
                planes = kind()
                add(planes, {name: factor}, getattr(F, f"adjust_{name}")(picture(planes), factor))
        for shift in map(f32, [-0.5, -0.2, 0.0, 0.003, 0.2, 0.5, *rng.uniform(-0.5, 0.5, 8)]):
            planes = kind()
            add(planes, {"hue": shift}, F.adjust_hue(picture(planes), shift))
        planes = kind()
        image = picture(planes)
        add(planes, "grayscale", F.to_grayscale(image, 3) if kind is colour else image)
    # Whole jitters in torchvision's drawn order.
    for seed in range(24):
        torch.manual_seed(seed)
        jitter = ColorJitter(0.8, 0.8, 0.8, 0.2)
        order, *drawn = jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue)
        names = ["brightness", "contrast", "saturation", "hue"]
        planes = (grey, colour)[seed % 2]()
        image = picture(planes)
        for i in order.tolist():
            image = getattr(F, f"adjust_{names[i]}")(image, drawn[i])
        add(planes, {"jitter": [[names[i], drawn[i]] for i in order.tolist()]}, image)


def solarizations():
    for kind in (grey, colour):
        for threshold in (0, 1, 100, 128, 255):
            planes = kind()
            add(planes, {"solarize": threshold}, ImageOps.solarize(picture(planes), threshold))


def center_crops():
    """Resize of the shorter side and center crop: both roundings, in both directions."""
    for kind in (grey, colour):
        for rows, columns in ((2, 3), (3, 2), (1, 1), (1, 4)):
            for resize, size in ((28, 28), (37, 20), (50, 47), (96, 31)):
                for name in FILTERS:
                    planes = kind(rows, columns)
                    image = F.resize(picture(planes), resize, FILTERS[name], antialias=True)
                    parameters = {"resize": resize, "size": size, "interpolation": name}
                    add(planes, {"center_crop": parameters}, F.center_crop(image, size))


def blurs():
    sigmas = [0.0, 0.05, 0.1, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0, 3.7, 10.0, 40.0, *rng.uniform(0.1, 2.0, 20)]
    for sigma in map(f32, sigmas):
        planes = grey()
        add(planes, {"blur": sigma}, picture(planes).filter(ImageFilter.GaussianBlur(sigma)))
    for sigma in map(f32, [0.4, 1.3, 2.0]):
        planes = colour(1, 2)
        add(planes, {"blur": sigma}, picture(planes).filter(ImageFilter.GaussianBlur(sigma)))


def pipelines():
    """Crop, flip, jitter and blur one after the other, as for a SwAV crop of a small image."""
    for _ in range(40):
        planes, box, size = grey(), random_box(28, 28), [28, 14][int(rng.integers(2))]
        brightness, contrast = (f32(v) for v in rng.uniform(0.2, 1.8, 2))
        sigma = f32(rng.uniform(0.1, 2.0))
        image = F.resized_crop(picture(planes), *box, [size, size], FILTERS["bilinear"], antialias=True)
        image = F.adjust_brightness(F.adjust_contrast(F.hflip(image), contrast), brightness)
        image = image.filter(ImageFilter.GaussianBlur(sigma))
        add(planes, {"swav": {"box": list(box), "size": size, "contrast": contrast, "brightness": brightness,
                              "sigma": sigma}}, image)


def crop_sampling():
    """RandomResizedCrop.get_params with its uniform draws recorded. Each pair of draws except the
    last was rejected."""
    drawn = []
    original = torch.Tensor.uniform_

    def recording(self, *bounds):
        result = original(self, *bounds)
        drawn.append(result.item())
        return result

    torch.Tensor.uniform_ = recording
    sampled = []
    settings = [((0.3, 1.0), (3 / 4, 4 / 3), 28, 28), ((0.1, 0.3), (3 / 4, 4 / 3), 28, 28),
                ((0.08, 1.0), (3 / 4, 4 / 3), 375, 500), ((0.5, 1.0), (3 / 4, 4 / 3), 40, 300),
                ((0.9, 1.0), (3 / 4, 4 / 3), 300, 31)]
    for scale, ratio, height, width in settings:
        for seed in range(60):
            torch.manual_seed(seed)
            drawn.clear()
            box = RandomResizedCrop.get_params(torch.empty(1, height, width), list(scale), list(ratio))
            # After ten rejections the box is the central one, so 11 pairs cannot occur.
            central = len(drawn) == 20 and not accepted(height, width, *drawn[-2:])
            sampled.append({"scale": scale, "ratio": ratio, "image": [height, width], "draws": list(drawn),
                            "box": list(box), "central": central})
    torch.Tensor.uniform_ = original
    assert 10 < sum(case["central"] for case in sampled) < len(sampled) - 100
    return sampled


def accepted(height, width, part, log_ratio):
    area, ratio = height * width * part, torch.exp(torch.tensor(log_ratio, dtype=torch.float32)).item()
    return round((area * ratio) ** 0.5) <= width and round((area / ratio) ** 0.5) <= height


def shards():
    """The indices of each rank of PyTorch's DistributedSampler for n images in order."""
    return [{"images": n, "world_size": world, "rank": rank, "drop_last": drop_last,
             "indices": list(DistributedSampler(range(n), world, rank, shuffle=False, drop_last=drop_last))}
            for n in (1, 2, 7, 12, 13) for world in (1, 2, 3, 5, 8) for rank in range(world)
            for drop_last in (False, True) if n >= world or not drop_last]


def tables():
    """ToTensor and Normalize of each pixel value; digests over all 2^24 colors (red fastest) and
    over dense parameters.

    The dense parameters show roundings that matter in one result of many thousands. Contrast is k /
    divisor in f32, where a product rounds to a whole number and a fused multiply-add would not.
    Blur is k * step in f32. Each runs on one test image, and the results follow one another.
    """
    ramp = Image.fromarray(np.arange(256, dtype=np.uint8).reshape(1, 256))
    statistics = [(0.2860, 0.3530), (0.485, 0.229), (0.456, 0.224), (0.406, 0.225)]
    normalized = [{"mean": mean, "std": std, "values": F.normalize(F.to_tensor(ramp), [mean], [std]).flatten().tolist()}
                  for mean, std in statistics]
    code = np.arange(1 << 24, dtype=np.uint32)
    cube = np.stack([code & 255, code >> 8 & 255, code >> 16], -1).astype(np.uint8).reshape(4096, 4096, 3)
    cube = Image.fromarray(cube)
    image = Image.fromarray(TEST[1])
    factors = [float(np.float32(k) / np.float32(divisor)) for divisor in range(101, 151) for k in range(2 * divisor)]
    sigmas = [float(np.float32(k) * np.float32(0.0011)) for k in range(4000)]
    digest = lambda *images: hashlib.sha256(b"".join(planar(image).tobytes() for image in images)).hexdigest()
    return {
        "normalized": normalized,
        "grayscale": digest(F.to_grayscale(cube, 3)),
        "hue": [{"value": f, "sha256": digest(F.adjust_hue(cube, f))} for f in map(f32, (0.0, -0.13, 0.5))],
        "brightness": [{"value": f, "sha256": digest(F.adjust_brightness(cube, f))} for f in map(f32, (0.6, 1.37))],
        "cube_contrast": [{"value": f, "sha256": digest(F.adjust_contrast(cube, f))} for f in map(f32, (0.3, 1.8))],
        "saturation": [{"value": f, "sha256": digest(F.adjust_saturation(cube, f))} for f in map(f32, (0.0, 0.41, 1.73))],
        "solarize": [{"value": 128, "sha256": digest(ImageOps.solarize(cube, 128))}],
        "contrast": digest(*(F.adjust_contrast(image, factor) for factor in factors)),
        "blur": digest(*(image.filter(ImageFilter.GaussianBlur(sigma)) for sigma in sigmas)),
    }


geometry()
colours()
blurs()
pipelines()
solarizations()
center_crops()
OUT.mkdir(exist_ok=True)
(OUT / "cases.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
(OUT / "outputs.u8").write_bytes(b"".join(outputs))
(IN_CRATE / "sampling.json").write_text("[\n" + ",\n".join(json.dumps(case) for case in crop_sampling()) + "\n]\n")
(IN_CRATE / "shards.json").write_text("[\n" + ",\n".join(map(json.dumps, shards())) + "\n]\n")
(OUT / "tables.json").write_text(json.dumps(tables(), indent=1) + "\n")
print(len(cases), "cases,", sum(map(len, outputs)), "bytes")
