import { mkdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { FileFormatError, NotFoundError, RequestError } from '../../../src/errors.ts';
import { buildOnnxModel } from '../../../src/formats/onnx/build-model.ts';
import { decodeModel, encodeModel } from '../../../src/formats/onnx/proto.ts';
import { openOnnx, withWeightsBeside } from '../../../src/formats/onnx/read-onnx.ts';
import { writeOnnx } from '../../../src/formats/onnx/write-onnx.ts';
import { mul } from '../../../src/graph/functions.ts';
import { GraphBuilder } from '../../../src/graph/graph.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { scattered } from '../../support/scattered.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { rejectionOf } from '../../support/thrown-by.ts';

const inFolder = temporaryFolder();
const [file, data] = ['model.onnx', 'model.onnx_data'];
const type = { dtype: 'f32', shape: [5000] } as const;

beforeEach(async () => {
  await rm(inFolder('unet'), { recursive: true, force: true });
  const builder = new GraphBuilder();
  const y = mul(
    builder.input('x', type),
    builder.weight(memoryWeight('gain', [5000], scattered(5000)), type),
  );
  const graph = builder.finish([
    { name: 'y', tensor: mul(y, builder.weight(memoryWeight('last', [5000], scattered(5000, 1)), type)) },
  ]);
  await writeOnnx(buildOnnxModel(graph, { model: 'unet' }), inFolder('unet'), () => {});
});

test('what was written is read back: the model, and where every tensor lies', async () => {
  const model = await openOnnx(inFolder('unet', file));
  expect(model.proto.graph?.node?.map(({ opType }) => opType)).toEqual(['Mul', 'Mul']);
  expect(model.dataFiles).toMatchObject([
    {
      location: data,
      byteLength: 40_480,
      tensors: [
        { tensor: { name: 'gain', byteLength: 20_000 }, offset: 0 },
        { tensor: { name: 'last' }, offset: 20_480 },
      ],
    },
  ]);
  const [, last] = model.dataFiles[0]?.tensors ?? [];
  const bytes: number[] = [];
  for await (const block of last?.tensor.stream() ?? []) bytes.push(...block);
  expect(new Float32Array(Uint8Array.from(bytes).buffer)).toEqual(scattered(5000, 1));
  await model.close();
});

test('written again, it is the same byte for byte', async () => {
  const model = await openOnnx(inFolder('unet', file));
  await writeOnnx(model, inFolder('again'), () => {});
  await model.close();
  for (const name of [file, data])
    expect(readFileSync(inFolder('again', name)).equals(readFileSync(inFolder('unet', name)))).toBe(true);
});

describe('what is no ONNX model is refused as such', () => {
  test.each<[string, Uint8Array]>([
    ['an empty file', new Uint8Array()],
    ['an HTML page', new TextEncoder().encode('<!DOCTYPE html><html><body>Not found</body></html>')],
    [
      'a Git-LFS pointer',
      new TextEncoder().encode('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'),
    ],
    ['zeros', new Uint8Array(1000)],
    ['a message without a graph', encodeModel({ irVersion: 10, opsetImport: [{ version: 21 }] })],
  ])('%s', async (_, bytes) => {
    writeFileSync(inFolder('unet', file), bytes);
    const error = await rejectionOf(openOnnx(inFolder('unet', file)));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.problem).toBe(`${inFolder('unet', file)} is not an ONNX model.`);
  });

  test('a model that is cut off', async () => {
    const whole = readFileSync(inFolder('unet', file));
    for (const size of [1, 10, Math.floor(whole.length / 2), whole.length - 1]) {
      writeFileSync(inFolder('unet', file), whole.subarray(0, size));
      expect(await rejectionOf(openOnnx(inFolder('unet', file)))).toBeInstanceOf(FileFormatError);
    }
  });
});

test('a model that is not there, or a folder, is told from one that is broken', async () => {
  expect(await rejectionOf(openOnnx(inFolder('nowhere.onnx')))).toBeInstanceOf(NotFoundError);
  expect(await rejectionOf(openOnnx(inFolder('unet')))).toBeInstanceOf(RequestError);
});

test('missing data is named', async () => {
  await rm(inFolder('unet', data));
  const error = await rejectionOf(openOnnx(inFolder('unet', file)));
  expect(error).toBeInstanceOf(NotFoundError);
  const model = inFolder('unet', file);
  expect(error.problem).toBe(`the weights of ${model} are missing: there is no ${data} beside it.`);
  expect(error.details['looked for']).toBe(inFolder('unet', data));
  expect(error.advice).toContain('with all files that lie beside it');
});

