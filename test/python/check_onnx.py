"""Checks written ONNX models against the specification and against what their consumers load.

    python check_onnx.py [--fixed] FOLDER...

Every model.onnx below the folders is read as a stranger would read it: by the onnx package's checker and strict shape
inference, by the byte ranges of its external data, by the names and dimensions that optimum and other clients ask for,
and by a session of onnxruntime. --fixed accepts numbers in place of symbols (a conversion at fixed sizes).
"""

import argparse
import json
import math
import re
import sys
from pathlib import Path

import onnx
import onnxruntime
from onnx import TensorProto, shape_inference
from onnx.helper import make_node, tensor_dtype_to_np_dtype

OPSETS = (20, 21)
IR_VERSION = 10
LARGEST_FILE = 2**31

# The order counts: some clients take outputs by position. After a name, `?` says that it may be left out, `*` that it
# is a family numbered from 0 which may be left out. A dimension is a symbol, a number, `_` (any number) or `?`
# (anything). Where optimum binds output buffers it works their sizes out from the inputs' symbols, so an expression
# must be spelled exactly as here, blanks included.
TEXT_STATE = "float32 [batch_size, sequence_length, _]"
RESIDUAL = "float32 [batch_size, _, ?, ?]"
LATENT = {
    "sample": "float32 [batch_size, _, height, width]",
    "timestep": "float32 []",
    "encoder_hidden_states": TEXT_STATE,
}
CONDITIONS = {
    "text_embeds?": "float32 [batch_size, _]",
    "time_ids?": "float32 [batch_size, _]",
    "timestep_cond?": "float32 [batch_size, _]",
}
COMPONENTS = {
    "text_encoder": (
        {"input_ids": "int64 [batch_size, sequence_length]"},
        {
            "last_hidden_state": TEXT_STATE,
            "pooler_output": "float32 [batch_size, _]",
            "hidden_states.*": TEXT_STATE,
        },
    ),
    "text_encoder_2": (
        {"input_ids": "int64 [batch_size, sequence_length]"},
        {
            "text_embeds": "float32 [batch_size, _]",
            "last_hidden_state": TEXT_STATE,
            "hidden_states.*": TEXT_STATE,
        },
    ),
    "unet": (
        LATENT
        | CONDITIONS
        | {"down_block_additional_residual_*": RESIDUAL, "mid_block_additional_residual?": RESIDUAL},
        {"out_sample": "float32 [batch_size, 4, height, width]"},
    ),
    "controlnet": (
        LATENT | CONDITIONS | {"controlnet_cond": "float32 [batch_size, 3, ?, ?]"},
        {"down_block_res_sample_*": RESIDUAL, "mid_block_res_sample": RESIDUAL},
    ),
    "vae_encoder": (
        {"sample": "float32 [batch_size, 3, sample_height, sample_width]"},
        {"latent_parameters": "float32 [batch_size, 8, sample_height / 8, sample_width / 8]"},
    ),
    "vae_decoder": (
        {"latent_sample": "float32 [batch_size, 4, latent_height, latent_width]"},
        {"sample": "float32 [batch_size, 3, latent_height * 8, latent_width * 8]"},
    ),
    "safety_checker": (
        {"clip_input": "float32 [batch_size, 3, 224, 224]", "images": "float32 [batch_size, ?, ?, 3]"},
        {"out_images": "float32 [batch_size, ?, ?, 3]", "has_nsfw_concepts": "bool [batch_size]"},
    ),
}


def dtype_of(value):
    return tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type).name


