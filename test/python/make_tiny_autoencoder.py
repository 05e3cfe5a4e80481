"""Writes a small AutoencoderTiny with random weights as a checkpoint, and what diffusers computes with it.

    python make_tiny_autoencoder.py CHECKPOINT GOLDENS

Made with the packages of requirements-optimum.txt.
"""

import json
import sys
from pathlib import Path

import diffusers
import torch
from diffusers import AutoencoderTiny
from safetensors.torch import save_file

# As TAESD, but with 8 channels for 64 and fewer blocks, of another number on each level.
CONFIG = {
    "encoder_block_out_channels": (8, 8, 8, 8),
    "decoder_block_out_channels": (8, 8, 8, 8),
    "num_encoder_blocks": (1, 2, 0, 1),
    "num_decoder_blocks": (2, 0, 1, 1),
}


def main():
    checkpoint, goldens = (Path(argument) for argument in sys.argv[1:])
    torch.manual_seed(20)
    vae = AutoencoderTiny(**CONFIG).eval()
    for parameter in vae.parameters():
        torch.nn.init.normal_(parameter, std=0.5 if parameter.ndim == 1 else (parameter[0].numel() / 1.6) ** -0.5)
    vae.save_pretrained(checkpoint / "vae")
    index = {"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AutoencoderTiny"]}
    (checkpoint / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")

    goldens.mkdir(parents=True, exist_ok=True)
    metadata = {"source": f"diffusers {diffusers.__version__}, torch {torch.__version__} (CPU, float32)"}
    z = 2 * torch.randn(2, 4, 4, 5)
    x = 2 * torch.rand(2, 3, 32, 40) - 1
    with torch.no_grad():
        decoded, encoded = vae.decode(z).sample, vae.encode(x).latents
    save_file({"z": z, "image": decoded}, goldens / "vae_decoder.safetensors", metadata)
    save_file({"x": x, "latents": encoded}, goldens / "vae_encoder.safetensors", metadata)
    for name, tensor in {"image": decoded, "latents": encoded}.items():
        print(name, tuple(tensor.shape), f"{tensor.min():.3f} … {tensor.max():.3f}, std {tensor.std():.3f}")


if __name__ == "__main__":
    main()
