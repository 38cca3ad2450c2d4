"""Import of checkpoints here against `torch.load` + `load_state_dict`, in alternation.

    python tests/reference/resnet_full_size.py FOLDER make
    python benches/peers/import_checkpoint.py FOLDER [FILE...]

Each import runs in a fresh process with two threads, with the files in the page cache. Time is from
the path to a model with its values: opening and reading the file, and on PyTorch's side copying
into an existing model with random initial values. Memory is the peak growth of the resident set
during the import, including the model (Linux only). On PyTorch's side, this excludes the model's
initial values, which exist before. Medians over the rounds without the first.
"""

import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROUNDS = 3
ROUNDS_LARGE = 2  # from 500 MB
FILES = ["torchvision.pth", "torchvision_legacy.pth", "torchvision.safetensors", "vicreg.pth", "vicreg_full.pth"]
CONTESTANTS = ["here", "PyTorch", "PyTorch, mmap"]


def torch_import(path, mmap):
    """The child process: prints the same output as the Rust side."""
    import time

    sys.path.insert(0, str(ROOT / "tests/reference"))
    import torch
    from resnet import Parts, mlp
    import torchvision
    from safetensors.torch import load_file

    torch.set_num_threads(2)

    def resident(line):
        status = Path("/proc/self/status").read_text()
        return int(next(l for l in status.splitlines() if l.startswith(line)).split()[1]) * 1024

    model = torchvision.models.resnet50()
    vicreg = "vicreg" in path
    if vicreg:
        model.fc = torch.nn.Identity()
        model = Parts(backbone=model, projector=mlp(2048, 8192, 8192, 8192, bias=(True, True, False)))
    before = resident("VmRSS:")
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is from creating the model
    start = time.perf_counter()
    if path.endswith(".safetensors"):
        state = load_file(path)
    else:
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    if vicreg:
        state = {k.removeprefix("module."): v for k, v in state["model"].items()}
    model.load_state_dict(state, strict=True)
    seconds = time.perf_counter() - start
    print(seconds, resident("VmHWM:") - before, len(state))


def run(contestant, path):
    if contestant == "here":
        command = [str(ROOT / "target/release/examples/import_time"), str(path)]
    else:
        command = [sys.executable, __file__, "--child", str(path), contestant]
    environment = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    environment["RAYON_NUM_THREADS"] = "2"
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.split()
    return float(out[0]), int(out[1])


def main():
    folder = Path(sys.argv[1])
    # Built like the tests, so that one build of Burn serves both.
    subprocess.run(["cargo", "build", "--release", "-q", "--workspace", "--example", "import_time"], cwd=ROOT, check=True)
    for name in sys.argv[2:] or FILES:
        path = folder / name
        size = path.stat().st_size
        # Legacy files cannot be mapped, and safetensors always are.
        contestants = CONTESTANTS if name.endswith(".pth") and "legacy" not in name else CONTESTANTS[:2]
        results = {c: [] for c in contestants}
        rounds = ROUNDS if size < 5e8 else ROUNDS_LARGE
        for round_ in range(rounds + 1):
            for contestant in contestants:
                result = run(contestant, path)
                if round_:
                    results[contestant].append(result)
        print(f"{name}, {size / 1e6:.0f} MB")
        for contestant, values in results.items():
            seconds = statistics.median(v[0] for v in values)
            peak = statistics.median(v[1] for v in values)
            print(f"  {contestant:15} {seconds * 1e3:7.0f} ms   peak {peak / size:.2f} x the file", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        torch_import(sys.argv[2], sys.argv[3] == "PyTorch, mmap")
    else:
        main()
