"""Writes the golden files of crates/burn-flex-conv: convolution, batch normalization and pooling by
PyTorch, in f64.

    python tests/reference/conv.py

Maps are written with the channels first, as in PyTorch. The file states seed and versions.
"""

import json
from pathlib import Path

import torch
import torch.nn.functional as F

SEED = 20261126
torch.manual_seed(SEED)
torch.set_default_dtype(torch.float64)

# batch, channels in, channels out, height, width, kernel, stride, padding, dilation
CONVOLUTIONS = [
    (2, 3, 5, 7, 6, (1, 1), (1, 1), (0, 0), (1, 1)),
    (2, 5, 3, 7, 6, (1, 1), (2, 2), (0, 0), (1, 1)),
    (1, 4, 35, 5, 5, (3, 3), (1, 1), (1, 1), (1, 1)),
    (3, 17, 6, 8, 5, (3, 3), (2, 2), (1, 1), (1, 1)),
    (2, 3, 4, 11, 9, (7, 7), (2, 2), (3, 3), (1, 1)),
    (2, 1, 16, 6, 6, (3, 3), (2, 2), (1, 1), (1, 1)),
    (2, 6, 7, 1, 1, (3, 3), (1, 1), (1, 1), (1, 1)),
    (1, 6, 7, 1, 9, (3, 3), (1, 1), (1, 1), (1, 1)),
    (2, 3, 4, 2, 2, (3, 3), (2, 2), (1, 1), (1, 1)),
    (2, 3, 4, 9, 8, (3, 3), (1, 1), (2, 2), (2, 2)),
    (2, 3, 4, 9, 8, (3, 3), (3, 2), (2, 0), (1, 2)),
    (1, 2, 3, 6, 7, (2, 3), (1, 2), (0, 1), (1, 1)),
    (1, 2, 3, 4, 4, (3, 3), (1, 1), (2, 2), (1, 1)),
    (4, 40, 33, 4, 4, (3, 3), (1, 1), (1, 1), (1, 1)),
    (2, 300, 5, 3, 3, (1, 1), (1, 1), (0, 0), (1, 1)),
    # Lines long enough to be read in place.
    (2, 3, 5, 4, 31, (3, 3), (1, 1), (1, 1), (1, 1)),
    (1, 70, 9, 3, 14, (3, 3), (1, 1), (1, 1), (1, 1)),
    (2, 5, 18, 5, 27, (3, 3), (2, 2), (1, 1), (1, 1)),
    (1, 3, 16, 9, 30, (7, 7), (2, 2), (3, 3), (1, 1)),
    (1, 4, 7, 3, 26, (1, 1), (2, 2), (0, 0), (1, 1)),
    (1, 4, 7, 3, 16, (1, 1), (1, 1), (0, 0), (1, 1)),
    (1, 2, 3, 5, 20, (3, 3), (1, 1), (2, 2), (2, 2)),
    (1, 2, 3, 6, 19, (2, 3), (1, 1), (0, 0), (1, 1)),
]
# batch, channels, height, width, mean of the input
NORMS = [(2, 3, 5, 4, 0.0), (3, 17, 1, 1, 0.5), (1, 70, 3, 3, -2.0), (2, 5, 4, 4, 1000.0), (4, 1, 2, 2, 0.0)]
# batch, channels, height, width, kernel, stride, padding
POOLS = [(2, 3, 7, 6, 3, 2, 1), (1, 17, 1, 1, 3, 2, 1), (2, 4, 5, 5, 2, 2, 0), (1, 2, 6, 7, 3, 1, 1)]


def flat(tensor):
    return [float(f"{x:.9g}") for x in tensor.detach().flatten().tolist()]


def single(*shape):
    """Random numbers that are exact in f32."""
    return torch.randn(*shape).float().double()


def convolution(n, c_in, c_out, h, w, kernel, stride, padding, dilation):
    x = single(n, c_in, h, w).requires_grad_()
    weight = single(c_out, c_in, *kernel).requires_grad_()
    y = F.conv2d(x, weight, None, stride, padding, dilation)
    gradient = single(*y.shape)
    y.backward(gradient)
    return {
        "input_shape": list(x.shape),
        "weight_shape": list(weight.shape),
        "output_shape": list(y.shape),
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "input": flat(x),
        "weight": flat(weight),
        "gradient": flat(gradient),
        "output": flat(y),
        "input_gradient": flat(x.grad),
        "weight_gradient": flat(weight.grad),
    }


def norm(n, c, h, w, mean, residual, relu):
    x = (single(n, c, h, w) + mean).float().double().requires_grad_()
    weight = single(c).requires_grad_()
    bias = single(c).requires_grad_()
    other = single(n, c, h, w).requires_grad_()
    y = F.batch_norm(x, None, None, weight, bias, True, 0.1, 1e-5)
    y = y + other if residual else y
    y = F.relu(y) if relu else y
    gradient = single(*y.shape)
    y.backward(gradient)
    return {
        "shape": list(x.shape),
        "residual": flat(other) if residual else None,
        "relu": relu,
        "input": flat(x),
        "weight": flat(weight),
        "bias": flat(bias),
        "gradient": flat(gradient),
        "mean": flat(x.mean((0, 2, 3))),
        "variance": flat(x.var((0, 2, 3), unbiased=False)),
        "output": flat(y),
        "input_gradient": flat(x.grad),
        "weight_gradient": flat(weight.grad),
        "bias_gradient": flat(bias.grad),
        "residual_gradient": flat(other.grad) if residual else None,
    }


def pool(n, c, h, w, kernel, stride, padding):
    x = single(n, c, h, w).requires_grad_()
    y = F.max_pool2d(x, kernel, stride, padding)
    gradient = single(*y.shape)
    y.backward(gradient)
    return {
        "input_shape": list(x.shape),
        "output_shape": list(y.shape),
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
        "input": flat(x),
        "gradient": flat(gradient),
        "output": flat(y),
        "input_gradient": flat(x.grad),
    }


golden = {
    "torch": torch.__version__,
    "seed": SEED,
    "convolutions": [convolution(*case) for case in CONVOLUTIONS],
    "norms": [norm(*case, residual, relu) for case in NORMS for residual in (False, True) for relu in (False, True)],
    "pools": [pool(*case) for case in POOLS],
}
path = Path(__file__).parent / "conv" / "golden.json"
path.write_text(json.dumps(golden) + "\n")
print(path, path.stat().st_size)
