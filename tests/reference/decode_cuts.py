"""Writes tests/reference/decode_cuts/: small files, and cuts.json with the lengths at which Pillow
still reads a truncated file.

    pip install pillow==13.0.0 numpy==2.4.6 && python tests/reference/decode_cuts.py

cuts.json has a list of [length, verdict] for each file. From that length to the next one, the
verdict on the file's first bytes is the same. A verdict is the SHA-256 of the pixels of
`Image.open(file).convert("RGB")`, or null if Pillow rejects it. Every length is tried. decode.py
beside this file draws the pictures.
"""

import io
import json
import pathlib
import struct

import numpy as np
import PIL
from PIL import Image

from decode import chunk, picture, pillow, png, saved

OUT = pathlib.Path(__file__).parent / "decode_cuts"


def exif_with_thumbnail(thumbnail):
    """An APP1 segment whose second directory names a JPEG thumbnail, as in photographs of
    phones."""
    tags = struct.pack("<HHII", 0x201, 4, 1, 44) + struct.pack("<HHII", 0x202, 4, 1, len(thumbnail))
    body = b"Exif\0\0II*\0" + struct.pack("<I", 8) + struct.pack("<HI", 0, 14)
    return segment(0xE1, body + struct.pack("<H", 2) + tags + bytes(4) + thumbnail)


def segment(marker, data):
    return bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data


def jpegs():
    image = Image.fromarray(picture(40, 32, 3))
    plain = saved(image, "JPEG", quality=60)
    thumbnail = saved(image.resize((8, 6)), "JPEG", quality=30)
    yield "baseline.jpg", plain
    yield "grey.jpg", saved(image.convert("L"), "JPEG", quality=60)
    yield "progressive.jpg", saved(image, "JPEG", quality=60, progressive=True)
    yield "thumbnail.jpg", plain[:2] + exif_with_thumbnail(thumbnail) + plain[2:]
    yield "profile.jpg", plain[:2] + segment(0xE2, b"ICC_PROFILE\0\1\1" + b"\xff\xd9" * 9) + plain[2:]
    comment = segment(0xFE, b"\xff\xd9 is not the end")
    yield "comment.jpg", plain[:2] + comment + plain[2:]
    yield "comment_behind.jpg", plain[:-2] + comment + plain[-2:]
    progressive = saved(image, "JPEG", quality=60, progressive=True)
    yield "progressive_comment_behind.jpg", progressive[:-2] + comment + progressive[-2:]
    yield "two_pictures.jpg", plain + thumbnail


def pngs():
    samples = picture(19, 13, 3).astype(np.int64)
    yield "rgb.png", png(samples, 8, 2)
    yield "rgb_interlaced.png", png(samples, 8, 2, True)
    palette = chunk(b"PLTE", bytes(range(48)))
    yield "palette_interlaced.png", png(samples[..., :1] >> 4, 4, 3, True, palette)
    whole = png(samples, 8, 2)
    text = chunk(b"tEXt", b"key\0value")
    end = whole.index(b"IEND") - 4
    yield "text_behind.png", whole[:end] + text + chunk(b"prVt", b"private") + text + whole[end:]
    at = whole.index(b"IDAT")
    length = struct.unpack(">I", whole[at - 4 : at])[0]
    data = whole[at + 4 : at + 4 + length]
    pieces = b"".join(chunk(b"IDAT", data[i : i + 100]) for i in range(0, length, 100))
    yield "pieces.png", whole[: at - 4] + pieces + whole[end:]
    frames = [Image.fromarray(picture(19, 13, 4, seed)) for seed in range(2)]
    yield "animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])


def webps():
    image = Image.fromarray(picture(19, 13, 3))
    alpha = Image.fromarray(picture(19, 13, 4))
    yield "lossy.webp", saved(image, "WEBP", quality=60)
    yield "lossless.webp", saved(image, "WEBP", lossless=True)
    yield "lossy_alpha.webp", saved(alpha, "WEBP", quality=60)
    frames = [Image.fromarray(picture(19, 13, 4, seed)) for seed in range(2)]
    yield "animated_alpha.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)


def main():
    OUT.mkdir(exist_ok=True)
    for path in OUT.iterdir():
        path.unlink()
    cuts = {}
    for name, data in [*jpegs(), *pngs(), *webps()]:
        assert name not in cuts, name
        (OUT / name).write_bytes(data)
        changes = []
        for length in range(len(data) + 1):
            verdict = pillow(data[:length]).get("sha256")
            if not changes or changes[-1][1] != verdict:
                changes.append([length, verdict])
        cuts[name] = changes
    lines = ",\n".join(f" {json.dumps(name)}: {json.dumps(changes)}" for name, changes in cuts.items())
    (OUT / "cuts.json").write_text("{\n" + lines + "\n}\n")
    total = sum(path.stat().st_size for path in OUT.iterdir())
    print(f"{len(cuts)} files, {total} bytes, Pillow {PIL.__version__}")


if __name__ == "__main__":
    main()