test('data that is cut off is refused, by the first tensor that lacks', async () => {
  truncateSync(inFolder('unet', data), 40_000);
  const error = await rejectionOf(openOnnx(inFolder('unet', file)));
  expect(error).toBeInstanceOf(FileFormatError);
  expect(error.problem).toBe(`the weights of ${inFolder('unet', file)} are cut off.`);
  expect(error.details).toEqual({
    tensor: 'last',
    needs: 'bytes 20480 … 40480',
    file: `${inFolder('unet', data)} (40000 bytes)`,
  });
});

describe('a tensor that is placed where no tensor may be is refused', () => {
  test.each<[string, Readonly<Record<string, string>>]>([
    ['beside the folder', { location: '../secret' }],
    ['beside the folder, by a detour', { location: 'weights/../../secret' }],
    ['at an absolute path', { location: '/etc/passwd' }],
    ['at a path of Windows', { location: '..\\secret' }],
    ['nowhere', { location: '' }],
    ['before the file', { offset: '-1' }],
    ['at no number', { offset: 'x' }],
    ['between bytes', { offset: '0.5' }],
    ['beyond all numbers', { offset: '99999999999999999999' }],
    ['with a length that is none', { length: 'all' }],
    ['with a negative length', { length: '-20000' }],
  ])('%s', async (_, change) => {
    mkdirSync(inFolder('unet', 'weights'), { recursive: true });
    writeFileSync(inFolder('secret'), new Uint8Array(50_000));
    changePlace(change);
    const error = await rejectionOf(openOnnx(inFolder('unet', file)));
    expect(error).toBeInstanceOf(FileFormatError);
    expect(error.details.tensor).toBe('gain');
  });

  test('a folder in the place of data is refused', async () => {
    changePlace({ location: '.' });
    expect(await rejectionOf(openOnnx(inFolder('unet', file)))).toBeInstanceOf(RequestError);
  });

  test('but a subfolder is fine, and without a length a tensor goes to the end', async () => {
    mkdirSync(inFolder('unet', 'weights'), { recursive: true });
    writeFileSync(inFolder('unet', 'weights', 'gain'), new Uint8Array(20_064));
    changePlace({ location: 'weights/gain', offset: '64' }, ['length']);
    const model = await openOnnx(inFolder('unet', file));
    expect(model.dataFiles[0]).toMatchObject({
      location: 'weights/gain',
      tensors: [{ tensor: { byteLength: 20_000 }, offset: 64 }],
    });
    await model.close();
  });

  /** Changes where the model says that its first tensor lies. */
  function changePlace(change: Readonly<Record<string, string>>, without: readonly string[] = []): void {
    const path = inFolder('unet', file);
    const proto = decodeModel(readFileSync(path));
    for (const tensor of proto.graph?.initializer ?? []) {
      if (tensor.name !== 'gain') continue;
      const place = {
        ...Object.fromEntries((tensor.externalData ?? []).map(({ key, value }) => [key, value])),
        ...change,
      };
      const kept = Object.entries(place).filter(([key]) => !without.includes(key));
      tensor.externalData = kept.map(([key, value]) => ({ key, value: String(value) }));
    }
    writeFileSync(path, encodeModel(proto));
  }
});

