"""Compares the palettes that sdconvert writes with other people's k-means, on the weights of a real checkpoint.

    python check_palettes.py CHECKPOINT [--every N]

Converts the UNet of a diffusers folder to ONNX, palettizes it at each width, and for every Nth weight holds the squared
error that the command reports, before palette entries are rounded to float16, against
- kmeans1d, which is exact: never more than 1 + 1e-9 of its error, and never less than 1 - 1e-9;
- scikit-learn's KMeans from the same numbers and counts: never above it.
All errors are computed here in float64 from the float16 weights. Prints a line for each width, and `N passed, N failed`.
"""

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import kmeans1d
import numpy as np
from safetensors.numpy import load_file
from sklearn.cluster import KMeans

ROOT = Path(__file__).resolve().parents[2]
NODE = ROOT / "node_modules/.bin/node"
BITS = (1, 2, 3, 4, 6, 8)


def sdconvert(*arguments: str) -> dict:
    command = [str(NODE), str(ROOT / "cli/main.ts"), *arguments, "--json"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])["result"]


def squared_error(values: np.ndarray, counts: np.ndarray, clusters: np.ndarray) -> float:
    """Of putting each cluster's mean in the place of its numbers."""
    total = []
    for cluster in np.unique(clusters):
        inside = clusters == cluster
        x, w = values[inside], counts[inside]
        mean = math.fsum(x * w) / math.fsum(w)
        total.append(math.fsum(w * (x - mean) ** 2))
    return math.fsum(total)


def others(values: np.ndarray, counts: np.ndarray, k: int) -> tuple[float, float]:
    """The errors of kmeans1d and of scikit-learn."""
    every = np.repeat(values, counts.astype(np.int64))
    exact, _ = kmeans1d.cluster(every.tolist(), k)
    model = KMeans(k, init="k-means++", n_init=1, random_state=0)
    found = model.fit_predict(values.reshape(-1, 1), sample_weight=counts)
    return squared_error(every, np.ones_like(every), np.array(exact)), squared_error(values, counts, found)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--every", type=int, default=36)
    arguments = parser.parse_args()
    files = sorted((arguments.checkpoint / "unet").glob("*.safetensors"))
    tensors = {name: tensor for file in files for name, tensor in load_file(file).items()}
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        given = ["--model-version", str(arguments.checkpoint), "-o", folder, "--target", "onnx"]
        sdconvert("convert", *given, "--convert-unet", "--no-bundle")
        for bits in BITS:
            output = ["-o", f"{folder}/{bits}", "--nbits", str(bits)]
            reports = sdconvert("quantize", f"{folder}/onnx/unet", *output)["weights"]
            worst, gains = 0.0, []
            for report in reports[:: arguments.every]:
                weight = tensors[report["name"]].astype(np.float16).astype(np.float64)
                values, counts = np.unique(weight, return_counts=True)
                if len(values) <= 2**bits:
                    exact = scikit = 0.0
                else:
                    exact, scikit = others(values, counts.astype(np.float64), 2**bits)
                ours = report["optimum"]
                difference = abs(ours - exact) / exact if exact else ours
                worst = max(worst, difference)
                gains.append(scikit / ours if ours else 1.0)
                if difference <= 1e-9 and ours <= scikit * (1 + 1e-12):
                    passed += 1
                else:
                    failed += 1
                    print(f"FAIL  {report['name']}, {bits} bits: {ours!r}, kmeans1d {exact!r}, scikit-learn {scikit!r}")
            print(
                f"{bits} bits: {len(gains)} weights, at most {worst:.1e} from kmeans1d; "
                f"scikit-learn's error is {np.mean(gains):.4f} of ours on average, at least {min(gains):.6f}"
            )
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
