"""Records whole runs of diffusers' pipelines on the tiny checkpoints of test/fixtures, in float32 on the CPU.

    python record_pipelines.py ../goldens/pipelines

The weights of test/fixtures have to be there: the first test that is run makes them. Each file holds the latents after
every step [steps, pictures, 4, 8, 8], and some the first picture before rounding [3, 64, 64], as float16 (its rounding is 77 dB
away); the metadata says what was asked. pictures.safetensors holds what pipelines start from: image, mask and conditioning
images of ControlNets, as bytes. The noise is torch's, by the seed.
"""

import json
import sys
from pathlib import Path

import diffusers
import torch
import transformers
from diffusers import (
    AutoencoderKL,
    ControlNetModel,
    StableDiffusionControlNetImg2ImgPipeline,
    StableDiffusionControlNetInpaintPipeline,
    StableDiffusionControlNetPipeline,
    StableDiffusionImg2ImgPipeline,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    StableDiffusionXLControlNetPipeline,
    StableDiffusionXLImg2ImgPipeline,
    StableDiffusionXLInpaintPipeline,
    StableDiffusionXLInstructPix2PixPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from PIL import Image
from record_drawings import picture, tokenizer
from safetensors.numpy import save_file
from transformers import CLIPTextModel, CLIPTextModelWithProjection

FIXTURES = Path(__file__).parents[1] / "fixtures"
SIZE, SEED, STEPS, GUIDANCE = 64, 7, 5, 5.0
PROMPT, NEGATIVE = "a photo of an astronaut riding a horse on mars", "blurry"
NOISE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "steps_offset": 1}
DECODED = ["inpainting", "masked_part", "edited", "xl_edited", "lcm", "turbo"]
DECODED += ["control_two", "xl_control", "xl_refined", "statistics"]
SOURCE = f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch {torch.__version__} (CPU, float32)"


def load(cls, path):
    return cls.from_pretrained(FIXTURES / path, torch_dtype=torch.float32).eval()


def mask():
    """A disc, grey at its edge, left of the middle."""
    values = picture(SIZE)
    for y in range(SIZE):
        for x in range(SIZE):
            values[y, x] = max(0, min(255, round(255 - 16 * (((x - 24) ** 2 + (y - 32) ** 2) ** 0.5 - 12))))
    return values


PICTURES = {
    "image": picture(SIZE),
    "mask": mask(),
    "control": picture(SIZE)[::-1].copy(),
    "control_1": picture(SIZE).transpose(1, 0, 2).copy(),
}


def shown(*names):
    images = [Image.fromarray(PICTURES[name]) for name in names]
    return images if len(images) > 1 else images[0]


def sd(cls, unet="drawing/unet", **more):
    """A pipeline of the family of Stable Diffusion 1."""
    return cls(
        vae=load(AutoencoderKL, "drawing/vae"),
        text_encoder=load(CLIPTextModel, "drawing/text_encoder"),
        tokenizer=tokenizer("pad-end-of-text"),
        unet=load(UNet2DConditionModel, unet),
        scheduler=None,
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
        **more,
    )


def xl(cls, unet="drawing/xl-unet", **more):
    """A pipeline of the family of Stable Diffusion XL."""
    return cls(
        vae=load(AutoencoderKL, "sdxl/vae"),
        text_encoder=load(CLIPTextModel, "sdxl/text_encoder"),
        text_encoder_2=load(CLIPTextModelWithProjection, "sdxl/text_encoder_2"),
        tokenizer=tokenizer("pad-end-of-text"),
        tokenizer_2=tokenizer("pad-exclamation-mark"),
        unet=load(UNet2DConditionModel, unet),
        scheduler=None,
        add_watermarker=False,
        **more,
    )


def refiner():
    pipeline = xl(
        StableDiffusionXLImg2ImgPipeline,
        "drawing/xl-refiner",
        force_zeros_for_empty_prompt=False,
        requires_aesthetics_score=True,
    )
    pipeline.register_modules(text_encoder=None, tokenizer=None)
    return pipeline


def run(pipeline, scheduler, steps, options, generator):
    """The latents after every step, and what the pipeline gives."""
    name, settings = scheduler
    pipeline.scheduler = getattr(diffusers, name).from_config(NOISE | settings)
    pipeline.set_progress_bar_config(disable=True)
    seen = []

    def on_step(_pipeline, _step, _timestep, state):
        seen.append(state["latents"].clone())
        return state

    follow = {"callback_on_step_end": on_step}
    if isinstance(pipeline, StableDiffusionXLInstructPix2PixPipeline):  # it has diffusers' older way only
        follow = {"callback": lambda _step, _timestep, latents: seen.append(latents.clone())}
    result = pipeline(num_inference_steps=steps, generator=generator, output_type="latent", **follow, **options)
    return seen, result.images


