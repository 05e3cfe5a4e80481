"""Records LoRAs of every kind and what their authors' programs make of a few weights with them.

    python make_lora_goldens.py test/goldens/lora        (with the packages of requirements-recording.txt)

`base.safetensors` has the weights of a few layers, under their networks' names. Each other file is a LoRA; the weights
that it changes, merged at scale 0.7, are in `merged/` under the same file name. Where PEFT knows the kind, PEFT makes the
factors and merges them; for the others the definition is written out in float64 (LyCORIS' dora_scale and lora_mid).
"""

import json
import sys
from pathlib import Path

import torch
from peft import LoHaConfig, LoKrConfig, LoraConfig, get_peft_model, get_peft_model_state_dict
from safetensors.torch import save_file

SCALE = 0.7
BLOCK = "down_blocks.0.attentions.0.transformer_blocks.0"
LAYERS = {
    "unet.conv_in": lambda: torch.nn.Conv2d(3, 10, 3, bias=False),  # 27 columns: no multiple of anything
    "unet.down_blocks.0.resnets.0.conv1": lambda: torch.nn.Conv2d(8, 12, 3, bias=False),
    "unet.down_blocks.0.attentions.0.proj_in": lambda: torch.nn.Conv2d(12, 12, 1, bias=False),
    f"unet.{BLOCK}.attn1.to_q": lambda: torch.nn.Linear(12, 18, bias=False),
    f"unet.{BLOCK}.attn2.to_out.0": lambda: torch.nn.Linear(18, 12, bias=False),
    "text_encoder.text_model.encoder.layers.0.self_attn.q_proj": lambda: torch.nn.Linear(16, 16, bias=False),
}


def network(name):
    """The layers of a network as a tree of modules, so that PEFT finds them by their paths."""
    root = torch.nn.Module()
    for path, make in LAYERS.items():
        if not path.startswith(f"{name}."):
            continue
        *parents, leaf = path.removeprefix(f"{name}.").split(".")
        module = root
        for parent in parents:
            if parent not in module._modules:
                module.add_module(parent, torch.nn.Module())
            module = module._modules[parent]
        torch.manual_seed(sum(map(ord, path)))
        module.add_module(leaf, make())
    return root


def weights_of(name):
    return {f"{name}.{key}": value.detach().clone() for key, value in network(name).state_dict().items()}


def random_like(state):
    """PEFT begins with a change of zero; magnitudes stay what they are, somewhat changed."""
    return {
        key: value * (1 + 0.3 * torch.rand_like(value)) if "magnitude" in key else 0.3 * torch.randn_like(value)
        for key, value in state.items()
    }


def peft_case(networks, config):
    """What PEFT saves for a configuration, and the weights that it merges."""
    saved, merged, settings = {}, {}, {}
    for name in networks:
        torch.manual_seed(len(name))
        model = get_peft_model(network(name), config(name))
        state = random_like(get_peft_model_state_dict(model))
        model.load_state_dict({with_adapter(key): value for key, value in state.items()}, strict=False)
        check_loaded(model, state)
        for module in model.modules():
            if hasattr(module, "set_scale"):
                module.set_scale("default", SCALE)
        settings[name] = model.peft_config["default"]
        saved |= {key.replace("base_model.model.", f"{name}."): value for key, value in state.items()}
        result = model.merge_and_unload().state_dict()
        merged |= {f"{name}.{key}": value for key, value in result.items()}
    return saved, merged, settings


def with_adapter(key):
    for part in ("lora_A", "lora_B"):
        key = key.replace(f".{part}.", f".{part}.default.")
    if key.endswith("lora_magnitude_vector"):
        return f"{key}.default.weight"
    if any(part in key for part in ("hada_", "lokr_")):
        return f"{key}.default"
    return key


def check_loaded(model, state):
    now = get_peft_model_state_dict(model)
    assert state.keys() == now.keys() and all(torch.equal(state[key], now[key]) for key in state)


def kohya(saved, alpha):
    """The same tensors as kohya's scripts and LyCORIS call them."""
    named = {}
    for key, value in saved.items():
        path, part = key.split(".lora_A.")[0], "lora_down.weight"
        if ".lora_B." in key:
            path, part = key.split(".lora_B.")[0], "lora_up.weight"
        for kind in (".hada_", ".lokr_"):
            if kind in key:
                path, rest = key.split(kind)
                part = kind[1:] + rest
        module = path.replace("unet.", "lora_unet_", 1).replace("text_encoder.", "lora_te_", 1).replace(".", "_")
        named[f"{module}.{part}"] = value
        named[f"{module}.alpha"] = torch.tensor(float(alpha))
    return named


def all_layers(name):
    return [path.removeprefix(f"{name}.") for path in LAYERS if path.startswith(f"{name}.")]


def save(folder, name, tensors, merged, metadata=None):
    (folder / "merged").mkdir(parents=True, exist_ok=True)
    base = weights_of("unet") | weights_of("text_encoder")
    changed = {key: value.float() for key, value in merged.items() if not torch.equal(value.float(), base[key])}
    save_file({key: value.contiguous() for key, value in tensors.items()}, folder / f"{name}.safetensors", metadata)
    save_file({key: value.contiguous() for key, value in changed.items()}, folder / "merged" / f"{name}.safetensors")
    print(name, len(tensors), "tensors,", len(changed), "weights changed")


