"""Records whole drawings of diffusers' pipelines on checkpoints of this repository, in float32 on the CPU.

    python record_drawings.py test/goldens/drawings

The weights of test/fixtures have to be there: the first test that is run makes them. Each file holds the picture (bytes [H,W,3]), the latents it was decoded from, and the picture that it began with, if any;
the metadata says the rest. The noise is torch's, by the seed.
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from diffusers import StableDiffusionImg2ImgPipeline, StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline
from PIL import Image
from safetensors.numpy import save_file
from transformers import CLIPTokenizer

ROOT = Path(__file__).parents[2]
SEED, STEPS, GUIDANCE = 7, 8, 5.0
PROMPT = "a photo of an astronaut riding a horse on mars"


def tokenizer(padding):
    """CLIP's tokenizer as it comes with sdconvert; checkpoints for tests have none."""
    assets = ROOT / "assets/tokenizers"
    with tempfile.TemporaryDirectory() as folder:
        for file in [assets / "vocab.json", assets / "merges.txt", *(assets / padding).iterdir()]:
            shutil.copy(file, folder)
        return CLIPTokenizer.from_pretrained(folder)


def picture(size):
    """Stripes of three colours, no two pixels of a row alike."""
    y, x = np.mgrid[0:size, 0:size] / (size - 1)
    bands = np.stack([x, y, np.sin(9 * (x + y)) / 2 + 0.5], axis=-1)
    return np.round(255 * bands).astype(np.uint8)


def record(target, name, pipeline, options, begin=None):
    pipeline.set_progress_bar_config(disable=True)
    given = {} if begin is None else {"image": Image.fromarray(begin)}

    def run(output_type):
        generator = torch.Generator("cpu").manual_seed(SEED)
        shared = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE, "generator": generator}
        return pipeline(**options, **given, **shared, output_type=output_type).images

    latents = run("latent").numpy()
    tensors = {"latents": latents, "image": np.asarray(run("pil")[0])}
    if begin is not None:
        tensors["begin"] = begin
    settings = {"seed": SEED, "steps": STEPS, "guidance_scale": GUIDANCE, **options}
    source = f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
    save_file(tensors, target / f"{name}.safetensors", {"request": json.dumps(settings), "source": source})
    print(name, latents.std())


def main():
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    float32 = {"torch_dtype": torch.float32}

    tokenizers = {"tokenizer": tokenizer("pad-end-of-text"), "tokenizer_2": tokenizer("pad-exclamation-mark")}
    xl = StableDiffusionXLPipeline.from_pretrained(ROOT / "test/fixtures/sdxl", **tokenizers, **float32)
    record(target, "sdxl", xl, {"prompt": PROMPT})
    sizes = {"original_size": (96, 160), "crops_coords_top_left": (8, 16)}
    record(target, "sdxl_sizes", xl, {"prompt": PROMPT, "negative_prompt": "", **sizes})
    record(
        target,
        "sdxl_image",
        StableDiffusionXLImg2ImgPipeline(**xl.components),
        {"prompt": PROMPT, "strength": 0.5},
        picture(128),
    )

    shapes = StableDiffusionImg2ImgPipeline.from_pretrained(ROOT / "models/sd-shapes", **float32)
    for strength in [0.6, 1.0]:
        options = {"prompt": "a red circle", "negative_prompt": "a square", "strength": strength}
        record(target, f"sd-shapes_image_{strength}", shapes, options, picture(64))


if __name__ == "__main__":
    main()
