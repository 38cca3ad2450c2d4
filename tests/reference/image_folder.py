"""Writes tests/reference/image_folder.json: a tree of files with awkward names, and its order in
torchvision's ImageFolder.

    pip install torch==2.15 torchvision==0.29.2 && python tests/reference/image_folder.py
"""

import json
import pathlib
import tempfile

import torchvision
from torchvision.datasets import ImageFolder

TREE = [
    "b/2.jpg", "b/10.jpg", "b/1.JPG", "b/a.PNG", "b/A.png", "b/note.txt", "b/x.jpg.txt", "b/.jpg", "b/e.webp", "b/gif.gif",
    "b/x/1.jpeg", "b/x-1/1.jpeg", "b/x/y/0.jpg", "b/x.d/1.tif", "b/x1/1.bmp", "b/X/1.ppm",
    "B/1.jpg", "a b/1.pgm", "a/1.tiff", "a/0.jPeG", "a-b/1.jpg", "ä/ö.jpg", "z/1.jpg", "Z9/9.jpg", "Z10/9.jpg", "0.jpg",
]

with tempfile.TemporaryDirectory() as folder:
    root = pathlib.Path(folder)
    for name in TREE:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    data = ImageFolder(folder)
    result = {
        "torchvision": torchvision.__version__.split("+")[0],
        "tree": TREE,
        "classes": data.classes,
        "samples": [[pathlib.Path(path).relative_to(root).as_posix(), label] for path, label in data.samples],
    }
out = pathlib.Path(__file__).with_suffix(".json")
out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
