import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

/**
 * What users cause is an `SdConvertError`, with exit code 1. Other errors are defects, with exit code 2: each place that can
 * throw one is listed here, with the reason why no file and no request leads there.
 */

const root = join(import.meta.dirname, '..');

/** Whoever calls it catches it, and throws an `SdConvertError` that names the file. */
const caught = 'caught beside it and told of the file';
/** Graphs, programs and models of the project's own making, whatever the checkpoint. */
const ownMaking = 'of what sdconvert itself builds';
/** Those who call it have compared sizes, dtypes and names before. */
const checked = 'its callers have checked it';
/** Arrays of the same length, answers in turn: the compiler cannot know. */
const impossible = 'for the compiler, which does not know it';

const allowed: Readonly<Record<string, readonly [count: number, reason: string]>> = {
  'cli/run-command-line.ts': [1, 'wraps what is thrown, to be told as a defect'],
  'src/bundle/comfyui-packages.ts': [1, impossible],
  'src/checkpoint/lora/open-change.ts': [2, checked],
  'src/checkpoint/lora/summed-weight.ts': [1, checked],
  'src/commands/conversion/artifact-writer.ts': [2, impossible],
  'src/commands/drawing/draw-all.ts': [1, impossible],
  'src/commands/reporting/draw-swapped.ts': [3, impossible],
  'src/commands/web.ts': [1, impossible],
  'src/convert/networks/text-encoder.ts': [1, checked],
  'src/fleet/queue/step-worker.ts': [2, 'errors as the engine of the queue takes them'],
  'src/fleet/read-manifest.ts': [1, impossible],
  'src/fleet/store/s3-errors.ts': [1, 'wraps what is thrown, to be told as what it means'],
  'src/formats/coreai/asset.ts': [1, impossible],
  'src/formats/coreai/bytecode/encode-program.ts': [2, checked],
  'src/formats/coreai/bytecode/numbering.ts': [1, checked],
  'src/formats/coreai/constants.ts': [1, caught],
  'src/formats/coreai/contract/record-graph.ts': [1, ownMaking],
  'src/formats/coreai/contract/text-encoders.ts': [2, ownMaking],
  'src/formats/coreai/lower/composites.ts': [4, ownMaking],
  'src/formats/coreai/lower/declared-graphs.ts': [3, ownMaking],
  'src/formats/coreai/lower/lower.ts': [6, ownMaking],
  'src/formats/coreai/lower/operation-writer.ts': [1, ownMaking],
  'src/formats/coreai/lower/tokens-last.ts': [1, ownMaking],
  'src/formats/coreai/to-onnx/decode-constant.ts': [8, caught],
  'src/formats/coreai/to-onnx/onnx-program.ts': [2, checked],
  'src/formats/coreml/build/build-model.ts': [1, ownMaking],
  'src/formats/coreml/build/mil-writer.ts': [2, ownMaking],
  'src/formats/coreml/compiled/compiled-metadata.ts': [1, checked],
  'src/formats/coreml/mil/decode-plain.ts': [1, caught],
  'src/formats/coreml/mil/mil-dtype.ts': [1, ownMaking],
  'src/formats/coreml/mil/mil-model.ts': [1, checked],
  'src/formats/coreml/mil/mil-names.ts': [2, ownMaking],
  'src/formats/coreml/mil/mil-program.ts': [1, checked],
  'src/formats/coreml/mil/mil-text.ts': [2, checked],
  'src/formats/coreml/mil/mil-value.ts': [1, ownMaking],
  'src/formats/coreml/package/lay-out.ts': [1, ownMaking],
  'src/formats/coreml/package/weight-blobs.ts': [1, checked],
  'src/formats/coreml/package/weight-file.ts': [1, ownMaking],
  'src/formats/coreml/quantize/quantize-mil.ts': [1, checked],
  'src/formats/coreml/split-mil.ts': [2, checked],
  'src/formats/coreml/to-onnx/decode-constant.ts': [4, caught],
  'src/formats/coreml/to-onnx/onnx-program.ts': [3, checked],
  'src/formats/onnx/build-model.ts': [3, ownMaking],
  'src/formats/onnx/edges/one-file.ts': [1, impossible],
  'src/formats/onnx/lower.ts': [3, ownMaking],
  'src/formats/onnx/run/onnx-session.ts': [1, impossible],
  'src/formats/onnx/run/ort-types.ts': [1, caught],
  'src/formats/onnx/run/ort-worker.ts': [2, caught],
  'src/formats/onnx/split-onnx.ts': [1, checked],
  'src/formats/onnx/tensor-bytes.ts': [1, checked],
  'src/formats/onnx/translated/decoded-numbers.ts': [4, caught],
  'src/formats/onnx/translated/translated-model.ts': [1, checked],
  'src/generate/encode-conditioning.ts': [1, checked],
  'src/generate/png.ts': [4, caught],
  'src/graph/dim.ts': [3, 'caught where a graph is inferred, and told as a ShapeError'],
  'src/graph/functions.ts': [2, 'caught where a graph is inferred, and told as a ShapeError'],
  'src/graph/peak-elements.ts': [1, checked],
  'src/graph/rewrite.ts': [1, ownMaking],
  'src/graph/shape.ts': [2, 'caught where a graph is inferred, and told as a ShapeError'],
  'src/graph/verify.ts': [9, ownMaking],
  'src/graph/weight-book.ts': [1, ownMaking],
  'src/io/carried-error.ts': [1, 'an error of another process, as it was there'],
  'src/io/direct-writes.ts': [1, impossible],
  'src/io/hashing/block-hasher.ts': [1, checked],
  'src/io/hashing/write-hashed.ts': [2, checked],
  'src/io/stages/staging.ts': [1, 'caught beside it: that stage is left alone'],
  'src/io/zip-archive.ts': [1, caught],
  'src/mixed-bits/choose-bits.ts': [1, impossible],
  'src/mixed-bits/segmented-model.ts': [2, checked],
  'src/mixed-bits/segments.ts': [1, checked],
  'src/quantize/float-tensor.ts': [1, checked],
  'src/quantize/palette/palettized-weight.ts': [2, impossible],
  'src/quantize/palette/scaled-palette.ts': [1, impossible],
  'src/quantize/precision.ts': [1, ownMaking],
  'src/quantize/stored-form.ts': [1, checked],
  'src/run/value-store.ts': [1, checked],
  'src/validate/reference.ts': [1, impossible],
  'src/validate/verdict.ts': [1, checked],
  'src/weights/derived-weight.ts': [4, ownMaking],
  'src/weights/gguf/gguf-header.ts': [1, checked],
  'src/weights/safetensors-writer.ts': [1, checked],
  'src/weights/scaled/scaled-stream.ts': [1, checked],
  'src/weights/tensor-stream.ts': [1, checked],
};

/** Errors of the language that are made, with or without `new`, and values that are thrown as they are. */
const bare =
  /(?<![\w.])(?:Error|TypeError|RangeError|SyntaxError|EvalError|AggregateError)\(|\bthrow\s+["'`{[\d]/g;

test('an error that no user can act on is thrown only where no input leads', () => {
  const found: Record<string, number> = {};
  for (const file of globSync('{src,cli}/**/*.ts', { cwd: root }).sort()) {
    const count = [...readFileSync(join(root, file), 'utf8').matchAll(bare)].length;
    const path = file.replaceAll('\\', '/');
    if (count > 0) found[path] = count;
  }
  const expected = Object.fromEntries(Object.entries(allowed).map(([file, [count]]) => [file, count]));
  expect(
    found,
    'Throw an error of src/errors.ts that says what to do; or, where no input leads, list it here with the reason.',
  ).toEqual(expected);
});
