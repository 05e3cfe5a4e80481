"""Shows that check_onnx.py passes a right model and says what is wrong with each of its broken copies.

    python check_onnx_test.py
"""

import os
import sys
import tempfile
from pathlib import Path

from onnx import TensorProto, helper

from check_onnx import LARGEST_FILE, problems

FLOAT = TensorProto.FLOAT
NODE, VALUE = helper.make_node, helper.make_tensor_value_info


def weight(name, dims, offset, length):
    tensor = TensorProto(name=name, data_type=FLOAT, dims=dims, data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "model.onnx_data"), ("offset", offset), ("length", length)):
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def decoder():
    """A VAE decoder in two nodes: 4 channels to 3, then eight times the size. Its data file has 60 bytes."""
    graph = helper.make_graph(
        [
            NODE("Conv", ["latent_sample", "weight", "bias"], ["h"]),
            NODE("Resize", ["h", "", "scales"], ["sample"], mode="nearest"),
        ],
        "vae_decoder",
        [VALUE("latent_sample", FLOAT, ["batch_size", 4, "latent_height", "latent_width"])],
        [VALUE("sample", FLOAT, ["batch_size", 3, "latent_height * 8", "latent_width * 8"])],
        [
            weight("weight", [3, 4, 1, 1], 0, 48),
            weight("bias", [3], 48, 12),
            helper.make_tensor("scales", FLOAT, [4], [1.0, 1.0, 8.0, 8.0]),
        ],
        value_info=[VALUE("h", FLOAT, ["batch_size", 3, "latent_height", "latent_width"])],
    )
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 20)])


def external(graph, index, key, value):
    next(entry for entry in graph.initializer[index].external_data if entry.key == key).value = value


def dim(value, index, size):
    value.type.tensor_type.shape.dim[index].CopyFrom(VALUE("", FLOAT, [size]).type.tensor_type.shape.dim[0])


def add_dim(value):
    value.type.tensor_type.shape.dim.add(dim_value=1)


def half(value):
    value.type.tensor_type.elem_type = TensorProto.FLOAT16


def rename(graph, old, new):
    """Gives a tensor another name wherever it stands."""
    for node in graph.node:
        for ports in (node.input, node.output):
            ports[:] = [new if port == old else port for port in ports]
    for value in [*graph.input, *graph.output]:
        value.name = new if value.name == old else value.name


def between(graph, *nodes):
    """Puts nodes that read `a` and make `b` between the convolution and the rest."""
    graph.node[0].output[0], graph.node[1].input[0] = "a", "b"
    del graph.value_info[:]
    for index, node in enumerate(nodes, 1):
        graph.node.insert(index, node)


def vendor(model):
    model.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    between(model.graph, NODE("Gelu", ["a"], ["b"], domain="com.microsoft"))


def function(model):
    same = helper.make_function("", "Same", ["a"], ["b"], [NODE("Identity", ["a"], ["b"])], model.opset_import)
    model.functions.append(same)


def half_input(graph):
    half(graph.input[0])
    rename(graph, "latent_sample", "x")
    graph.input[0].name = "latent_sample"
    graph.node.insert(0, NODE("Cast", ["latent_sample"], ["x"], to=FLOAT))


def fixed_sizes(graph):
    del graph.value_info[:]
    for value, sizes in ((graph.input[0], [2, 4, 8, 8]), (graph.output[0], [2, 3, 64, 64])):
        value.CopyFrom(VALUE(value.name, FLOAT, sizes))


def no_kernel(graph):
    casts = [NODE("Cast", ["a"], ["c"], to=TensorProto.BFLOAT16), NODE("Cast", ["d"], ["b"], to=FLOAT)]
    between(graph, casts[0], NODE("Floor", ["c"], ["d"]), casts[1])


def unforeseen(graph):
    graph.initializer.append(helper.make_tensor("keep", TensorProto.BOOL, [4], [True] * 4))
    between(graph, NODE("Compress", ["a", "keep"], ["b"], axis=2))


def resize(path, size):
    with open(path, "ab") as file:
        os.truncate(file.fileno(), size)