def dims_of(value):
    """A declared shape as a list of numbers, symbols and None (an unnamed dimension); None where there is no shape."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return [d.dim_param or (d.dim_value if d.HasField("dim_value") else None) for d in tensor.shape.dim]


def written(value):
    return f"{dtype_of(value)} [{', '.join(map(str, dims_of(value) or []))}]"


def header_problems(model):
    domains = {(o.domain, o.version) for o in model.opset_import}
    if len(domains) != 1 or not all(domain in ("", "ai.onnx") and version in OPSETS for domain, version in domains):
        yield f"operator sets are {sorted(domains)}, expected ai.onnx alone at {' or '.join(map(str, OPSETS))}"
    if model.ir_version != IR_VERSION:
        yield f"ir_version is {model.ir_version}, expected {IR_VERSION}"
    if foreign := {n.domain for n in model.graph.node} - {"", "ai.onnx"}:
        yield f"nodes of other domains: {sorted(foreign)}"
    if model.functions:
        yield f"{len(model.functions)} local functions, expected none"


def bytes_of(tensor):
    bits = 4 if tensor.data_type in (TensorProto.INT4, TensorProto.UINT4) else (
        8 * tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    )
    return math.ceil(math.prod(tensor.dims) * bits / 8)


def data_problems(model, path):
    """The external data: plain file names, no file too large or left over, every range inside its file and apart."""
    ranges = {}
    for tensor in model.graph.initializer:
        if tensor.data_location != TensorProto.EXTERNAL:
            continue
        entry = {e.key: e.value for e in tensor.external_data}
        begin, length = int(entry.get("offset", 0)), int(entry.get("length", -1))
        if length != bytes_of(tensor):
            yield f"{tensor.name}: {length} bytes of data, its shape and dtype need {bytes_of(tensor)}"
        ranges.setdefault(entry["location"], []).append((begin, begin + max(length, 0), tensor.name))

    for location, used in ranges.items():
        file = path.parent / location
        if Path(location).name != location or not file.is_file():
            yield f"data file {location!r} is not beside the model"
            continue
        size, used = file.stat().st_size, sorted(used)
        for begin, end, name in used:
            if begin < 0 or end > size:
                yield f"{name}: bytes {begin} to {end} lie outside {location} ({size} bytes)"
        for (_, end, first), (begin, _, second) in zip(used, used[1:]):
            if begin < end:
                yield f"{first} and {second} overlap in {location}"

    for file in path.parent.glob(f"{path.name}*"):
        if file.stat().st_size > LARGEST_FILE:
            yield f"{file.name} has {file.stat().st_size} bytes, more than {LARGEST_FILE}"
        if file != path and file.name not in ranges:
            yield f"{file.name} is used by no weight"


def matches(value, expected, fixed):
    dtype, dims = re.fullmatch(r"(\w+) \[(.*)\]", expected).groups()
    wanted, found = dims.split(", ") if dims else [], dims_of(value)
    if dtype_of(value) != dtype or found is None or len(found) != len(wanted):
        return False
    for want, have in zip(wanted, found):
        number = isinstance(have, int) and have > 0
        symbol = want not in ("_", "?") and not want.isdigit()
        free = symbol and (fixed or want == "sequence_length") and number
        if not (want == "?" or (want == "_" and number) or str(have) == want or free):
            return False
    return True


def port_problems(kind, values, table, fixed):
    """Inputs or outputs against the table: exact names in order, dtypes, ranks and dimensions."""
    rest = list(values)
    for key, expected in table.items():
        stem, mark = (key[:-1], key[-1]) if key[-1] in "?*" else (key, "")
        taken = 0
        while rest and rest[0].name == (f"{stem}{taken}" if mark == "*" else stem):
            value, taken = rest.pop(0), taken + 1
            if not matches(value, expected, fixed):
                yield f"{kind} {value.name} is {written(value)}, expected {expected}"
        if not taken and not mark:
            yield f"{kind} {stem} is missing or out of order"
    for value in rest:
        yield f"{kind} {value.name} is unknown or out of order"


def border_problems(model, path, fixed):
    graph, component = model.graph, path.parent.name
    if component in COMPONENTS:
        inputs, outputs = COMPONENTS[component]
        yield from port_problems("input", graph.input, inputs, fixed)
        yield from port_problems("output", graph.output, outputs, fixed)
        try:
            json.loads((path.parent / "config.json").read_text())
        except (OSError, ValueError) as error:
            yield f"config.json, which its consumers ask for: {error}"
        return
    for kind, values in (("input", graph.input), ("output", graph.output)):
        for value in values:
            if dtype_of(value) not in ("float32", "int64"):
                yield f"{kind} {value.name} is {dtype_of(value)}, expected float32 or int64"


OPERATOR = r"\s*([*/])\s*"


def sized(dim, sizes):
    """The number of a declared dimension: its own, or that of a product of symbols and numbers; None if unknown."""
    if not isinstance(dim, str):
        return dim
    size, tokens = 1, re.split(OPERATOR, dim)
    for sign, name in zip(["*", *tokens[1::2]], tokens[::2]):
        factor = int(name) if name.isdigit() else sizes.get(name)
        if factor is None:
            return None
        size = size * factor if sign == "*" else size / factor
    return size


def shapes_derived(model):
    """What inference derives from the inputs alone, by name, and the sizes it was given for the inputs' symbols."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    graph = copy.graph
    del graph.value_info[:]
    for output in graph.output:
        output.type.tensor_type.ClearField("shape")
    for node in graph.node:
        if node.op_type == "GroupNormalization":  # its result has its input's shape; the onnx package derives none
            node.CopyFrom(make_node("Identity", node.input[:1], node.output))

    dims = [dim for value in graph.input for dim in value.type.tensor_type.shape.dim if dim.dim_param]
    names = sorted({name for dim in dims for name in re.split(OPERATOR, dim.dim_param)[::2] if not name.isdigit()})
    sizes = {name: 64 * index for index, name in enumerate(names, 1)} | {"batch_size": 2, "sequence_length": 77}
    for dim in dims:
        dim.dim_value = int(sized(dim.dim_param, sizes))
    graph = shape_inference.infer_shapes(copy, check_type=True, strict_mode=True, data_prop=True).graph
    return {value.name: value for value in [*graph.value_info, *graph.output]}, sizes


