"""The weights of the checkpoints in test/fixtures that have random ones: they are made, and no commit holds them.

    python random_weights.py ../fixtures

proves that NumPy gives the bytes that are listed. test/fixtures/random-weights/<checkpoint>.json has the files of a
checkpoint, each with the names and shapes of its tensors and the SHA-256 of its bytes, which record_networks.py puts
there. The tests make the files by the same rules in TypeScript (test/support/random-weights.ts) and hold them against the
same SHA-256.

The 32-bit words of the Mersenne Twister MT19937, seeded with the CRC-32 of `<checkpoint>/<file>/<tensor>`, give a number
each: the sum of their four bytes, which is nearly normally distributed. It is scaled and moved in float64 and rounded once.
"""

import hashlib
import json
import math
import sys
import zlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save

DTYPES = {"f16": np.float16, "f32": np.float32}

# Mean and standard deviation of the sum of four bytes.
MEAN, DEVIATION = 510, math.sqrt(21845)


def bell(seed, shape):
    """Numbers of mean 0 and standard deviation 1, none further than 3.45 from 0, in float64."""
    words = np.random.RandomState(zlib.crc32(seed.encode())).bytes(4 * math.prod(shape))
    sums = np.frombuffer(words, np.uint8).reshape(*shape, 4).sum(-1, dtype=np.int64)
    return (sums - MEAN) / DEVIATION


def distribution(name, shape):
    """The mean and the standard deviation of a tensor's numbers, by which a network's activations stay near 1."""
    if name.endswith("_embeds_weights"):
        return 0.3, 0.05  # a safety checker's thresholds, of cosines
    if len(shape) == 1:
        return (1, 0.15) if name.endswith(".weight") else (0, 0.1)  # of norms; biases
    # Queries and keys are larger, so that attention is not nearly the same everywhere.
    gain = 1.5 if name.endswith(("to_q.weight", "to_k.weight", "q_proj.weight", "k_proj.weight")) else 1
    return 0, gain / math.sqrt(math.prod(shape[1:]))


def tensor(path, name, shape, dtype):
    if name.endswith("position_ids"):
        return np.arange(math.prod(shape), dtype=np.int64).reshape(shape)
    mean, deviation = distribution(name, shape)
    return (bell(f"{path}/{name}", shape) * deviation + mean).astype(DTYPES[dtype])


def file_bytes(path, entry):
    """The safetensors file `<checkpoint>/<file>`, which has an entry in the checkpoint's list."""
    tensors = {name: tensor(path, name, shape, entry["dtype"]) for name, shape in entry["shapes"].items()}
    return save(tensors, {"format": "pt"})


def checkpoints(fixtures):
    """The lists: (path, checkpoint, {file: entry})."""
    for path in sorted((fixtures / "random-weights").glob("*.json")):
        yield path, path.stem, json.loads(path.read_text())


def main():
    fixtures = Path(sys.argv[1])
    passed = failed = 0
    for _, checkpoint, files in checkpoints(fixtures):
        for file, entry in files.items():
            made = file_bytes(f"{checkpoint}/{file}", entry)
            if hashlib.sha256(made).hexdigest() == entry["sha256"]:
                passed += 1
            else:
                failed += 1
                print(f"{checkpoint}/{file} is listed with the SHA-256 of other bytes")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
