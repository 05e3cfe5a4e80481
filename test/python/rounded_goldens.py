"""Copies recorded goldens, with what they hold for weights rounded to float16 (`X_w16`) in the place of `X`.

    python rounded_goldens.py FROM TO

A checkpoint that is stored in float16, or an artifact that stores it so, answers to these numbers only.
"""

import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import save_file


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    for path in sorted(source.glob("*.safetensors")):
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            rounded = {name.removesuffix("_w16"): tensors[name] for name in tensors if name.endswith("_w16")}
            if rounded:
                plain = {name: tensor for name, tensor in tensors.items() if not name.endswith("_w16")}
                save_file(plain | rounded, target / path.name, file.metadata())


if __name__ == "__main__":
    main()
