"""Converts an ONNX folder for OpenVINO to its IR, compares every model with onnxruntime, and draws with OpenVINO GenAI.

    sdconvert MODEL --for openvino --precision float32 -o OUT
    sdconvert generate -i OUT/onnx-openvino --scheduler euler --rng numpy --seed 0 --prompt ... -o PICTURES
    python openvino_pipeline.py --onnx OUT/onnx-openvino --ir IR [--picture PICTURES/x.png --prompt ... --steps 20]

IR is then what openvino_genai.Text2ImagePipeline(IR, "CPU") loads. Both pictures start from NumPy's noise of the same seed.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"  # what is missing must fail, not be looked for elsewhere

import numpy as np
import onnxruntime
import openvino
import openvino_genai
from openvino_tokenizers import convert_tokenizer
from PIL import Image
from transformers import CLIPTokenizerFast

ONNX_DTYPES = {"tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(int64)": np.int64}


def feeds_of(session, config_sizes):
    """Inputs of a model: free sizes are 2 rows, the latents' size, or its picture's."""
    rng = np.random.default_rng(1)
    feeds = {}
    for port in session.get_inputs():
        shape = [size if isinstance(size, int) else config_sizes.get(size, 2) for size in port.shape]
        dtype = ONNX_DTYPES[port.type]
        if port.name == "timestep":
            feeds[port.name] = np.full(shape, 481, dtype)
        elif dtype == np.int64:
            feeds[port.name] = rng.integers(0, 900, shape)
        else:
            feeds[port.name] = rng.standard_normal(shape).astype(dtype)
    return feeds


def compare(core, path, sizes):
    """The largest difference of any output from onnxruntime's, relative to that output's largest element."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    feeds = feeds_of(session, sizes)
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(feeds)
    worst = 0.0
    for port, expected in zip(session.get_outputs(), session.run(None, feeds)):
        found = results[port.name].astype(np.float64)
        worst = max(worst, np.abs(found - expected).max() / np.abs(expected).max())
    return worst


def to_ir(core, source, target):
    """Every model as openvino_model.xml with its config, the tokenizers, and the files beside them."""
    if target.exists():
        shutil.rmtree(target)
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("*.onnx", "*.onnx_data*"))
    for model in sorted(source.glob("*/model.onnx")):
        ir = target / model.parent.name / "openvino_model.xml"
        openvino.save_model(core.read_model(str(model)), ir, compress_to_fp16=False)
    for folder in source.glob("tokenizer*"):
        tokenizer = convert_tokenizer(CLIPTokenizerFast.from_pretrained(folder), with_detokenizer=False)
        openvino.save_model(tokenizer, target / folder.name / "openvino_tokenizer.xml")


class NumpyNoise(openvino_genai.Generator):
    """Noise as NumPy draws it for a seed, one number after another."""

    def __init__(self, seed):
        openvino_genai.Generator.__init__(self)
        self.state = np.random.RandomState(seed)

    def next(self):
        return float(np.float32(self.state.standard_normal()))

    def randn_tensor(self, shape):
        count = int(np.prod(shape))
        return openvino.Tensor(self.state.standard_normal(count).astype(np.float32).reshape(shape))


def draw(ir, args):
    pipeline = openvino_genai.Text2ImagePipeline(str(ir), "CPU", INFERENCE_PRECISION_HINT="f32")
    picture = pipeline.generate(
        args.prompt,
        width=args.size,
        height=args.size,
        num_inference_steps=args.steps,
        guidance_scale=args.guidance,
        generator=NumpyNoise(args.seed),
    )
    return np.array(picture.data[0])


def psnr(reference, picture):
    error = np.mean((reference.astype(np.float64) - picture) ** 2)
    return np.inf if error == 0 else 20 * np.log10(255) - 10 * np.log10(error)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--onnx", required=True, type=Path)
    parser.add_argument("--ir", required=True, type=Path)
    parser.add_argument("--picture", help="the picture to compare with")
    parser.add_argument("--prompt", default="a large red circle on a white background")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--min-psnr", type=float, default=40)
    parser.add_argument("--max-difference", type=float, default=1e-4)
    args = parser.parse_args()

    core = openvino.Core()
    latents = args.size // 8
    sizes = {"height": latents, "width": latents, "latent_height": latents, "latent_width": latents}
    sizes |= {"sample_height": args.size, "sample_width": args.size, "sequence_length": 77}
    passed = failed = 0

    def report(right, text):
        nonlocal passed, failed
        passed, failed = passed + right, failed + (not right)
        print(f"{'ok  ' if right else 'FAIL'} {text}")

    for model in sorted(args.onnx.glob("*/model.onnx")):
        worst = compare(core, str(model), sizes)
        report(worst <= args.max_difference, f"{model.parent.name}: differs by {worst:.1e} (at most {args.max_difference:g})")
    to_ir(core, args.onnx, args.ir)
    picture = draw(args.ir, args)
    report(picture.shape == (args.size, args.size, 3) and picture.std() > 10, f"GenAI drew {picture.shape}")
    if args.picture:
        decibels = psnr(np.array(Image.open(args.picture).convert("RGB")), picture)
        report(decibels >= args.min_psnr, f"GenAI: picture {decibels:.1f} dB (at least {args.min_psnr:g})")
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
