"""Writes small PyTorch files of every kind that checkpoints come in, and the same tensors as safetensors.

    python make_torch_files.py TO

The environment is that of requirements-coreml.txt (torch 2.13.0). All files but `float8-values` hold the same tensors,
which `tensors.safetensors` holds row by row; `float8-values.safetensors` has what torch makes of every 8-bit float.
"""

import sys
import types
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file


def tensors():
    torch.manual_seed(0)
    base = torch.randn(4, 6)
    conv = torch.randn(3, 2, 3, 3)
    return OrderedDict(
        [
            ("base", base),
            ("base.again", base),
            ("base.transposed", base.t()),
            ("base.rows", base[1:3]),
            ("base.columns", base[:, 2:5]),
            ("base.every_other", base[::2, 1::2]),
            ("conv.channels_last", conv.to(memory_format=torch.channels_last)),
            ("parameter", torch.nn.Parameter(torch.randn(5))),
            ("f64", torch.randn(3, dtype=torch.float64)),
            ("f16", torch.randn(2, 3).half()),
            ("f16.transposed", torch.randn(2, 3).half().t()),
            ("bf16", torch.randn(7).bfloat16()),
            ("f8_e4m3", torch.randn(2, 5).to(torch.float8_e4m3fn)),
            ("f8_e5m2", torch.randn(5, 2).to(torch.float8_e5m2)),
            ("f8_e5m2.transposed", torch.randn(5, 2).to(torch.float8_e5m2).t()),
            ("i64", torch.tensor([[0, -1], [2**62, 77]])),
            ("i64.transposed", torch.tensor([[0, -1], [2**62, 77]]).t()),
            ("i32", torch.tensor([1, -(2**31)], dtype=torch.int32)),
            ("i16", torch.tensor([1, -(2**15)], dtype=torch.int16)),
            ("i8", torch.tensor([1, -128], dtype=torch.int8)),
            ("u16", torch.tensor([1, 65535], dtype=torch.uint16)),
            ("u8", torch.tensor([1, 255], dtype=torch.uint8)),
            ("bool", torch.tensor([True, False])),
            ("scalar", torch.tensor(0.25)),
            ("empty", torch.empty(0, 3)),
            ("__proto__", torch.tensor([1.5])),
        ]
    )


def lightning_checkpoint():
    """What PyTorch Lightning leaves: the state dict among callbacks, optimizers and NumPy numbers."""
    module = types.ModuleType("pytorch_lightning.callbacks.model_checkpoint")
    callback = type("ModelCheckpoint", (), {"__module__": module.__name__})
    module.ModelCheckpoint = callback
    for name in ["pytorch_lightning", "pytorch_lightning.callbacks"]:
        sys.modules[name] = types.ModuleType(name)
    sys.modules[module.__name__] = module
    state = {"monitor": "val/loss", "best_model_score": np.float64(0.125), "current_score": torch.tensor(0.125)}
    return {
        "epoch": 3,
        "global_step": 840_000,
        "pytorch-lightning_version": "1.4.2",
        "state_dict": tensors(),
        "callbacks": {callback: state},
        "optimizer_states": [{"state": {0: {"step": 1, "exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1e-4}]}],
        "lr_schedulers": [{"base_lrs": [1e-4], "last_epoch": 840_000, "seen": {1, 2}}],
    }


def main():
    to = Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    rows = {name: tensor.detach().clone(memory_format=torch.contiguous_format) for name, tensor in tensors().items()}
    save_file(rows, to / "tensors.safetensors")
    torch.save(tensors(), to / "zip.pt")
    torch.save(dict(tensors()), to / "protocol-1.pt", pickle_protocol=1)
    torch.save(dict(tensors()), to / "protocol-5.pt", pickle_protocol=5)
    torch.save(lightning_checkpoint(), to / "lightning.ckpt")
    torch.save({"model": tensors(), "epoch": 3}, to / "protocol-4.pth", pickle_protocol=4)

    torch.save(tensors(), to / "legacy.bin", _use_new_zipfile_serialization=False)

    linear = torch.nn.Linear(3, 2)
    torch.save(linear, to / "module.pt")
    torch.jit.save(torch.jit.script(linear), to / "torchscript.pt")

    codes = torch.arange(256, dtype=torch.uint8)
    values = {}
    for name, dtype in [("e4m3", torch.float8_e4m3fn), ("e5m2", torch.float8_e5m2)]:
        eights = codes.view(dtype)
        values |= {name: eights.clone(), f"{name}.f32": eights.float(), f"{name}.f16": eights.half()}
    save_file(values, to / "float8-values.safetensors")


if __name__ == "__main__":
    main()
