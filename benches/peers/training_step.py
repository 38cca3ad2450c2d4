"""Measures the training step and inference on the CPU here against PyTorch's, in alternation.

    python benches/peers/training_step.py [--rounds 5] [--growth | --layers | --only-memory]

--growth measures other sizes and plots docs/training_step_growth.svg (needs matplotlib). --layers
measures single convolutions of the ResNet-50: output, input gradient and weight gradient against
PyTorch's, and all three by burn-flex-conv against Burn's own.

A step is forward, backward of the mean squared feature, and SGD with momentum, in f32. PyTorch
(torchvision's ResNet without fc) runs in this process, with contiguous and with channels-last maps;
the faster one counts. The other side is benches/training_step_peer.rs, which is built first and
answers over a pipe. In each round, the contestants run their steps one after the other, and the
first step of each is left out. The output is medians over all rounds and their ratio. Memory is the
peak growth of the resident set from before the network is created through two steps, in fresh
processes (Linux only).
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

for variable in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
    os.environ.pop(variable, None)

import torch
import torchvision
from torch import nn
from torchvision.models.resnet import BasicBlock

from program import ROOT, Program, build

PAUSE = 0.3  # seconds, until the other side's threads have stopped waiting for work
CASES = [
    ("train", "resnet50", 8, 224),
    ("train", "resnet50", 64, 32),
    ("train", "small", 256, 28),
    ("infer", "resnet50", 8, 224),
]
GROWTH = [("train", "resnet50", batch, 64) for batch in (1, 4, 16, 64)] + [
    ("train", "resnet50", 8, size) for size in (32, 64, 128, 224)
]
# channels in, channels out, size, kernel, stride
LAYERS = [
    (3, 64, 224, 7, 2),
    (64, 64, 56, 3, 1),
    (128, 128, 28, 3, 1),
    (256, 256, 14, 3, 1),
    (512, 512, 7, 3, 1),
    (64, 256, 56, 1, 1),
    (256, 64, 56, 1, 1),
    (512, 128, 28, 1, 1),
    (256, 1024, 14, 1, 1),
    (2048, 512, 7, 1, 1),
]
FORMATS = {"contiguous": torch.contiguous_format, "channels last": torch.channels_last}


class Small(nn.Module):
    """The network of the study: four basic blocks of width 16, a 3x3 stem of stride 2, one
    channel."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU(inplace=True))
        blocks, width = [], 16
        for stage in range(4):
            out, stride = 16 << stage, 1 if stage == 0 else 2
            shortcut = None
            if stride > 1:
                shortcut = nn.Sequential(nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out))
            blocks.append(BasicBlock(width, out, stride, shortcut))
            width = out
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x):
        return self.blocks(self.stem(x)).mean((2, 3))


def network(name, layout):
    if name == "small":
        net = Small()
    else:
        net = torchvision.models.resnet50()
        net.fc = nn.Identity()
    return net.to(memory_format=layout)


def torch_steps(kind, name, batch, size, layout, rounds):
    """Milliseconds of each step: forward, backward, optimizer."""
    net = network(name, layout)
    x = torch.randn(batch, 1 if name == "small" else 3, size, size).to(memory_format=layout)
    times = []
    if kind == "infer":
        net.eval()
        with torch.inference_mode():
            for _ in range(rounds):
                begin = time.perf_counter()
                net(x)
                times.append([(time.perf_counter() - begin) * 1e3])
        return times
    optimizer = torch.optim.SGD(net.parameters(), lr=1e-4, momentum=0.9)
    for _ in range(rounds):
        optimizer.zero_grad()
        laps = [time.perf_counter()]
        loss = net(x).square().mean()
        laps.append(time.perf_counter())
        loss.backward()
        laps.append(time.perf_counter())
        optimizer.step()
        laps.append(time.perf_counter())
        times.append([(b - a) * 1e3 for a, b in zip(laps, laps[1:])])
    return times


def median(times):
    return statistics.median(sum(step) for step in times)


def measure(cases, peer_program, threads, rounds, steps):
    side = Program(peer_program, threads=threads)
    print(f"\n| {threads} threads, work | here, ms | PyTorch, contiguous | PyTorch, channels last | times PyTorch's speed |")
    print("|---|---|---|---|---|")
    parts, ratios = {}, {}
    for case in cases:
        kind, name, batch, size = case
        found = {"here": []} | {layout: [] for layout in FORMATS}
        for _ in range(rounds):
            answer = side.ask(kind, name, *(["f32"] if kind == "train" else []), batch, size, steps)
            found["here"] += [[float(x) for x in step.split(":")] for step in answer][1:]
            time.sleep(PAUSE)
            for layout, value in FORMATS.items():
                found[layout] += torch_steps(kind, name, batch, size, value, steps)[1:]
                time.sleep(PAUSE)
        here, *others = [median(times) for times in found.values()]
        print(
            f"| {kind} {name}, batch {batch} at {size} | {here:.1f} | {others[0]:.1f} | {others[1]:.1f} "
            f"| {min(others) / here:.2f} |",
            flush=True,
        )
        ratios[case] = min(others) / here
        best = min(FORMATS, key=lambda layout: median(found[layout]))
        parts[case] = {who: [statistics.median(x) for x in zip(*found[who])] for who in ("here", best)}
    print("\n| work | | forward | backward | optimizer |\n|---|---|---|---|---|")
    for (kind, name, batch, size), sides in parts.items():
        for who, times in sides.items():
            if kind == "train":
                who = who if who == "here" else f"PyTorch, {who}"
                cells = " | ".join(f"{x:.1f}" for x in times)
                print(f"| {name}, batch {batch} at {size} | {who} | {cells} |")
    side.close()
    return ratios


