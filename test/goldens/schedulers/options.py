"""Records what diffusers does with scheduler options that the other goldens leave at their defaults.

python options.py > options.json      (diffusers 0.35.2, torch 2.13.0, CPU)

The model is float32(0.1 * sin(t / 1000)) * scale_model_input(x). Noise: 64 values, torch.Generator seed 0 for the
first sample, seed 1 for the draws of the steps.
"""
import json
import math

import diffusers
import torch

SD = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
ZERO_SNR = dict(rescale_betas_zero_snr=True, prediction_type="v_prediction", timestep_spacing="trailing")
DPM, UNIPC = "DPMSolverMultistepScheduler", "UniPCMultistepScheduler"
CASES = [
    ("DDIMScheduler", 12, dict(ZERO_SNR)),
    ("DDIMScheduler", 7, dict(timestep_spacing="linspace", set_alpha_to_one=True)),
    ("DDIMScheduler", 10, dict(clip_sample=True, clip_sample_range=0.2, prediction_type="sample", steps_offset=1)),
    ("DDIMScheduler", 10, dict(beta_schedule="squaredcos_cap_v2")),
    ("DDIMScheduler", 4, {}),
    ("PNDMScheduler", 7, dict(skip_prk_steps=True, timestep_spacing="trailing", beta_schedule="linear")),
    ("PNDMScheduler", 7, dict(skip_prk_steps=True, timestep_spacing="linspace", set_alpha_to_one=True)),
    ("PNDMScheduler", 1, dict(skip_prk_steps=True)),
    ("PNDMScheduler", 2, dict(skip_prk_steps=True)),
    (DPM, 20, dict(solver_type="heun")),
    (DPM, 20, dict(solver_type="heun", algorithm_type="sde-dpmsolver++")),
    (DPM, 20, dict(solver_order=3, algorithm_type="sde-dpmsolver++")),
    (DPM, 10, dict(solver_order=3)),
    (DPM, 10, dict(solver_order=3, lower_order_final=False, final_sigmas_type="sigma_min")),
    (DPM, 20, dict(final_sigmas_type="sigma_min", timestep_spacing="trailing")),
    (DPM, 20, dict(final_sigmas_type="sigma_min", euler_at_final=True, timestep_spacing="leading", steps_offset=1)),
    (DPM, 20, dict(use_exponential_sigmas=True)),
    (DPM, 20, dict(use_karras_sigmas=True, beta_schedule="squaredcos_cap_v2")),
    (DPM, 20, dict(lambda_min_clipped=-2.0)),
    (DPM, 20, dict(lambda_min_clipped=-2.0, timestep_spacing="trailing")),
    (DPM, 12, dict(ZERO_SNR)),
    (DPM, 12, dict(prediction_type="sample", timestep_spacing="trailing")),
    (DPM, 12, dict(trained_betas=[0.001 + 0.00001 * i for i in range(20)] * 50)),
    (DPM, 1, {}),
    ("EulerDiscreteScheduler", 7, dict(timestep_spacing="leading", steps_offset=1)),
    ("EulerDiscreteScheduler", 7, dict(timestep_spacing="trailing", final_sigmas_type="sigma_min")),
    ("EulerDiscreteScheduler", 12, dict(use_exponential_sigmas=True)),
    ("EulerDiscreteScheduler", 12, dict(ZERO_SNR)),
    ("EulerDiscreteScheduler", 12, dict(prediction_type="sample", timestep_spacing="trailing")),
    ("EulerDiscreteScheduler", 1, dict(timestep_spacing="trailing")),
    ("EulerAncestralDiscreteScheduler", 7, dict(timestep_spacing="leading", steps_offset=1)),
    ("EulerAncestralDiscreteScheduler", 12, dict(ZERO_SNR)),
    ("LMSDiscreteScheduler", 12, dict(use_karras_sigmas=True, timestep_spacing="leading", steps_offset=1)),
    ("LMSDiscreteScheduler", 12, dict(use_exponential_sigmas=True, prediction_type="v_prediction", timestep_spacing="trailing")),
    ("LCMScheduler", 4, {}),
    ("LCMScheduler", 7, dict(original_inference_steps=100, clip_sample=True, prediction_type="v_prediction")),
    (UNIPC, 20, dict(solver_order=3)),
    (UNIPC, 20, dict(solver_order=3, solver_type="bh1", final_sigmas_type="sigma_min")),
    (UNIPC, 10, dict(solver_type="bh1", final_sigmas_type="sigma_min", lower_order_final=False)),
    (UNIPC, 12, dict(disable_corrector=[0, 2], timestep_spacing="leading", steps_offset=1)),
    (UNIPC, 12, dict(use_exponential_sigmas=True, beta_schedule="squaredcos_cap_v2")),
    (UNIPC, 12, dict(ZERO_SNR)),
]


def run(name, steps, options):
    scheduler = getattr(diffusers, name)(**{**SD, **options})
    scheduler.set_timesteps(steps)
    if hasattr(scheduler, "set_begin_index"):
        scheduler.set_begin_index(0)  # else diffusers skips a step and runs out of them where rounding made the first two equal
    draws = torch.Generator().manual_seed(1)
    x = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(0)) * scheduler.init_noise_sigma
    keywords = {} if name in ("PNDMScheduler", UNIPC, "LMSDiscreteScheduler") else {"generator": draws}
    for t in scheduler.timesteps:
        output = torch.tensor(0.1 * math.sin(float(t) / 1000)) * scheduler.scale_model_input(x, t)
        x = scheduler.step(output, t, x, **keywords).prev_sample
    return {
        "config": {"_class_name": name, **SD, **options},
        "steps": steps,
        "timesteps": [float(t) for t in scheduler.timesteps],
        "last": [float(f"{v:.9g}") for v in x.flatten().tolist()],
    }


print(json.dumps([run(*case) for case in CASES]).replace('{"config"', '\n{"config"'))
