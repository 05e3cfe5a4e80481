"""Records what diffusers and transformers compute with the checkpoints of random weights in test/fixtures.

    python record_networks.py ../fixtures ../goldens

First the weights are made (random_weights.py) and the SHA-256 of each file is put into its list; then every network is
loaded as its users load it, and called with numbers that come from seeds, too, all in float32. Made with the packages of
requirements-recording.txt.
"""

import functools
import hashlib
import json
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from diffusers import AsymmetricAutoencoderKL, AutoencoderKL, AutoencoderTiny, ControlNetModel, UNet2DConditionModel
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from random_weights import bell, checkpoints, file_bytes
from safetensors.torch import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

CLASSES = {
    "UNet2DConditionModel": UNet2DConditionModel,
    "ControlNetModel": ControlNetModel,
    "AutoencoderKL": AutoencoderKL,
    "AsymmetricAutoencoderKL": AsymmetricAutoencoderKL,
    "AutoencoderTiny": AutoencoderTiny,
    "CLIPTextModel": CLIPTextModel,
    "CLIPTextModelWithProjection": CLIPTextModelWithProjection,
    "StableDiffusionSafetyChecker": StableDiffusionSafetyChecker,
}

SOURCE = f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch {torch.__version__} (CPU, float32)"


def numbers(seed, *shape):
    return torch.from_numpy(bell(seed, shape)).float()


def unet(model, seed, timestep, size=(16, 16), tokens=77, time_ids=None, controlled=False):
    """A UNet's noise, or a ControlNet's residuals, for two rows of latents."""
    config, (height, width) = model.config, size
    text = numbers(f"{seed}/text", 2, tokens, config.cross_attention_dim)
    inputs = {"sample": numbers(f"{seed}/sample", 2, config.in_channels, height, width)}
    inputs |= {"timestep": torch.full((2,), float(timestep)), "encoder_hidden_states_diffusers": text}
    options, added = {}, {}
    if config.get("time_cond_proj_dim"):
        options["timestep_cond"] = numbers(f"{seed}/timestep_cond", 2, config.time_cond_proj_dim)
    if time_ids:
        added["time_ids"] = torch.tensor(time_ids).float()
        sinusoids = added["time_ids"].shape[1] * config.addition_time_embed_dim
        width_of_text = config.projection_class_embeddings_input_dim - sinusoids
        added["text_embeds"] = numbers(f"{seed}/text_embeds", 2, width_of_text)
    if isinstance(model, ControlNetModel):
        options["controlnet_cond"] = torch.sigmoid(numbers(f"{seed}/controlnet_cond", 2, 3, 8 * height, 8 * width))
    inputs |= options | added
    if controlled:
        shapes = residual_shapes(model, inputs, added)
        residuals = [numbers(f"{seed}/residual_{i}", *shape) for i, shape in enumerate(shapes)]
        inputs |= {f"additional_residual_{i}": residual for i, residual in enumerate(residuals)}
        options["down_block_additional_residuals"] = tuple(residuals[:-1])
        options["mid_block_additional_residual"] = residuals[-1]

    result = model(inputs["sample"], inputs["timestep"], text, added_cond_kwargs=added or None, **options)
    # Apple's layout of the same.
    inputs["encoder_hidden_states"] = text.transpose(1, 2).unsqueeze(2)
    if isinstance(model, UNet2DConditionModel):
        return inputs | {"noise_pred": result.sample}
    residuals = [*result.down_block_res_samples, result.mid_block_res_sample]
    return inputs | {f"additional_residual_{i}": residual for i, residual in enumerate(residuals)}


def residual_shapes(model, inputs, added):
    """The shapes of a UNet's skip connections and, last, of its middle."""
    shapes = []
    hooks = [model.conv_in.register_forward_hook(lambda _, __, output: shapes.append(output.shape))]
    for block in model.down_blocks:
        hooks.append(block.register_forward_hook(lambda _, __, output: shapes.extend(each.shape for each in output[1])))
    hooks.append(model.mid_block.register_forward_hook(lambda _, __, output: shapes.append(output.shape)))
    model(inputs["sample"], inputs["timestep"], inputs["encoder_hidden_states_diffusers"], added_cond_kwargs=added)
    for hook in hooks:
        hook.remove()
    return shapes


def text_encoder(model, seed, prompt, pad=49407):
    """Ids as transformers' tokenizer gives them, recorded before: `pad` follows the first end of text."""
    ids = next(each["ids"] for each in prompts() if each["prompt"] == prompt)
    input_ids = torch.tensor([ids + [pad] * (77 - len(ids))], dtype=torch.int32)
    result = model(input_ids.long(), output_hidden_states=True)
    pooled = result.text_embeds if "text_embeds" in result else result.pooler_output
    return {
        "input_ids": input_ids,
        "hidden_embeds": result.hidden_states[-2],
        "last_hidden_state": result.last_hidden_state,
        "pooled_outputs": pooled,
    }