def torch_layer(batch, channels_in, channels_out, size, kernel, stride, steps):
    """Milliseconds of output, gradient of the input, gradient of the weight, channels last."""
    last = torch.channels_last
    x = torch.randn(batch, channels_in, size, size).to(memory_format=last)
    weight = torch.randn(channels_out, channels_in, kernel, kernel).to(memory_format=last)
    gradient = torch.randn_like(torch.conv2d(x, weight, None, stride, kernel // 2))

    def backward(of_input, of_weight):
        torch.ops.aten.convolution_backward(
            gradient, x, weight, None, [stride] * 2, [kernel // 2] * 2, [1, 1], False, [0, 0], 1,
            [of_input, of_weight, False],
        )

    times = []
    for _ in range(steps):
        laps = [time.perf_counter()]
        torch.conv2d(x, weight, None, stride, kernel // 2)
        laps.append(time.perf_counter())
        backward(True, False)
        laps.append(time.perf_counter())
        backward(False, True)
        laps.append(time.perf_counter())
        times.append([(b - a) * 1e3 for a, b in zip(laps, laps[1:])])
    return times


def layers(peer_program, threads, rounds, batch=8, steps=6):
    side = Program(peer_program, threads=threads)
    print("\n| layer, batch 8 | output, GFLOP/s | PyTorch | input gradient | PyTorch "
          "| weight gradient | PyTorch | all three, times Burn's speed |\n|---|---|---|---|---|---|---|---|")
    for layer in LAYERS:
        channels_in, channels_out, size, kernel, stride = layer
        ours, theirs = [], []
        for _ in range(rounds):
            answer = side.ask("layer", batch, *layer, steps)
            ours += [[float(x) for x in step.split(":")] for step in answer][1:]
            time.sleep(PAUSE)
            theirs += torch_layer(batch, *layer, steps)[1:]
            time.sleep(PAUSE)
        ours, theirs = ([statistics.median(x) for x in zip(*times)] for times in (ours, theirs))
        work = 2e-6 * batch * (size // stride) ** 2 * channels_in * channels_out * kernel**2
        cells = " | ".join(f"{work / a:.0f} | {work / b:.0f}" for a, b in zip(ours, theirs))
        name = f"{channels_in} to {channels_out}, {kernel}x{kernel}, at {size}"
        print(f"| {name} | {cells} | {ours[4] / ours[3]:.1f} |", flush=True)
    side.close()


def draw(found):
    """Plots the growth, one line for each number of threads."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "e2mc"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, 2, figsize=(10, 4), sharey=True)
    labels = "images, 64 x 64", "pixels a side, 8 images"
    for axis, fixed, label in zip(axes, (3, 2), labels):
        wanted = [case for case in GROWTH if case[fixed] == (64 if fixed == 3 else 8)]
        wanted.sort(key=lambda case: case[5 - fixed])
        for (threads, ratios), style in zip(found.items(), ("o-", "s--")):
            name = f"{threads} thread" + "s" * (threads > 1)
            sizes = [case[5 - fixed] for case in wanted]
            axis.plot(sizes, [ratios[case] for case in wanted], style, label=name)
        axis.axhline(1, color="gray", linewidth=0.8)
        axis.set_xscale("log", base=2)
        axis.set_xticks([case[5 - fixed] for case in wanted])
        axis.get_xaxis().set_major_formatter(matplotlib.ticker.FormatStrFormatter("%d"))
        axis.set_xlabel(label)
        axis.legend()
    axes[0].set_ylabel("times PyTorch's speed")
    axes[0].set_ylim(bottom=0)
    figure.suptitle("Training step of a ResNet-50")
    figure.tight_layout()
    figure.savefig(ROOT / "docs/training_step_growth.svg", metadata={"Date": None})


def resident(field):
    """A line of /proc/self/status, in MiB."""
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024


def memory(peer_program, threads):
    print("\n| two training steps | here, MiB | PyTorch, contiguous | PyTorch, channels last |\n|---|---|---|---|")
    for kind, name, batch, size in CASES:
        if kind != "train":
            continue
        cells = [float(Program(peer_program, threads=threads).ask("memory", name, "f32", batch, size)[0])]
        for layout in FORMATS:
            command = [sys.executable, __file__, "--memory", name, str(batch), str(size), layout]
            cells.append(float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
        print(f"| {name}, batch {batch} at {size} | " + " | ".join(f"{cell:.0f}" for cell in cells) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=4, help="of each contestant in a round")
    parser.add_argument("--growth", action="store_true", help="other sizes instead")
    parser.add_argument("--layers", action="store_true", help="single convolutions instead")
    parser.add_argument("--only-memory", action="store_true", help="without the times")
    parser.add_argument("--memory", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    if arguments.memory:
        name, batch, size, layout = arguments.memory
        torch.set_num_threads(2)
        torch_steps("train", "small", 2, 8, FORMATS[layout], 1)  # loads oneDNN's code
        Path("/proc/self/clear_refs").write_text("5")  # resets VmHWM
        before = resident("VmRSS")
        torch_steps("train", name, int(batch), int(size), FORMATS[layout], 2)
        print(resident("VmHWM") - before)
        return
    [program] = build("training_step_peer")
    print(f"PyTorch {torch.__version__}")
    if arguments.layers:
        torch.set_num_threads(2)
        layers(program, 2, arguments.rounds)
        return
    ratios = {}
    for threads in () if arguments.only_memory else (2, 1):
        torch.set_num_threads(threads)
        cases = GROWTH if arguments.growth else CASES
        ratios[threads] = measure(cases, program, threads, arguments.rounds, arguments.steps)
    if arguments.growth:
        draw(ratios)
    else:
        memory(program, 2)


if __name__ == "__main__":
    main()
