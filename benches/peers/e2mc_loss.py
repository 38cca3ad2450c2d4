"""Measures the criterion here against PyTorch's, in alternation.

    python benches/peers/e2mc_loss.py [--rounds 7] [--growth] [--output docs/benchmarks]

Forward and backward of one view, hypersphere, SwAV's weights, 2 threads on each side. PyTorch runs in this process, in
the released form (sort of Psi(z), d x d covariance) and in the Gram form (n x n where d > n); the other side is
benches/e2mc_loss_peer.rs, which is built first and answers over a pipe. Each round times every contestant a few times,
one after the other; what is printed is the median over all rounds, and ratios of medians. Memory is the peak of the
resident set beyond what is there when z is (/proc, Linux only), each in a fresh process.
"""

import argparse
import json
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

ROOT = Path(__file__).resolve().parents[2]
THREADS = 2
MIN_REPETITIONS = 3
BETA, GAMMA, EPSILON = 1.0, 25.0, 2.0**-23
SHAPES = [(512, 8192), (512, 2048), (512, 128)]
GROWTH_N = [(n, 2048) for n in (64, 128, 256, 512, 1024, 2048, 4096)]
GROWTH_D = [(512, d) for d in (64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384)]
CONTESTANTS = ["torch released", "torch gram", "burn composed", "burn fused"]


def criterion(z, gram):
    """The loss of one view; the paper's eqs. 4 to 8."""
    n, d = z.shape
    m = round(math.sqrt(n))
    x = 0.5 * (1 + torch.erf(z / math.sqrt(2)))
    x = x - x.mean(0)
    ordered, _ = torch.sort(x, dim=0)
    entropy = torch.log((n + 1) / m * (ordered[m:] - ordered[: n - m]) + EPSILON).mean(0).mean()
    if gram and d > n:
        product = x @ x.T / (n - 1)
        covariance = (product.square().sum() - (x.square().sum(0) / (n - 1)).square().sum()) / d
    else:
        product = x.T @ x / (n - 1)
        covariance = (product.square().sum() - product.diagonal().square().sum()) / d
    return GAMMA * covariance - BETA * entropy


class Torch:
    def __init__(self):
        torch.set_num_threads(THREADS)
        torch.manual_seed(0)

    def times(self, form, n, d, seconds):
        z = torch.randn(n, d, requires_grad=True)
        out = []
        begin = time.perf_counter()
        while len(out) < MIN_REPETITIONS or time.perf_counter() - begin < seconds:
            z.grad = None
            start = time.perf_counter()
            criterion(z, form == "gram").backward()
            out.append((time.perf_counter() - start) * 1e3)
        return out


class Burn:
    def __init__(self):
        command = ["cargo", "build", "--release", "--locked", "--bench", "e2mc_loss_peer", "--message-format=json"]
        lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
        artifacts = [json.loads(line) for line in lines]
        program = [a["executable"] for a in artifacts if a.get("target", {}).get("name") == "e2mc_loss_peer"][-1]
        environment = dict(os.environ, RAYON_NUM_THREADS=str(THREADS))
        self.process = subprocess.Popen(
            [program], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def times(self, form, n, d, seconds):
        print(form, n, d, seconds, MIN_REPETITIONS, file=self.process.stdin, flush=True)
        return [float(x) for x in self.process.stdout.readline().split()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each contestant in each round")
    parser.add_argument("--shape", type=int, nargs=2, action="append", metavar=("N", "D"))
    args = parser.parse_args()
    sides = {"torch": Torch(), "burn": Burn()}
    for n, d in args.shape or SHAPES:
        samples = {name: [] for name in CONTESTANTS}
        for _ in range(args.rounds):
            for name in CONTESTANTS:
                side, form = name.split()
                time.sleep(0.3)  # until the other side's threads have stopped waiting for work
                times = sides[side].times(form, n, d, args.seconds)
                samples[name] += times[1 + len(times) // 5 :]  # without the warm-up
        medians = {name: statistics.median(x) for name, x in samples.items()}
        fused = medians["burn fused"]
        print(f"{n} x {d}: " + ", ".join(f"{k} {v:.2f} ms ({v / fused:.1f} x)" for k, v in medians.items()), flush=True)


if __name__ == "__main__":
    main()
