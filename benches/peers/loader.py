"""Measures the loader against torchvision's DataLoader on Pillow, in alternation, with f32 batches
of real recipes from JPEG files.

    python benches/peers/loader.py FOLDER [--rounds 5] [--recipes vicreg swav simsiam eval]

FOLDER contains ImageNet-like JPEGs; benches/peers/decode.py --make makes some. Two workers on each
side, batches of 64. The other side is crates/data/benches/loader_peer.rs, which is built first and
answers over a pipe. In each round, every contestant runs one epoch of each recipe. The output is
the median over all rounds except the first, which warms the file cache and the workers: CPU
milliseconds per image of all the contestant's threads and processes, and wall milliseconds.
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import time
from pathlib import Path

import PIL
import torch
import torchvision
from PIL import Image, ImageFilter, ImageOps
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms as T
from torchvision.transforms import InterpolationMode

ROOT = Path(__file__).resolve().parents[2]
BATCH, WORKERS = 64, 2


class Blur:
    def __call__(self, image):
        return image.filter(ImageFilter.GaussianBlur(random.uniform(0.1, 2.0)))


class Solarize:
    def __call__(self, image):
        return ImageOps.solarize(image, 128)


def sometimes(probability, transform):
    return T.RandomApply([transform], p=probability)


def pipeline(crop, *transforms, red_std=0.229):
    normalize = T.Normalize([0.485, 0.456, 0.406], [red_std, 0.224, 0.225])
    return T.Compose([crop, *transforms, T.ToTensor(), normalize])


def vicreg(blur, solarize):
    return pipeline(
        T.RandomResizedCrop(224, interpolation=InterpolationMode.BICUBIC), T.RandomHorizontalFlip(),
        sometimes(0.8, T.ColorJitter(0.4, 0.4, 0.2, 0.1)), T.RandomGrayscale(0.2), sometimes(blur, Blur()),
        sometimes(solarize, Solarize()))


def swav(size, scale):
    return pipeline(
        T.RandomResizedCrop(size, scale=scale), T.RandomHorizontalFlip(), sometimes(0.8, T.ColorJitter(0.8, 0.8, 0.8, 0.2)),
        T.RandomGrayscale(0.2), sometimes(0.5, Blur()), red_std=0.228)


def simsiam():
    return pipeline(
        T.RandomResizedCrop(224, scale=(0.2, 1.0)), sometimes(0.8, T.ColorJitter(0.4, 0.4, 0.4, 0.1)),
        T.RandomGrayscale(0.2), sometimes(0.5, Blur()), T.RandomHorizontalFlip())


RECIPES = {
    "vicreg": [vicreg(1.0, 0.0), vicreg(0.1, 0.2)],
    "swav": [swav(224, (0.14, 1.0))] * 2 + [swav(96, (0.05, 0.14))] * 6,
    "simsiam": [simsiam()] * 2,
    "eval": [pipeline(T.Resize(256), T.CenterCrop(224))],
}
TITLES = {"vicreg": "VICReg, two views", "swav": "SwAV, 2 + 6 crops", "simsiam": "SimSiam, two views",
          "eval": "evaluation, 256 / 224"}


class Photos(Dataset):
    def __init__(self, folder, views):
        self.files = sorted(p for p in folder.iterdir() if p.suffix == ".jpg")
        self.views = views

    def __len__(self):
        return len(self.files)

    def __getitem__(self, index):
        with open(self.files[index], "rb") as file:
            image = Image.open(file).convert("RGB")
        return [view(image) for view in self.views]


def cpu_seconds(pids):
    """User and system time of these processes, all threads."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


class Torch:
    name = "torchvision DataLoader"

    def __init__(self, folder, recipes):
        self.loaders = {
            name: DataLoader(Photos(folder, RECIPES[name]), BATCH, shuffle=name != "eval", num_workers=WORKERS,
                             persistent_workers=True)
            for name in recipes}

    def pids(self, recipe):
        iterator = self.loaders[recipe]._iterator
        return [os.getpid()] + ([worker.pid for worker in iterator._workers] if iterator else [])

    def epoch(self, recipe, epoch):
        return sum(len(views[0]) for views in self.loaders[recipe])


class Ours:
    def __init__(self, program, folder, kind):
        self.name = f"e2mc-data, {kind}"
        self.kind = kind
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.ask(f"open {folder} {BATCH} {WORKERS}")

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def pids(self, _):
        return [self.process.pid]

    def epoch(self, recipe, epoch):
        return self.ask(f"{recipe} {self.kind} {epoch}")


def build():
    command = ["cargo", "bench", "--bench", "loader_peer", "-p", "e2mc-data", "--no-run", "--message-format=json"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    messages = [json.loads(line) for line in lines]
    return next(m["executable"] for m in messages
                if m.get("reason") == "compiler-artifact" and m["target"]["name"] == "loader_peer")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--kinds", nargs="+", default=["f32"], help="u8: batches that are normalized on the device")
    parser.add_argument("--program", help="the built loader_peer; built if not given")
    arguments = parser.parse_args()
    program = arguments.program or build()
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, Pillow {PIL.__version__}")
    contestants = [Torch(arguments.folder, arguments.recipes)]
    contestants += [Ours(program, arguments.folder, kind) for kind in arguments.kinds]
    times = {}
    for round_ in range(arguments.rounds + 1):
        for recipe in arguments.recipes:
            for contestant in contestants:
                # The DataLoader starts its workers with the first epoch. Their earlier time is not
                # counted.
                before, start = cpu_seconds(contestant.pids(recipe)), time.perf_counter()
                images = contestant.epoch(recipe, round_)
                wall = time.perf_counter() - start
                cpu = cpu_seconds(contestant.pids(recipe)) - before
                if round_ > 0:
                    times.setdefault((recipe, contestant.name), []).append((cpu * 1e3 / images, wall * 1e3 / images))
    print(f"{images} images, {arguments.rounds} rounds\n")
    print("| recipe | | CPU ms per image | times less | wall ms per image | times less |\n|---|---|---|---|---|---|")
    for recipe in arguments.recipes:
        medians = {c.name: [statistics.median(v) for v in zip(*times[recipe, c.name])] for c in contestants}
        peer = medians[contestants[0].name]
        for name, (cpu, wall) in medians.items():
            print(f"| {TITLES[recipe]} | {name} | {cpu:.2f} | {peer[0] / cpu:.1f} | {wall:.2f} | {peer[1] / wall:.1f} |")


if __name__ == "__main__":
    main()
