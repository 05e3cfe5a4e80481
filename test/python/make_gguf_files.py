"""Writes small GGUF files and what the `gguf` package of llama.cpp makes of them.

    python make_gguf_files.py TO

Needs gguf 0.19.0, numpy and safetensors (requirements-storage.txt). `types.gguf` has a tensor of each type that is read: two blocks of
random bits, then zeros, the smallest scale (2^-24), the largest scale with all bits set, infinite scales, and scales that
are no number. `types.safetensors` holds the same tensors in float32. `reshaped.gguf` is as ComfyUI-GGUF's tool writes it:
a convolution's weight in rows of 256, its shape among the metadata.
"""

import sys
from pathlib import Path

import numpy as np
from gguf import GGUFWriter, quants
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType
from safetensors.numpy import save_file

T = GGMLQuantizationType

# Where a block has its float16 scales.
HALVES = {
    T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.IQ4_NL: [0],
    T.Q2_K: [80, 82], T.Q3_K: [108], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208], T.IQ4_XS: [0],
}  # fmt: skip


def blocks(kind: GGMLQuantizationType, rng: np.random.Generator) -> np.ndarray:
    """[7, bytes]: two random blocks and five extreme ones."""
    packed = rng.integers(0, 256, (7, GGML_QUANT_SIZES[kind][1]), dtype=np.uint8)
    packed[2] = 0
    packed[4] = 255
    scales = [*rng.normal(0, 0.02, 2).astype(np.float16), 0.0, 2.0**-24, 65504.0, np.inf, np.nan]
    for block, scale in enumerate(scales):
        for at in HALVES[kind]:
            packed[block, at : at + 2] = np.frombuffer(np.float16(scale).tobytes(), np.uint8)
    return packed


def write_types(to: Path, rng: np.random.Generator) -> None:
    writer = GGUFWriter(to / "types.gguf", "sd1")
    writer.add_array("some.texts", ["a", "long text " * 3, ""])
    writer.add_array("some.numbers", list(range(300)))
    writer.add_float32("some.number", 0.5)
    values: dict[str, np.ndarray] = {}
    for kind in HALVES:
        packed = blocks(kind, rng)
        writer.add_tensor(kind.name, packed.reshape(7, -1), raw_dtype=kind)
        with np.errstate(all="ignore"):
            values[kind.name] = quants.dequantize(packed, kind).reshape(7, -1)
    plain = rng.normal(size=(3, 5)).astype(np.float32)
    for kind in [T.F32, T.F16, T.BF16]:
        # the writer takes the rows of BF16 as bytes
        data = quants.quantize(plain, kind)
        writer.add_tensor(kind.name, data, raw_dtype=kind)
        values[kind.name] = quants.dequantize(data, kind).reshape(plain.shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({name: np.ascontiguousarray(each) for name, each in values.items()}, to / "types.safetensors")


def write_reshaped(to: Path, rng: np.random.Generator) -> None:
    writer = GGUFWriter(to / "reshaped.gguf", "sd1")
    shape = (16, 16, 3, 3)
    rows = rng.normal(size=(9, 256)).astype(np.float32)
    writer.add_array("comfy.gguf.orig_shape.conv.weight", shape)
    packed = quants.quantize(rows, T.Q8_0)
    writer.add_tensor("conv.weight", packed, raw_dtype=T.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file({"conv.weight": quants.dequantize(packed, T.Q8_0).reshape(shape)}, to / "reshaped.safetensors")


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    write_types(folder, generator)
    write_reshaped(folder, generator)
