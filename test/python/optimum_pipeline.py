"""Draws a picture with optimum from an ONNX folder and with diffusers from its checkpoint, and compares them.

    python optimum_pipeline.py --onnx DIR --checkpoint DIR [--prompt ... --steps 20 --guidance 3 --seed 0 --min-psnr 40]

Both start from the same noise. optimum draws twice: copying arrays, as on a CPU, and binding buffers, as it does on a
GPU, where it works output sizes out from the symbols that the models declare.
"""

import argparse
import os
import sys

os.environ["HF_HUB_OFFLINE"] = "1"  # what is missing must fail, not be looked for elsewhere

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from optimum.onnxruntime import ORTStableDiffusionPipeline


def draw(pipeline, noise, args):
    """The picture (height, width, 3) in 0 to 1 and the latents after each step."""
    steps = []

    def keep(_pipeline, _index, _timestep, state):
        steps.append(state["latents"].clone())
        return state

    pipeline.set_progress_bar_config(disable=True)
    picture = pipeline(
        args.prompt,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        latents=noise.clone(),
        callback_on_step_end=keep,
        output_type="np",
    ).images[0]
    return picture, torch.stack(steps)


def psnr(reference, picture):
    error = np.mean((reference.astype(np.float64) - picture) ** 2)
    return np.inf if error == 0 else -10 * np.log10(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--onnx", required=True)
    parser.add_argument("--checkpoint", required=True)
    parser.add_argument("--prompt", default="a large red circle on a white background")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-psnr", type=float, default=40)
    args = parser.parse_args()

    reference = StableDiffusionPipeline.from_pretrained(args.checkpoint, torch_dtype=torch.float32)
    size, channels = reference.unet.config.sample_size, reference.unet.config.in_channels
    noise = torch.randn(1, channels, size, size, generator=torch.Generator().manual_seed(args.seed))
    expected, expected_latents = draw(reference, noise, args)

    failed = 0
    for use_io_binding in (False, True):
        pipeline = ORTStableDiffusionPipeline.from_pretrained(args.onnx, export=False, use_io_binding=use_io_binding)
        picture, latents = draw(pipeline, noise, args)
        decibels, difference = psnr(expected, picture), (latents - expected_latents).abs().max()
        right = decibels >= args.min_psnr
        failed += not right
        print(
            f"{'ok  ' if right else 'FAIL'} optimum {'with bound buffers' if use_io_binding else 'with arrays'}:"
            f" picture {decibels:.1f} dB (at least {args.min_psnr:g}), latents differ by at most {difference:.2e}"
        )
    print(f"{2 - failed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
