"""Checks Core ML packages and compiled bundles with readers that are not ours: mil_eval.py and mlmodelc.py.

    python coreml_oracles.py TOOLS FOLDER...

TOOLS is where the two lie. Every `.mlpackage` below the folders is read, its program's types inferred anew and its weights
held against them; the `.mlmodelc` of the same name beside it must be what the package compiles to. A warning is a
failure, too. Prints a line for each, and `N passed, N failed` at the end.
"""

import contextlib
import io
import sys
from pathlib import Path


def package_problems(mil_eval, package: Path) -> list[str]:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
        mil_eval.main(["check", str(package)])
    lines = printed.getvalue().splitlines()
    return [] if lines and lines[-1].endswith(": 0 errors, 0 warnings") else lines or ["nothing was checked"]


def bundle_problems(mlmodelc, package: Path, bundle: Path) -> list[str]:
    if not bundle.is_dir():
        return ["not compiled"]
    try:
        return [f"{file}: {problem}" for file, problem in mlmodelc.check(str(package), str(bundle))]
    except Exception as error:  # whatever the reader throws is a finding
        return [f"{type(error).__name__}: {error}"]


def main(tools: str, *folders: str) -> int:
    sys.path.insert(0, tools)
    import mil_eval
    import mlmodelc

    passed = failed = 0
    for package in sorted(package for folder in folders for package in Path(folder).rglob("*.mlpackage")):
        bundle = package.with_suffix(".mlmodelc")
        checks = {package: package_problems(mil_eval, package), bundle: bundle_problems(mlmodelc, package, bundle)}
        for path, problems in checks.items():
            print("FAIL" if problems else "ok  ", path, *problems[-5:], sep="\n      " if problems else "  ", flush=True)
            passed, failed = passed + (not problems), failed + bool(problems)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
