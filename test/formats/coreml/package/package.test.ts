import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import type { PlannedFile } from '../../../../src/formats/artifact.ts';
import { buildCoreMl, type CoreMlOptions } from '../../../../src/formats/coreml/build/build-model.ts';
import { decodeModel } from '../../../../src/formats/coreml/mil/mil-schema.ts';
import { packageFiles, writePackage } from '../../../../src/formats/coreml/package/package.ts';
import { openMlPackage } from '../../../../src/formats/coreml/package/read-package.ts';
import type { Graph } from '../../../../src/graph/graph.ts';
import { float16Bits } from '../../../../src/weights/convert-dtype.ts';
import type { Weight } from '../../../../src/weights/weight.ts';
import { temporaryFolder } from '../../../support/temporary-folder.ts';
import { graphOf, someDescription } from '../written-form.ts';

const folder = temporaryFolder();
const options = { target: 'macOS13', description: someDescription } as const;

function planCoreMl(graph: Graph, request: CoreMlOptions): PlannedFile[] {
  return packageFiles(buildCoreMl(graph, request));
}

async function writeCoreMl(
  graph: Graph,
  {
    path,
    onBytes = () => {},
    ...request
  }: CoreMlOptions & { path: string; onBytes?: (count: number) => void },
): Promise<{ files: PlannedFile[] }> {
  const model = buildCoreMl(graph, request);
  await writePackage(path, model, onBytes);
  return { files: packageFiles(model) };
}

test('a package has the files, names and places that coremltools gives it', async () => {
  const path = folder('named.mlpackage');
  await writeCoreMl(smallGraph(), { ...options, path });
  expect(filesBelow(path)).toEqual([
    'Data/com.apple.CoreML/model.mlmodel',
    'Data/com.apple.CoreML/weights/weight.bin',
    'Manifest.json',
  ]);
  const manifest = JSON.parse(readFileSync(join(path, 'Manifest.json'), 'utf8'));
  const item = (name: string, description: string) => ({
    author: 'com.apple.CoreML',
    description,
    name,
    path: `com.apple.CoreML/${name}`,
  });
  expect(manifest.fileFormatVersion).toBe('1.0.0');
  expect(manifest.itemInfoEntries[manifest.rootModelIdentifier]).toEqual(
    item('model.mlmodel', 'CoreML Model Specification'),
  );
  expect(Object.values(manifest.itemInfoEntries)).toHaveLength(2);
  expect(Object.values(manifest.itemInfoEntries)).toContainEqual(item('weights', 'CoreML Model Weights'));
  for (const id of Object.keys(manifest.itemInfoEntries))
    expect(id).toMatch(/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/);
});

test('the plan foretells every size to the byte, and reads no weight', async () => {
  const path = folder('planned.mlpackage');
  const planned = planCoreMl(smallGraph(), options);
  let written = 0;
  const { files } = await writeCoreMl(smallGraph(), {
    ...options,
    path,
    onBytes(count) {
      written += count;
    },
  });
  expect(files).toEqual(planned);
  expect(files.map(({ name }) => statSync(join(path, name)).size)).toEqual(
    planned.map(({ byteLength }) => byteLength),
  );
  expect(written).toBe(planned.reduce((sum, { byteLength }) => sum + byteLength, 0));
  expect(() => planCoreMl(smallGraph({ unreadable: true }), options)).not.toThrow();
});

test('weights are in the file as the checkpoint has them, rounded to float16; the smallest in the program', async () => {
  const path = folder('weights.mlpackage');
  await writeCoreMl(smallGraph(), { ...options, path });
  const file = readFileSync(join(path, 'Data/com.apple.CoreML/weights/weight.bin'));
  expect(file.length).toBe(64 + 64 + 24);
  expect([...new Uint16Array(file.buffer, file.byteOffset + 128, 12)]).toEqual(numbers(12).map(float16Bits));

  const model = decodeModel(readFileSync(join(path, 'Data/com.apple.CoreML/model.mlmodel')));
  const operations = model.mlProgram?.functions.main?.block_specializations.CoreML6?.operations ?? [];
  const bias = operations.find(({ outputs }) => outputs[0]?.name === 'fc_bias');
  const bytes = bias?.attributes.val?.immediateValue?.tensor?.bytes?.values ?? new Uint8Array();
  expect([...new Uint16Array(Uint8Array.from(bytes).buffer)]).toEqual(numbers(3).map(float16Bits));
});

