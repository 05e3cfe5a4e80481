"""Reads a checkpoint's files, converts their bytes from float32 to float16 as they come, and writes them: what any converter must do.

    python3 benchmarks/numpy_loop.py FROM TO

Files that are not safetensors are left out; headers are converted like weights, as only the time counts. float16 is copied.
"""

import sys
from pathlib import Path

import numpy

BLOCK_BYTES = 1 << 20

source, target = map(Path, sys.argv[1:])
block = numpy.empty(BLOCK_BYTES, dtype=numpy.uint8)
for path in sorted(source.rglob("*.safetensors")):
    with open(path, "rb") as file:
        is_half = b'"F32"' not in file.read(1 << 16)
    to = target / path.relative_to(source)
    to.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "rb", buffering=0) as reader, open(to, "wb", buffering=0) as writer:
        while count := reader.readinto(block):
            values = block[: count - count % 4]
            writer.write(values if is_half else values.view("<f4").astype("<f2").data)
