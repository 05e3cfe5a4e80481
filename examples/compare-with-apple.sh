#!/bin/sh
# On a Mac with Xcode: compiles a package with sdconvert and with Apple's compiler, and shows what differs.
#
#   examples/compare-with-apple.sh out/Stable_Diffusion_version_x_unet.mlpackage
#
# Equal files print nothing. The order of one map in coremldata.bin differs from run to run with Apple's compiler, too,
# and the first lines of model.mil name the compiler's version.
set -eu
package="${1:?usage: compare-with-apple.sh PACKAGE}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
sdconvert compile "$package" --output "$work/ours.mlmodelc"
sdconvert compile "$package" --compiler apple --output "$work/apple.mlmodelc"
diff -rq "$work/ours.mlmodelc" "$work/apple.mlmodelc" || true
diff "$work/ours.mlmodelc/metadata.json" "$work/apple.mlmodelc/metadata.json" || true
