"""Measures the criterion and the training step here against PyTorch's on a GPU, in alternation.

    python benches/peers/gpu.py [--device cuda] [--rounds 5]

Criterion: forward and backward of one view, hypersphere, SwAV's weights, f32, against PyTorch in
the released form (sort of Psi(z), d x d covariance) and in the Gram form (n x n if d > n), each as
it is and through torch.compile. Training step: ResNet-50 without classifier, forward, backward of
the mean squared feature, and SGD with momentum, in f32 and in bf16 (PyTorch: autocast), against
PyTorch with contiguous and with channels-last maps and through torch.compile. PyTorch may use
TF32, as we do where CubeCL does. Each side waits for the GPU after each repetition. The output is
medians over all rounds, each without its first repetitions, and ratios of medians. Memory is what
the allocator of each side holds after two steps.

The other side is benches/e2mc_loss_peer.rs and training_step_peer.rs, built first with the
device's feature. `--built FOLDER` has programs of these names, built elsewhere. `--trial` takes
tiny sizes; with `--device wgpu` and Mesa's software driver, it tries the script on a machine
without a GPU, with PyTorch on the CPU.
"""

import argparse
import os
import statistics
import time
from pathlib import Path

import torch

from e2mc_loss import criterion
from program import Program, build
from training_step import FORMATS, network

PROGRAMS = "e2mc_loss_peer", "training_step_peer"
SHAPES = [(512, 128), (512, 2048), (512, 8192)]
STEPS = [("resnet50", 64, 224), ("resnet50", 128, 224), ("small", 256, 28)]
TRIAL_SHAPES = [(16, 8)]
TRIAL_STEPS = [("small", 4, 8)]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def wait():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def milliseconds(work):
    wait()
    begin = time.perf_counter()
    work()
    wait()
    return (time.perf_counter() - begin) * 1e3


class TorchCriterion:
    def __init__(self, form, compiled, n, d):
        self.z = torch.randn(n, d, device=DEVICE, requires_grad=True)
        self.form = form
        self.function = torch.compile(criterion, dynamic=False) if compiled else criterion
        self()  # compiles

    def __call__(self):
        self.z.grad = None
        self.function(self.z, self.form).backward()

    def times(self, seconds, least):
        times, begin = [], time.perf_counter()
        while len(times) < least or time.perf_counter() - begin < seconds:
            times.append(milliseconds(self))
        return times


class TorchStep:
    def __init__(self, name, precision, batch, size, layout, compiled):
        net = network(name, layout).to(DEVICE)
        shape = batch, 1 if name == "small" else 3, size, size
        self.x = torch.randn(shape, device=DEVICE).to(memory_format=layout)
        self.optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
        self.forward = torch.compile(net, dynamic=False) if compiled else net
        self.mixed = precision == "bf16"
        self()  # compiles

    def __call__(self):
        self.optimizer.zero_grad()
        with torch.autocast(DEVICE, torch.bfloat16, enabled=self.mixed):
            features = self.forward(self.x)
        features.float().square().mean().backward()
        self.optimizer.step()


def torch_memory(*options):
    """What PyTorch's allocator holds after two steps, in MiB."""
    if DEVICE != "cuda":
        return "-"
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    step = TorchStep(*options)
    step()
    held = torch.cuda.max_memory_reserved()
    del step
    torch.compiler.reset()
    torch.cuda.empty_cache()
    return f"{held / 2**20:.0f}"


def row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def criteria(program, args):
    peer = Program(program, args.device)
    here = {"here, fused": "fused", "here, composed": "composed"}
    forms = {
        f"PyTorch, {form} form{', compiled' * compiled}": (form, compiled)
        for form in ("released", "gram")
        for compiled in (False, True)
    }
    print()
    row(["criterion, n x d", "", "ms", "times the fused form's"])
    row(["---"] * 4)
    for n, d in TRIAL_SHAPES if args.trial else SHAPES:
        # Otherwise, it would use its general form for the later shapes.
        torch.compiler.reset()
        samples = {who: [] for who in (*here, *forms)}
        of_torch = {who: TorchCriterion(*form, n, d) for who, form in forms.items()}
        for _ in range(args.rounds):
            for who in samples:
                if who in here:
                    answer = peer.ask("times", here[who], n, d, args.seconds, 6)
                    times = [float(time) for time in answer]
                else:
                    times = of_torch[who].times(args.seconds, 6)
                samples[who] += times[2 + len(times) // 5 :]
        found = {who: statistics.median(times) for who, times in samples.items()}
        for who, value in found.items():
            row([f"{n} x {d}", who, f"{value:.3f}", f"{value / found['here, fused']:.1f}"])
    peer.close()


def steps(program, args):
    forms = {f"PyTorch, {name}": (layout, False) for name, layout in FORMATS.items()}
    forms["PyTorch, channels last, compiled"] = (FORMATS["channels last"], True)
    peer = Program(program, args.device)
    print()
    row(["training step", "", "ms", "images/s", "times the time here", "memory, MiB"])
    row(["---"] * 6)
    for name, batch, size in TRIAL_STEPS if args.trial else STEPS:
        for precision in args.precision:
            torch.compiler.reset()
            options = name, precision, batch, size
            memory = {who: torch_memory(*options, *form) for who, form in forms.items()}
            fresh = Program(program, args.device)
            memory["here"] = f"{float(fresh.ask('memory', *options)[0]):.0f}"
            fresh.close()
            of_torch = {who: TorchStep(*options, *form) for who, form in forms.items()}
            samples = {who: [] for who in ("here", *of_torch)}
            for _ in range(args.rounds):
                answer = peer.ask("train", *options, args.steps)
                samples["here"] += [sum(map(float, step.split(":"))) for step in answer][2:]
                for who, step in of_torch.items():
                    samples[who] += [milliseconds(step) for _ in range(args.steps)][2:]
            found = {who: statistics.median(times) for who, times in samples.items()}
            for who, value in found.items():
                rate, ratio = batch / value * 1e3, value / found["here"]
                cells = [f"{value:.2f}", f"{rate:.0f}", f"{ratio:.2f}", memory[who]]
                row([f"{name}, batch {batch} at {size}, {precision}", who, *cells])
    peer.close()


def main():
    layout = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=layout)
    parser.add_argument("--device", default="cuda", help="of the other side: cuda, wgpu, ...")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each criterion in a round")
    parser.add_argument("--steps", type=int, default=10, help="of each network in a round")
    parser.add_argument("--precision", nargs="+", help="f32 and, on cuda and rocm, bf16")
    parser.add_argument("--built", type=Path, help="folder with the programs, built elsewhere")
    parser.add_argument("--trial", action="store_true", help="tiny sizes, to try the script")
    args = parser.parse_args()
    args.precision = args.precision or ["f32"] + ["bf16"] * (args.device in ("cuda", "rocm"))
    torch.manual_seed(0)
    if args.built:
        built = [args.built / name for name in PROGRAMS]
    else:
        built = build(*PROGRAMS, features=[] if args.device == "flex" else [args.device])
    on = torch.cuda.get_device_name() if DEVICE == "cuda" else f"the CPU, {os.cpu_count()} cores"
    print(f"PyTorch {torch.__version__} on {on}; here on {args.device}")
    criteria(built[0], args)
    steps(built[1], args)


if __name__ == "__main__":
    main()
