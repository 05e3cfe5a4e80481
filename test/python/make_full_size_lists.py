"""Writes the configs and tensor lists of Stable Diffusion 1.5, 2.1 and 2.1-base, as diffusers and transformers do.

    python make_full_size_lists.py ../fixtures/full-size

The models are built on torch's meta device: every name and shape at full size, and not one weight. A file holds one
component a line: {"<component>": {"config": {...}, "weights": {"<name>": [shape]}}}.
"""

import json
import math
import sys
from collections import Counter
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

# As in the published files. An end of 2 is no token of CLIP's: it makes transformers pool at the largest id.
LEGACY_IDS = {"bos_token_id": 0, "eos_token_id": 2}
TEXT_L = LEGACY_IDS | {"hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768, "num_hidden_layers": 12}
TEXT_L |= {"num_attention_heads": 12, "hidden_act": "quick_gelu"}
TEXT_H = LEGACY_IDS | {"hidden_size": 1024, "intermediate_size": 4096, "projection_dim": 512, "num_hidden_layers": 23}
TEXT_H |= {"num_attention_heads": 16, "hidden_act": "gelu"}

UNET_1 = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
UNET_2 = {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True}

MODELS = {
    "sd15": (TEXT_L, UNET_1, 512),
    "sd21": (TEXT_H, UNET_2 | {"sample_size": 96, "upcast_attention": True}, 768),
    "sd21-base": (TEXT_H, UNET_2 | {"sample_size": 64}, 768),
}

# Millions of parameters of each part, counted elsewhere: a list that differs is of another model.
VAE = {"encoder": 34.16, "decoder": 49.49}
MILLIONS = {
    "sd15": {"text_model": 123.06, "unet": 859.52} | VAE,
    "sd21": {"text_model": 340.39, "unet": 865.91} | VAE,
    "sd21-base": {"text_model": 340.39, "unet": 865.91} | VAE,
}


def components(text, unet, picture_size):
    with torch.device("meta"):
        yield "text_encoder", CLIPTextModel(CLIPTextConfig(**text))
        yield "unet", UNet2DConditionModel(**unet)
        yield (
            "vae",
            AutoencoderKL(
                block_out_channels=[128, 256, 512, 512],
                down_block_types=["DownEncoderBlock2D"] * 4,
                up_block_types=["UpDecoderBlock2D"] * 4,
                layers_per_block=2,
                latent_channels=4,
                sample_size=picture_size,
            ),
        )


def config_of(model):
    if isinstance(model, CLIPTextModel):
        return model.config.to_diff_dict() | {"architectures": ["CLIPTextModel"]}
    return json.loads(model.to_json_string())


def part_of(component, key):
    first = key.partition(".")[0]
    return {"quant_conv": "encoder", "post_quant_conv": "decoder"}.get(first, first) if component != "unet" else "unet"


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, settings in MODELS.items():
        lines = []
        for component, model in components(*settings):
            weights = {key: list(tensor.shape) for key, tensor in sorted(model.state_dict().items())}
            counts = Counter()
            for key, shape in weights.items():
                counts[part_of(component, key)] += math.prod(shape)
            for part, count in counts.items():
                print(f"{name:9} {part:10} {count / 1e6:7.2f} M parameters")
                if round(count / 1e6, 2) != MILLIONS[name][part]:
                    sys.exit(f"expected {MILLIONS[name][part]} M parameters")
            entry = {"config": config_of(model), "weights": weights}
            lines.append(f"{json.dumps(component)}: {json.dumps(entry, separators=(',', ':'))}")
        (folder / f"{name}.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


if __name__ == "__main__":
    main()
