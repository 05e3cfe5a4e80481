"""Writes the configs and tensor lists of published models, as diffusers and transformers do: Stable Diffusion 1.5, its
inpainting model, 2.1, 2.1-base, XL and its refiner, ControlNets for 1.5, 2.1 and XL, the safety checker, TAESD, and the
UNets that were distilled from 1.5 (BK-SDM) and XL (SSD-1B, Segmind Vega, KOALA).

    python make_full_size_lists.py ../fixtures/full-size

The models are built on torch's meta device: every name and shape at full size, and not one weight. A file holds one
component a line: {"<component>": {"config": {...}, "weights": {"<name>": [shape]}}}. Those of distilled UNets are
compressed: they are long and alike.
"""

import gzip
import json
import math
import sys
from collections import Counter
from pathlib import Path

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, ControlNetModel, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, PreTrainedModel

# As in the published files. An end of 2 is no token of CLIP's: it makes transformers pool at the largest id.
LEGACY_IDS = {"bos_token_id": 0, "eos_token_id": 2}
TEXT_L = LEGACY_IDS | {"hidden_size": 768, "intermediate_size": 3072, "projection_dim": 768, "num_hidden_layers": 12}
TEXT_L |= {"num_attention_heads": 12, "hidden_act": "quick_gelu"}
TEXT_H = LEGACY_IDS | {"hidden_size": 1024, "intermediate_size": 4096, "projection_dim": 512, "num_hidden_layers": 23}
TEXT_H |= {"num_attention_heads": 16, "hidden_act": "gelu"}
TEXT_G = LEGACY_IDS | {"hidden_size": 1280, "intermediate_size": 5120, "projection_dim": 1280, "num_hidden_layers": 32}
TEXT_G |= {"num_attention_heads": 20, "hidden_act": "gelu"}

# What a UNet and the ControlNets for it have in common.
PATH_1 = {"cross_attention_dim": 768, "attention_head_dim": 8}
PATH_2 = {"cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True}
PATH_XL = {"block_out_channels": [320, 640, 1280], "attention_head_dim": [5, 10, 20], "use_linear_projection": True}
PATH_XL |= {"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"]}
PATH_XL |= {"transformer_layers_per_block": [1, 2, 10], "cross_attention_dim": 2048, "addition_embed_type": "text_time"}
PATH_XL |= {"addition_time_embed_dim": 256, "projection_class_embeddings_input_dim": 2816}

UNET_XL = {"sample_size": 128, "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]}
UNET_REFINER = PATH_XL | {"block_out_channels": [384, 768, 1536, 1536], "attention_head_dim": [6, 12, 24, 24]}
UNET_REFINER |= {"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"]}
UNET_REFINER |= {"up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"]}
UNET_REFINER |= {"transformer_layers_per_block": 4, "cross_attention_dim": 1280, "sample_size": 128}
UNET_REFINER |= {"projection_class_embeddings_input_dim": 2560}

NO_MIDDLE = {"mid_block_type": None}
PLAIN_MIDDLE = {"mid_block_type": "UNetMidBlock2D"}
BK_SDM = PATH_1 | {"sample_size": 64, "layers_per_block": 1}
BK_SDM_TINY = BK_SDM | NO_MIDDLE | {"block_out_channels": [320, 640, 1280]}
BK_SDM_TINY |= {"down_block_types": ["CrossAttnDownBlock2D"] * 3, "up_block_types": ["CrossAttnUpBlock2D"] * 3}
KOALA = PATH_XL | UNET_XL | {"layers_per_block": 1}
DISTILLED = {
    "bk-sdm-base": BK_SDM,
    "bk-sdm-small": BK_SDM | NO_MIDDLE,
    "bk-sdm-tiny": BK_SDM_TINY,
    "ssd-1b": PATH_XL | UNET_XL | PLAIN_MIDDLE | {"transformer_layers_per_block": [1, 2, 4]},
    "segmind-vega": PATH_XL | UNET_XL | PLAIN_MIDDLE | {"transformer_layers_per_block": [1, 1, 2]},
    "koala-700m": KOALA | NO_MIDDLE | {"transformer_layers_per_block": [0, 2, 5]},
    "koala-1b": KOALA | {"transformer_layers_per_block": [0, 2, 6]},
}
DISTILLED["ssd-1b"]["reverse_transformer_layers_per_block"] = [[4, 4, 10], [2, 1, 1], 1]
DISTILLED["segmind-vega"]["reverse_transformer_layers_per_block"] = [[2, 2, 2], [1, 1, 1], 1]

# CLIP ViT-L/14
VISION_L = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16}
VISION_L |= {"patch_size": 14}