def decoded(vae, latents):
    """The picture before rounding, as diffusers' pipelines decode it."""
    mean, std = 0, 1
    if vae.config.latents_mean is not None:
        mean, std = (torch.tensor(vae.config[key]).view(1, 4, 1, 1) for key in ("latents_mean", "latents_std"))
    with torch.no_grad():
        picture = vae.decode(latents * std / vae.config.scaling_factor + mean).sample[0]
    return picture.half().contiguous().numpy()


def record(target, name, pipelines, scheduler, pictures=(), given=(), options=(), steps=STEPS):
    """`given`: what generate is asked for; `options`: what diffusers is asked for beside it."""
    given = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": GUIDANCE} | dict(given)
    generator = torch.Generator("cpu").manual_seed(SEED)
    latents, last = [], None
    for pipeline, own in pipelines:
        named = {key: given[key] for key in ("prompt", "negative_prompt", "guidance_scale")}
        if last is not None:
            named["image"] = last
        seen, last = run(pipeline, scheduler, steps, named | dict(options) | own, generator)
        latents += seen
    tensors = {"latents": torch.stack(latents).contiguous().numpy()}
    if name in DECODED:
        tensors["decoded"] = decoded(pipelines[-1][0].vae, last[:1])
    config = {"_class_name": scheduler[0]} | NOISE | scheduler[1]
    request = {"seed": SEED, "steps": steps, "scheduler": config, "pictures": pictures, **given}
    save_file(tensors, target / f"{name}.safetensors", {"request": json.dumps(request), "source": SOURCE})
    print(name, tensors["latents"].shape, [f"±{each.std():.2f}" for each in latents], flush=True)


EULER = ("EulerDiscreteScheduler", {"timestep_spacing": "leading"})
ANCESTRAL = ("EulerAncestralDiscreteScheduler", {})
PNDM = ("PNDMScheduler", {"skip_prk_steps": True})
DDIM = ("DDIMScheduler", {"clip_sample": False, "set_alpha_to_one": False})
DPM = ("DPMSolverMultistepScheduler", {})
HEUN = ("HeunDiscreteScheduler", {})
LCM = ("LCMScheduler", {})
EDM = ("EDMEulerScheduler", {})
TRAILING = ("EulerAncestralDiscreteScheduler", {"timestep_spacing": "trailing"})
SQUARE = {"height": SIZE, "width": SIZE}


def record_inpainting(target):
    own, other = (sd(StableDiffusionInpaintPipeline, unet) for unet in ("variants/inpainting/unet", "drawing/unet"))
    both = {"image": shown("image"), "mask_image": shown("mask"), **SQUARE}
    for name, pipeline, scheduler, strength in [
        ("inpainting", own, PNDM, 1.0),
        ("inpainting_part", own, DDIM, 0.6),
        ("masked", other, ANCESTRAL, 1.0),
        ("masked_part", other, DPM, 0.7),
        ("masked_heun", other, HEUN, 0.7),
    ]:
        given = {"strength": strength}
        record(target, name, [(pipeline, {})], scheduler, ["image", "mask"], given, both | given)
    own, other = (xl(StableDiffusionXLInpaintPipeline, f"drawing/{unet}") for unet in ("xl-inpainting", "xl-unet"))
    for name, pipeline, strength in [
        ("xl_inpainting", own, 1.0),
        ("xl_inpainting_part", own, 0.6),
        ("xl_masked", other, 0.7),
    ]:
        given = {"strength": strength}
        record(target, name, [(pipeline, {})], EULER, ["image", "mask"], given, both | given)


def record_editing(target):
    pipeline = sd(StableDiffusionInstructPix2PixPipeline, "variants/pix2pix/unet")
    for name, given in [
        ("edited", {"image_guidance_scale": 1.7}),
        ("edited_unguided", {"image_guidance_scale": 0.5}),
    ]:
        record(target, name, [(pipeline, {})], EULER, ["image"], given, {"image": shown("image")} | given)
    for name, own in [("xl_edited", {}), ("xl_edited_cos", {"is_cosxl_edit": True})]:
        pipeline = xl(StableDiffusionXLInstructPix2PixPipeline, "drawing/xl-pix2pix", **own)
        given = {"image_guidance_scale": 1.7}
        record(target, name, [(pipeline, {})], EULER, ["image"], given, {"image": shown("image")} | SQUARE | given)


