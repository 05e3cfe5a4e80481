"""Records what diffusers' schedulers do, step by step, as test/goldens/schedulers holds it.

    python record_schedulers.py test/goldens/schedulers        the committed runs: 64 values, few steps
    python record_schedulers.py FOLDER --all                   every option, prediction, spacing and step count

The model is float32(0.1 * sin(t / 1000)) * scale_model_input(x). Noise comes from torch.Generator, seed 0 for the first
sample, seed 1 for the picture of image-to-image, seed 2 for what schedulers draw. DPMSolverSDE is given a Brownian
motion made of independent draws, one for each stretch of noise that it passes, in place of torchsde's tree.
"""
import argparse
import itertools
import json
import math
import os
import sys
import warnings

import diffusers
import torch
from diffusers.utils import logging
from safetensors.torch import save_file

logging.set_verbosity_error()
warnings.filterwarnings("ignore")

SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
ZERO_SNR = dict(rescale_betas_zero_snr=True, timestep_spacing="trailing")
LOWEST = dict(final_sigmas_type="sigma_min")
FLOW = dict(use_flow_sigmas=True, flow_shift=3.0, prediction_type="flow_prediction")
THRESHOLD = dict(thresholding=True, sample_max_value=1.5, dynamic_thresholding_ratio=0.9)
SPACED = ("use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas")
RATIOS = ["Euler", "LMS", "Heun", "KDPM2", "KDPM2Ancestral", "DPMSolverSDE"]
SOLVERS = ["DPMSolverMultistep", "DPMSolverSinglestep", "DEISMultistep", "UniPCMultistep"]

CLASSES = {
    "Euler": "EulerDiscrete", "LMS": "LMSDiscrete", "Heun": "HeunDiscrete", "KDPM2": "KDPM2Discrete",
    "KDPM2Ancestral": "KDPM2AncestralDiscrete",
}

