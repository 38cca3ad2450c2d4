#!/usr/bin/env python3
"""Converts between the fuzzer's corpus and the fixtures in tests/reference/resnet and odd.

    python seeds.py first corpus/import      the first corpus, wrapped as fuzz_targets/import.rs expects
    python seeds.py keep corpus/import 40    40 small files of a grown corpus, unwrapped, for the tests
"""
import io
import struct
import sys
import zipfile
from pathlib import Path

FIXTURES = Path(__file__).parents[3] / "tests/reference/resnet"
ODD = FIXTURES.parent / "odd"
REGRESSIONS = FIXTURES / "regressions"


def first(out):
    out.mkdir(parents=True, exist_ok=True)
    for path in sorted([*FIXTURES.rglob("*"), *ODD.rglob("*")]):
        if path.suffix not in {".pth", ".pt", ".tar", ".ckpt", ".safetensors"} or path.stat().st_size > 300_000:
            continue
        data = path.read_bytes()
        (out / path.name).write_bytes(b"\0" + data)
        if data[:2] == b"PK":
            archive = zipfile.ZipFile(path)
            pickle = next((name for name in archive.namelist() if name.endswith("data.pkl")), None)
            if pickle is None:
                continue
            (out / f"{path.name}.pickle").write_bytes(b"\1" + archive.read(pickle))
        elif path.suffix == ".safetensors":
            (length,) = struct.unpack("<Q", data[:8])
            (out / f"{path.name}.header").write_bytes(b"\2" + data[8 : 8 + length])


def unwrap(data):
    """As fuzz_targets/import.rs."""
    kind, rest = data[0] % 4, data[1:]
    if kind == 1:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            put = lambda name, content: archive.writestr(zipfile.ZipInfo(name), content)
            put("a/data.pkl", rest)
            put("a/byteorder", b"little")
            for key in range(8):
                put(f"a/data/{key}", b"\x3c" * 256)
            put("a/version", b"3\n")
        return file.getvalue()
    if kind == 2:
        return struct.pack("<Q", len(rest)) + rest + bytes(256)
    return rest


def keep(corpus, count):
    """Chosen evenly by size from the files of up to 2 KB, to cover every wrapping and import
    stage."""
    REGRESSIONS.mkdir(exist_ok=True)
    small = sorted((p for p in corpus.iterdir() if 8 < p.stat().st_size <= 2048), key=lambda p: (p.stat().st_size, p.name))
    for path in small[:: max(1, len(small) // count)][:count]:
        (REGRESSIONS / path.name[:12]).write_bytes(unwrap(path.read_bytes()))


if __name__ == "__main__":
    {"first": lambda: first(Path(sys.argv[2])), "keep": lambda: keep(Path(sys.argv[2]), int(sys.argv[3]))}[sys.argv[1]]()
