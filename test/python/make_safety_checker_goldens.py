"""Copies the recordings of a safety checker without the pictures that go through it, which need no recording.

    python make_safety_checker_goldens.py FROM TO

What CLIP sees is copied once: a later recording of the same says in its metadata where it lies.
"""

import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.numpy import save_file


def main():
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    target.mkdir(parents=True, exist_ok=True)
    seen = {}
    # The one without a number first: `safety_checker.safetensors`.
    for path in sorted(source.glob("safety_checker*.safetensors"), key=lambda path: (len(path.name), path.name)):
        with safe_open(path, "numpy") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys() if not name.endswith("images")}
            metadata = dict(file.metadata())
        first = seen.setdefault(tensors["clip_input"].tobytes(), path.name)
        if first != path.name:
            del tensors["clip_input"]
            metadata["clip_input"] = first
        save_file(tensors, target / path.name, metadata)
        print(target / path.name, *sorted(tensors))


if __name__ == "__main__":
    main()