# class, what the run is called, options, steps, image-to-image?
COMMITTED = [
    *[(name, "", {}, 6, image) for name in RATIOS[2:] for image in (False, True)],
    *[(name, spacing.split("_")[1], {spacing: True}, 5, False) for name in RATIOS[2:] for spacing in SPACED],
    *[(name, "v", dict(prediction_type="v_prediction", timestep_spacing="trailing"), 5, False) for name in RATIOS[2:]],
    ("Heun", "clip", dict(clip_sample=True, timestep_spacing="leading", steps_offset=1), 5, False),
    ("Heun", "exp", dict(beta_schedule="exp"), 5, False),
    ("Euler", "beta", dict(use_beta_sigmas=True), 7, False),
    ("Euler", "log_linear", dict(interpolation_type="log_linear"), 7, False),
    ("Euler", "continuous", dict(timestep_type="continuous", prediction_type="v_prediction", use_karras_sigmas=True, sigma_min=0.002, sigma_max=120.0), 7, False),
    ("LMS", "beta", dict(use_beta_sigmas=True), 7, False),
    *[("DDPM", variance, dict(variance_type=variance), 6, False) for variance in ("fixed_small", "fixed_small_log", "fixed_large")],
    ("DDPM", "sigmoid", dict(beta_schedule="sigmoid", clip_sample=False, timestep_spacing="linspace"), 6, True),
    ("DDPM", "laplace", dict(beta_schedule="laplace", clip_sample=False, prediction_type="v_prediction"), 6, False),
    ("DDPM", "zero_snr", dict(ZERO_SNR, clip_sample=False, prediction_type="v_prediction"), 6, False),
    ("DDPM", "threshold", dict(THRESHOLD), 5, False),
    ("DDIM", "threshold", dict(THRESHOLD), 5, False),
    ("PNDM", "prk", {}, 6, False),
    ("PNDM", "prk_v", dict(prediction_type="v_prediction", timestep_spacing="trailing"), 9, False),
    ("TCD", "", {}, 4, False),
    ("TCD", "", {}, 6, True),
    ("TCD", "v", dict(prediction_type="v_prediction", original_inference_steps=100), 5, False),
    ("DPMSolverMultistep", "dpmsolver", dict(LOWEST, algorithm_type="dpmsolver", solver_order=3), 8, False),
    ("DPMSolverMultistep", "dpmsolver_heun", dict(LOWEST, algorithm_type="dpmsolver", solver_type="heun", thresholding=True), 5, False),
    ("DPMSolverMultistep", "sde_dpmsolver", dict(LOWEST, algorithm_type="sde-dpmsolver"), 6, False),
    ("DPMSolverMultistep", "lu", dict(use_lu_lambdas=True), 7, False),
    ("DPMSolverMultistep", "beta", dict(use_beta_sigmas=True, solver_order=3), 7, False),
    ("DPMSolverMultistep", "flow", FLOW, 7, False),
    ("DPMSolverMultistep", "threshold", THRESHOLD, 5, False),
    *[("DPMSolverSinglestep", f"order{order}", dict(solver_order=order), 8, order == 2) for order in (1, 2, 3)],
    ("DPMSolverSinglestep", "heun3", dict(LOWEST, solver_order=3, solver_type="heun"), 6, False),
    ("DPMSolverSinglestep", "dpmsolver", dict(LOWEST, algorithm_type="dpmsolver", solver_order=3, solver_type="heun"), 7, False),
    ("DPMSolverSinglestep", "sde", dict(algorithm_type="sde-dpmsolver++", solver_order=3, prediction_type="v_prediction"), 7, False),
    ("DPMSolverSinglestep", "karras", dict(use_karras_sigmas=True), 7, False),
    *[("DEISMultistep", f"order{order}", dict(solver_order=order), 16, order == 2) for order in (1, 2, 3)],
    ("DEISMultistep", "karras", dict(use_karras_sigmas=True, solver_order=3), 6, False),
    ("DEISMultistep", "flow", FLOW, 7, False),
    ("UniPCMultistep", "noise", dict(LOWEST, predict_x0=False, solver_order=3), 8, False),
    ("UniPCMultistep", "flow", dict(FLOW, shift_terminal=0.1), 7, False),
    ("UniPCMultistep", "beta", dict(use_beta_sigmas=True), 7, False),
    ("EDMEuler", "", {}, 7, False),
    ("EDMEuler", "", {}, 8, True),
    ("EDMEuler", "exponential", dict(LOWEST, sigma_schedule="exponential", prediction_type="v_prediction"), 7, False),
    *[("EDMDPMSolverMultistep", f"order{order}", dict(solver_order=order), 8, order == 2) for order in (1, 2, 3)],
    ("EDMDPMSolverMultistep", "sde", dict(algorithm_type="sde-dpmsolver++", sigma_schedule="exponential", solver_type="heun"), 8, False),
    ("FlowMatchEulerDiscrete", "", dict(shift=3.0), 7, False),
    ("FlowMatchEulerDiscrete", "", dict(shift=3.0), 8, True),
    ("FlowMatchEulerDiscrete", "dynamic", dict(use_dynamic_shifting=True, shift_terminal=0.02, mu=0.9), 7, False),
    ("FlowMatchEulerDiscrete", "linear", dict(use_dynamic_shifting=True, time_shift_type="linear", mu=2.5), 5, False),
    ("FlowMatchEulerDiscrete", "stochastic", dict(stochastic_sampling=True, use_karras_sigmas=True, shift=2.0), 5, False),
    ("FlowMatchEulerDiscrete", "inverted", dict(invert_sigmas=True), 5, False),
]


