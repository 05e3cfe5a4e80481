import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { assetContents, assetFiles } from '../../../src/formats/coreai/asset.ts';
import { buildProgram } from '../../../src/formats/coreai/lower/build-program.ts';
import { writeFiles } from '../../../src/formats/write-files.ts';
import { everyCase, graphOfCases } from '../../support/op-cases/every-case.ts';
import { filesIn } from '../../support/sd-shapes.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();

async function written(folder: string) {
  const metadata = { license: 'none', creatorDefinedMetadata: { sdconvert: 'a test' } };
  const asset = { program: buildProgram(graphOfCases(everyCase)), metadata };
  return { planned: assetFiles(asset), files: await writeFiles(folder, assetContents(asset), () => {}) };
}

test('the same graph is written as the same bytes, in files of the planned sizes', async () => {
  const { planned, files } = await written(at('first'));
  expect(files.map(({ name, byteLength }) => ({ name, byteLength }))).toEqual(planned);
  await written(at('second'));
  expect(filesIn(at('second'))).toEqual(filesIn(at('first')));
});

test('main.hash is the SHA-256 of main.mlirb, and metadata.json has no date', async () => {
  await written(at('hashed'));
  const program = readFileSync(join(at('hashed'), 'main.mlirb'));
  expect(readFileSync(join(at('hashed'), 'main.hash'))).toEqual(
    createHash('sha256').update(program).digest(),
  );
  expect(JSON.parse(readFileSync(join(at('hashed'), 'metadata.json'), 'utf8'))).toEqual({
    assetVersion: '2.0',
    producer: 'sdconvert',
    license: 'none',
    creatorDefinedMetadata: { sdconvert: 'a test' },
  });
});