@functools.cache
def prompts():
    return json.loads((Path(sys.argv[2]) / "tokenizer/hf5.json").read_text())


def vae_decoder(model, seed, shape):
    z = numbers(f"{seed}/z", *shape)
    if isinstance(model, AutoencoderTiny):
        z = 2 * z
    return {"z": z, "image": model.decode(z).sample}


def vae_encoder(model, seed, shape):
    x = (0.5 * numbers(f"{seed}/x", *shape)).clamp(-1, 1)
    encoded = model.encode(x)
    if isinstance(model, AutoencoderTiny):
        return {"x": x, "latents": encoded.latents}
    return {"x": x, "latent": encoded.latent_dist.parameters}


def safety_checker(model, seed, picture, adjustment=0.0):
    """The score of each concept: how far the picture is above its threshold. The picture is kept once, in the first."""
    clip_input = numbers(f"safety_checker/{picture}", 1, 3, 224, 224)
    half = StableDiffusionSafetyChecker(model.config).eval()
    half.load_state_dict({name: each.half().float() for name, each in model.state_dict().items()})
    scores, rounded = (concept_scores(each, clip_input, adjustment) for each in (model, half))
    flagged = (scores > 0).any().float()
    if adjustment == 0:
        _, found = model.forward_onnx(clip_input, torch.ones(1, 8, 8, 3))
        assert bool(found) == bool(flagged)
    recorded = {"adjustment": torch.tensor([adjustment])} | ({} if adjustment else {"clip_input": clip_input})
    recorded |= {"concept_scores": scores, "concept_scores_w16": rounded}
    return recorded | {"has_nsfw_concepts": flagged.reshape(1, 1, 1, 1)}


def concept_scores(model, clip_input, adjustment):
    """StableDiffusionSafetyChecker.forward_onnx, with an adjustment of what calls for special care."""
    embedding = torch.nn.functional.normalize(model.visual_projection(model.vision_model(clip_input)[1]))

    def above_threshold(embeds, thresholds):
        return embedding @ torch.nn.functional.normalize(embeds).T - thresholds

    special = above_threshold(model.special_care_embeds, model.special_care_embeds_weights) + adjustment
    care = (special > 0).any(1, keepdim=True).float()
    return above_threshold(model.concept_embeds, model.concept_embeds_weights) + 0.01 * care


ASTRONAUT = "a photo of an astronaut riding a horse on mars"
MANY_TOKENS = "masterpiece, best quality, 1girl, solo, (blue eyes:1.2), [red hair], {{detailed}}"
SMALL, LARGE = [[128, 128, 0, 0, 128, 128]] * 2, [[1024, 768, 16, 32, 512, 1024]] * 2
# Neither square nor whole chunks of 512 queries: 768 of them.
ODD = {"size": (32, 24), "tokens": 7, "timestep": 801}
UNLIKE = [[1024, 768, 0, 32, 1024, 768], [512, 640, 16, 0, 1024, 768]]