def peft_files(folder):
    both = ("unet", "text_encoder")
    for name, extra in {"peft": {}, "peft-dora": {"use_dora": True, "use_rslora": True}}.items():
        patterns = {"unet": {"attn1.to_q": 2}, "text_encoder": {}}
        saved, merged, settings = peft_case(
            both,
            lambda each: LoraConfig(
                r=3, lora_alpha=5, alpha_pattern=patterns[each], target_modules=all_layers(each), **extra
            ),
        )
        metadata = {}
        for each, config in settings.items():
            for key, value in config.to_dict().items():
                metadata[f"{each}.{key}"] = list(value) if isinstance(value, set) else value
        save(folder, name, saved, merged, {"lora_adapter_metadata": json.dumps(metadata, default=str)})

    saved, merged, _ = peft_case(
        both, lambda each: LoraConfig(r=3, lora_alpha=2, target_modules=all_layers(each))
    )
    save(folder, "kohya", kohya(saved, 2), merged)

    kinds = {
        "loha": (LoHaConfig, 2, {}),
        "loha-tucker": (LoHaConfig, 2, {"use_effective_conv2d": True}),
        "lokr": (LoKrConfig, 2, {"decompose_factor": 2}),
        "lokr-tucker": (LoKrConfig, 2, {"decompose_factor": 2, "use_effective_conv2d": True}),
        "lokr-both": (LoKrConfig, 1, {"decompose_both": True}),
    }
    for name, (config, rank, extra) in kinds.items():
        saved, merged, _ = peft_case(
            both, lambda each: config(r=rank, alpha=3, target_modules=all_layers(each), **extra)
        )
        save(folder, name, kohya(saved, 3), merged)


def defined_files(folder):
    """The kinds that PEFT does not have."""
    torch.manual_seed(7)
    base = {key: value.double() for key, value in weights_of("unet").items()}
    conv, linear = "unet.down_blocks.0.resnets.0.conv1", f"unet.{BLOCK}.attn1.to_q"
    names = {key: key.replace("unet.", "lora_unet_").replace(".", "_") for key in (conv, linear)}

    # LoCon in CP form: three convolutions in a row, 1×1 down, k×k in the middle, 1×1 up.
    down, mid, up = torch.randn(4, 8, 1, 1), torch.randn(4, 4, 3, 3), torch.randn(12, 4, 1, 1)
    delta = torch.einsum("op,pqhw,qi->oihw", up[:, :, 0, 0].double(), mid.double(), down[:, :, 0, 0].double())
    x = torch.randn(1, 8, 7, 7)
    chained = torch.nn.functional.conv2d(torch.nn.functional.conv2d(torch.nn.functional.conv2d(x, down), mid), up)
    assert torch.allclose(chained.double(), torch.nn.functional.conv2d(x.double(), delta), atol=1e-4)
    tensors = {"lora_down.weight": down, "lora_mid.weight": mid, "lora_up.weight": up, "alpha": torch.tensor(1.0)}
    save(
        folder,
        "kohya-mid",
        {f"{names[conv]}.{part}": value for part, value in tensors.items()},
        {f"{conv}.weight": base[f"{conv}.weight"] + SCALE * 1 / 4 * delta},
    )

    # LoKr of two whole matrices: alpha means nothing.
    w1, w2 = torch.randn(3, 2), torch.randn(4, 4, 3, 3)
    save(
        folder,
        "lokr-whole",
        {f"{names[conv]}.lokr_w1": w1, f"{names[conv]}.lokr_w2": w2, f"{names[conv]}.alpha": torch.tensor(9.0)},
        {f"{conv}.weight": base[f"{conv}.weight"] + SCALE * torch.kron(w1.double()[:, :, None, None], w2.double())},
    )

    # DoRA as LyCORIS has it: lengths by output or by input; the scale goes part of the way to the result.
    for by in ("output", "input"):
        tensors, merged = {}, {}
        for layer in (conv, linear):
            weight = base[f"{layer}.weight"]
            down, up = torch.randn(2, *weight.shape[1:]), torch.randn(weight.shape[0], 2)
            changed = weight + 3 / 2 * (up.double() @ down.double().flatten(1)).reshape(weight.shape)
            axes = [axis for axis in range(weight.dim()) if axis != (0 if by == "output" else 1)]
            lengths = changed.square().sum(dim=axes, keepdim=True).sqrt()
            wanted = (lengths * (0.5 + torch.rand_like(lengths))).float()
            whole = changed / lengths * wanted.double()
            merged[f"{layer}.weight"] = weight + SCALE * (whole - weight)
            up = up.reshape(*up.shape, *[1] * (weight.dim() - 2))
            tensors[f"{names[layer]}.lora_down.weight"] = down
            tensors[f"{names[layer]}.lora_up.weight"] = up
            tensors[f"{names[layer]}.alpha"] = torch.tensor(3.0)
            tensors[f"{names[layer]}.dora_scale"] = wanted
        save(folder, f"dora-{by}", tensors, merged)


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    save_file(weights_of("unet") | weights_of("text_encoder"), folder / "base.safetensors")
    peft_files(folder)
    defined_files(folder)


if __name__ == "__main__":
    main()