# What is wrong, how it is made so (g the graph, m the model, d its folder), a part of the sentence that must say it.
FAULTS = [
    ("a file that is no model", lambda g, m, d: m.Clear(), "ModelProto"),
    ("a tensor that nothing makes", lambda g, m, d: g.node[1].input.__setitem__(0, "lost"), "ValidationError"),
    ("an older operator set", lambda g, m, d: setattr(m.opset_import[0], "version", 19), "are [('', 19)]"),
    ("a later operator set", lambda g, m, d: setattr(m.opset_import[0], "version", 22), "are [('', 22)]"),
    ("a vendor's operator set", lambda g, m, d: vendor(m), "('com.microsoft', 1)"),
    ("a vendor's operator", lambda g, m, d: vendor(m), "nodes of other domains: ['com.microsoft']"),
    ("a local function", lambda g, m, d: function(m), "1 local functions"),
    ("another file format", lambda g, m, d: setattr(m, "ir_version", 11), "ir_version is 11"),
    ("a data file that is missing", lambda g, m, d: (d / "model.onnx_data").unlink(), "is not beside the model"),
    ("a data file elsewhere", lambda g, m, d: external(g, 0, "location", "data/w"), "'data/w' is not beside the model"),
    ("a data file cut short", lambda g, m, d: resize(d / "model.onnx_data", 59), "bias: bytes 48 to 60 lie outside"),
    ("an offset below zero", lambda g, m, d: external(g, 0, "offset", "-1"), "weight: bytes -1 to 47 lie outside"),
    ("weights that overlap", lambda g, m, d: external(g, 1, "offset", "47"), "weight and bias overlap"),
    ("a weight of another length", lambda g, m, d: external(g, 1, "length", "8"), "bias: 8 bytes of data"),
    ("a data file too large", lambda g, m, d: resize(d / "model.onnx_data", LARGEST_FILE + 1), "more than 2147483648"),
    ("a data file left over", lambda g, m, d: (d / "model.onnx_data_1").touch(), "model.onnx_data_1 is used by no"),
    ("no config.json", lambda g, m, d: (d / "config.json").unlink(), "config.json, which its consumers ask for"),
    ("another input name", lambda g, m, d: rename(g, "latent_sample", "z"), "input latent_sample is missing"),
    ("an unknown input", lambda g, m, d: rename(g, "latent_sample", "z"), "input z is unknown"),
    ("another output name", lambda g, m, d: rename(g, "sample", "image"), "output sample is missing"),
    ("an output too many", lambda g, m, d: g.output.append(g.value_info[0]), "output h is unknown"),
    ("a float16 input", lambda g, m, d: half_input(g), "input latent_sample is float16"),
    ("a fixed batch", lambda g, m, d: dim(g.input[0], 0, 2), "input latent_sample is float32 [2, 4,"),
    ("another channel count", lambda g, m, d: dim(g.input[0], 1, 8), "input latent_sample is float32 [batch_size, 8,"),
    ("another symbol", lambda g, m, d: dim(g.input[0], 2, "height"), "[batch_size, 4, height, latent_width], expected"),
    ("a size spelled otherwise", lambda g, m, d: dim(g.output[0], 2, "8h"), "[batch_size, 3, 8h, latent_width * 8], "),
    ("another rank", lambda g, m, d: add_dim(g.output[0]), "latent_width * 8, 1], expected"),
    ("a wrong factor", lambda g, m, d: g.initializer[2].float_data.__setitem__(3, 4), "sample is declared float32"),
    ("a size that the data decides", lambda g, m, d: unforeseen(g), "inference derives no sizes from the inputs"),
    ("a wrong number within", lambda g, m, d: dim(g.value_info[0], 1, 5), "h is declared float32 [batch_size, 5,"),
    ("a wrong symbol within", lambda g, m, d: dim(g.value_info[0], 2, "latent_width"), "h is declared float32 [batch"),
    ("a symbol of two sizes", lambda g, m, d: [dim(g.value_info[0], i, "n") for i in (2, 3)], "h is declared float32"),
    ("a wrong rank within", lambda g, m, d: add_dim(g.value_info[0]), "h is declared float32"),
    ("a wrong dtype within", lambda g, m, d: half(g.value_info[0]), "h is declared float16"),
    ("an operator without a kernel", lambda g, m, d: no_kernel(g), "NotImplemented"),
]


def found_in(component, edit, fixed=False):
    """The problems of the right model, written as a component after an edit."""
    with tempfile.TemporaryDirectory() as parent:
        folder, model = Path(parent) / component, decoder()
        folder.mkdir()
        (folder / "config.json").write_text("{}")
        (folder / "model.onnx_data").write_bytes(bytes(60))
        edit(model.graph, model, folder)
        (folder / "model.onnx").write_bytes(model.SerializeToString() or b"nothing")
        return list(problems(folder / "model.onnx", fixed))


def main():
    outcomes = []
    for claim, fixed, edit in (
        ("a right model has no problem", False, lambda g, m, d: None),
        ("fixed sizes are no problem where asked for", True, lambda g, m, d: fixed_sizes(g)),
    ):
        found = found_in("vae_decoder", edit, fixed)
        outcomes.append((claim, found, not found))
    found = found_in("unet_chunk1", lambda g, m, d: half_input(g))
    outcomes.append(("a chunk's float16 input", found, any("expected float32 or int64" in line for line in found)))
    for claim, edit, said in FAULTS:
        found = found_in("vae_decoder", edit)
        outcomes.append((claim, found, any(said in problem for problem in found)))

    for claim, found, right in outcomes:
        if not right:
            print(f"FAIL {claim}", *found, sep="\n     ")
    right = sum(right for _, _, right in outcomes)
    print(f"{right} passed, {len(outcomes) - right} failed")
    sys.exit(0 if right == len(outcomes) else 1)


if __name__ == "__main__":
    main()
