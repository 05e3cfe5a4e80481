"""Writes small files of scaled weights, in every layout that is read, and what their own libraries make of them.

    python make_scaled_files.py TO

The environment is that of requirements-storage.txt. Each `NAME.safetensors` has its float32 values in
`NAME.values.safetensors`: by torch's own products for one scale and for scales of channels and blocks, by diffusers 0.42.1
for its fp8r and nvfp4, by comfy-kitchen 0.2.40 for ComfyUI's nvfp4. Scales of zero, of 2^-140, infinite and NaN are among
them; of the 8-bit floats, all.
"""

import json
import sys
from pathlib import Path

import torch
from comfy_kitchen.backends.eager.quantization import dequantize_nvfp4 as comfy_values
from comfy_kitchen.backends.eager.quantization import quantize_nvfp4 as comfy_nvfp4
from diffusers.quantizers.bfl.utils import dequantize_fp8r, dequantize_nvfp4, quantize_fp8r, quantize_nvfp4
from safetensors.torch import save_file

EXTREMES = [0.0, 2.0**-140, float("inf"), float("nan"), -1.5, 1e30]


def as_bytes(value: object) -> torch.Tensor:
    return torch.tensor(list(json.dumps(value).encode()), dtype=torch.uint8)


def save(to: Path, name: str, stored: dict, values: dict, metadata: dict | None = None) -> None:
    save_file({key: each.clone(memory_format=torch.contiguous_format) for key, each in stored.items()}, to / f"{name}.safetensors", metadata)
    save_file({key: each.float().clone(memory_format=torch.contiguous_format) for key, each in values.items()}, to / f"{name}.values.safetensors")


def every_float8(dtype: torch.dtype) -> torch.Tensor:
    return torch.arange(256, dtype=torch.uint8).view(dtype).reshape(16, 16)


