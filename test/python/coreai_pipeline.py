"""Draws with a folder of Core AI assets in Apple's own runtime, in the order of Apple's pipeline, and compares the picture.

    sdconvert MODEL --target onnx,coreai --precision float32 -o OUT
    sdconvert generate -i OUT/onnx --scheduler pndm --rng numpy --seed 0 --guidance-scale 3 --prompt ... -o PICTURES
    python coreai_pipeline.py --assets OUT/CoreAI --picture PICTURES/x.png --prompt ...

The order is that of apple/coreai-models (StableDiffusionPipeline.swift): inputs by position, the row without the prompt first,
one float32 step for each row, latents divided by the scale before they are decoded. Needs coreai-core; runs on Linux.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

TEMPORARY = tempfile.TemporaryDirectory()  # the runtime leaves a compiled copy of each asset
os.environ["TMPDIR"] = TEMPORARY.name

import numpy as np
from coreai.authoring import AIModelAsset
from coreai.runtime import NDArray
from PIL import Image

BEGIN, END, TOKENS = 49406, 49407, 77
DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32}


class Tokenizer:
    """Token ids as Apple's tokenizer gives them: lower case, words between spaces, filled up with the end token."""

    def __init__(self, folder):
        self.vocabulary = json.loads((folder / "vocab.json").read_text())
        lines = (folder / "merges.txt").read_text().splitlines()
        self.ranks = {tuple(line.split()): rank for rank, line in enumerate(lines) if len(line.split()) == 2}

    def pieces(self, word):
        parts = [*word[:-1], word[-1] + "</w>"]
        while len(parts) > 1:
            rank, at = min((self.ranks.get(pair, np.inf), at) for at, pair in enumerate(zip(parts, parts[1:])))
            if rank == np.inf:
                break
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        return parts

    def __call__(self, prompt):
        ids = [self.vocabulary[piece] for word in prompt.lower().split() for piece in self.pieces(word)]
        ids = [BEGIN, *ids[: TOKENS - 2], END]
        return np.array([ids + [END] * (TOKENS - len(ids))], np.int32)


def alphas_of(scheduler):
    """Products of the alphas, float32: the betas are scaled-linear whatever the scheduler says."""
    ends = np.sqrt(np.float32(scheduler["beta_start"])), np.sqrt(np.float32(scheduler["beta_end"]))
    betas = np.linspace(*ends, scheduler["training_steps"], dtype=np.float32) ** 2
    return np.cumprod(1 - betas, dtype=np.float32)


def noise_of(output, sample, alpha, prediction):
    """The noise in a sample, from what the UNet predicts."""
    if prediction == "v_prediction":
        return np.sqrt(alpha) * output + np.sqrt(1 - alpha) * sample
    return output


class Pndm:
    """Pseudo linear multistep of Liu et al. 2022 (arXiv 2202.09778), as diffusers steps without the Runge-Kutta part."""

    def __init__(self, steps, alphas, prediction):
        self.alphas, self.prediction = alphas, prediction
        self.stride = len(alphas) // steps
        forward = np.arange(steps) * self.stride + 1
        self.timesteps = [*forward[:-1], forward[-2], forward[-1]][::-1]
        self.outputs, self.count = [], 0

    def step(self, output, timestep, sample):
        to = timestep - self.stride
        if self.count == 1:  # the second call repeats the first step, now with the mean of both slopes
            timestep, to, sample = timestep + self.stride, timestep, self.first
            slope = (output + self.outputs[-1]) / 2
        else:
            self.outputs = [*self.outputs[-3:], output]
            weights = {1: [1], 2: [3, -1], 3: [23, -16, 5], 4: [55, -59, 37, -9]}[len(self.outputs)]
            slope = sum(w * e for w, e in zip(weights, reversed(self.outputs))) / sum(weights)
        if self.count == 0:
            self.first = sample
        self.count += 1
        now, then = self.alphas[timestep], self.alphas[max(to, 0)]
        noise = noise_of(slope, sample, now, self.prediction)
        denominator = now * np.sqrt(1 - then) + np.sqrt(now * (1 - now) * then)
        return np.sqrt(then / now) * sample - (then - now) * noise / denominator