MODELS = {
    "sd15": {"text_encoder": TEXT_L, "unet": PATH_1 | {"sample_size": 64}, "vae": {"sample_size": 512}},
    "sd21": {
        "text_encoder": TEXT_H,
        "unet": PATH_2 | {"sample_size": 96, "upcast_attention": True},
        "vae": {"sample_size": 768},
    },
    "sd21-base": {"text_encoder": TEXT_H, "unet": PATH_2 | {"sample_size": 64}, "vae": {"sample_size": 768}},
    "sd15-inpainting": {"unet": PATH_1 | {"sample_size": 64, "in_channels": 9}},
    "sdxl": {
        "text_encoder": TEXT_L,
        "text_encoder_2": TEXT_G,
        "unet": PATH_XL | UNET_XL,
        "vae": {"sample_size": 1024, "scaling_factor": 0.13025},
    },
    "sdxl-refiner": {"text_encoder_2": TEXT_G, "unet": UNET_REFINER},
    "controlnet-sd15": {"controlnet": PATH_1},
    "controlnet-sd21": {"controlnet": PATH_2},
    "controlnet-sdxl": {"controlnet": PATH_XL},
    "safety-checker": {"safety_checker": {"projection_dim": 768, "vision_config": VISION_L}},
    "taesd": {"vae": {"tiny": True}},
} | {name: {"unet": settings} for name, settings in DISTILLED.items()}

# Millions of parameters of each part, counted elsewhere: a list that differs is of another model.
VAE = {"encoder": 34.16, "decoder": 49.49}
MILLIONS = {
    "sd15": {"text_encoder": 123.06, "unet": 859.52} | VAE,
    "sd21": {"text_encoder": 340.39, "unet": 865.91} | VAE,
    "sd21-base": {"text_encoder": 340.39, "unet": 865.91} | VAE,
    "sd15-inpainting": {"unet": 859.54},
    "sdxl": {"text_encoder": 123.06, "text_encoder_2": 694.66, "unet": 2567.46} | VAE,
    "sdxl-refiner": {"text_encoder_2": 694.66, "unet": 2259.53},
    "controlnet-sd15": {"controlnet": 361.28},
    "controlnet-sd21": {"controlnet": 364.23},
    "controlnet-sdxl": {"controlnet": 1251.01},
    "safety-checker": {"safety_checker": 303.98},
    "taesd": {"encoder": 1.22, "decoder": 1.22},
    "bk-sdm-base": {"unet": 579.38},
    "bk-sdm-small": {"unet": 482.35},
    "bk-sdm-tiny": {"unet": 323.38},
    "ssd-1b": {"unet": 1331.33},
    "segmind-vega": {"unet": 745.23},
    "koala-700m": {"unet": 782.82},
    "koala-1b": {"unet": 1161.18},
}


def vae(tiny=False, **settings):
    if tiny:
        return AutoencoderTiny(**settings)
    return AutoencoderKL(
        block_out_channels=[128, 256, 512, 512],
        down_block_types=["DownEncoderBlock2D"] * 4,
        up_block_types=["UpDecoderBlock2D"] * 4,
        layers_per_block=2,
        latent_channels=4,
        **settings,
    )


CLASSES = {
    "text_encoder": lambda **settings: CLIPTextModel(CLIPTextConfig(**settings)),
    "text_encoder_2": lambda **settings: CLIPTextModelWithProjection(CLIPTextConfig(**settings)),
    "unet": UNet2DConditionModel,
    "controlnet": ControlNetModel,
    "vae": vae,
    "safety_checker": lambda **settings: StableDiffusionSafetyChecker(CLIPConfig(**settings)),
}


def config_of(model):
    if isinstance(model, PreTrainedModel):
        return model.config.to_diff_dict() | {"architectures": [type(model).__name__]}
    return json.loads(model.to_json_string())


def part_of(component, key):
    """A VAE is two networks."""
    if component != "vae":
        return component
    first = key.partition(".")[0]
    return {"quant_conv": "encoder", "post_quant_conv": "decoder"}.get(first, first)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, components in MODELS.items():
        lines = []
        for component, settings in components.items():
            with torch.device("meta"):
                model = CLASSES[component](**settings)
            weights = {key: list(tensor.shape) for key, tensor in sorted(model.state_dict().items())}
            counts = Counter()
            for key, shape in weights.items():
                counts[part_of(component, key)] += math.prod(shape)
            for part, count in counts.items():
                print(f"{name:15} {part:14} {count / 1e6:7.2f} M parameters")
                if round(count / 1e6, 2) != MILLIONS[name][part]:
                    sys.exit(f"expected {MILLIONS[name][part]} M parameters")
            entry = {"config": config_of(model), "weights": weights}
            lines.append(f"{json.dumps(component)}: {json.dumps(entry, separators=(',', ':'))}")
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        if name in DISTILLED:
            (folder / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        else:
            (folder / f"{name}.json").write_text(text)


if __name__ == "__main__":
    main()
