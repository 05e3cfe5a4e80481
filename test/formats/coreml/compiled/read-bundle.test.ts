import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, test } from 'vitest';
import { FileFormatError, NotFoundError, UnsupportedModelError } from '../../../../src/errors.ts';
import { compileMlPackage } from '../../../../src/formats/coreml/compiled/compile.ts';
import { openMlModelC } from '../../../../src/formats/coreml/compiled/read-bundle.ts';
import { openMlPackage } from '../../../../src/formats/coreml/package/read-package.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { smallModel, smallText, writeSmallPackage } from '../small-package.ts';

const at = temporaryFolder();
beforeEach(async () => {
  await compileMlPackage(writeSmallPackage(at('model.mlpackage')), at('model.mlmodelc'));
});

function change(file: string, edit: (bytes: Buffer) => string | Uint8Array): string {
  const path = at('model.mlmodelc', file);
  writeFileSync(path, edit(readFileSync(path)));
  return at('model.mlmodelc');
}

test.each([
  [7, smallText],
  [9, smallText.replace('ios16', 'ios18').replace(/\[buildInfo.*\n/, '')],
])(
  'a compiled model of specification version %i is opened as the package it was made of',
  async (specificationVersion, text) => {
    const model = smallModel({ text, specificationVersion });
    await compileMlPackage(writeSmallPackage(at('model.mlpackage'), { model }), at('model.mlmodelc'));
    const source = await openMlPackage(at('model.mlpackage'));
    const compiled = await openMlModelC(at('model.mlmodelc'));
    expect(compiled.program).toEqual(source.program);
    expect(compiled.description).toEqual(source.description);
    expect(compiled.specificationVersion).toBe(specificationVersion);
    const blob = { fileName: '@model_path/weights/weight.bin', offset: 64 };
    expect(compiled.weights.find(blob)).toMatchObject({ offset: 128, byteLength: 32, dtype: 'fp16' });
    await source.close();
    await compiled.close();
  },
);

test('a missing file is named', async () => {
  await expect(openMlModelC(at('nothing.mlmodelc'))).rejects.toThrow(NotFoundError);
  await expect(openMlModelC(at('model.mlpackage'))).rejects.toThrow(/it has no coremldata\.bin/);
  rmSync(at('model.mlmodelc/weights/weight.bin'));
  await expect(openMlModelC(at('model.mlmodelc'))).rejects.toThrow(/weight\.bin does not exist/);
  rmSync(at('model.mlmodelc/model.mil'));
  await expect(openMlModelC(at('model.mlmodelc'))).rejects.toThrow(/model\.mil does not exist/);
});

test('a compiled neural network says what it is', async () => {
  const path = change('coremldata.bin', (bytes) => bytes.fill(0xf4, 0, 1));
  await expect(openMlModelC(path)).rejects.toThrow(UnsupportedModelError);
});

test('a damaged description is refused, however long it says it is', async () => {
  for (const edit of [
    (bytes: Buffer) => bytes.subarray(0, 0x50),
    (bytes: Buffer) => bytes.fill(0xff, 0x4b, 0x53),
    (bytes: Buffer) => bytes.fill(0xff, 0x53, 0x60),
    () => new Uint8Array(),
  ]) {
    await compileMlPackage(at('model.mlpackage'), at('model.mlmodelc'));
    await expect(openMlModelC(change('coremldata.bin', edit))).rejects.toThrow(FileFormatError);
  }
});

test('a text that is cut short, or is no valid program, is refused', async () => {
  await expect(openMlModelC(change('model.mil', (text) => text.subarray(0, -20)))).rejects.toThrow(
    FileFormatError,
  );
  await compileMlPackage(at('model.mlpackage'), at('model.mlmodelc'));
  const circle = (text: Buffer): string => text.toString().replace('x = x16)', 'x = y)');
  await expect(openMlModelC(change('model.mil', circle))).rejects.toThrow(/in a circle/);
});
