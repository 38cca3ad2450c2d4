#!/usr/bin/env python3
"""Unusual checkpoints from practice, made by PyTorch for crates/resnet/tests/odd_checkpoints.rs.

    python tests/reference/odd_checkpoints.py            writes tests/reference/odd/

Needs torch, numpy, safetensors, easydict and yacs. Made with torch 2.9.0. All weights come from one
seed; every file contains a network with the architecture of tests/reference/resnet/torchvision.pth:
one channel, width 2, one block per stage.
"""
import collections
import io
import shutil
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import torch
from easydict import EasyDict
from safetensors.torch import save_file
from torch import nn
from yacs.config import CfgNode

OUT = Path(__file__).parent / "odd"
WIDTH = 2


def network():
    """The state_dict of a ResNet of basic blocks [1, 1, 1, 1] with a 3x3 stem."""
    tensors = {}

    def conv(name, out, channels, kernel):
        tensors[f"{name}.weight"] = torch.randn(out, channels, kernel, kernel) / (channels * kernel * kernel) ** 0.5

    def norm(name, n):
        tensors[f"{name}.weight"] = torch.rand(n) + 0.5
        tensors[f"{name}.bias"] = torch.randn(n) / 4
        tensors[f"{name}.running_mean"] = torch.randn(n) / 4
        tensors[f"{name}.running_var"] = torch.rand(n) + 0.5

    conv("conv1", WIDTH, 1, 3)
    norm("bn1", WIDTH)
    channels = WIDTH
    for stage in range(4):
        block, inner = f"layer{stage + 1}.0", WIDTH << stage
        conv(f"{block}.conv1", inner, channels, 3)
        norm(f"{block}.bn1", inner)
        conv(f"{block}.conv2", inner, inner, 3)
        norm(f"{block}.bn2", inner)
        if channels != inner:
            conv(f"{block}.downsample.0", inner, channels, 1)
            norm(f"{block}.downsample.1", inner)
        channels = inner
    return tensors


def under(tensors, prefix):
    return {prefix + name: value for name, value in tensors.items()}


