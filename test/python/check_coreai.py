"""Runs Core AI assets in Apple's own runtime and compares with what diffusers computed, and with our own run of them.

    node scripts/coreai-cases.ts FOLDER [SHARED]
    python check_coreai.py FOLDER

Every asset runs in a process and a temporary folder of its own: the runtime ends the process over a program that is not
valid, and leaves a compiled copy of each. Prints the lowest PSNR in dB of each asset, and `N passed, N failed`. That the check
can fail is checked as well: an asset with one changed byte of a weight must.
"""

import asyncio
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

SECONDS = 300
ASSET = "network.aimodel"
# What outputs are compared with: diffusers' recordings, and our own run of the asset.
KINDS = ("recorded", "own")
# The asset of which a changed copy must fail: every weight of a UNet counts.
SAMPLE = "sd-shapes-unet"
DTYPES = {"float32": np.float32, "float16": np.float16, "int32": np.int32, "uint32": np.uint32, "bool": np.bool_}


async def compute(asset, cases, into):
    """In a process of its own: runs an asset on the inputs of each case; writes the outputs beside each other."""
    from coreai.authoring import AIModelAsset
    from coreai.runtime import NDArray

    async with AIModelAsset.load(asset).executable() as model:
        function = model.load_function("main")
        about = function.desc
        for case in cases:
            with safe_open(case, "numpy") as tensors:
                given = {name: tensors.get_tensor(f"input:{name}") for name in about.input_names}
            feeds = {}
            for name, array in given.items():
                wanted = about.input_descriptor(name)
                # A rank that does not fit would end the process by a trap.
                if list(wanted.shape) != list(array.shape):
                    sys.exit(f"{name} is {list(wanted.shape)}, and the case has {list(array.shape)}")
                feeds[name] = NDArray(np.array(array, DTYPES[str(wanted.dtype)], order="C"))
            outputs = await function(feeds)
            found = {name: np.array(value.numpy(), order="C") for name, value in outputs.items()}
            save_file(found, Path(into) / Path(case).name)


def psnr(expected, found):
    expected, found = (np.asarray(each, np.float64) for each in (expected, found))
    rmse = np.sqrt(np.mean((expected - found) ** 2))
    return float("inf") if rmse == 0 else 20 * np.log10(np.abs(expected).max() / rmse)


def problems(folder):
    """What is wrong with an asset, and the lowest PSNR of each kind of outputs that it is compared with."""
    asset, cases = folder / ASSET, sorted(folder.glob("case*.safetensors"))
    lowest, wrong = {}, []
    if hashlib.sha256((asset / "main.mlirb").read_bytes()).digest() != (asset / "main.hash").read_bytes():
        wrong.append("main.hash is not the SHA-256 of main.mlirb")
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, __file__, "--compute", str(asset), temporary, *map(str, cases)]
        environment = {**os.environ, "TMPDIR": temporary}
        run = None
        # On a busy machine the runtime now and then ends by a signal before it begins: what it cannot run, it cannot run twice.
        for _ in range(2):
            if run is None or run.returncode < 0:
                run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=SECONDS)
        if run.returncode != 0:
            reason = signal.Signals(-run.returncode).name if run.returncode < 0 else "an error"
            return [*wrong, f"the runtime ended by {reason}: {run.stderr.strip()[-300:]}"], lowest
        for case in cases:
            with safe_open(case, "numpy") as known, safe_open(Path(temporary) / case.name, "numpy") as found:
                floors = {kind: float(floor) for kind, floor in known.metadata().items() if kind in KINDS}
                for key in known.keys():
                    kind, name = key.split(":", 1)
                    if kind not in floors:
                        continue
                    if name not in found.keys():
                        wrong.append(f"{case.stem}: there is no output {name}")
                        continue
                    expected, given = known.get_tensor(key), found.get_tensor(name)
                    if expected.shape != given.shape:
                        wrong.append(f"{case.stem}: {name} is {given.shape}, and {expected.shape} is {kind}")
                        continue
                    value = psnr(expected, given)
                    lowest[kind] = min(value, lowest.get(kind, value))
                    # A value that is not finite is no number, and below every floor.
                    if not value >= floors[kind]:
                        wrong.append(f"{case.stem}: {name} is {value:.1f} dB from {kind}, the floor is {floors[kind]}")
    if not lowest:
        wrong.append("nothing was compared")
    return wrong, lowest


def flip(folder):
    """Changes the sign of one element of the largest weight."""
    with safe_open(folder / "case0.safetensors", "numpy") as case:
        at = int(case.metadata()["weightAt"])
    with open(folder / ASSET / "main.mlirb", "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 0x80]))


def check(folder):
    start = time.time()
    try:
        wrong, lowest = problems(folder)
    except subprocess.TimeoutExpired:
        wrong, lowest = [f"it did not end within {SECONDS} s"], {}
    numbers = ", ".join(f"{value:.1f} dB from {kind}" for kind, value in sorted(lowest.items(), reverse=True))
    lines = ["FAIL" if wrong else "ok  ", folder.name, numbers, f"{time.time() - start:.1f} s"]
    print("  ".join(lines), *wrong, sep="\n      ", flush=True)
    return not wrong


def can_fail(folder):
    """Whether an asset with a changed weight fails, and fails for its numbers."""
    with tempfile.TemporaryDirectory() as temporary:
        copy = Path(temporary) / folder.name
        shutil.copytree(folder, copy)
        flip(copy)
        digest = hashlib.sha256((copy / ASSET / "main.mlirb").read_bytes()).digest()
        (copy / ASSET / "main.hash").write_bytes(digest)
        wrong, lowest = problems(copy)
    failed = bool(lowest) and any("floor" in line for line in wrong)
    print("ok  " if failed else "FAIL", f"one changed byte of a weight of {folder.name}: {wrong or 'nothing was noticed'}")
    return failed


def main(folder):
    folders = sorted(path.parent for path in Path(folder).glob(f"*/{ASSET}"))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        passed = list(pool.map(check, folders))
    if folders:
        passed.append(can_fail(Path(folder) / SAMPLE))
    else:
        print(f"FAIL  no assets below {folder}")
        passed.append(False)
    print(f"{sum(passed)} passed, {len(passed) - sum(passed)} failed")
    return 0 if all(passed) else 1


if __name__ == "__main__":
    if sys.argv[1] == "--compute":
        asyncio.run(compute(sys.argv[2], sys.argv[4:], sys.argv[3]))
        os._exit(0)  # the outputs are written, and the runtime now and then dies while it is taken down
    else:
        sys.exit(main(sys.argv[1]))
