"""What the same conversion takes where PyTorch is: loads a checkpoint's networks as diffusers does, and exports its UNet to ONNX.

    python3 benchmarks/torch_baseline.py CHECKPOINT        loads them, in float16
    python3 benchmarks/torch_baseline.py CHECKPOINT TO     loads the UNet in float32 and writes TO/model.onnx
"""

import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from transformers import CLIPTextModel


class WithTuples(torch.nn.Module):
    """The exporter does not take a model's own classes of results."""

    def __init__(self, unet: UNet2DConditionModel):
        super().__init__()
        self.unet = unet

    def forward(self, sample, timestep, encoder_hidden_states):
        return self.unet(sample, timestep, encoder_hidden_states, return_dict=False)


checkpoint, *targets = sys.argv[1:]
if not targets:
    networks = {"text_encoder": CLIPTextModel, "unet": UNet2DConditionModel, "vae": AutoencoderKL}
    for name, network in networks.items():
        network.from_pretrained(checkpoint, subfolder=name, torch_dtype=torch.float16)
for target in map(Path, targets):
    target.mkdir(parents=True, exist_ok=True)
    unet = UNet2DConditionModel.from_pretrained(checkpoint, subfolder="unet").eval()
    config = unet.config
    inputs = {
        "sample": torch.zeros(2, config.in_channels, 64, 64),
        "timestep": torch.tensor(1.0),
        "encoder_hidden_states": torch.zeros(2, 77, config.cross_attention_dim),
    }
    with torch.inference_mode():
        torch.onnx.export(
            WithTuples(unet),
            tuple(inputs.values()),
            str(target / "model.onnx"),
            input_names=list(inputs),
            output_names=["noise_pred"],
            external_data=True,
            dynamo=False,
        )