def callback():
    """A class of a package that the reader does not have."""
    if "absent" in sys.modules:
        return sys.modules["absent.callbacks"].Best
    for name in ("absent", "absent.callbacks"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["absent.callbacks"].Best = type("Best", (), {"__module__": "absent.callbacks"})
    return sys.modules["absent.callbacks"].Best


def module(tensors):
    """A tree of modules with these parameters and buffers."""
    root = nn.Module()
    for name, value in tensors.items():
        *path, last = name.split(".")
        inner = root
        for part in path:
            if part not in inner._modules:
                inner.add_module(part, nn.Module())
            inner = inner._modules[part]
        if last.startswith("running"):
            inner.register_buffer(last, value)
        else:
            inner.register_parameter(last, nn.Parameter(value))
    return root


class AttributeDict(dict):
    pass


def main():
    torch.manual_seed(15)
    rng = np.random.default_rng(15)
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir()
    net = network()
    other = {name: value + 1 for name, value in net.items()}
    save = lambda value, name, **options: torch.save(value, OUT / name, **options)

    save_file(net, OUT / "plain.safetensors")
    # Objects and keys of any kind beside the weights, or as the dictionary around them.
    log = collections.defaultdict(list)
    log["loss"].append(1.0)
    beside = {
        "class_key": {callback(): {"path": "x"}},
        "instance": callback()(),
        "easydict": EasyDict(lr=0.1, nested=EasyDict(a=[1, 2])),
        "cfg_node": CfgNode({"LR": 0.1}),
        "log": log,
        "keys": {None: 1, (1, "a"): 2, b"b": 3, 7: 4, True: 5, 1.5: 6, frozenset({3}): 7},
        "numbers": [2**80, -(2**40), 0.5, 3 + 4j, True, None, Ellipsis, slice(1, 2)],
        "set": {1, 2},
        "numpy": rng.standard_normal((4, 5)).astype("f4"),
        "scalar": np.float64(0.25),
        "labels": rng.integers(0, 9, 300),
        "objects": np.array(["a", None], dtype=object),
        "generator": torch.get_rng_state(),
        "dtype": torch.float32,
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "bytes": bytearray(b"abc"),
    }
    for protocol in (2, 4, 5):
        save({"state_dict": net, "epoch": 9, **beside}, f"objects_{protocol}.pth", pickle_protocol=protocol)
    save({"state_dict": net, "epoch": 9, **beside}, "objects_legacy.pth", _use_new_zipfile_serialization=False)
    save(EasyDict(state_dict=net), "easydict_around.pth")
    node = CfgNode()
    dict.update(node, {"state_dict": net})
    save(node, "cfg_node_around.pth")
    around = collections.defaultdict(dict)
    around["state_dict"] = collections.OrderedDict(net)
    save(around, "defaultdict_around.pth")
    save(AttributeDict(state_dict=net), "attribute_dict_around.pth")
    # Whole modules.
    save(module(net), "module.pth")
    save(nn.DataParallel(module(net)), "module_parallel.pth")
    save({"model": module(net), "epoch": 3}, "module_legacy.pth", _use_new_zipfile_serialization=False)
    # Several networks.
    momentum = {"state": {0: {"momentum_buffer": torch.zeros(3)}}, "param_groups": [{"params": [0]}]}
    save({"student": under(net, "module.backbone."), "teacher": under(other, "backbone."), "optimizer": momentum, "epoch": 800}, "dino.pth")
    byol = {"online_network": under(net, "module.encoder."), "target_network": under(other, "module.encoder.")}
    save(byol, "byol.pth")
    save({"state_dict": net, "state_dict_ema": other}, "ema.pth")
    save({"n_averaged": torch.tensor(3)} | under(net, "module."), "averaged.pth")
    # Tensors within the blocks that the network does not have.
    se = {f"layer{s}.0.se.fc1.weight": torch.randn(1, WIDTH << (s - 1), 1, 1) for s in (1, 2, 3, 4)}
    save(net | se, "squeeze_excitation.pth")
    save(net | {"layer1.0.conv1.bias": torch.randn(WIDTH)}, "conv_bias.pth")
    # Unsupported rather than damaged files.
    torch.jit.trace(nn.Conv2d(1, 2, 3), torch.zeros(1, 1, 8, 8)).save(str(OUT / "torchscript.pt"))
    inner = io.BytesIO()
    torch.save(net["conv1.weight"], inner)
    with zipfile.ZipFile(OUT / "around.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo("weights/swav.pth.tar"), inner.getvalue())
    kinds = {
        "sparse": torch.eye(2).to_sparse(),
        "quantised": torch.quantize_per_tensor(torch.zeros(4), 0.1, 0, torch.qint8),
        "complex": torch.zeros(3, dtype=torch.complex64),
        "float8": torch.zeros(3).to(torch.float8_e4m3fn),
    }
    save({"state_dict": net, **kinds}, "kinds_beside.pth")
    save({"state_dict": net | {"conv1.weight": net["conv1.weight"].to_sparse()}}, "sparse_needed.pth")
    save_file(net | {"extra": torch.zeros(3).to(torch.float8_e4m3fn)}, OUT / "float8.safetensors")
    # The network's children in an nn.Sequential.
    number = {"conv1": "0", "bn1": "1", "layer1": "4", "layer2": "5", "layer3": "6", "layer4": "7"}
    children = {f"{number[k.split('.')[0]]}.{k.split('.', 1)[1]}": v for k, v in net.items()}
    save(children, "sequential.pth")
    save({"state_dict": under(children, "backbone.")}, "sequential.ckpt")
    # Wider strides than one, shared storage and compressed archives.
    strided = {k: (v.to(memory_format=torch.channels_last) if v.dim() == 4 else v) for k, v in net.items()}
    save(strided, "channels_last.pth")
    with zipfile.ZipFile(OUT / "channels_last.pth") as stored, zipfile.ZipFile(OUT / "deflated.pth", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in stored.namelist():
            entry = zipfile.ZipInfo(name)
            entry.compress_type = zipfile.ZIP_DEFLATED
            packed.writestr(entry, stored.read(name))
    # First names of 10 to 49 characters: some readers confuse signatures.
    head = {"conv1.weight": net["conv1.weight"]}
    for length in (1, 12, 21, 22, 40):
        save(head, "n" * length + ".pth")


if __name__ == "__main__":
    main()
