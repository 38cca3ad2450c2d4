#!/usr/bin/env python3
"""Compares full-size networks without stored files. PyTorch makes checkpoints of every layout with
random weights and running statistics. Rust imports them, compares its outputs with PyTorch's, and
exports. PyTorch loads the exports with strict=True.

    python tests/reference/resnet_full_size.py FOLDER           everything; about 6 GB in FOLDER
    python tests/reference/resnet_full_size.py FOLDER make      only the files

ResNet-50 is torchvision's own class, in eval mode and in a training step, at 224, 96 and 197 x 131;
the wide one has torchvision's blocks at twice the width, as SwAV released it. The reference is
computed in f64. Needs torch, torchvision and safetensors; made with torch 2.15.
"""

import subprocess
import sys
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision.models.resnet import Bottleneck

from resnet import LARS, ResNet, exact_input, give_momentum, methods, shake

ROOT = Path(__file__).parents[2]
TOLERANCE = 1e-4
DEPTH = [3, 4, 6, 3]


def torchvision_backbone():
    model = torchvision.models.resnet50()
    model.fc = nn.Identity()
    return model


def truth(backbone, sizes, train):
    """Outputs in f64 by size; the training step starts from the same running statistics each
    time."""
    backbone.double()
    start = {k: v.clone() for k, v in backbone.state_dict().items()}
    out = {}
    with torch.no_grad():
        for h, w in sizes:
            x = exact_input(2, 3, h, w)
            out[f"{h}x{w}.eval"] = backbone.eval()(x)
            if train:
                out[f"{h}x{w}.train"] = backbone.train()(x)
                out |= {f"{h}x{w}.after.{k}": v.clone() for k, v in backbone.state_dict().items() if "running_" in k}
                backbone.load_state_dict(start)
    backbone.float()
    return {k: v.float().contiguous() for k, v in out.items()}


def make(folder):
    torch.manual_seed(0)
    save = lambda name, obj, **options: torch.save(obj, folder / name, **options)
    expect = lambda name, backbone, sizes=((96, 96),), train=False: save_file(
        truth(backbone, sizes, train), folder / f"{name}.expected.safetensors")

    model = shake(torchvision.models.resnet50()).float()
    save("torchvision.pth", model.state_dict())
    save("torchvision_legacy.pth", model.state_dict(), _use_new_zipfile_serialization=False)
    save_file(model.state_dict(), folder / "torchvision.safetensors")
    model.fc = nn.Identity()
    expect("torchvision.pth", model, ((224, 224), (96, 96), (197, 131)), train=True)
    expect("torchvision_legacy.pth", model)
    expect("torchvision.safetensors", model)

    wide = shake(ResNet(Bottleneck, DEPTH, 128)).float()
    save("swav_x2.pth.tar", {f"module.{k}": v for k, v in wide.state_dict().items()})
    expect("swav_x2.pth.tar", wide, ((224, 224), (197, 131)), train=True)
    del model, wide

    prefix = {"vicreg": "backbone", "swav": "", "simsiam": "encoder", "moco": "encoder_q", "barlow_twins": "backbone"}
    # VICReg's projector is 8192 wide, the others' heads 2048.
    made = {"vicreg": methods(torchvision_backbone, 2048, 8192)["vicreg"]}
    made |= {k: v for k, v in methods(torchvision_backbone, 2048, 2048).items() if k != "vicreg"}
    for name in list(made):
        model = shake(made.pop(name)).float()
        backbone = model.get_submodule(prefix[name]) if prefix[name] else model
        heads = {k: backbone._modules.pop(k) for k in ("fc", "projection_head", "prototypes") if k in backbone._modules}
        backbone.fc = nn.Identity()
        expect(f"{name}.pth", backbone)
        del backbone.fc
        backbone._modules.update(heads)
        state = {f"module.{k}": v for k, v in model.state_dict().items()}
        if name == "vicreg":
            save("vicreg.pth", {"epoch": 1000, "model": state})
            optimizer = LARS(model.parameters())
            give_momentum(optimizer)
            save("vicreg_full.pth", {"epoch": 1000, "model": state, "optimizer": optimizer.state_dict()})
            expect("vicreg_full.pth", _with_identity(backbone))
        elif name == "barlow_twins":
            save("barlow_twins.pth", {"epoch": 1000, "model": state})
        else:
            save(f"{name}.pth", {"epoch": 100, "arch": "resnet50", "state_dict": state})


def _with_identity(backbone):
    backbone.fc = nn.Identity()
    return backbone


def check_exports(folder):
    """PyTorch's side of the export."""
    worst = 0
    for path in sorted(folder.glob("*.exported.safetensors")):
        name = path.name.removesuffix(".exported.safetensors")
        expected = load_file(folder / f"{name}.expected.safetensors")
        state = load_file(path)
        wide = state["conv1.weight"].shape[0] != 64
        model = ResNet(Bottleneck, DEPTH, 128) if wide else torchvision_backbone()
        # PyTorch adds num_batches_tracked, which strict loading does not require.
        model.load_state_dict(state, strict=True)
        case = next(k for k in expected if k.endswith(".eval"))
        h, w = map(int, case.split(".")[0].split("x"))
        with torch.no_grad():
            y = model.eval()(exact_input(2, 3, h, w).float())
        difference = ((y - expected[case]).norm() / expected[case].norm()).item()
        worst = max(worst, difference)
        print(f"{path.name}: {len(state)} tensors, strict=True into {type(model).__module__}, {case}: {difference:.1e}")
    return worst


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "vicreg_full.pth.expected.safetensors").exists():
        make(folder)
    if sys.argv[2:] == ["make"]:
        return
    # Built like the tests, so that one build of Burn serves both.
    subprocess.run(["cargo", "build", "--release", "-q", "--workspace", "--example", "full_size"], cwd=ROOT, check=True)
    rust = subprocess.run([ROOT / "target/release/examples/full_size", folder.resolve()]).returncode
    worst = check_exports(folder)
    print(f"largest relative difference in PyTorch: {worst:.1e}, tolerance {TOLERANCE:.0e}")
    sys.exit(rust or worst > TOLERANCE)


if __name__ == "__main__":
    main()
