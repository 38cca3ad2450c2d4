"""Writes tests/reference/decode_kinds/: animated WebP files assembled chunk by chunk, with Pillow's
result for each in index.json. Also files of unsupported formats, all named .jpg, with the format
that Pillow finds in each in formats.json.

    pip install pillow==13.0.0 numpy==2.4.6 && python tests/reference/decode_kinds.py

decode.py beside this file draws the pictures.
"""

import io
import json
import pathlib
import struct

import PIL
from PIL import Image

from decode import picture, pillow, saved

OUT = pathlib.Path(__file__).parent / "decode_kinds"
CANVAS = (40, 30)


def riff(kind, data):
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def uint24(value):
    return struct.pack("<I", value)[:3]


def pixels_of(still):
    """The chunks of a still WebP that belong into a frame: ALPH, VP8 and VP8L."""
    at, kept = 12, b""
    while at < len(still):
        length = struct.unpack("<I", still[at + 4 : at + 8])[0]
        if still[at : at + 4] in (b"ALPH", b"VP8 ", b"VP8L"):
            kept += riff(still[at : at + 4], still[at + 8 : at + 8 + length])
        at += 8 + length + length % 2
    return kept


def animation(frames, alpha, background):
    """An animation of (still WebP, size, offset, flags); flag 1 disposes of a frame, flag 2 turns
    its blending off."""
    width, height = CANVAS
    header = bytes([0x02 | 0x10 * alpha]) + bytes(3) + uint24(width - 1) + uint24(height - 1)
    body = riff(b"VP8X", header) + riff(b"ANIM", background + b"\0\0")
    for still, (w, h), (x, y), flags in frames:
        frame = uint24(x // 2) + uint24(y // 2) + uint24(w - 1) + uint24(h - 1) + uint24(100) + bytes([flags])
        body += riff(b"ANMF", frame + pixels_of(still))
    return riff(b"RIFF", b"WEBP" + body)


def webps():
    for name, channels, options in [
        ("lossless_alpha", 4, {"lossless": True, "exact": True}),
        ("lossy_alpha", 4, {"quality": 80}),
        ("lossy", 3, {"quality": 80}),
    ]:
        for size, offset, place in [(CANVAS, (0, 0), "whole"), ((19, 13), (6, 4), "part")]:
            stills = [saved(Image.fromarray(picture(*size, channels, seed)), "WEBP", **options) for seed in range(2)]
            for flags, kind in [(0, "blend"), (2, "no_blend"), (1, "blend_dispose")]:
                frames = [(stills[0], size, offset, flags), (stills[1], size, offset, flags)]
                data = animation(frames, channels == 4, b"\x40\x80\xc0\xff")
                yield f"{name}_{place}_{kind}.webp", data


def others():
    image = Image.fromarray(picture(24, 16, 3))
    for name in ["AVIF", "JPEG2000", "ICO", "GIF", "BMP", "TIFF"]:
        yield f"{name.lower()}.jpg", saved(image, name)


def main():
    OUT.mkdir(exist_ok=True)
    for path in OUT.iterdir():
        path.unlink()
    index, formats = {}, {}
    for name, data in webps():
        (OUT / name).write_bytes(data)
        index[name] = pillow(data)
    for name, data in others():
        (OUT / name).write_bytes(data)
        formats[name] = Image.open(io.BytesIO(data)).format
    (OUT / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    (OUT / "formats.json").write_text(json.dumps(formats, indent=1) + "\n")
    print(f"{len(index)} and {len(formats)} files, Pillow {PIL.__version__}")


if __name__ == "__main__":
    main()
