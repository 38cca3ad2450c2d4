"""Golden values for crates/ssl-methods: the trajectories of methods.py in mixed precision.

    python tests/reference/mixed_precision.py     (PyTorch 2.15.0, CPU, one thread, a minute)

The networks of methods.py up to the embeddings run under `torch.autocast("cpu", dtype=torch.bfloat16)`; loss, criterion,
parameters and optimizer are f32. MEMBERS runs begin with weights changed by one unit in the last place of f32, which bf16
rounds to other sides, so that their spread shows the size of bf16's rounding. Written to tests/reference/methods/:

    mixed_precision.json     for each run, the members' largest and smallest distances from methods.py's f64 run: of the loss
                             of each step (relative), of the first step's gradients and of the final weights (per tensor)

On these tiny networks PyTorch's own bf16 gradients of the first step are off by up to 130% of a tensor, so sizes of distances
are compared, not values.
"""


import torch

import methods
from methods_common import distance, write_json

MEMBERS = 16
RUNS = ["vicreg", "vicreg_e2mc", "simsiam", "simsiam_e2mc", "barlow_twins", "swav_e2mc"]


def under_autocast(function, last):
    def forward(*args):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = function(*args)
        return out.float() if last else out

    return forward


def mixed(net):
    """The network with everything up to the embeddings under autocast, and the embeddings in f32."""
    if hasattr(net, "encoder"):
        net.encoder.forward = under_autocast(net.encoder.forward, last=True)
    elif hasattr(net, "backbone"):
        net.backbone.forward = under_autocast(net.backbone.forward, last=False)
        net.projector.forward = under_autocast(net.projector.forward, last=True)
    else:
        net.features = under_autocast(net.features, last=False)
        net.projection_head.forward = under_autocast(net.projection_head.forward, last=True)
    return net


def trainings(run):
    state, _ = methods.initial(run["method"])
    make = methods.NETWORKS[run["method"]]
    exact = methods.Training(run, None, make(), state)
    return exact, [methods.Training(run, m, mixed(make()), state) for m in range(MEMBERS)]


def extremes(values):
    return {"smallest": min(values), "largest": max(values)}


def per_tensor(distances, inert):
    return {k: extremes([d[k] for d in distances]) for k in distances[0] if k not in inert}


def main():
    torch.set_num_threads(1)
    report = {}
    for name in RUNS:
        run = methods.RUNS[name]
        layout = methods.layout_of(run)
        exact, members = trainings(run)
        losses, first = [], {}
        for i, seed in enumerate(methods.IMAGE_SEEDS[layout]):
            crops = methods.batch_of(layout, seed)
            expected = exact.step(crops)["loss"]
            losses.append(extremes([abs(m.step(crops)["loss"] / expected - 1) for m in members]))
            if i == 0:
                first = [distance(m.gradients(), exact.gradients()) for m in members]
        method = run["method"]
        inert = methods.INERT[method]
        at_the_end = inert + methods.INERT_AT_THE_END.get(method, [])
        final = [distance(m.state(), exact.state()) for m in members]
        report[name] = {
            "losses": losses, "gradients": per_tensor(first, inert), "final": per_tensor(final, at_the_end),
        }
        worst = lambda key: max(d["largest"] for d in report[name][key].values())
        print(name, "loss off by", " ".join(f"{l['smallest']:.0e}..{l['largest']:.0e}" for l in losses),
              f"gradients {worst('gradients'):.2f}, final {worst('final'):.3f}", flush=True)
    write_json(methods.OUT / "mixed_precision.json", report)


if __name__ == "__main__":
    main()