describe('weights inside of a large file are not read before they are written', () => {
  beforeEach(async () => {
    const model = await openOnnx(inFolder('unet', file));
    const bytes = readFileSync(inFolder('unet', data));
    const initializer = (model.proto.graph?.initializer ?? []).map(({ name, externalData }) => {
      const offset = Number(externalData?.find(({ key }) => key === 'offset')?.value);
      const small = bytes.subarray(offset, offset + 20_000);
      return {
        name: name ?? '',
        dims: [4, 5000],
        dataType: 1,
        rawData: Buffer.concat([small, small, small, small]),
      };
    });
    await model.close();
    mkdirSync(inFolder('inside'), { recursive: true });
    const graph = { ...model.proto.graph, initializer };
    writeFileSync(inFolder('inside', file), encodeModel({ ...model.proto, graph }));
  });

  test('they are external data of which the file itself is the data file', async () => {
    const model = await openOnnx(inFolder('inside', file), { readWhole: 100_000 });
    expect(model.dataFiles).toMatchObject([
      { location: file, tensors: [{ tensor: { name: 'gain' } }, { tensor: { name: 'last' } }] },
    ]);
    expect(model.proto.graph?.initializer?.every(({ rawData }) => !rawData?.length)).toBe(true);
    const found = new Map<string, Buffer>();
    for (const { tensor } of model.dataFiles[0]?.tensors ?? []) {
      const blocks: Uint8Array[] = [];
      for await (const block of tensor.stream()) blocks.push(block.slice());
      found.set(tensor.name, Buffer.concat(blocks));
    }
    await model.close();
    const whole = await openOnnx(inFolder('inside', file));
    for (const { name, rawData } of whole.proto.graph?.initializer ?? [])
      expect(found.get(name ?? '')?.equals(rawData ?? new Uint8Array()), name ?? '').toBe(true);
    expect(found.size).toBe(2);
    await whole.close();
  });

  test('written, they lie beside the model, and the file that they came from can be replaced', async () => {
    const path = inFolder('inside', file);
    const model = await openOnnx(path, { readWhole: 100_000 });
    await writeOnnx(withWeightsBeside(model, path), inFolder('beside'), () => {});
    await model.close();
    const written = await openOnnx(inFolder('beside', file));
    expect(written.dataFiles.map(({ location, tensors }) => [location, tensors.length])).toEqual([[data, 2]]);
    await written.close();
    const [bytes, original] = [readFileSync(inFolder('beside', data)), readFileSync(path)];
    expect(original.includes(bytes.subarray(0, 80_000))).toBe(true);
  });
});

describe('data as other tools lay it out', () => {
  /** Places the tensors anew in a data file of 40,000 bytes. */
  function place(offsets: Readonly<Record<string, number>>): void {
    const proto = decodeModel(readFileSync(inFolder('unet', file)));
    for (const { name, externalData } of proto.graph?.initializer ?? []) {
      const entry = externalData?.find(({ key }) => key === 'offset');
      if (entry) entry.value = String(offsets[name ?? '']);
    }
    writeFileSync(inFolder('unet', file), encodeModel(proto));
    writeFileSync(
      inFolder('unet', data),
      new Uint8Array(Float32Array.from({ length: 10_000 }, (_, i) => i).buffer),
    );
  }

  async function rewritten(): Promise<Record<string, number[]>> {
    const model = await openOnnx(inFolder('unet', file));
    await writeOnnx(model, inFolder('again'), () => {});
    await model.close();
    const again = await openOnnx(inFolder('again', file));
    const found: Record<string, number[]> = {};
    for (const { tensor } of again.dataFiles.flatMap(({ tensors }) => tensors)) {
      const bytes: number[] = [];
      for await (const block of tensor.stream()) bytes.push(...block);
      found[tensor.name] = [...new Float32Array(Uint8Array.from(bytes).buffer)].slice(0, 2);
    }
    await again.close();
    return found;
  }

  test('out of order is written again', async () => {
    place({ gain: 20_000, last: 0 });
    expect(await rewritten()).toEqual({ last: [0, 1], gain: [5000, 5001] });
  });

  test('tensors that share their bytes are written once', async () => {
    place({ gain: 4, last: 4 });
    expect(await rewritten()).toEqual({ gain: [1, 2], last: [1, 2] });
    expect(readFileSync(inFolder('again', data))).toHaveLength(20_004);
  });

  test('tensors that share a part of their bytes are refused', async () => {
    place({ gain: 0, last: 16 });
    const error = await rejectionOf(openOnnx(inFolder('unet', file)));
    expect(error.problem).toContain('two tensors share a part of their bytes');
  });

  test('a tensor with fewer bytes than its size says, and a second one of its name, are refused', async () => {
    const proto = decodeModel(readFileSync(inFolder('unet', file)));
    const [gain, last] = proto.graph?.initializer ?? [];
    if (!gain || !last) throw new Error('there are two');
    gain.dims = [4999];
    writeFileSync(inFolder('unet', file), encodeModel(proto));
    expect((await rejectionOf(openOnnx(inFolder('unet', file)))).problem).toContain('not as many bytes');
    gain.name = last.name ?? '';
    writeFileSync(inFolder('unet', file), encodeModel(proto));
    expect((await rejectionOf(openOnnx(inFolder('unet', file)))).problem).toContain(
      'two tensors have one name',
    );
  });
});