def comfy_first(to: Path) -> None:
    """ComfyUI's first scaled files: a scale for each tensor, others for the inputs, and the mark."""
    stored, values = {"model.diffusion_model.scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}, {}
    for i, scale in enumerate([0.0123, *EXTREMES]):
        for kind in [torch.float8_e4m3fn, torch.float8_e5m2]:
            name = f"model.diffusion_model.layer{i}.{str(kind)[12:]}"
            stored[f"{name}.weight"] = every_float8(kind)
            stored[f"{name}.scale_weight"] = torch.tensor(scale).reshape([[], [1]][i % 2])
            stored[f"{name}.scale_input"] = torch.tensor(7.0)
            stored[f"{name}.bias"] = torch.randn(16)
            values[f"{name}.weight"] = every_float8(kind).float() * torch.tensor(scale)
            values[f"{name}.bias"] = stored[f"{name}.bias"]
    save(to, "comfy-first", stored, values)


def by_channel(to: Path) -> None:
    """Scales of output channels and of blocks, as diffusers, ModelOpt and others spell them."""
    weight, scale = quantize_fp8r(torch.randn(12, 20))
    conv = torch.randn(6, 4, 3, 3).to(torch.float8_e4m3fn)
    channels, blocks = torch.rand(6), torch.rand(3, 2)
    extreme = torch.tensor(EXTREMES)
    stored = {
        "fp8r.weight": weight, "fp8r.weight_scale": scale, "fp8r.input_scale": torch.tensor(2.0),
        "conv.weight": conv, "conv.weight_scale": channels.reshape(6, 1, 1, 1),
        "column.weight": conv, "column.weight_scale": channels.reshape(6, 1).half(),
        "blocks.weight": weight[:, :8], "blocks.weight_scale_inv": blocks,
        "modelopt.weight": conv, "modelopt.weight_quantizer._scale": torch.tensor(0.5),
        "modelopt.weight_quantizer._amax": torch.tensor(9.0), "modelopt.input_quantizer._amax": torch.tensor(9.0),
        "extreme.weight": torch.arange(90, dtype=torch.uint8).view(torch.float8_e4m3fn).reshape(6, 15),
        "extreme.weight_scale": extreme,
        "half.weight": torch.randn(4, 4).half(), "half.weight_scale": torch.tensor(0.3),
        "plain.weight": torch.randn(3),
    }  # fmt: skip
    values = {
        "fp8r.weight": dequantize_fp8r(weight, scale),
        "conv.weight": conv.float() * channels.reshape(6, 1, 1, 1),
        "column.weight": conv.float() * channels.half().float().reshape(6, 1, 1, 1),
        "blocks.weight": weight[:, :8].float() * blocks.repeat_interleave(4, 0).repeat_interleave(4, 1),
        "modelopt.weight": conv.float() * 0.5,
        "extreme.weight": stored["extreme.weight"].float() * extreme[:, None],
        "half.weight": stored["half.weight"].float() * torch.tensor(0.3),
        "plain.weight": stored["plain.weight"],
    }
    save(to, "by-channel", stored, values)


def int8(to: Path) -> None:
    """ComfyUI's int8 by tensor and by row, as tensors of their own and in the header, without the network's prefix."""
    weight = torch.randint(-128, 128, (8, 6), dtype=torch.int8)
    rows = torch.rand(8, 1)
    prefix = "model.diffusion_model."
    stored = {
        f"{prefix}whole.weight": weight, f"{prefix}whole.weight_scale": torch.tensor(0.01),
        f"{prefix}whole.comfy_quant": as_bytes({"format": "int8_tensorwise"}),
        f"{prefix}rows.weight": weight, f"{prefix}rows.weight_scale": rows,
        f"{prefix}bytes.weight": every_float8(torch.float8_e4m3fn).view(torch.uint8),
        f"{prefix}bytes.weight_scale": torch.tensor(0.25),
    }  # fmt: skip
    values = {
        f"{prefix}whole.weight": weight.float() * torch.tensor(0.01),
        f"{prefix}rows.weight": weight.float() * rows,
        f"{prefix}bytes.weight": every_float8(torch.float8_e4m3fn).float() * 0.25,
    }
    layers = {"rows": {"format": "int8_tensorwise"}, "bytes": {"format": "float8_e4m3fn"}}
    save(to, "int8", stored, values, {"_quantization_metadata": json.dumps({"format_version": "1.0", "layers": layers})})


def extreme_blocks(scales: torch.Tensor) -> torch.Tensor:
    """Zero, the smallest, the largest and NaN as the first block scales."""
    codes = scales.view(torch.uint8).clone()
    codes.view(-1)[:4] = torch.tensor([0, 1, 0x7E, 0x7F], dtype=torch.uint8)
    return codes.view(torch.float8_e4m3fn)


def nvfp4(to: Path) -> None:
    """NVIDIA's 4-bit floats as diffusers lays them out, and as ComfyUI does."""
    stored, values = {}, {}
    for rows, columns in [(5, 32), (128, 64)]:
        name = f"plain{rows}"
        packed, blocks, whole = quantize_nvfp4(torch.randn(rows, columns))
        blocks = extreme_blocks(blocks)
        stored |= {f"{name}.weight": packed, f"{name}.weight_scale": blocks, f"{name}.weight_scale_2": whole}
        stored[f"{name}.input_scale"] = torch.tensor(1.0)
        values[f"{name}.weight"] = dequantize_nvfp4(packed, blocks, whole)
    save(to, "nvfp4-diffusers", stored, values)

    stored, values = {}, {}
    for rows, columns in [(16, 48), (144, 80), (128, 64)]:
        name = f"tiled{rows}"
        weight = torch.randn(rows, columns)
        whole = weight.abs().amax() / (448 * 6)
        packed, blocks = comfy_nvfp4(weight, whole)
        blocks = extreme_blocks(blocks)
        stored |= {f"{name}.weight": packed, f"{name}.weight_scale": blocks, f"{name}.weight_scale_2": whole}
        stored[f"{name}.comfy_quant"] = as_bytes({"format": "nvfp4"})
        values[f"{name}.weight"] = comfy_values(packed, whole, blocks, torch.float32)
    save(to, "nvfp4-comfy", stored, values)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    for write in [comfy_first, by_channel, int8, nvfp4]:
        write(folder)
