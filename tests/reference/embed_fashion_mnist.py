"""Writes the subset of Fashion-MNIST embedded in the crate e2mc-data, and the digest that its tests
check.

    python tests/reference/embed_fashion_mnist.py [folder of the four original .gz files]

Source: Debian's package dataset-fashion-mnist 0.0~git20200523.55506a9-1 (the original files of
https://github.com/zalandoresearch/fashion-mnist, MIT license). Needs Python >= 3.11 and NumPy.

Training: the first 1,000 images of each class, in file order. Test: all 10,000. Each file is one
.lzma stream (`xz --format=lzma` reads it) of the labels (one byte each), then the images, each
transposed, since LZMA compresses columns 4% better than rows. lc=4 (context of the upper four bits
of the previous pixel) gains another 0.7%.
"""
import gzip
import hashlib
import json
import lzma
import sys
from pathlib import Path

import numpy as np

SOURCE = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "crates/data/embedded"
FILTER = {"id": lzma.FILTER_LZMA1, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 23, "lc": 4, "lp": 0, "pb": 2}


def original(part):
    images = gzip.open(SOURCE / f"{part}-images-idx3-ubyte.gz").read()
    labels = gzip.open(SOURCE / f"{part}-labels-idx1-ubyte.gz").read()
    return np.frombuffer(images, np.uint8, offset=16).reshape(-1, 28, 28), np.frombuffer(labels, np.uint8, offset=8)


def sha256(*arrays):
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def main():
    TARGET.mkdir(parents=True, exist_ok=True)
    train, train_labels = original("train")
    first = np.sort(np.concatenate([np.flatnonzero(train_labels == c)[:1000] for c in range(10)]))
    digests = {}
    for part, images, labels in [
        ("train", train[first], train_labels[first]),
        ("test", *original("t10k")),
    ]:
        content = labels.tobytes() + np.ascontiguousarray(images.transpose(0, 2, 1)).tobytes()
        packed = lzma.compress(content, format=lzma.FORMAT_ALONE, filters=[FILTER])
        (TARGET / f"fashion-mnist-{part}.lzma").write_bytes(packed)
        # Digest of the original bytes in the original order: pixels, then labels.
        digests[part] = sha256(images, labels)
        print(f"{part}: {len(content)} -> {len(packed)} bytes")
    digests["train_mean"] = float(train.mean(dtype=np.float64) / 255)
    digests["train_std"] = float(train.std(dtype=np.float64) / 255)
    (TARGET / "digests.json").write_text(json.dumps(digests, indent=1) + "\n")
    print(digests)


main()
