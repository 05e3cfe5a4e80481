"""Records drawings of diffusers whose prompts are read in other ways than usual, in float32 on the CPU.

    python record_prompts.py test/goldens/prompts

The weights of test/fixtures have to be there: the first test that is run makes them. Textual inversions (made here, from a
seed) and skipped layers are diffusers' own. diffusers has neither weights in prompts nor long prompts: their reference are
the plain rules, written out below without a parser. Each file holds the picture (bytes [H,W,3]) and the latents it was
decoded from; the metadata says the rest. The noise is torch's, by the seed.
"""

import json
import sys
from pathlib import Path

import diffusers
import numpy as np
import torch
import transformers
from diffusers import StableDiffusionPipeline, StableDiffusionXLPipeline
from record_drawings import ROOT, tokenizer
from safetensors.numpy import save_file

SEED, STEPS, GUIDANCE = 7, 8, 5.0
NEGATIVE = "a square"
TOKENS = 77


def record(target, name, pipeline, request, given=None):
    """Draws what `request` says, which the test reads; `given` is what the pipeline is called with in its place."""
    pipeline.set_progress_bar_config(disable=True)
    shared = {"num_inference_steps": STEPS, "guidance_scale": GUIDANCE}

    def run(output_type):
        generator = torch.Generator("cpu").manual_seed(SEED)
        return pipeline(**(given or request), **shared, generator=generator, output_type=output_type).images

    tensors = {"latents": run("latent").numpy(), "image": np.asarray(run("pil")[0])}
    settings = {"seed": SEED, "steps": STEPS, "guidance_scale": GUIDANCE, **request}
    source = f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"
    save_file(tensors, target / f"{name}.safetensors", {"request": json.dumps(settings), "source": source})
    print(name, tensors["latents"].std())


def embedding(encoder, rows, seed):
    """As far from each other as the rows of the table are."""
    table = encoder.get_input_embeddings().weight
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(rows, table.shape[1], generator=generator)
    return (noise * table[:1000].std()).detach().numpy()


@torch.no_grad()
def states(pipeline, chunks):
    """Hidden states of chunks of weighted words, each with its begin, end and padding, one after another."""
    words = pipeline.tokenizer
    encoded = []
    for chunk in chunks:
        ids, weights = [words.bos_token_id], [1.0]
        for text, weight in chunk:
            some = words(text, add_special_tokens=False).input_ids
            ids += some
            weights += [weight] * len(some)
        ids = ids[: TOKENS - 1] + [words.eos_token_id]
        weights = weights[: TOKENS - 1] + [1.0]
        ids += [words.pad_token_id] * (TOKENS - len(ids))
        weights += [1.0] * (TOKENS - len(weights))
        encoded.append((pipeline.text_encoder(torch.tensor([ids]))[0], torch.tensor(weights)))
    hidden = torch.cat([each for each, _ in encoded], dim=1)
    weights = torch.cat([each for _, each in encoded])
    weighted = hidden * weights[None, :, None]
    return weighted * (hidden.mean() / weighted.mean()) if bool((weights != 1).any()) else hidden


def record_read_prompts(target, shapes):
    """Weights and long prompts."""
    weighted = [[("a", 1.0), ("red", 1.4), ("circle", 1.0), ("on blue", 1 / 1.1)]]
    negative = [[("a", 1.0), ("square", 1.1)]]
    record(
        target,
        "sd-shapes_weights",
        shapes,
        {"prompt": "a (red:1.4) circle [on blue]", "negative_prompt": "a (square)", "prompt_weights": True},
        {"prompt_embeds": states(shapes, weighted), "negative_prompt_embeds": states(shapes, negative)},
    )
    many = ["a red circle and a blue square", *["on a green field"] * 20, "with a yellow triangle"]
    ids = shapes.tokenizer(" ".join(many), add_special_tokens=False).input_ids
    assert 75 < len(ids) <= 150
    pieces = [[(shapes.tokenizer.decode(ids[start : start + 75]), 1.0)] for start in (0, 75)]
    record(
        target,
        "sd-shapes_long",
        shapes,
        {"prompt": " ".join(many), "negative_prompt": NEGATIVE, "long_prompts": True},
        {
            "prompt_embeds": states(shapes, pieces),
            "negative_prompt_embeds": states(shapes, [[(NEGATIVE, 1.0)], []]),
        },
    )


def main():
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    float32 = {"torch_dtype": torch.float32}
    shapes = StableDiffusionPipeline.from_pretrained(ROOT / "models/sd-shapes", **float32)
    tokenizers = {"tokenizer": tokenizer("pad-end-of-text"), "tokenizer_2": tokenizer("pad-exclamation-mark")}
    xl = StableDiffusionXLPipeline.from_pretrained(ROOT / "test/fixtures/sdxl", **tokenizers, **float32)

    record_read_prompts(target, shapes)
    options = {"prompt": "a red circle", "negative_prompt": NEGATIVE}
    # diffusers looks for final_layer_norm where transformers 5 no longer has it. Not setattr, which would register a submodule.
    object.__setattr__(shapes.text_encoder, "text_model", shapes.text_encoder)
    for skip in [1, 3]:
        record(target, f"sd-shapes_skip_{skip}", shapes, {**options, "clip_skip": skip})
    record(target, "sdxl_skip_2", xl, {**options, "clip_skip": 2})

    # Without capitals: with transformers 5, diffusers takes only the first row of a word that has some.
    one = {"<moss>": embedding(shapes.text_encoder, 3, 1)}
    save_file(one, target / "inversion_sd-shapes.safetensors")
    shapes.load_textual_inversion(target / "inversion_sd-shapes.safetensors")
    record(target, "sd-shapes_inversion", shapes, {**options, "prompt": "a <moss> circle, <moss>"})
    two = {
        "clip_l": embedding(xl.text_encoder, 2, 2),
        "clip_g": embedding(xl.text_encoder_2, 2, 3),
    }
    save_file(two, target / "inversion_sdxl.safetensors")
    for key, words, encoder in [
        ("clip_l", xl.tokenizer, xl.text_encoder),
        ("clip_g", xl.tokenizer_2, xl.text_encoder_2),
    ]:
        xl.load_textual_inversion(
            {"<lichen>": torch.from_numpy(two[key])}, token="<lichen>", text_encoder=encoder, tokenizer=words
        )
    record(target, "sdxl_inversion", xl, {**options, "prompt": "a stone with <lichen> on it"})


if __name__ == "__main__":
    main()
