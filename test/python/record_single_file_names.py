"""Records what diffusers makes of the tensors in original single files, at full size and without numbers.

    python record_single_file_names.py ../fixtures/single-file

Each network of make_full_size_lists.py is given the names that its original implementation gives to its tensors, and
diffusers' own converters take them from there: what they give must be the network's own state dict, name by name and
shape by shape, or nothing is written. Every tensor is one number seen as a whole tensor, so it is known wherever it
goes. A file holds, for each original name, its shape and where it goes: {"<name>": [[shape], ["unet/conv_in.weight"]]};
three places for the projections that diffusers splits, none for what it drops.
"""

import gzip
import json
import re
import sys
from pathlib import Path

import torch
from diffusers.loaders import single_file_utils as utils
from make_full_size_lists import CLASSES, MODELS

CLIP, OPEN_CLIP, SECOND = "cond_stage_model.transformer.", "cond_stage_model.model.", "conditioner.embedders.1.model."
LAYOUTS = {
    "sd15": {"text_encoder": CLIP},
    "sd21": {"text_encoder": OPEN_CLIP},
    "sdxl": {"text_encoder": "conditioner.embedders.0.transformer.", "text_encoder_2": SECOND},
    "sdxl-refiner": {"text_encoder_2": "conditioner.embedders.0.model."},
    "controlnet-sd15": {},
}
PREFIXES = {"unet": "model.diffusion_model.", "vae": "first_stage_model.", "controlnet": "control_model."}

RESNET = {"norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1"}
RESNET |= {"norm2": "out_layers.0", "conv2": "out_layers.3", "conv_shortcut": "skip_connection"}
PLAIN = {"conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2"}
PLAIN |= {"time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2"}
PLAIN |= {"add_embedding.linear_1": "label_emb.0.0", "add_embedding.linear_2": "label_emb.0.2"}
PLAIN |= {"controlnet_mid_block": "middle_block_out.0", "controlnet_cond_embedding.conv_in": "input_hint_block.0"}
PLAIN |= {"controlnet_cond_embedding.conv_out": "input_hint_block.14"}
PLAIN |= {f"controlnet_cond_embedding.blocks.{n}": f"input_hint_block.{2 * n + 2}" for n in range(6)}
PLAIN |= {f"controlnet_down_blocks.{n}": f"zero_convs.{n}.0" for n in range(12)}
ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out.0": "proj_out"}
CLIP_LAYER = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
CLIP_LAYER |= {"self_attn.out_proj": "attn.out_proj"}
CLIP_PLAIN = {"text_model.embeddings.position_embedding.weight": "positional_embedding"}
CLIP_PLAIN |= {"text_model.embeddings.token_embedding.weight": "token_embedding.weight"}
CLIP_PLAIN |= {f"text_model.final_layer_norm.{kind}": f"ln_final.{kind}" for kind in ("weight", "bias")}
CLIP_PLAIN |= {"text_projection.weight": "text_projection"}


def original_unet(key, attending):
    module, kind = key.rsplit(".", 1)
    if module in PLAIN:
        return f"{PLAIN[module]}.{kind}"
    mid = re.fullmatch(r"mid_block\.(resnets|attentions)\.(\d)\.(.+)", module)
    if mid:
        part, index, rest = mid.groups()
        return f"middle_block.{1 if part == 'attentions' else 2 * int(index)}.{RESNET.get(rest, rest)}.{kind}"
    side, level, part, index, rest = re.fullmatch(r"(down|up)_blocks\.(\d+)\.(\w+)\.(\d+)\.(.+)", module).groups()
    block = 3 * int(level) + int(index)
    if part == "downsamplers":
        return f"input_blocks.{3 * int(level) + 3}.0.op.{kind}"
    if part == "upsamplers":
        return f"output_blocks.{block + 2}.{2 if f'up_blocks.{level}' in attending else 1}.conv.{kind}"
    place = f"input_blocks.{block + 1}" if side == "down" else f"output_blocks.{block}"
    return f"{place}.1.{rest}.{kind}" if part == "attentions" else f"{place}.0.{RESNET[rest]}.{kind}"