class DpmSolver:
    """DPM-Solver++ of second order (Lu et al. 2022, arXiv 2211.01095) as Apple steps: the last two of first order, down to step 0."""

    def __init__(self, steps, alphas, prediction):
        self.alpha, self.sigma, self.prediction = np.sqrt(alphas), np.sqrt(1 - alphas), prediction
        self.level = (np.log(self.alpha) - np.log(self.sigma)).astype(np.float64)
        self.timesteps = [round(t) for t in np.linspace(0, len(alphas) - 1, steps + 1)[:0:-1]]
        self.before = None

    def step(self, output, timestep, sample):
        at = self.timesteps.index(timestep)
        to = self.timesteps[at + 1] if at + 1 < len(self.timesteps) else 0
        noise = noise_of(output, sample, self.alpha[timestep] ** 2, self.prediction)
        clean = (sample - self.sigma[timestep] * noise) / self.alpha[timestep]
        width = self.level[to] - self.level[timestep]
        slope = clean
        if self.before is not None and at < len(self.timesteps) - 2:
            earlier, other = self.before
            ratio = (self.level[timestep] - self.level[earlier]) / width
            slope = clean + (clean - other) / (2 * ratio)
        self.before = timestep, clean
        return self.sigma[to] / self.sigma[timestep] * sample - self.alpha[to] * np.expm1(-width) * slope


SCHEDULERS = {"pndm": Pndm, "dpm": DpmSolver}


class Function:
    """The function `main` of an asset: arrays in the order of its inputs → its outputs, in order."""

    def __init__(self, function):
        self.function, self.about = function, function.desc

    async def __call__(self, *arrays):
        names = list(self.about.input_names)
        if len(names) != len(arrays):
            sys.exit(f"an asset takes {names}, and {len(arrays)} arrays are passed")
        feeds = {}
        for name, array in zip(names, arrays):
            wanted = self.about.input_descriptor(name)
            # A rank that does not fit would end the process by a trap.
            if list(wanted.shape) != list(array.shape):
                sys.exit(f"{name} is {list(wanted.shape)}, and {list(array.shape)} is passed")
            feeds[name] = NDArray(np.array(array, DTYPES[str(wanted.dtype)], order="C"))
        results = await self.function(feeds)
        return [np.array(results[name].numpy(), np.float32) for name in self.about.output_names]


async def draw(folder, args):
    about = json.loads((folder / "metadata.json").read_text())
    diffusion, size = about["diffusion"], about["diffusion"]["image_size"] // 8
    tokenizer = Tokenizer(folder)
    async with AsyncExitStack() as stack:

        async def load(component):
            asset = AIModelAsset.load(str(folder / about["assets"][component]))
            model = await stack.enter_async_context(asset.executable())
            return Function(model.load_function("main"))

        encode, denoise, decode = [await load(name) for name in ("text_encoder", "unet", "vae_decoder")]

        async def encoded(prompt):
            outputs = await encode(tokenizer(prompt))
            return next(output for output in outputs if output.ndim == 3)

        text = np.concatenate([await encoded(args.negative_prompt), await encoded(args.prompt)])
        noise = np.random.RandomState(args.seed).standard_normal((1, 4, size, size))
        latents = noise.astype(np.float32)
        alphas = alphas_of(diffusion["scheduler"])
        scheduler = SCHEDULERS[args.scheduler](args.steps, alphas, diffusion["prediction_type"])
        for timestep in scheduler.timesteps:
            both = np.concatenate([latents, latents])
            (output,) = await denoise(both, np.full(2, timestep, np.float32), text)
            without, with_prompt = output[:1], output[1:]
            guided = without + np.float32(args.guidance) * (with_prompt - without)
            latents = scheduler.step(guided, timestep, latents).astype(np.float32)
        (picture,) = await decode(latents / np.float32(diffusion["decoder_scale_factor"]))
    return np.clip(picture[0].transpose(1, 2, 0) / 2 + 0.5, 0, 1)


def psnr(reference, picture):
    error = np.mean((reference.astype(np.float64) - picture) ** 2)
    return np.inf if error == 0 else 20 * np.log10(255) - 10 * np.log10(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--assets", required=True, type=Path)
    parser.add_argument("--picture", type=Path, help="the picture to compare with")
    parser.add_argument("--output", type=Path, help="where to write the picture")
    parser.add_argument("--prompt", default="a large red circle on a white background")
    parser.add_argument("--negative-prompt", default="")
    parser.add_argument("--scheduler", choices=SCHEDULERS, default="pndm")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-psnr", type=float, default=40)
    args = parser.parse_args()

    picture = np.round(asyncio.run(draw(args.assets, args)) * 255).astype(np.uint8)
    if args.output:
        Image.fromarray(picture).save(args.output)
    right = picture.std() > 10
    text = f"Apple’s runtime drew {picture.shape}"
    if args.picture:
        decibels = psnr(np.array(Image.open(args.picture).convert("RGB")), picture)
        right = right and decibels >= args.min_psnr
        text += f", {decibels:.1f} dB from {args.picture.name} (at least {args.min_psnr:g})"
    print(f"{'ok  ' if right else 'FAIL'} {text}")
    sys.stdout.flush()
    TEMPORARY.cleanup()
    os._exit(0 if right else 1)  # the runtime now and then dies while it is taken down


if __name__ == "__main__":
    main()