def every_run():
    """A product of what the committed runs sample."""
    predictions = ("epsilon", "v_prediction", "sample")
    spacings = ("linspace", "leading", "trailing")
    spaced = [{}, *({each: True} for each in SPACED)]
    for name, prediction, spacing, ratios, steps, image in itertools.product(
        RATIOS, predictions, spacings, spaced, (1, 4, 20, 61), (False, True)
    ):
        if prediction == "sample" and name.startswith(("KDPM2", "DPMSolverSDE")):
            continue
        yield name, "x", dict(ratios, prediction_type=prediction, timestep_spacing=spacing, steps_offset=1), steps, image
    for name, prediction, ratios, order, kind, steps, image in itertools.product(
        SOLVERS, predictions, [*spaced, {"use_lu_lambdas": True}], (1, 2, 3), ("midpoint", "heun"), (1, 5, 20), (False, True)
    ):
        if "use_lu_lambdas" in ratios and name != "DPMSolverMultistep":
            continue
        if name.startswith("DPM"):
            for algorithm in ("dpmsolver++", "sde-dpmsolver++", "dpmsolver", "sde-dpmsolver"):
                if algorithm == "sde-dpmsolver" and (name != "DPMSolverMultistep" or order == 3):
                    continue
                final = {} if algorithm.endswith("++") else LOWEST
                yield name, "x", dict(ratios, **final, prediction_type=prediction, solver_order=order, solver_type=kind, algorithm_type=algorithm), steps, image
        elif kind == "midpoint":
            for spacing in spacings:
                yield name, "x", dict(ratios, prediction_type=prediction, solver_order=order, timestep_spacing=spacing, steps_offset=1), steps, image
    for name, order, steps, zero in itertools.product(SOLVERS, (1, 2, 3), (4, 20), (False, True)):
        for shift in (1.0, 7.0):
            yield name, "flow", dict(FLOW, flow_shift=shift, solver_order=order), steps, zero
    for name, prediction, spacing, steps, image in itertools.product(
        ("DDPM", "DDIM", "PNDM", "TCD"), predictions, spacings, (4, 20, 47), (False, True)
    ):
        if name == "PNDM" and (prediction == "sample" or image):
            continue
        if name == "TCD" and (spacing != "leading" or steps > 40):
            continue
        yield name, "x", dict(prediction_type=prediction, timestep_spacing=spacing), steps, image
        if name in ("DDPM", "DDIM"):
            yield name, "t", dict(THRESHOLD, prediction_type=prediction, timestep_spacing=spacing), steps, image
            yield name, "z", dict(ZERO_SNR, prediction_type=prediction, clip_sample=False), steps, image
    for name, schedule, final, prediction, steps, image in itertools.product(
        ("EDMEuler", "EDMDPMSolverMultistep"), ("karras", "exponential"), ("zero", "sigma_min"), predictions[:2], (1, 4, 20, 50), (False, True)
    ):
        yield name, "x", dict(sigma_schedule=schedule, final_sigmas_type=final, prediction_type=prediction), steps, image
    for options, steps, image in itertools.product(
        [dict(shift=1.0), dict(shift=3.0), dict(shift=3.0, use_beta_sigmas=True), dict(shift=3.0, use_exponential_sigmas=True),
         dict(use_dynamic_shifting=True, mu=0.5), dict(use_dynamic_shifting=True, mu=1.15, shift_terminal=0.1)], (1, 4, 28, 50), (False, True)
    ):
        yield "FlowMatchEulerDiscrete", "x", options, steps, image


class BrownianMotion:
    """What DPMSolverSDE asks for: the motion from one noise level down to another, over the root of their distance."""

    def __init__(self, draw):
        self.draw, self.passed = draw, []

    def __call__(self, start, end):
        start, end = float(start), float(end)
        if not self.passed:
            self.passed = [(start, end, self.draw())]
            return self.passed[0][2]
        (first, middle, early), = self.passed
        self.passed = []
        late = self.draw()
        return ((first - middle) ** 0.5 * early + (middle - end) ** 0.5 * late) / (first - end) ** 0.5


