import { truncateSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import {
  FileFormatError,
  NotFoundError,
  type SdConvertError,
  UnsupportedModelError,
} from '../../../../src/errors.ts';
import { encodeModel } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import { openMlPackage } from '../../../../src/formats/coreml/package/read-package.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { rejectionOf } from '../../../support/thrown-by.ts';
import { smallManifest, smallModel, smallText, smallWeights, writeSmallPackage } from '../small-package.ts';

const at = temporaryFolder();
let count = 0;
let place = '';
beforeEach(() => {
  place = at(`${++count}.mlpackage`);
});

async function refusal(path: string, kind: new (...parts: never[]) => SdConvertError): Promise<string> {
  const error: unknown = await openMlPackage(path).catch((caught: unknown) => caught);
  expect(error).toBeInstanceOf(kind);
  if (!(error instanceof kind)) throw new Error('it was not refused');
  expect(error.message.length).toBeLessThan(1000);
  return error.problem;
}

function withText(from: string, to: string) {
  if (!smallText.includes(from)) throw new Error(`there is no ${from}`);
  return { model: smallModel({ text: smallText.replace(from, to) }) };
}

test('a package is its program, its description and the places of its weights', async () => {
  const model = await openMlPackage(writeSmallPackage(place));
  expect(model.specificationVersion).toBe(7);
  expect(model.program).toEqual(smallModel().mlProgram);
  expect(model.description).toEqual(smallModel().description);

  const reference = { fileName: '@model_path/weights/weight.bin', offset: 64 };
  const { file, dtype, offset, byteLength } = model.weights.find(reference);
  expect({ dtype, offset, byteLength }).toEqual({ dtype: 'fp16', offset: 128, byteLength: 32 });
  const data = new Uint8Array(byteLength);
  await file.read(data, offset);
  expect(data).toEqual(smallWeights().slice(128));
  await model.close();
});

test('a model without weights in files needs no weight file', async () => {
  const text =
    'program(1.0){func main<ios16>(tensor<fp32, [2]> x){tensor<fp32, [2]> y = relu(x = x);}->(y);}';
  const model = await openMlPackage(
    writeSmallPackage(place, { model: smallModel({ text }), weights: undefined }),
  );
  expect(model.weights.files.size).toBe(0);
  await model.close();
});

test('something that is not a package says so', async () => {
  expect(await refusal(at('nothing'), NotFoundError)).toMatch(/nothing does not exist\.$/);
  writeFileSync(at('a.mlmodel'), 'x');
  expect(await refusal(at('a.mlmodel'), FileFormatError)).toMatch(/it is a file, not a folder/);
  expect(await refusal(at(), FileFormatError)).toMatch(/it has no Manifest\.json/);
});

test.each([
  ['[]', /it is not a JSON object/],
  ['not JSON', /it is not a JSON object/],
  ['{}', /it does not say where the model is/],
  [smallManifest.replace('"one"}', '"__proto__"}'), /it does not say where the model is/],
  [smallManifest.replace('com.apple.CoreML/model', '../../../etc/model'), /leads out of the package/],
  ['version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 617\n', /is a Git-LFS pointer/],
])('the manifest %j is refused', async (manifest, why) => {
  expect(await refusal(writeSmallPackage(place, { manifest }), FileFormatError)).toMatch(why);
});

test('a package without its model or its weights is incomplete', async () => {
  expect(await refusal(writeSmallPackage(place, { model: undefined }), NotFoundError)).toMatch(
    /model\.mlmodel does not exist\.$/,
  );
  expect(
    await refusal(writeSmallPackage(at('no-weights.mlpackage'), { weights: undefined }), NotFoundError),
  ).toMatch(/^The weights of the model are missing: .*weight\.bin does not exist\.$/);
});

test.each([
  [
    'is a Git-LFS pointer',
    new TextEncoder().encode(`version https://git-lfs.github.com/spec/v1\n${' '.repeat(99)}`),
  ],
  ['it does not begin as one does', new Uint8Array(0)],
  ['it does not begin as one does', smallWeights((view) => view.setUint32(4, 1, true))],
  ['a constant lies behind the end of the file', smallWeights().slice(0, 100)],
  ['it ends before the data of a constant does', smallWeights().slice(0, -1)],
  ['there is none', smallWeights((view) => view.setUint32(64, 0xdeadbeee, true))],
  ['an element type that is not known', smallWeights((view) => view.setUint32(68, 99, true))],
  ['not what the program says it is', smallWeights((view) => view.setUint32(68, 2, true))],
  ['not what the program says it is', smallWeights((view) => view.setBigUint64(72, 30n, true))],
  [
    'it ends before the data of a constant does',
    smallWeights((view) => view.setBigUint64(72, 2n ** 64n - 1n, true)),
  ],
  [
    'it ends before the data of a constant does',
    smallWeights((view) => view.setBigUint64(80, 2n ** 63n, true)),
  ],
])('a weight file is refused: %s', async (why, weights) => {
  expect(await refusal(writeSmallPackage(place, { weights }), FileFormatError)).toContain(why);
});

test.each([
  ['behind the end', 'uint64, []>(64)', 'uint64, []>(1024)'],
  ['behind the end', 'uint64, []>(64)', 'uint64, []>(9007199254740928)'],
  ['where none can be', 'uint64, []>(64)', 'uint64, []>(65)'],
  ['where none can be', 'uint64, []>(64)', 'uint64, []>(0)'],
  ['not what the program says it is', '[4, 4]>(BLOB', '[4, 1099511627776]>(BLOB'],
  ['a type or size that none can have', '[4, 4]>(BLOB', '[9007199254740991, 9007199254740991]>(BLOB'],
  ['a type or size that none can have', 'tensor<fp16, [4, 4]>(BLOB', 'tensor<bool, [4, 4]>(BLOB'],
  ['outside of the model', '@model_path/weights/weight.bin', '@model_path/../../../secret'],
  ['outside of the model', '@model_path/weights/weight.bin', '/etc/passwd'],
  ['outside of the model', '@model_path/weights/weight.bin', '@model_path/weights\\\\..\\\\x'],
])('a reference into the weight file is refused: %s', async (why, from, to) => {
  expect(await refusal(writeSmallPackage(place, withText(from, to)), FileFormatError)).toContain(why);
});

test.each([
  ['a circle: one reads a value that is computed later', 'x = x16)', 'x = y)'],
  ['a circle: one reads a value that is computed later', 'x = x16)', 'x = h)'],
  ['reads a value that nothing computes', 'x = x16)', 'x = nothing)'],
  ['an output is never computed', '-> (y)', '-> (z)'],
  ['two values have one name', '[1, 8]> y =', '[1, 8]> h ='],
  ['a constant has no value', ', val = tensor<string, []>("fp16")]', ']'],
])('a program is refused: %s', async (why, from, to) => {
  expect(await refusal(writeSmallPackage(place, withText(from, to)), FileFormatError)).toContain(why);
});

test('an operation that is not known is named', async () => {
  expect(
    await refusal(writeSmallPackage(place, withText('= linear(', '= frobnicate(')), UnsupportedModelError),
  ).toMatch(/uses an operation that is not known: "frobnicate"\.$/);
});

test('a program that protobuf can say and text cannot is refused too', async () => {
  const damage = async (change: (model: ReturnType<typeof editable>) => void): Promise<string> => {
    const model = editable();
    change(model);
    return refusal(writeSmallPackage(at(`${++count}.mlpackage`), { model }), FileFormatError);
  };
  expect(await damage(({ main }) => (main.opset = 'CoreML7'))).toContain('it has no block for its opset');
  expect(await damage(({ block }) => (block.operations[0].outputs[0].name = 'a b'))).toContain(
    'not an identifier',
  );
  expect(
    await damage(({ block }) => (block.operations[0].outputs[0].type.tensorType.dataType = 99)),
  ).toContain('not known');
  expect(await damage(({ block }) => (block.operations[0].outputs[0].type = null))).toContain(
    'incomplete or not known',
  );
  expect(
    await damage(({ bias }) => (bias.type.tensorType.dimensions = [{ constant: { size: 2 ** 50 } }])),
  ).toContain('does not hold the elements that its type declares');
  expect(await damage(({ mlProgram }) => (mlProgram.functions = {}))).toContain('it has no function');
});

/** A model whose parts can be changed. */
function editable() {
  // biome-ignore lint/suspicious/noExplicitAny: what is made of it is wrong on purpose.
  const model: any = structuredClone(smallModel());
  const { main } = model.mlProgram.functions;
  const block = main.block_specializations.CoreML6;
  // biome-ignore lint/suspicious/noExplicitAny: as above.
  const { val } = block.operations.find((operation: any) => operation.outputs[0].name === 'bias').attributes;
  return { ...model, main, block, bias: val };
}

test.each([
  ['a neural network', [0x08, 0x04, 0x12, 0x00, 0xa2, 0x1f, 0x02, 0x00, 0x00], UnsupportedModelError],
  ['a pipeline of several models', [0x08, 0x07, 0x12, 0x00, 0xd2, 0x0c, 0x00], UnsupportedModelError],
  ['of another kind', [0x08, 0x01, 0x12, 0x00, 0xe2, 0x12, 0x00], UnsupportedModelError],
  ['it has no description or no model', [0x08, 0x07], FileFormatError],
  ['it has no description or no model', [], FileFormatError],
  ['cannot be decoded', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], FileFormatError],
  ['cannot be decoded', [0x08, 0x07, 0x12, 0x00, 0xb2, 0x1f, 0x02, 0x12, 0xff], FileFormatError],
  ['is cut short', [0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], FileFormatError],
  ['cannot be decoded', Array(1000).fill([0x08, 0x01]).flat(), FileFormatError],
] as const)('a model file is refused: %s', async (why, bytes, kind) => {
  expect(await refusal(writeSmallPackage(place, { model: Uint8Array.from(bytes) }), kind)).toContain(why);
});