# The golden: the component, how it is called, with what.
RECORDINGS = {
    "sd15-wide/unet": ("sd15-wide-f16/unet", unet, {"timestep": 981}),
    "sd15-wide/unet.case1": ("sd15-wide-f16/unet", unet, {"timestep": 500}),
    "sd15-wide/unet.case2": ("sd15-wide-f16/unet", unet, {"timestep": 1}),
    "sd21/unet": ("sd21/unet", unet, {"timestep": 981}),
    "sd21/unet.case1": ("sd21/unet", unet, {"timestep": 500}),
    "sd21/unet.case2": ("sd21/unet", unet, {"timestep": 1}),
    "sdxl/unet": ("sdxl/unet", unet, {"timestep": 981, "time_ids": SMALL}),
    "sdxl/unet.case1": ("sdxl/unet", unet, {"timestep": 500, "time_ids": LARGE}),
    "sdxl/control-unet.case1": ("sdxl/unet", unet, {"timestep": 500, "time_ids": LARGE, "controlled": True}),
    "controlnet-sd15/controlnet": ("controlnet-sd15", unet, {"timestep": 981, "size": (16, 8)}),
    **{
        f"variants/{kind}/unet": (f"variants/{kind}/unet", unet, ODD)
        for kind in ("lcm", "inpainting", "pix2pix", "small-middle", "no-middle", "uneven")
    },
    **{
        f"variants/{kind}/unet": (f"variants/{kind}/unet", unet, ODD | {"time_ids": UNLIKE})
        for kind in ("ssd-1b", "koala")
    },
    "variants/controlnet-xl/controlnet": (
        "variants/controlnet-xl/controlnet",
        unet,
        ODD | {"size": (8, 6), "time_ids": UNLIKE},
    ),
    "sd21/text_encoder": ("sd21/text_encoder", text_encoder, {"prompt": ASTRONAUT, "pad": 0}),
    "sd21/text_encoder.case1": ("sd21/text_encoder", text_encoder, {"prompt": "", "pad": 0}),
    "sd21/text_encoder.case2": ("sd21/text_encoder", text_encoder, {"prompt": MANY_TOKENS, "pad": 0}),
    "sdxl/text_encoder": ("sdxl/text_encoder", text_encoder, {"prompt": ASTRONAUT}),
    "sdxl/text_encoder.case2": ("sdxl/text_encoder", text_encoder, {"prompt": MANY_TOKENS}),
    "sdxl/text_encoder_2": ("sdxl/text_encoder_2", text_encoder, {"prompt": ASTRONAUT, "pad": 0}),
    "sdxl/text_encoder_2.case2": ("sdxl/text_encoder_2", text_encoder, {"prompt": MANY_TOKENS, "pad": 0}),
    **{
        f"{name}/vae_decoder{case}": (f"{checkpoint}/vae", vae_decoder, {"shape": (1, 4, 16, width)})
        for name, checkpoint in (("sd15-wide", "sd15-wide-f16"), ("sd21", "sd21"), ("sdxl", "sdxl"))
        for case, width in (("", 16), (".case1", 24))
        if (name, case) != ("sdxl", ".case1")
    },
    **{
        f"{name}/vae_encoder{case}": (f"{checkpoint}/vae", vae_encoder, {"shape": (1, 3, 128, width)})
        for name, checkpoint in (("sd15-wide", "sd15-wide-f16"), ("sd21", "sd21"))
        for case, width in (("", 128), (".case1", 192))
    },
    "tiny-autoencoder/vae_decoder": ("tiny-autoencoder/vae", vae_decoder, {"shape": (2, 4, 4, 5)}),
    "tiny-autoencoder/vae_encoder": ("tiny-autoencoder/vae", vae_encoder, {"shape": (2, 3, 32, 40)}),
    "asymmetric-autoencoder/vae_decoder": ("asymmetric-autoencoder/vae", vae_decoder, {"shape": (2, 4, 6, 5)}),
    "asymmetric-autoencoder/vae_encoder": ("asymmetric-autoencoder/vae", vae_encoder, {"shape": (2, 3, 12, 10)}),
    # Two pictures of noise, the first of which passes; and what is left of its scores where it calls for special care.
    "safety-checker/safety_checker": ("safety-checker/safety_checker", safety_checker, {"picture": 3}),
    "safety-checker/safety_checker.case1": ("safety-checker/safety_checker", safety_checker, {"picture": 1}),
    "safety-checker/safety_checker.case2": (
        "safety-checker/safety_checker",
        safety_checker,
        {"picture": 3, "adjustment": 0.3},
    ),
}


def network_of(folder):
    config = json.loads((folder / "config.json").read_text())
    return CLASSES[config.get("_class_name") or config["architectures"][0]]


@functools.cache
def loaded(folder):
    """A component, as its users load it: every weight has its place, and every place a weight."""
    model, notes = network_of(folder).from_pretrained(folder, torch_dtype=torch.float32, output_loading_info=True)
    if any(notes[each] for each in ("missing_keys", "unexpected_keys", "mismatched_keys")):
        sys.exit(f"{folder}: {notes}")
    return model.eval()


def make_weights(fixtures):
    """Writes the files of random weights, and into the lists the SHA-256 of each and what diffusers names the tensors.

    The names of text encoders and of the safety checker are those of published files, which transformers reads, but does
    not write any more.
    """
    for path, checkpoint, files in checkpoints(fixtures):
        lines = []
        for file, entry in files.items():
            network = network_of((fixtures / checkpoint / file).parent)
            if issubclass(network, diffusers.ModelMixin):
                with torch.device("meta"):
                    model = network.from_config(network.load_config((fixtures / checkpoint / file).parent))
                entry["shapes"] = {name: list(tensor.shape) for name, tensor in sorted(model.state_dict().items())}
            made = file_bytes(f"{checkpoint}/{file}", entry)
            (fixtures / checkpoint / file).write_bytes(made)
            entry["sha256"] = hashlib.sha256(made).hexdigest()
            lines.append(f"{json.dumps(file)}: {json.dumps(entry, separators=(',', ':'))}")
        path.write_text("{\n" + ",\n".join(lines) + "\n}\n")


@torch.no_grad()
def main():
    fixtures, goldens = Path(sys.argv[1]), Path(sys.argv[2])
    make_weights(fixtures)
    for golden, (component, record, settings) in RECORDINGS.items():
        recorded = record(loaded(fixtures / component), golden, **settings)
        (goldens / golden).parent.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.contiguous() for name, tensor in recorded.items()}
        save_file(tensors, goldens / f"{golden}.safetensors", {"source": SOURCE})
        floats = {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}
        print(golden, {name: f"±{tensor.square().mean().sqrt():.2f}" for name, tensor in floats.items()}, flush=True)


if __name__ == "__main__":
    main()