def run(name, options, steps, image, shape):
    options = dict(options)
    mu = options.pop("mu", None)
    scheduler_class = getattr(diffusers, CLASSES.get(name, name) + "Scheduler")
    expected = scheduler_class._get_init_keys(scheduler_class)
    scheduler = scheduler_class(**{**{key: value for key, value in SD.items() if key in expected}, **options})
    scheduler.set_timesteps(steps, **({"mu": mu} if mu is not None else {}))
    start = steps // 2 * scheduler.order if image else 0
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(start)

    draws, generator = [], torch.Generator().manual_seed(2)

    def draw(*_, **__):
        draws.append(torch.randn(shape, generator=generator))
        return draws[-1]

    module = sys.modules[scheduler_class.__module__]
    if hasattr(module, "randn_tensor"):
        module.randn_tensor = draw
    if name == "DPMSolverSDE":
        scheduler.noise_sampler = BrownianMotion(draw)

    noise = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    sigma = float(getattr(scheduler, "init_noise_sigma", 1.0))
    arrays = {
        "initial_noise": noise,
        "init_noise_sigma": torch.tensor([sigma], dtype=torch.float64),
        "num_inference_steps": torch.tensor([steps], dtype=torch.int32),
        "timesteps": scheduler.timesteps,
    }
    if getattr(scheduler, "sigmas", None) is not None:
        arrays["sigmas"] = scheduler.sigmas
    if image:
        arrays["start"] = torch.tensor([start], dtype=torch.int32)
        arrays["image_latents"] = torch.randn(shape, generator=torch.Generator().manual_seed(1))
        arrays["noise"] = arrays.pop("initial_noise")
        add = getattr(scheduler, "add_noise", None) or (lambda picture, noise, t: scheduler.scale_noise(picture, t, noise))
        x = arrays["noisy"] = add(arrays["image_latents"], noise, scheduler.timesteps[start : start + 1])
    else:
        x = noise * torch.tensor(sigma) if sigma != 1 else noise.clone()
    latents = [x]
    scale = getattr(scheduler, "scale_model_input", lambda sample, _: sample)
    for t in scheduler.timesteps[start:]:
        output = torch.tensor(0.1 * math.sin(float(t) / 1000)) * scale(x, t)
        x = scheduler.step(output, t, x).prev_sample
        latents.append(x)
    arrays["latents"] = torch.stack(latents)
    if draws:
        arrays["noise_draws"] = torch.stack(draws)
    config = {key: value for key, value in scheduler.config.items() if not key.startswith("_")}
    # diffusers writes these two changes into its config while it counts the steps of a walk; they are no part of it.
    config.update({key: value for key, value in options.items() if key in ("lower_order_final", "flow_shift")})
    if name == "DPMSolverSinglestep" and "lower_order_final" not in options:
        config["lower_order_final"] = False
    metadata = {
        "scheduler_class": scheduler_class.__name__,
        "config": json.dumps(config),
        "source": f"diffusers {diffusers.__version__}, torch {torch.__version__.split('+')[0]} (CPU, float32)",
    }
    if mu is not None:
        metadata["mu"] = str(mu)
    return {key: value.contiguous() for key, value in arrays.items()}, metadata


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder")
    arguments.add_argument("--all", action="store_true")
    arguments = arguments.parse_args()
    os.makedirs(arguments.folder, exist_ok=True)
    torch.set_num_threads(1)
    shape = (1, 4, 8, 8) if arguments.all else (1, 4, 4, 4)
    refused = {}
    for index, (name, variant, options, steps, image) in enumerate(every_run() if arguments.all else COMMITTED):
        try:
            arrays, metadata = run(name, options, steps, image, shape)
        except Exception as error:
            if not arguments.all:
                raise
            refused[f"{name} {type(error).__name__}: {str(error)[:90]}"] = (index, options, steps, image)
            continue
        task = "img2img_s0.5_" if image else f"{options.get('prediction_type', 'epsilon')}__"
        number = f"{index:05d}_" if arguments.all else ""
        file = f"{number}{CLASSES.get(name, name)}{'_' + variant if variant else ''}__{task}{steps}.safetensors"
        save_file(arrays, os.path.join(arguments.folder, file), metadata=metadata)
    for reason, first in refused.items():
        print(reason, first, file=sys.stderr)


main()
