#!/usr/bin/env python3
"""Writes the first corpus from the fixtures in tests/reference/resnet, wrapped as fuzz_targets/import.rs unwraps it.

    python seeds.py corpus/import
"""
import struct
import sys
import zipfile
from pathlib import Path

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
fixtures = Path(__file__).parents[3] / "tests/reference/resnet"
for path in sorted(fixtures.rglob("*")):
    if path.suffix not in {".pth", ".tar", ".ckpt", ".safetensors"} or path.stat().st_size > 300_000:
        continue
    data = path.read_bytes()
    (out / path.name).write_bytes(b"\0" + data)
    if data[:2] == b"PK":
        archive = zipfile.ZipFile(path)
        pickle = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        (out / f"{path.name}.pickle").write_bytes(b"\1" + archive.read(pickle))
    elif path.suffix == ".safetensors":
        (length,) = struct.unpack("<Q", data[:8])
        (out / f"{path.name}.header").write_bytes(b"\2" + data[8 : 8 + length])
