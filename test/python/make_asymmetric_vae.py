"""Writes a small AsymmetricAutoencoderKL with random weights as a checkpoint, and what diffusers computes with it.

    python make_asymmetric_vae.py CHECKPOINT GOLDENS

Made with the packages of requirements-optimum.txt.
"""

import json
import sys
from pathlib import Path

import diffusers
import torch
from diffusers import AsymmetricAutoencoderKL
from safetensors.torch import save_file

# As cross-attention/asymmetric-autoencoder-kl-x-1-5, with 4, 8 and 8, 12 channels for 128 to 768, and two levels for
# four. Groups of two to six channels: one channel a group would hide what is wrong with a group.
CONFIG = {
    "down_block_types": ("DownEncoderBlock2D",) * 2,
    "down_block_out_channels": (4, 8),
    "layers_per_down_block": 1,
    "up_block_types": ("UpDecoderBlock2D",) * 2,
    "up_block_out_channels": (8, 12),
    "layers_per_up_block": 2,
    "norm_num_groups": 2,
}


def main():
    checkpoint, goldens = (Path(argument) for argument in sys.argv[1:])
    torch.manual_seed(21)
    vae = AsymmetricAutoencoderKL(**CONFIG).eval()
    for name, parameter in vae.named_parameters():
        if "norm" in name:
            torch.nn.init.normal_(parameter, mean=1.0 if name.endswith("weight") else 0.0, std=0.3)
        else:
            torch.nn.init.normal_(parameter, std=0.2 if parameter.ndim == 1 else (parameter[0].numel() / 1.6) ** -0.5)
    vae.save_pretrained(checkpoint / "vae")
    index = {"_class_name": "StableDiffusionPipeline", "vae": ["diffusers", "AsymmetricAutoencoderKL"]}
    (checkpoint / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")

    goldens.mkdir(parents=True, exist_ok=True)
    metadata = {"source": f"diffusers {diffusers.__version__}, torch {torch.__version__} (CPU, float32)"}
    z = 2 * torch.randn(2, 4, 6, 5)
    x = 2 * torch.rand(2, 3, 12, 10) - 1
    with torch.no_grad():
        decoded, encoded = vae.decode(z).sample, vae.encode(x).latent_dist.parameters.contiguous()
    save_file({"z": z, "image": decoded}, goldens / "vae_decoder.safetensors", metadata)
    save_file({"x": x, "latent": encoded}, goldens / "vae_encoder.safetensors", metadata)
    for name, tensor in {"image": decoded, "latent": encoded}.items():
        print(name, tuple(tensor.shape), f"{tensor.min():.3f} … {tensor.max():.3f}, std {tensor.std():.3f}")


if __name__ == "__main__":
    main()
