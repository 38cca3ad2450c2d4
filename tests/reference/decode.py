"""Writes tests/reference/decode/: small image files in every form, and index.json with Pillow's
result for each: the size and SHA-256 of the pixels of `Image.open(file).convert("RGB")`, or the
class of its error.

    pip install pillow==13.0.0 numpy==2.4.6
    apt-get install libjpeg-turbo-progs imagemagick
    python tests/reference/decode.py

With folders as arguments, it writes no files, but prints an index of the photographs in them for
`cargo test -p e2mc-data --release --test decode -- photographs --ignored` (docs/benchmarks.md).

Everything is drawn from a fixed seed. `cjpeg` (libjpeg-turbo 2.1.5) makes files that Pillow cannot
write: other subsamplings, restart markers, arithmetic coding, custom scans. `convert` (ImageMagick
6.9.11) makes YCCK with coarser colors. PNG files are assembled chunk by chunk.
"""

import hashlib
import io
import json
import pathlib
import struct
import subprocess
import sys
import tempfile
import warnings
import zlib

import numpy as np
import PIL
from PIL import Image

OUT = pathlib.Path(__file__).parent / "decode"
EXTENSIONS = {".jpg", ".jpeg", ".png", ".webp"}


def picture(width, height, channels, seed=0):
    """Smooth gradients, hard edges and noise, so that every kind of coefficient occurs."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    planes = []
    for c in range(channels):
        plane = 128 + 90 * np.sin(x / (9 + 4 * c) + c) * np.cos(y / (13 - 3 * c) - c)
        plane[(x - 0.6 * width) ** 2 + (y - 0.4 * height) ** 2 < (0.25 * height) ** 2] = 255 - 100 * c
        plane[(x + y).astype(int) % 29 < 3] = 40 * c
        plane += rng.normal(0, 12, plane.shape) * (x > width / 2)
        planes.append(plane)
    return np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)


def saved(image, format, **options):
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def cjpeg(pixels, *options):
    header = f"P{5 if pixels.ndim == 2 else 6} {pixels.shape[1]} {pixels.shape[0]} 255\n".encode()
    return subprocess.run(
        ["cjpeg", *options], input=header + pixels.tobytes(), stdout=subprocess.PIPE, check=True
    ).stdout


def with_scans(pixels, script, *options):
    with tempfile.NamedTemporaryFile("w", suffix=".scans") as file:
        file.write(script)
        file.flush()
        return cjpeg(pixels, *options, "-scans", file.name)


def jpegs():
    rgb = picture(97, 61, 3)
    image = Image.fromarray(rgb)
    for name, sampling in [("444", 0), ("422", 1), ("420", 2)]:
        for progressive in [False, True]:
            kind = "progressive" if progressive else "baseline"
            yield f"{kind}_{name}.jpg", saved(image, "JPEG", quality=85, subsampling=sampling, progressive=progressive)
    for sampling in ["1x2", "4x1", "4x2", "1x4", "2x4", "2x2,2x1,1x1", "2x2,1x2,1x1", "2x1,1x1,2x1", "1x1,2x2,1x1", "3x1", "3x2,1x1,1x1", "1x3"]:
        name = sampling.replace(",", "-")
        yield f"sampling_{name}.jpg", cjpeg(rgb, "-quality", "80", "-sample", sampling)
        yield f"sampling_{name}_progressive.jpg", cjpeg(rgb, "-quality", "80", "-sample", sampling, "-progressive")
    for quality in [1, 30, 100]:
        yield f"quality_{quality}.jpg", saved(image, "JPEG", quality=quality)
        yield f"quality_{quality}_progressive.jpg", saved(image, "JPEG", quality=quality, progressive=True)
    # Full-range noise: overflowing sums, long codes, 0xff bytes in the data.
    noise = np.random.default_rng(1).integers(0, 2, (48, 64, 3), np.uint8) * 255
    yield "noise.jpg", saved(Image.fromarray(noise), "JPEG", quality=100, subsampling=0)
    yield "noise_420.jpg", saved(Image.fromarray(noise), "JPEG", quality=97, subsampling=2)
    yield "optimized.jpg", saved(image, "JPEG", quality=75, optimize=True)
    for width, height in [(1, 1), (2, 1), (1, 2), (3, 3), (7, 9), (8, 8), (16, 16), (17, 15), (33, 5), (5, 33), (2, 40), (40, 2)]:
        small = Image.fromarray(picture(width, height, 3))
        for name, sampling in [("444", 0), ("422", 1), ("420", 2)]:
            yield f"size_{width}x{height}_{name}.jpg", saved(small, "JPEG", quality=90, subsampling=sampling)
    grey = Image.fromarray(picture(50, 35, 1)[..., 0])
    yield "grey.jpg", saved(grey, "JPEG", quality=80)
    yield "grey_progressive.jpg", saved(grey, "JPEG", quality=80, progressive=True)
    yield "grey_sampling_2x2.jpg", cjpeg(np.asarray(grey), "-sample", "2x2")
    yield "restart_1_mcu.jpg", cjpeg(rgb, "-restart", "1B")
    yield "restart_1_row.jpg", cjpeg(rgb, "-restart", "1", "-sample", "2x1")
    yield "restart_progressive.jpg", cjpeg(rgb, "-restart", "3B", "-progressive")
    yield "rgb.jpg", cjpeg(rgb, "-rgb")
    yield "arithmetic.jpg", cjpeg(rgb, "-arithmetic")
    yield "arithmetic_progressive.jpg", cjpeg(rgb, "-arithmetic", "-progressive")
    yield "not_interleaved.jpg", with_scans(rgb, "0;\n1;\n2;\n", "-sample", "2x2")
    yield "partly_interleaved.jpg", with_scans(rgb, "0;\n1 2;\n", "-sample", "2x1")
    # A progressive file that stops before its last scans: libjpeg smooths the blocks.
    yield "progressive_dc_only.jpg", with_scans(rgb, "0 1 2: 0 0 0 1;\n", "-sample", "2x2")
    yield "progressive_first_scans.jpg", with_scans(rgb, "0 1 2: 0 0 0 1;\n0: 1 5 0 2;\n", "-sample", "2x2")
    yield "progressive_luma_only.jpg", with_scans(rgb, "0 1 2: 0 0 0 0;\n0: 1 63 0 0;\n", "-sample", "2x2")
    cmyk = Image.frombytes("CMYK", (45, 38), picture(45, 38, 4).tobytes())
    adobe = saved(cmyk, "JPEG", quality=85)
    at = adobe.index(b"\xff\xee\x00\x0eAdobe")
    yield "cmyk_adobe.jpg", adobe
    yield "cmyk_adobe_progressive.jpg", saved(cmyk, "JPEG", quality=85, progressive=True)
    yield "cmyk_plain.jpg", adobe[:at] + adobe[at + 16 :]
    yield "ycck.jpg", adobe[: at + 15] + b"\x02" + adobe[at + 16 :]
    yield "cmyk_all_but_cyan_coarse.jpg", saved(cmyk, "JPEG", quality=85, subsampling=2)
    for sampling in ["2x2,1x1,1x1,2x2", "2x1,1x1,1x1,2x1", "2x2"]:
        command = ["convert", "tif:-", "-strip", "-sampling-factor", sampling, "-quality", "85", "jpg:-"]
        done = subprocess.run(command, input=saved(cmyk, "TIFF"), stdout=subprocess.PIPE, check=True)
        yield f"ycck_{sampling.replace(',', '-')}.jpg", done.stdout
    plain = saved(image, "JPEG", quality=85)
    for transform in [0, 1, 2]:
        marker = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + bytes([transform])
        at = plain.index(b"\xff\xe0")
        jfif = plain[at : at + 18]
        yield f"adobe_transform_{transform}.jpg", plain.replace(jfif, marker)
        yield f"jfif_and_adobe_transform_{transform}.jpg", plain.replace(jfif, jfif + marker)
    yield "no_markers.jpg", plain.replace(plain[plain.index(b"\xff\xe0") :][:18], b"")
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "exif_orientation.jpg", saved(image, "JPEG", exif=exif)
    yield "exif_thumbnail.jpg", saved(image, "JPEG", exif=b"Exif\0\0" + saved(image.resize((16, 10)), "JPEG"))
    # Damaged files that Pillow reads or rejects.
    yield "bad_trailing_bytes.jpg", plain + b"trailing"
    yield "bad_no_end.jpg", plain[:-2]
    yield "bad_truncated.jpg", plain[: len(plain) // 2]
    yield "bad_truncated_with_end.jpg", plain[: len(plain) // 2] + b"\xff\xd9"
    yield "bad_header_only.jpg", plain[:200]
    progressive = saved(image, "JPEG", quality=85, progressive=True)
    yield "bad_progressive_no_end.jpg", progressive[:-2]
    yield "bad_progressive_truncated.jpg", progressive[: len(progressive) // 2]
    yield "bad_progressive_truncated_with_end.jpg", progressive[: len(progressive) // 2] + b"\xff\xd9"
    restart = cjpeg(rgb, "-restart", "2B", "-sample", "2x2")
    second = restart.index(b"\xff\xd1")
    yield "bad_restart_missing.jpg", restart[:second] + restart[second + 2 :]
    yield "bad_restart_segment_short.jpg", restart[: second - 9] + restart[second:]
    yield "bad_extraneous_before_marker.jpg", plain[:-2] + b"\x12\x34" + plain[-2:]
    size = plain.index(b"\xff\xc0") + 5
    yield "bad_huge.jpg", plain[:size] + struct.pack(">HH", 20000, 20000) + plain[size + 4 :]
    yield "bad_zero_width.jpg", plain[: size + 2] + b"\0\0" + plain[size + 4 :]
    yield "bad_12_bit.jpg", plain[: size - 1] + b"\x0c" + plain[size:]
    yield "bad_two_components.jpg", plain[: size + 4] + b"\x02" + plain[size + 5 :]


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(samples, depth, color, interlaced=False, before=b""):
    """A PNG from samples [height, width, channels] below 2^depth; each row takes the next filter
    type."""
    height, width, channels = samples.shape
    size = max(1, channels * depth // 8)

    def rows(part):
        if part.shape[0] == 0 or part.shape[1] == 0:
            return b""
        result = b""
        flat = part.reshape(part.shape[0], -1)
        if depth == 16:
            packed = np.stack([flat >> 8, flat & 255], -1).reshape(part.shape[0], -1).astype(np.uint8)
        elif depth == 8:
            packed = flat.astype(np.uint8)
        else:
            bits = (flat[:, :, None] >> np.arange(depth - 1, -1, -1)) & 1
            packed = np.packbits(bits.reshape(part.shape[0], -1).astype(np.uint8), axis=1)
        above = np.zeros(packed.shape[1], np.int64)
        for y, row in enumerate(packed.astype(np.int64)):
            left = np.concatenate([np.zeros(size, np.int64), row])[: len(row)]
            corner = np.concatenate([np.zeros(size, np.int64), above])[: len(row)]
            guess = left + above - corner
            a, b, c = abs(guess - left), abs(guess - above), abs(guess - corner)
            paeth = np.where((a <= b) & (a <= c), left, np.where(b <= c, above, corner))
            kind = y % 5
            predicted = [0 * row, left, above, (left + above) // 2, paeth][kind]
            result += bytes([kind]) + ((row - predicted) % 256).astype(np.uint8).tobytes()
            above = row
        return result

    if interlaced:
        passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
        data = b"".join(rows(samples[y::dy, x::dx]) for x, y, dx, dy in passes)
    else:
        data = rows(samples)
    header = struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, int(interlaced))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")


def pngs():
    rng = np.random.default_rng(2)
    kinds = {"grey": (0, 1, [1, 2, 4, 8, 16]), "rgb": (2, 3, [8, 16]), "palette": (3, 1, [1, 2, 4, 8]), "grey_alpha": (4, 2, [8, 16]), "rgba": (6, 4, [8, 16])}
    for name, (color, channels, depths) in kinds.items():
        for depth in depths:
            samples = (picture(29, 23, channels).astype(np.int64) * 257) >> (16 - depth)
            if depth == 16:
                samples = np.where(rng.random(samples.shape) < 0.3, samples >> 8, samples ^ rng.integers(0, 256, samples.shape))
            before = b""
            if name == "palette":
                before = chunk(b"PLTE", rng.integers(0, 256, (1 << depth) * 3, np.uint8).tobytes())
            for interlaced in [False, True]:
                suffix = "_interlaced" if interlaced else ""
                yield f"{name}_{depth}{suffix}.png", png(samples, depth, color, interlaced, before)
    samples = picture(29, 23, 1).astype(np.int64)
    plte = chunk(b"PLTE", rng.integers(0, 256, 3 * 100, np.uint8).tobytes())
    yield "palette_short.png", png(samples, 8, 3, False, plte)
    yield "palette_4_short.png", png(samples >> 4, 4, 3, False, chunk(b"PLTE", rng.integers(0, 256, 3 * 5, np.uint8).tobytes()))
    yield "palette_transparent.png", png(samples % 100, 8, 3, False, plte + chunk(b"tRNS", bytes(range(100))))
    yield "grey_transparent.png", png(samples, 8, 0, False, chunk(b"tRNS", b"\0\x80"))
    yield "rgb_transparent.png", png(picture(29, 23, 3).astype(np.int64), 8, 2, False, chunk(b"tRNS", b"\0\1\0\2\0\3"))
    yield "gamma.png", png(samples, 8, 0, False, chunk(b"gAMA", struct.pack(">I", 100000)))
    for width, height in [(1, 1), (3, 2), (1, 9)]:
        yield f"size_{width}x{height}.png", png(picture(width, height, 3).astype(np.int64), 8, 2)
        yield f"size_{width}x{height}_interlaced.png", png(picture(width, height, 3).astype(np.int64), 8, 2, True)
    frames = [Image.fromarray(picture(29, 23, 4, seed)) for seed in range(2)]
    yield "animated.png", saved(frames[0], "PNG", save_all=True, append_images=frames[1:])
    whole = png(picture(29, 23, 3).astype(np.int64), 8, 2)
    yield "bad_truncated.png", whole[: len(whole) // 2]
    yield "bad_header_only.png", whole[:33]
    yield "bad_huge.png", whole[:16] + struct.pack(">II", 20000, 20000) + whole[24:29] + struct.pack(">I", zlib.crc32(whole[12:16] + struct.pack(">II", 20000, 20000) + whole[24:29])) + whole[33:]
    yield "bad_header_checksum.png", whole[:29] + b"\0\0\0\0" + whole[33:]


def webps():
    image = Image.fromarray(picture(61, 47, 3))
    alpha = Image.fromarray(picture(61, 47, 4))
    for quality in [5, 80, 100]:
        yield f"lossy_{quality}.webp", saved(image, "WEBP", quality=quality)
    yield "lossy_alpha.webp", saved(alpha, "WEBP", quality=80)
    yield "lossless.webp", saved(image, "WEBP", lossless=True)
    yield "lossless_alpha.webp", saved(alpha, "WEBP", lossless=True)
    yield "lossless_alpha_exact.webp", saved(alpha, "WEBP", lossless=True, exact=True)
    yield "lossless_palette.webp", saved(Image.fromarray(picture(61, 47, 3) // 128 * 127), "WEBP", lossless=True)
    for width, height in [(1, 1), (2, 3), (17, 16), (16, 33)]:
        small = Image.fromarray(picture(width, height, 3))
        yield f"size_{width}x{height}.webp", saved(small, "WEBP", quality=80)
        yield f"size_{width}x{height}_lossless.webp", saved(small, "WEBP", lossless=True)
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "exif_orientation.webp", saved(image, "WEBP", quality=80, exif=exif)
    frames = [Image.fromarray(picture(61, 47, 3, seed)) for seed in range(2)]
    yield "animated.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], quality=80)
    frames = [Image.fromarray(picture(61, 47, 4, seed)) for seed in range(2)]
    yield "animated_alpha.webp", saved(frames[0], "WEBP", save_all=True, append_images=frames[1:], lossless=True)
    whole = saved(image, "WEBP", quality=80)
    yield "bad_truncated.webp", whole[: len(whole) // 2]


def others():
    yield "bad_empty.jpg", b""
    yield "bad_text.jpg", b"This is a text.\n" * 20
    yield "bad_one_byte.jpg", b"\xff"
    image = Image.fromarray(picture(29, 23, 3))
    yield "png_named.jpg", saved(image, "PNG")
    yield "jpeg_named.png", saved(image, "JPEG")


def pillow(data):
    """Pillow's result for the file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
        except Exception as error:
            return {"error": f"{type(error).__name__}: {str(error).split('<')[0].strip()}"}
    return {"height": pixels.shape[0], "width": pixels.shape[1], "sha256": hashlib.sha256(pixels.tobytes()).hexdigest()}


def main():
    if len(sys.argv) > 1:
        index = {}
        for folder in sys.argv[1:]:
            for path in sorted(pathlib.Path(folder).rglob("*")):
                if path.is_file() and not path.is_symlink() and path.suffix.lower() in EXTENSIONS:
                    index[str(path.resolve())] = pillow(path.read_bytes())
        print(json.dumps(index, indent=0))
        return
    OUT.mkdir(exist_ok=True)
    for path in OUT.iterdir():
        path.unlink()
    index = {}
    for name, data in [*jpegs(), *pngs(), *webps(), *others()]:
        assert name not in index, name
        (OUT / name).write_bytes(data)
        index[name] = pillow(data)
    (OUT / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    print(f"{len(index)} files, Pillow {PIL.__version__}")


if __name__ == "__main__":
    main()
