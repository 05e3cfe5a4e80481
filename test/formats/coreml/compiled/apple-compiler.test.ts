import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { compileMlPackage } from '../../../../src/formats/coreml/compiled/compile.ts';
import { readContainer } from '../../../../src/formats/coreml/compiled/compiled-container.ts';
import { openMlModelC } from '../../../../src/formats/coreml/compiled/read-bundle.ts';
import { openMlPackage } from '../../../../src/formats/coreml/package/read-package.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';

/**
 * Packages and what Apple's own compiler made of them, and packages of Apple's converter. They are other people's and
 * too large for this repository; where they lie beside it they are compared with. What needs no such files is compared
 * by SHA-256 in apple-hashes.test.ts.
 */
const goldens = fileURLToPath(new URL('../../../../../shared/goldens/', import.meta.url));
const compiled = namesIn('mlmodelc', '.mlmodelc');
const converted = namesIn('apple-packages', '.mlpackage');
const at = temporaryFolder();

function namesIn(folder: string, ending: string): string[] {
  const path = `${goldens}${folder}`;
  return existsSync(path)
    ? readdirSync(path)
        .filter((name) => name.endsWith(ending))
        .map((name) => basename(name, ending))
    : [];
}

test.skipIf(!existsSync(goldens))(
  "beside the clone are five models of Apple's compiler and two of its converter to compare with",
  () => {
    expect(compiled).toHaveLength(5);
    expect(converted).toHaveLength(2);
  },
);

describe.each(compiled)('%s', (name) => {
  const source = `${goldens}mlmodelc/${name}.mlpackage`;
  const apples = `${goldens}mlmodelc/${name}.mlmodelc`;

  test("is compiled to the bytes of Apple's compiler", async () => {
    const version = (key: string) =>
      readFileSync(`${apples}/model.mil`, 'utf8').match(`"${key}", "([^"]*)"`)?.[1] ?? '';
    const versions = { component: version('coremlc-component-MIL'), compiler: version('coremlc-version') };
    await compileMlPackage(source, at(name), { versions });
    for (const file of ['model.mil', 'weights/weight.bin', 'analytics/coremldata.bin']) {
      expect(readFileSync(at(name, file)).equals(readFileSync(`${apples}/${file}`)), file).toBe(true);
    }
    expect(JSON.parse(readFileSync(at(name, 'metadata.json'), 'utf8'))).toEqual(
      JSON.parse(readFileSync(`${apples}/metadata.json`, 'utf8')),
    );
    const [ours, theirs] = [at(name), apples].map((folder) => readFileSync(`${folder}/coremldata.bin`));
    if (!ours || !theirs) throw new Error('two files were read');
    // Equal but for the order of a map inside of the description.
    expect(readContainer(ours, '').description).toEqual(readContainer(theirs, '').description);
    const length = ours.readUInt32LE(0x4b);
    expect(ours.length).toBe(theirs.length);
    expect(ours.subarray(0, 0x53)).toEqual(theirs.subarray(0, 0x53));
    expect(ours.subarray(0x53 + length)).toEqual(theirs.subarray(0x53 + length));
  });

  test("is read from Apple's compiled form as from its package", async () => {
    const [ours, theirs] = [await openMlPackage(source), await openMlModelC(apples)];
    expect(theirs.description).toEqual(ours.description);
    expect(theirs.program.functions).toEqual(ours.program.functions);
    await ours.close();
    await theirs.close();
  });
});

test.each(converted)("%s of Apple's converter is compiled, and read back the same", async (name) => {
  const source = `${goldens}apple-packages/${name}.mlpackage`;
  await compileMlPackage(source, at(name));
  const [ours, theirs] = [await openMlModelC(at(name)), await openMlPackage(source)];
  expect(ours.program.functions).toEqual(theirs.program.functions);
  expect(ours.descriptionBytes).toEqual(theirs.descriptionBytes);
  await ours.close();
  await theirs.close();
});
