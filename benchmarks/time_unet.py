"""Times steps of diffusers' UNet on the CPU in float32: two rows, as with guidance. Prints JSON as time-unet.ts does.

    python time_unet.py CHECKPOINT LATENT CHANNELS RUNS
"""

import json
import resource
import sys
import time

import torch
from diffusers import UNet2DConditionModel

folder, side, channels, runs = sys.argv[1], *map(int, sys.argv[2:])
start = time.perf_counter()
unet = UNet2DConditionModel.from_pretrained(folder, subfolder="unet", torch_dtype=torch.float32).eval()
load = time.perf_counter() - start
torch.manual_seed(7)
sample, states = torch.randn(2, 4, side, side), torch.randn(2, 77, channels)
steps = []
with torch.inference_mode():
    for run in range(runs + 1):
        before, used = time.perf_counter(), time.process_time()
        unet(sample, 501, states)
        if run > 0:
            steps.append({"wall": time.perf_counter() - before, "cpu": time.process_time() - used})
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({"load": load, "steps": steps, "peak": peak}))
