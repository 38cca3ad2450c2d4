"""Measures the criterion here against PyTorch's, in alternation.

    python benches/peers/e2mc_loss.py            the table of docs/benchmarks.md
    python benches/peers/e2mc_loss.py --growth   its picture, docs/e2mc_loss_growth.svg (matplotlib)

Forward and backward of one view, hypersphere, SwAV's weights, 2 threads on each side. PyTorch runs
in this process, in the released form (sort of Psi(z), d x d covariance) and in the Gram form (n x n
if d > n). The other side is benches/e2mc_loss_peer.rs, which is built first and answers over a
pipe. In each round, every contestant repeats for some time, one after the other, with a pause
between. The output is the median over all rounds without each round's warm-up, and ratios of
medians. Memory is the peak growth of the resident set after z is created, in a fresh process (Linux
only).
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)

import torch

from program import ROOT, Program, build

THREADS = 2
PAUSE = 0.3  # seconds, until the other side's threads have stopped waiting for work
BETA, GAMMA, EPSILON = 1.0, 25.0, 2.0**-23
SHAPES = [(512, 8192), (512, 2048), (512, 128)]
GROWTH = {
    "n": [(n, 2048) for n in (64, 128, 256, 512, 1024, 2048, 4096)],
    "d": [(512, d) for d in (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)],
}
CONTESTANTS = {
    "PyTorch, released form": ("torch", "released"),
    "PyTorch, Gram form": ("torch", "gram"),
    "Burn Flex, composed": ("burn", "composed"),
    "Burn Flex, fused": ("burn", "fused"),
}
FUSED = "Burn Flex, fused"


def criterion(z, form):
    """The loss of one view (the paper's eqs. 4 to 8)."""
    n, d = z.shape
    m = round(math.sqrt(n))
    x = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    x = x - x.mean(0)
    ordered, _ = torch.sort(x, dim=0)
    entropy = torch.log((n + 1) / m * (ordered[m:] - ordered[: n - m]) + EPSILON).mean(0).mean()
    if form == "gram" and d > n:
        product = x @ x.T / (n - 1)
        covariance = (product.square().sum() - (x.square().sum(0) / (n - 1)).square().sum()) / d
    else:
        product = x.T @ x / (n - 1)
        covariance = (product.square().sum() - product.diagonal().square().sum()) / d
    return GAMMA * covariance - BETA * entropy


def resident(field):
    """MiB of the resident set: VmRSS now, VmHWM at its peak."""
    line = next(line for line in open("/proc/self/status") if line.startswith(field))
    return int(line.split()[1]) / 1024


class Torch:
    def __init__(self):
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)

    def times(self, form, n, d, seconds, least):
        z = torch.randn(n, d, requires_grad=True)
        out = []
        begin = time.perf_counter()
        while len(out) < least or time.perf_counter() - begin < seconds:
            z.grad = None
            start = time.perf_counter()
            criterion(z, form).backward()
            out.append((time.perf_counter() - start) * 1e3)
        return out

    @staticmethod
    def memory(form, n, d):
        command = [sys.executable, __file__, "--torch-memory", form, str(n), str(d)]
        return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)

    def memory_here(self, form, n, d):
        self.times(form, 64, 96, 0, 1)
        z = torch.randn(n, d, requires_grad=True)
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        before = resident("VmRSS")
        criterion(z, form).backward()
        return resident("VmHWM") - before


class Burn:
    def __init__(self):
        [self.path] = build("e2mc_loss_peer")
        self.program = self.start()

    def start(self):
        return Program(self.path, threads=THREADS)

    def times(self, form, n, d, seconds, least):
        return [float(time) for time in self.program.ask("times", form, n, d, seconds, least)]

    def memory(self, form, n, d):
        fresh = self.start()
        fresh.ask("memory", form, 64, 96)
        [mebibytes] = fresh.ask("memory", form, n, d)
        fresh.close()
        return float(mebibytes)


def medians(sides, shape, rounds, seconds, least):
    samples = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, (side, form) in CONTESTANTS.items():
            time.sleep(PAUSE)
            times = sides[side].times(form, *shape, seconds, least)
            samples[name] += times[1 + len(times) // 5 :]
    return {name: statistics.median(times) for name, times in samples.items()}


def table(sides, args):
    print("| n x d | | ms | times the fused form's | memory beyond z, MiB |")
    print("|---|---|---|---|---|")
    for shape in args.shape or SHAPES:
        found = medians(sides, shape, args.rounds, args.seconds, 4)
        for name, (side, form) in CONTESTANTS.items():
            memory = sides[side].memory(form, *shape)
            ratio = found[name] / found[FUSED]
            print(f"| {shape[0]} x {shape[1]} | {name} | {found[name]:.2f} | {ratio:.1f} | {memory:.0f} |", flush=True)


def growth(sides, args):
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "e2mc"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    for axis, (variable, shapes) in zip(axes, GROWTH.items()):
        found = []
        for shape in shapes:
            found.append(medians(sides, shape, args.rounds, args.seconds, 3))
            print(f"{shape[0]} x {shape[1]}: " + ", ".join(f"{k} {v:.2f} ms" for k, v in found[-1].items()), flush=True)
        for name in CONTESTANTS:
            axis.plot([n if variable == "n" else d for n, d in shapes], [f[name] for f in found], "o-", label=name)
        axis.set(xscale="log", yscale="log", xlabel="n at d = 2048" if variable == "n" else "d at n = 512")
        axis.set_xticks([n if variable == "n" else d for n, d in shapes])
        axis.get_xaxis().set_major_formatter(matplotlib.ticker.ScalarFormatter())
        axis.minorticks_off()
        axis.tick_params(axis="x", rotation=45)
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ms, forward + backward, 2 threads")
    axes[0].legend()
    figure.tight_layout()
    figure.savefig(ROOT / "docs/e2mc_loss_growth.svg", metadata={"Date": None})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each contestant in each round")
    parser.add_argument("--shape", type=int, nargs=2, action="append", metavar=("N", "D"))
    parser.add_argument("--growth", action="store_true", help="measure the growth with n and d, and plot it")
    parser.add_argument("--torch-memory", nargs=3, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.torch_memory:
        form, n, d = args.torch_memory
        print(Torch().memory_here(form, int(n), int(d)))
        return
    sides = {"torch": Torch(), "burn": Burn()}
    (growth if args.growth else table)(sides, args)


if __name__ == "__main__":
    main()
