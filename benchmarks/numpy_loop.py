"""Reads a checkpoint's files, converts their bytes from float32 to float16 as they come, and writes them: what any converter must do.

    python3 benchmarks/numpy_loop.py FROM TO [TO...]

Files that are not safetensors are left out; headers are converted like weights, as only the time counts. float16 is copied.
"""

import sys
from contextlib import ExitStack
from pathlib import Path

import numpy

BLOCK_BYTES = 1 << 20

source, *targets = map(Path, sys.argv[1:])
block = numpy.empty(BLOCK_BYTES, dtype=numpy.uint8)
for path in sorted(source.rglob("*.safetensors")):
    with open(path, "rb") as file:
        is_half = b'"F32"' not in file.read(1 << 16)
    with ExitStack() as files:
        writers = []
        for target in targets:
            to = target / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            writers.append(files.enter_context(open(to, "wb", buffering=0)))
        reader = files.enter_context(open(path, "rb", buffering=0))
        while count := reader.readinto(block):
            values = block[: count - count % 4]
            converted = values if is_half else values.view("<f4").astype("<f2").data
            for writer in writers:
                writer.write(converted)
