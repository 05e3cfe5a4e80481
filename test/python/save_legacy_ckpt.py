"""Saves a .ckpt anew as PyTorch did before version 1.6: pickles one after another instead of a zip archive.

    python save_legacy_ckpt.py FROM TO

The environment is that of requirements-coreml.txt (torch 2.13.0).
"""

import sys

import torch


def main():
    source, target = sys.argv[1:]
    torch.save(torch.load(source, weights_only=True), target, _use_new_zipfile_serialization=False)


if __name__ == "__main__":
    main()