def original_vae(key):
    module, kind = key.rsplit(".", 1)
    module = module.replace("conv_shortcut", "nin_shortcut").replace("conv_norm_out", "norm_out")
    module = re.sub(r"mid_block\.resnets\.(\d)", lambda m: f"mid.block_{int(m[1]) + 1}", module)
    module = re.sub(r"mid_block\.attentions\.0\.(.+)", lambda m: f"mid.attn_1.{ATTENTION[m[1]]}", module)
    module = re.sub(r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2", module)
    module = re.sub(r"down_blocks\.(\d)\.downsamplers\.0", r"down.\1.downsample", module)
    module = re.sub(r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}", module)
    module = re.sub(r"up_blocks\.(\d)\.upsamplers\.0", lambda m: f"up.{3 - int(m[1])}.upsample", module)
    return f"{module}.{kind}"


def original_open_clip(key):
    if key in CLIP_PLAIN:
        return CLIP_PLAIN[key]
    layer, module, kind = re.fullmatch(r"text_model\.encoder\.layers\.(\d+)\.(.+)\.(\w+)", key).groups()
    if re.fullmatch(r"self_attn\.[qkv]_proj", module):
        return f"transformer.resblocks.{layer}.attn.in_proj_{kind}"
    return f"transformer.resblocks.{layer}.{CLIP_LAYER[module]}.{kind}"


def original_shapes(component, prefix, shapes):
    """The names and shapes of a network in its original implementation."""
    attending = {match[0] for key in shapes if (match := re.match(r"up_blocks\.\d+(?=\.attentions)", key))}
    found = {}
    for key, shape in shapes.items():
        if component in ("unet", "controlnet"):
            name = original_unet(key, attending)
        elif component == "vae":
            name = original_vae(key)
            if ".mid.attn_1." in name and len(shape) == 2:
                shape = [*shape, 1, 1]
        elif prefix.endswith("model."):
            name = original_open_clip(key)
            if ".in_proj_" in name:
                shape = [3 * shape[0], *shape[1:]]
            if name == "text_projection":
                shape = shape[::-1]
        else:
            name = key
        found[prefix + name] = list(shape)
    if prefix == OPEN_CLIP:  # the layer and the projection that files of 2.x have and diffusers drops
        last = {name: shape for name, shape in found.items() if ".resblocks.22." in name}
        found |= {name.replace(".22.", ".23."): shape for name, shape in last.items()}
        found[prefix + "text_projection"] = [1024, 1024]
    return found


def convert(component, prefix, tensors, model):
    """What diffusers makes of original tensors."""
    if component == "unet":
        return utils.convert_ldm_unet_checkpoint(tensors, model.config)
    if component == "controlnet":
        return utils.convert_controlnet_checkpoint(tensors, model.config)
    if component == "vae":
        return utils.convert_ldm_vae_checkpoint(tensors, model.config)
    if prefix.endswith("model."):
        return utils.convert_open_clip_checkpoint(model, tensors, prefix=prefix)
    return utils.convert_ldm_clip_checkpoint(tensors)


def record(component, prefix, model):
    shapes = {key: list(tensor.shape) for key, tensor in model.state_dict().items()}
    originals = original_shapes(component, prefix, shapes)
    names = list(originals)
    # A tensor's row r holds (its number) + r / 2^14: who it is, and which of its rows come first.
    tensors = {}
    for number, (name, shape) in enumerate(originals.items()):
        rows = (number + torch.arange(shape[0], dtype=torch.float64) / 2**14) if ".in_proj_" in name else None
        filled = torch.full([1] * len(shape), float(number), dtype=torch.float64) if rows is None else rows
        tensors[name] = filled.reshape(-1, *[1] * (len(shape) - 1)).expand(shape)
    converted = convert(component, prefix, tensors, model)
    if {key: list(tensor.shape) for key, tensor in converted.items()} != shapes:
        sys.exit(f"{component}: diffusers does not make its own network of these names")
    places = {name: [] for name in names}
    for key, tensor in converted.items():
        places[names[int(tensor.flatten()[0])]].append((float(tensor.flatten()[0]) % 1, f"{component}/{key}"))
    return {name: [originals[name], [key for _, key in sorted(found)]] for name, found in places.items()}


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, layout in LAYOUTS.items():
        recorded = {}
        components = MODELS[name] | ({"vae": {}} if name == "sdxl-refiner" else {})
        for component, settings in components.items():
            with torch.device("meta"):
                model = CLASSES[component](**settings)
            recorded |= record(component, layout.get(component) or PREFIXES[component], model)
        print(f"{name}: {len(recorded)} tensors")
        lines = [f"{json.dumps(key)}:{json.dumps(value, separators=(',', ':'))}" for key, value in sorted(recorded.items())]
        text = "{\n" + ",\n".join(lines) + "\n}\n"
        (folder / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main()