def shape_problems(model):
    """Every declared shape against the derived one."""
    derived, sizes = shapes_derived(model)
    outputs = {output.name for output in model.graph.output}
    for value in [*model.graph.value_info, *model.graph.output]:
        found, said = derived.get(value.name), dims_of(value)
        shape = dims_of(found) if found else None
        if shape is None or not all(isinstance(size, int) for size in shape):
            yield f"{value.name} is declared {written(value)}, inference derives no sizes from the inputs"
            continue
        agree = said is not None and len(said) == len(shape) and dtype_of(value) == dtype_of(found)
        for dim, size in zip(said or [], shape):
            known = sized(dim, sizes)
            if known is None and isinstance(dim, str) and value.name not in outputs:
                known = sizes.setdefault(dim, size)  # a symbol of the graph's own: one number wherever it stands
            agree = agree and known == size
        if not agree:
            yield f"{value.name} is declared {written(value)}, inference derives {written(found)} with {sizes}"


def specification(path):
    onnx.checker.check_model(str(path), full_check=True)


def session(path):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def problems(path, fixed):
    checks = [
        lambda: specification(path),
        lambda: header_problems(model),
        lambda: data_problems(model, path),
        lambda: border_problems(model, path, fixed),
        lambda: shape_problems(model),
        lambda: session(path),
    ]
    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        yield f"not an ONNX model: {error}"
        return
    for check in checks:
        try:
            yield from check() or ()
        except Exception as error:  # each library raises classes of its own: whatever it refuses is a problem
            yield f"{type(error).__name__}: {error}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--fixed", action="store_true", help="numbers may stand in place of symbols")
    args = parser.parse_args()

    passed = failed = 0
    for folder in args.folders:
        for path in sorted(folder.rglob("model.onnx")) or [folder / "model.onnx"]:
            found = list(problems(path, args.fixed))
            print(f"FAIL {path}" if found else f"ok   {path}", *found, sep="\n     ", flush=True)
            passed, failed = passed + (not found), failed + bool(found)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
