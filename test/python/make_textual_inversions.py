"""Makes textual inversions as people have them, 8 and 12 numbers wide: python make_textual_inversions.py test/fixtures/textual-inversion

Row r of an embedding of width w holds (r + 1) / 8 + column / 64, exact in float16.
"""
import os
import sys

import torch
from safetensors.torch import save_file


def rows(count, width, dtype=torch.float32):
    return ((torch.arange(count)[:, None] + 1) / 8 + torch.arange(width)[None] / 64).to(dtype)


folder = sys.argv[1]
os.makedirs(folder, exist_ok=True)
path = lambda name: os.path.join(folder, name)
# AUTOMATIC1111's trainer, older and newer: the tensor is a parameter that wants its gradient.
torch.save(
    {
        "string_to_token": {"*": 265},
        "string_to_param": torch.nn.ParameterDict({"*": torch.nn.Parameter(rows(2, 8))}),
        "name": "moss", "step": 4999, "sd_checkpoint": "abcdef12", "sd_checkpoint_name": "any",
    },
    path("web-ui-dict.pt"),
)
torch.save({"string_to_token": {"*": 265}, "string_to_param": {"*": rows(2, 8).requires_grad_()}, "name": "moss", "step": 1}, path("web-ui.pt"))
save_file({"emb_params": rows(3, 8, torch.float16)}, path("web-ui.safetensors"))
# diffusers' trainer; its first versions wrote one row without a dimension for rows.
torch.save({"<moss>": rows(1, 8)[0]}, path("diffusers.bin"))
save_file({"<moss>": rows(2, 8)}, path("diffusers.safetensors"))
save_file({"clip_l": rows(2, 8), "clip_g": rows(2, 12)}, path("xl.safetensors"))
save_file({"clip_l": rows(2, 8), "clip_g": rows(3, 12)}, path("xl-uneven.safetensors"))
save_file({"a.lora_up.weight": rows(2, 8), "a.lora_down.weight": rows(2, 8)}, path("lora.safetensors"))