test('what cannot be decoded is told without the words of programmers', async () => {
  const model = Uint8Array.from([0x08, 0x07, 0x12, 0x00, 0xb2, 0x1f, 0x02, 0x12, 0xff]);
  const error = await rejectionOf(openMlPackage(writeSmallPackage(place, { model })));
  expect(error.details.found).not.toContain('Error');
});

test('a model file that is cut anywhere is refused', async () => {
  const bytes = encodeModel(smallModel());
  for (let length = 0; length < bytes.length; length += 7) {
    const path = writeSmallPackage(at('cut.mlpackage'), { model: bytes.slice(0, length) });
    await expect(openMlPackage(path), `${length} bytes`).rejects.toThrow(FileFormatError);
  }
});

test('an absurdly large model file is refused by its size; a large neural network is not read at all', async () => {
  const program = Uint8Array.of(0x12, 0x00, 0xb2, 0x1f, 0xf7, 0xff, 0xff, 0xff, 0x0f);
  const network = Uint8Array.of(0x12, 0x00, 0xa2, 0x1f, 0xf7, 0xff, 0xff, 0xff, 0x0f);
  for (const [bytes, why, kind] of [
    [program, 'too large to be what its name says', FileFormatError],
    [network, 'is a neural network', UnsupportedModelError],
  ] as const) {
    const path = writeSmallPackage(place, { model: bytes });
    truncateSync(`${path}/Data/com.apple.CoreML/model.mlmodel`, 2 ** 32); // the rest of it takes no room on the disk
    const before = process.memoryUsage().arrayBuffers;
    expect(await refusal(path, kind)).toContain(why);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(1 << 20);
  }
});
