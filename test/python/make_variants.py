"""Makes very small networks of the kinds that no published checkpoint is small enough for, and records what diffusers
computes with them.

    python make_variants.py ../fixtures/variants ../goldens/variants

Each kind is a diffusers folder with one network, of random weights stored in float16; the recording is computed in float32
on these. Everything comes from fixed seeds.
"""

import json
import math
import sys
from pathlib import Path

import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from safetensors.torch import save_file

PATH = {"block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 2}
PATH |= {"cross_attention_dim": 12, "attention_head_dim": [2, 4]}
PATH |= {"down_block_types": ["CrossAttnDownBlock2D", "DownBlock2D"]}
UNET = PATH | {"up_block_types": ["UpBlock2D", "CrossAttnUpBlock2D"], "sample_size": 8}
# Six numbers in eight channels each, and ten channels of pooled text.
SIZES = {"addition_embed_type": "text_time", "addition_time_embed_dim": 8, "projection_class_embeddings_input_dim": 58}

NARROW = UNET | {"block_out_channels": [4, 8], "attention_head_dim": [1, 2]}
XL = {"down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D"], "up_block_types": ["CrossAttnUpBlock2D", "UpBlock2D"]}
XL |= SIZES | {"use_linear_projection": True}
DISTILLED_XL = ("StableDiffusionXLPipeline", UNet2DConditionModel)
CROSS = {"down_block_types": ["CrossAttnDownBlock2D"] * 2, "up_block_types": ["CrossAttnUpBlock2D"] * 2}

KINDS = {
    "lcm": ("LatentConsistencyModelPipeline", UNet2DConditionModel, UNET | {"time_cond_proj_dim": 6}),
    "inpainting": ("StableDiffusionInpaintPipeline", UNet2DConditionModel, UNET | {"in_channels": 9}),
    "pix2pix": ("StableDiffusionInstructPix2PixPipeline", UNet2DConditionModel, UNET | {"in_channels": 8}),
    "small-middle": ("StableDiffusionPipeline", UNet2DConditionModel, UNET | {"mid_block_type": "UNetMidBlock2D"}),
    "no-middle": ("StableDiffusionPipeline", UNet2DConditionModel, UNET | {"mid_block_type": None}),
    "controlnet-xl": (
        "StableDiffusionXLControlNetPipeline",
        ControlNetModel,
        PATH
        | SIZES
        | {
            "conditioning_embedding_out_channels": (4, 6, 8, 10),
            "controlnet_conditioning_channel_order": "bgr",
            "transformer_layers_per_block": [2, 1],
        },
    ),
    "ssd-1b": (
        *DISTILLED_XL,
        NARROW
        | XL
        | {
            "layers_per_block": 2,
            "mid_block_type": "UNetMidBlock2D",
            "transformer_layers_per_block": [1, 2],
            "reverse_transformer_layers_per_block": [[2, 2, 3], 1],
        },
    ),
    "koala": (
        *DISTILLED_XL,
        NARROW | XL | {"mid_block_type": None, "transformer_layers_per_block": [0, 3]},
    ),
    "uneven": (
        "StableDiffusionPipeline",
        UNet2DConditionModel,
        NARROW
        | CROSS
        | {
            "layers_per_block": [1, 2],
            "transformer_layers_per_block": [1, [2, 1]],
            "reverse_transformer_layers_per_block": [[1, 3, 1], [2, 1]],
        },
    ),
}

# Neither square nor, for the UNets, whole chunks of 512 queries: 768 of them.
SIZES_OF = {UNet2DConditionModel: (32, 24), ControlNetModel: (8, 6)}
TOKENS = 7


def randomize(model):
    """Gives every weight a part in the result: those that diffusers begins at zero as well."""
    for name, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        if parameter.ndim > 1:
            parameter.data = noise / math.sqrt(parameter[0].numel())
        else:
            parameter.data = 0.1 * noise + (1 if "norm" in name and name.endswith("weight") else 0)
        parameter.data = parameter.data.half().float()


def inputs_of(model):
    config = model.config
    height, width = SIZES_OF[type(model)]
    inputs = {
        "sample": torch.randn(2, config.in_channels, height, width),
        "timestep": torch.full((2,), 801.0),
        "encoder_hidden_states_diffusers": torch.randn(2, TOKENS, config.cross_attention_dim),
    }
    if config.get("time_cond_proj_dim"):
        inputs["timestep_cond"] = torch.randn(2, config.time_cond_proj_dim)
    if config.addition_embed_type == "text_time":
        inputs["text_embeds"] = torch.randn(2, 10)
        inputs["time_ids"] = torch.tensor([[1024, 768, 0, 32, 1024, 768], [512, 640, 16, 0, 1024, 768]]).float()
    if isinstance(model, ControlNetModel):
        inputs["controlnet_cond"] = torch.rand(2, 3, 8 * height, 8 * width)
    return inputs


def outputs_of(model, inputs):
    added = {name: inputs[name] for name in ("text_embeds", "time_ids") if name in inputs}
    options = {name: inputs[name] for name in ("timestep_cond", "controlnet_cond") if name in inputs}
    result = model(
        inputs["sample"],
        inputs["timestep"],
        inputs["encoder_hidden_states_diffusers"],
        added_cond_kwargs=added or None,
        **options,
    )
    if isinstance(model, UNet2DConditionModel):
        return {"noise_pred": result.sample}
    residuals = [*result.down_block_res_samples, result.mid_block_res_sample]
    return {f"additional_residual_{i}": residual for i, residual in enumerate(residuals)}


@torch.no_grad()
def main():
    fixtures, goldens = Path(sys.argv[1]), Path(sys.argv[2])
    for seed, (kind, (pipeline, network, settings)) in enumerate(KINDS.items()):
        torch.manual_seed(seed)
        model = network(**settings).eval()
        randomize(model)
        component = "unet" if network is UNet2DConditionModel else "controlnet"
        inputs = inputs_of(model)
        recorded = inputs | outputs_of(model, inputs)
        recorded = {name: tensor.contiguous() for name, tensor in recorded.items()}
        (goldens / kind).mkdir(parents=True, exist_ok=True)
        save_file(recorded, goldens / kind / f"{component}.safetensors")

        model.half().save_pretrained(fixtures / kind / component)
        index = {"_class_name": pipeline, component: ["diffusers", network.__name__]}
        (fixtures / kind / "model_index.json").write_text(json.dumps(index, indent=2) + "\n")


if __name__ == "__main__":
    main()
