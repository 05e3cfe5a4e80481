"""Copies recorded goldens, leaving out what a checkpoint stored in float16 does not answer to.

    python make_small_goldens.py FROM TO

Kept: the inputs, and of each output only `X_w16` (weights rounded to float16, arithmetic in float32). Recordings of
intermediate blocks are not copied.
"""

import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import save_file


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.safetensors")):
        if ".intermediates" in path.name:
            continue
        with safe_open(path, "numpy") as file:
            names = set(file.keys())
            kept = {name: file.get_tensor(name) for name in names if f"{name}_w16" not in names}
            save_file(kept, target / path.name, file.metadata())
        print(target / path.name, *sorted(kept))


if __name__ == "__main__":
    main()
