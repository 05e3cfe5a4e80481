"""Records what transformers, Pillow and diffusers make of pictures, in float32 on the CPU.

    python record_pictures.py test/goldens/pictures

`clip_WxH` is a picture (bytes
[H,W,3]) and what CLIPImageProcessor makes of it for a safety checker, of 32 × 32 pixels
instead of 224 × 224; `tiles_HxW` are latents, what a VAE decodes them to in
tiles, and what it encodes a picture to in tiles; `safety` are drawings of a pipeline with a safety checker (of test/fixtures,
whose weights are there after the first test that is run), some of which it blackened; the metadata holds the requests.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL, StableDiffusionPipeline
from diffusers.pipelines.stable_diffusion import StableDiffusionSafetyChecker
from PIL import Image
from record_drawings import ROOT
from safetensors.numpy import save_file
from transformers import CLIPImageProcessorPil

SIDE = 32


def picture(width, height):
    """Bands, and noise that no filter leaves alone."""
    y, x = np.mgrid[0:height, 0:width]
    bands = np.stack([x * 255 / width, y * 255 / height, 127 * np.sin((x + y) / 9) + 128], axis=-1)
    noise = np.random.RandomState(width).randint(-40, 40, bands.shape)
    return np.clip(np.round(bands + noise), 0, 255).astype(np.uint8)


def record_clip(target):
    processor = CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    for width, height in [(64, 64), (75, 40), (24, 31)]:
        pixels = picture(width, height)
        seen = processor(Image.fromarray(pixels), return_tensors="np").pixel_values[0]
        # The processor computes from bytes; these are kept.
        means, deviations = (np.array(each)[:, None, None] for each in (processor.image_mean, processor.image_std))
        seen = np.round((seen * deviations + means) * 255).astype(np.uint8)
        save_file({"picture": pixels, "clip_input": seen}, target / f"clip_{width}x{height}.safetensors")


@torch.no_grad()
def record_tiles(target):
    vae = AutoencoderKL.from_pretrained(ROOT / "models/sd-shapes", subfolder="vae", torch_dtype=torch.float32)
    vae.enable_tiling()
    scale = vae.tile_sample_min_size // vae.tile_latent_min_size
    for height, width in [(15, 11)]:
        latents = torch.randn(1, 4, height, width, generator=torch.Generator().manual_seed(height))
        pixels = picture(width * scale, height * scale)
        image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
        decoded, encoded = vae.decode(latents).sample, vae.encode(image).latent_dist.parameters
        recorded = {"latents": latents, "decoded": decoded, "encoded": encoded}
        tensors = {name: each.contiguous().numpy() for name, each in recorded.items()}
        save_file({"picture": pixels, **tensors}, target / f"tiles_{height}x{width}.safetensors")


def record_safety(target):
    parts = {
        "safety_checker": StableDiffusionSafetyChecker.from_pretrained(
            ROOT / "test/fixtures/safety-checker/safety_checker", torch_dtype=torch.float32
        ),
        "feature_extractor": CLIPImageProcessorPil(),
    }
    pipeline = StableDiffusionPipeline.from_pretrained(ROOT / "models/sd-shapes", torch_dtype=torch.float32, **parts)
    pipeline.set_progress_bar_config(disable=True)
    requests, pictures, flags = [], [], []
    for prompt, seed in [("a green triangle", 2), ("a blue square", 2), ("a red circle", 0)]:
        requests.append({"prompt": prompt, "seed": seed, "steps": 4, "guidance_scale": 3.0})
        generator = torch.Generator().manual_seed(seed)
        drawn = pipeline(prompt, num_inference_steps=4, guidance_scale=3.0, generator=generator)
        pictures.append(np.asarray(drawn.images[0]))
        flags += drawn.nsfw_content_detected
    print("withheld", flags)
    tensors = {"pictures": np.stack(pictures), "withheld": np.array(flags)}
    save_file(tensors, target / "safety.safetensors", {"requests": json.dumps(requests)})


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    record_clip(folder)
    record_tiles(folder)
    record_safety(folder)
