"""Loads Core ML packages with coremltools' own reader, which infers every type anew and reads every weight.

    python check_coreml.py FOLDER...

Each `.mlpackage` below the folders is loaded as a MIL program: coremltools throws for an operation, parameter, type or
weight offset that is not as its definitions say. Prints a line for each package, and `N passed, N failed` at the end.
"""

import sys
from collections import Counter
from pathlib import Path

import coremltools as ct
from coremltools.converters.mil.frontend.milproto.load import load as load_program


def check(package: Path) -> str:
    spec = ct.utils.load_spec(str(package))
    weights = package / "Data/com.apple.CoreML/weights"
    program = load_program(spec, spec.specificationVersion, str(weights))
    function = program.functions["main"]
    declared = [feature.name for feature in spec.description.input]
    if list(function.inputs) != declared:
        raise ValueError(f"the program reads {list(function.inputs)}, the description says {declared}")
    outputs = [output.name for output in function.outputs]
    if outputs != [feature.name for feature in spec.description.output]:
        raise ValueError(f"the program gives {outputs}, the description says otherwise")
    operations = Counter(operation.op_type for operation in function.operations)
    computed = sum(count for name, count in operations.items() if name != "const")
    if computed == 0:
        raise ValueError("the program computes nothing")
    return f"{computed} operations, {operations['einsum']} of them einsum"


def main(folders: list[str]) -> int:
    packages = sorted(package for folder in folders for package in Path(folder).rglob("*.mlpackage"))
    failed = 0
    for package in packages:
        try:
            print(f"ok    {package.name}: {check(package)}")
        except Exception as error:  # whatever coremltools throws is a finding
            failed += 1
            print(f"FAIL  {package}: {type(error).__name__}: {error}")
    if not packages:
        print(f"FAIL  no packages below {', '.join(folders)}")
        failed = 1
    print(f"{max(0, len(packages) - failed)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