test('the package opens as one of others does', async () => {
  const path = folder('opened.mlpackage');
  await writeCoreMl(smallGraph(), { ...options, path });
  const opened = await openMlPackage(path);
  expect(opened.specificationVersion).toBe(7);
  expect(opened.description.input.map(({ name }) => name)).toEqual(['x']);
  await opened.close();
});

test('the same graph gives the same bytes, another graph other identifiers', async () => {
  const paths = ['one', 'two', 'other'].map((name) => folder(`${name}.mlpackage`));
  const [one = '', two = '', other = ''] = paths;
  await writeCoreMl(smallGraph(), { ...options, path: one });
  await writeCoreMl(smallGraph(), { ...options, path: two });
  await writeCoreMl(smallGraph({ batch: 2 }), { ...options, path: other });
  for (const name of filesBelow(one))
    expect(readFileSync(join(two, name))).toEqual(readFileSync(join(one, name)));
  const manifestOf = (path: string): string => readFileSync(join(path, 'Manifest.json'), 'utf8');
  expect(manifestOf(other)).not.toBe(manifestOf(one));
});

test('a package replaces the one that was there, with all its files', async () => {
  const path = folder('replaced.mlpackage');
  mkdirSync(path);
  writeFileSync(join(path, 'left-over'), '');
  await writeCoreMl(smallGraph(), { ...options, path });
  expect(filesBelow(path)).not.toContain('left-over');
  expect(besides(path)).toEqual([]);
});

test('when a weight cannot be read, the package that was there stays, and nothing else is left', async () => {
  const path = folder('kept.mlpackage');
  mkdirSync(path);
  writeFileSync(join(path, 'precious'), '');
  await expect(writeCoreMl(smallGraph({ unreadable: true }), { ...options, path })).rejects.toThrow(
    'the disk is gone',
  );
  expect(filesBelow(path)).toEqual(['precious']);
  expect(besides(path)).toEqual([]);
});

test('a file in the way is named and left alone', async () => {
  const path = folder('file.mlpackage');
  writeFileSync(path, 'text');
  await expect(writeCoreMl(smallGraph(), { ...options, path })).rejects.toThrow('file.mlpackage is a file');
  expect(readFileSync(path, 'utf8')).toBe('text');
});

/** x [batch,4] → a linear layer of 3 outputs, in float16. */
function smallGraph({ batch = 1, unreadable = false } = {}) {
  return graphOf({ x: { dtype: 'f16', shape: [batch, 4] } }, ({ x }, builder) => {
    const [weight, bias] = [[3, 4], [3]].map((shape, i) =>
      builder.weight(weightOf(['fc.weight', 'fc.bias'][i] ?? '', shape, unreadable), { dtype: 'f16', shape }),
    );
    return weight && bias ? builder.apply({ kind: 'linear' }, [x, weight, bias], 'fc') : x;
  });
}

/** A weight of numbers that float16 cannot hold all, in float32. */
function weightOf(name: string, shape: readonly number[], unreadable: boolean): Weight {
  const count = shape.reduce((a, b) => a * b);
  return {
    name,
    dtype: 'f32',
    shape,
    file: 'memory',
    async *stream(dtype) {
      if (unreadable) throw new Error('the disk is gone');
      expect(dtype).toBe('f16');
      yield new Uint8Array(Uint16Array.from(numbers(count), float16Bits).buffer);
    },
  };
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => Math.sqrt(i + 1) * (i % 2 ? -1 : 1));
}

function filesBelow(path: string): string[] {
  const entries = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) =>
    entry.isFile(),
  );
  return entries.map(({ parentPath, name }) => join(parentPath, name).slice(path.length + 1)).sort();
}

/** What lies beside a package under a name that begins as its own. */
function besides(path: string): string[] {
  expect(existsSync(path)).toBe(true);
  return readdirSync(dirname(path)).filter((name) => join(dirname(path), name).startsWith(`${path}.`));
}
