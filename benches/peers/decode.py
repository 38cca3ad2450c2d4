"""Measures decoding here against Pillow's, in alternation, one thread each.

    python benches/peers/decode.py FOLDER
    python benches/peers/decode.py --make FOLDER FROM..
    python benches/peers/decode.py --scan N FOLDER

The first command prints the table of docs/benchmarks.md for ImageNet-like files in FOLDER. --make
makes such files from larger photographs in the folders FROM. --scan makes N empty files in 1,000
class folders and searches them.

Pillow runs in this process. The other side is crates/data/benches/sources_peer.rs, which is built
first and answers over a pipe. In each round, every contestant passes once over all files, one after
the other. The output is the median over all rounds except the first, and ratios of medians.
"""

import argparse
import io
import json
import os
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import PIL
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}


def make(folder, sources):
    """Two crops of each photograph, 500 pixels on the longer side, as JPEG of various qualities."""
    draw = random.Random(0)
    Image.MAX_IMAGE_PIXELS = None
    folder.mkdir(parents=True, exist_ok=True)
    count = 0
    for path in sorted(path for source in sources for path in source.rglob("*")):
        if path.is_symlink() or not path.is_file() or path.suffix.lower() not in EXTENSIONS:
            continue
        image = Image.open(path).convert("RGB")
        if min(image.size) < 600:
            continue
        image.thumbnail((1600, 1600))
        for _ in range(2):
            width = draw.randint(image.width // 2, image.width)
            height = min(image.height, int(width * draw.choice([0.66, 0.75, 1.0, 1.33])))
            x, y = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
            crop = image.crop((x, y, x + width, y + height))
            scale = 500 / max(crop.size)
            crop = crop.resize((round(crop.width * scale), round(crop.height * scale)), Image.LANCZOS)
            crop.save(
                folder / f"{count:04}.jpg",
                quality=draw.choice([92, 95, 97, 98]),
                subsampling=draw.choice([0, 1, 2, 2, 2, 2]),
                progressive=draw.random() < 0.1,
            )
            count += 1
    print(f"{count} files")


class Peer:
    def __init__(self):
        command = ["cargo", "build", "--release", "--locked", "-p", "e2mc-data", "--bench", "sources_peer", "--message-format=json"]
        lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        artifacts = [json.loads(line) for line in lines]
        program = [a["executable"] for a in artifacts if a.get("target", {}).get("name") == "sources_peer"][-1]
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        print(*words, file=self.process.stdin, flush=True)
        return [float(word) for word in self.process.stdout.readline().split()]


def pillow(files):
    start = time.perf_counter()
    for data in files:
        Image.open(io.BytesIO(data)).convert("RGB")
    return (time.perf_counter() - start) * 1e3 / len(files)


def compare(peer, folder, rounds):
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    files = [path.read_bytes() for path in paths]
    pixels = statistics.mean(image.width * image.height for image in map(Image.open, paths))
    with tempfile.TemporaryDirectory() as temporary:
        count, size, prepared = peer.ask("open", folder, pathlib.Path(temporary) / "prepared")
        assert count == len(files)
        contestants = {
            f"Pillow {PIL.__version__}": lambda: pillow(files),
            "decode": lambda: peer.ask("decode")[0],
            "ImageFolder, from the page cache": lambda: peer.ask("folder")[0],
            "Prepared, from the page cache": lambda: peer.ask("prepared")[0],
        }
        times = {name: [] for name in contestants}
        for _ in range(rounds + 1):
            for name, measure in contestants.items():
                times[name].append(measure())
    medians = {name: statistics.median(all[1:]) for name, all in times.items()}
    first = next(iter(medians.values()))
    print(f"{count:.0f} files of {pixels:.0f} pixels and {size / count / 1000:.0f} KB on average; prepared {prepared / count / 1000:.0f} KB")
    print("| | ms per image | times Pillow's speed |\n|---|---|---|")
    for name, median in medians.items():
        print(f"| {name} | {median:.3f} | {first / median:.2f} |")


def scan(peer, folder, count):
    past = time.time() - 60
    for label in range(1000):
        path = folder / f"n{label:08}"
        path.mkdir(parents=True)
        for number in range(count // 1000):
            os.close(os.open(path / f"n{label:08}_{number}.JPEG", os.O_CREAT))
        os.utime(path, (past, past))
    os.utime(folder, (past, past))
    with tempfile.TemporaryDirectory() as temporary:
        found, first, second = peer.ask("scan", folder, pathlib.Path(temporary) / "cache")
    from torchvision.datasets import ImageFolder

    start = time.perf_counter()
    assert len(ImageFolder(folder)) == found
    print(f"{found:.0f} files: {first:.2f} s; from the cache {second:.2f} s; torchvision's ImageFolder {time.perf_counter() - start:.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("sources", type=pathlib.Path, nargs="*", help=argparse.SUPPRESS)
    parser.add_argument("--make", action="store_true", help="make the files from photographs")
    parser.add_argument("--scan", type=int, metavar="N", help="search a folder of N files")
    parser.add_argument("--rounds", type=int, default=9)
    args = parser.parse_args()
    if args.make:
        make(args.folder, args.sources)
    elif args.scan:
        scan(Peer(), args.folder, args.scan)
    else:
        compare(Peer(), args.folder, args.rounds)


if __name__ == "__main__":
    main()