def record_statistics(target):
    """A VAE whose config says what its latents are like, as Playground 2.5's does."""
    pipeline = xl(StableDiffusionXLImg2ImgPipeline)
    statistics = {"latents_mean": [-1.5, 1.75, -1.25, 2.5], "latents_std": [8.5, 6, 6.5, 5.25]}
    pipeline.vae.register_to_config(scaling_factor=0.5, **statistics)
    given = {"strength": 0.6}
    record(target, "statistics", [(pipeline, {})], EDM, ["image"], given, {"image": shown("image")} | given)


def record_few_steps(target):
    distilled = sd(StableDiffusionPipeline, "variants/lcm/unet")
    record(target, "lcm", [(distilled, {})], LCM, given={"guidance_scale": 8.5}, options=SQUARE, steps=4)
    image = sd(StableDiffusionImg2ImgPipeline, "variants/lcm/unet")
    given = {"guidance_scale": 3.0, "strength": 0.5}
    options = {"image": shown("image"), "strength": 0.5}
    record(target, "lcm_image", [(image, {})], LCM, ["image"], given, options, steps=4)
    turbo = xl(StableDiffusionXLPipeline)
    record(target, "turbo", [(turbo, {})], TRAILING, given={"guidance_scale": 0.0}, options=SQUARE, steps=2)
    plain = sd(StableDiffusionPipeline)
    given = {"image_count": 2}
    record(target, "two_pictures", [(plain, {})], ANCESTRAL, given=given, options=SQUARE | {"num_images_per_prompt": 2})


def record_control(target):
    nets = [load(ControlNetModel, f"drawing/{name}") for name in ("controlnet", "controlnet_1")]

    def asked(scales, starts, ends):
        """What diffusers is asked for, and generate."""
        keys = ("controlnet_conditioning_scale", "control_guidance_start", "control_guidance_end")
        values = [each[0] if len(each) == 1 else each for each in (scales, starts, ends)]
        return dict(zip(keys, values)), {"scales": scales, "starts": starts, "ends": ends}

    one = sd(StableDiffusionControlNetPipeline, controlnet=nets[0])
    options, given = asked([0.8], [0.0], [0.6])
    record(target, "control", [(one, {})], EULER, ["control"], given, options | {"image": shown("control")} | SQUARE)

    two = sd(StableDiffusionControlNetPipeline, controlnet=nets)
    options, given = asked([0.8, 1.3], [0.25, 0.5], [1.0, 0.9])
    options |= {"image": shown("control", "control_1"), **SQUARE}
    record(target, "control_two", [(two, {})], DPM, ["control", "control_1"], given, options)

    options, given = asked([1.0], [0.0], [1.0])
    both = {"image": shown("image"), "control_image": shown("control"), "strength": 0.7, **SQUARE}
    image = sd(StableDiffusionControlNetImg2ImgPipeline, controlnet=nets[0])
    given |= {"strength": 0.7}
    record(target, "control_image", [(image, {})], DDIM, ["image", "control"], given, options | both)
    masked = sd(StableDiffusionControlNetInpaintPipeline, "variants/inpainting/unet", controlnet=nets[0])
    both |= {"mask_image": shown("mask")}
    record(target, "control_masked", [(masked, {})], EULER, ["image", "mask", "control"], given, options | both)

    whole = xl(StableDiffusionXLControlNetPipeline, controlnet=load(ControlNetModel, "drawing/xl-controlnet"))
    options, given = asked([0.9], [0.0], [1.0])
    record(target, "xl_control", [(whole, {})], EULER, ["control"], given, options | {"image": shown("control")} | SQUARE)


def record_refined(target):
    base, second = xl(StableDiffusionXLPipeline), refiner()
    for name, scheduler, start in [("xl_refined", EULER, 0.6), ("xl_refined_heun", HEUN, 0.5)]:
        own = [(base, {"denoising_end": start, **SQUARE}), (second, {"denoising_start": start})]
        record(target, name, own, scheduler, given={"refiner_start": start})
    options = {"image": shown("image"), "strength": 0.5}
    record(target, "refiner_alone", [(second, {})], EULER, ["image"], {"strength": 0.5}, options)


def main():
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    save_file(PICTURES, target / "pictures.safetensors", {"source": SOURCE})
    every = [record_inpainting, record_editing, record_statistics, record_few_steps, record_control, record_refined]
    for record_some in every:
        record_some(target)


if __name__ == "__main__":
    main()
