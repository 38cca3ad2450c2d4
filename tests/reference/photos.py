"""Results of torchvision on Pillow for real photographs: each operation, and whole pipelines, with
its own random choices.

    python tests/reference/photos.py PHOTOS OUT [--count 60]

PHOTOS is any folder of photographs. Writes to OUT the decoded pictures (PPM) and cases.json:
parameters, and the SHA-256 of the result. Then

    E2MC_PARITY=OUT cargo test -p e2mc-data --release --test photos -- --nocapture

compares e2mc-data's results and prints how many agree. Pinned: Pillow 13.0.0, torchvision 0.29.2,
torch 2.15. seed 2025.
"""
import argparse
import hashlib
import json
import random
from pathlib import Path

import numpy as np
import PIL
import torch
import torchvision
from PIL import Image
from torchvision import transforms as T
from torchvision.transforms import functional as F

import views

assert PIL.__version__ == "13.0.0", PIL.__version__
assert torchvision.__version__.split("+")[0] == "0.29.2", torchvision.__version__

parser = argparse.ArgumentParser()
parser.add_argument("photos", type=Path)
parser.add_argument("out", type=Path)
parser.add_argument("--count", type=int, default=60)
arguments = parser.parse_args()

random.seed(2025)
torch.manual_seed(2025)
f32 = lambda value: float(np.float32(value))


def planar(image):
    return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


def sha256(array):
    return hashlib.sha256(array.tobytes()).hexdigest()


def whole_resize(box, size, interpolation, order="shorter"):
    top, left, height, width = box
    return {"region": {"top": top, "left": left, "height": height, "width": width}, "target": [size, size],
            "window": {"top": 0, "left": 0, "height": size, "width": size}, "interpolation": interpolation,
            "pass_order": order}


def random_resize(image, size, scale, interpolation, order="shorter"):
    box = T.RandomResizedCrop.get_params(image, list(scale), [3 / 4, 4 / 3])
    return whole_resize(box, size, interpolation, order)


def jitter(*strengths):
    sampler = T.ColorJitter(*strengths)
    order, *drawn = sampler.get_params(sampler.brightness, sampler.contrast, sampler.saturation, sampler.hue)
    names = ["brightness", "contrast", "saturation", "hue"]
    return {"color_jitter": {"operations": [{names[i]: drawn[i]} for i in order.tolist() if drawn[i] is not None]}}


def blur():
    return {"gaussian_blur": f32(random.uniform(0.1, 2.0))}


def one(name, low, high):
    return {"color_jitter": {"operations": [{name: f32(random.uniform(low, high))}]}}


def chance(probability, operation):
    return [operation] if random.random() < probability else []


def vicreg(image, blur_probability, solarize_probability):
    return random_resize(image, 224, (0.08, 1.0), "bicubic"), [
        *chance(0.5, "horizontal_flip"), *chance(0.8, jitter(0.4, 0.4, 0.2, 0.1)), *chance(0.2, "grayscale"),
        *chance(blur_probability, blur()), *chance(solarize_probability, {"solarize": 128})]


def swav(image, size, scale):
    return random_resize(image, size, scale, "bilinear"), [
        *chance(0.5, "horizontal_flip"), *chance(0.8, jitter(0.8, 0.8, 0.8, 0.2)), *chance(0.2, "grayscale"),
        *chance(0.5, blur())]


def simsiam(image):
    return random_resize(image, 224, (0.2, 1.0), "bilinear"), [
        *chance(0.8, jitter(0.4, 0.4, 0.4, 0.1)), *chance(0.2, "grayscale"), *chance(0.5, blur()),
        *chance(0.5, "horizontal_flip")]


def cases(image):
    crop = lambda: random_resize(image, 224, (0.08, 1.0), "bicubic")
    for name in ("bilinear", "bicubic"):
        for order in ("shorter", "horizontal_first"):
            yield f"crop and resize, {name}", random_resize(image, 224, (0.08, 1.0), name, order), []
            yield f"crop and resize, {name}", random_resize(image, 96, (0.05, 0.14), name, order), []
    yield "flip", crop(), ["horizontal_flip"]
    for name in ("brightness", "contrast", "saturation"):
        yield name, crop(), [one(name, 0.0, 2.0)]
    for _ in range(2):
        yield "hue", crop(), [one("hue", -0.5, 0.5)]
    yield "color jitter, random order", crop(), [jitter(0.8, 0.8, 0.8, 0.2)]
    yield "grayscale", crop(), ["grayscale"]
    for _ in range(2):
        yield "Gaussian blur", crop(), [blur()]
    yield "Gaussian blur", crop(), [{"gaussian_blur": f32(random.uniform(2.0, 12.0))}]
    yield "solarize", crop(), [{"solarize": random.randint(0, 255)}]
    yield "VICReg, first view", *vicreg(image, 1.0, 0.0)
    yield "VICReg, second view", *vicreg(image, 0.1, 0.2)
    yield "SwAV, 224", *swav(image, 224, (0.14, 1.0))
    yield "SwAV, 96", *swav(image, 96, (0.05, 0.14))
    yield "SimSiam", *simsiam(image)


def center(image, resize, size, interpolation):
    result = F.center_crop(F.resize(image, resize, views.FILTERS[interpolation], antialias=True), size)
    parameters = {"resize": resize, "size": size, "interpolation": interpolation}
    return {"center": parameters}, result


arguments.out.mkdir(parents=True, exist_ok=True)
files = sorted(p for p in arguments.photos.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
files = files[:: max(1, len(files) // arguments.count)][: arguments.count]
written = []
for number, file in enumerate(files):
    image = Image.open(file).convert("RGB")
    image.save(arguments.out / f"{number:03}.ppm")
    for name, resize, operations in cases(image):
        view = {"resize": resize, "operations": operations}
        written.append({"photo": f"{number:03}", "name": name, "view": view,
                        "sha256": sha256(planar(views.apply(image, view)))})
    for interpolation in ("bilinear", "bicubic"):
        for sizes in ((256, 224), (random.randint(64, 300), 64), (224, 224)):
            crop, result = center(image, *sizes, interpolation)
            written.append({"photo": f"{number:03}", "name": "resize and centre crop", "center": crop,
                            "sha256": sha256(planar(result))})
    mean, std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    normalized = F.normalize(F.to_tensor(result), mean, std).numpy()
    written.append({"photo": f"{number:03}", "name": "to tensor and normalize", "center": crop, "normalized": True,
                    "sha256": sha256(normalized)})
(arguments.out / "cases.json").write_text(json.dumps(written))
print(len(files), "photographs,", len(written), "cases")
