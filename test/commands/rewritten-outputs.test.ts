import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { chunkArtifact } from '../../src/commands/chunk.ts';
import type { ConvertOptions } from '../../src/commands/conversion/request.ts';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { quantizeArtifact } from '../../src/commands/quantize.ts';
import { verify } from '../../src/commands/verify.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { RequestError } from '../../src/errors.ts';
import { readProvenance } from '../../src/formats/provenance.ts';
import { whileLocked } from '../../src/io/disk.ts';
import { planQuantization } from '../../src/quantize/plan.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const shapes = join(import.meta.dirname, '../../models/sd-shapes');
const temporary = temporaryFolder();
let output: string;
const encoder = 'Stable_Diffusion_version_sd-shapes_text_encoder.mlpackage';
const plan = planQuantization({ bits: 6 });

beforeEach(() => {
  output = temporary('out');
  rmSync(output, { recursive: true, force: true });
});

function convert(more: Partial<ConvertOptions> = {}) {
  return convertCheckpoint({ modelVersion: shapes, models: ['text_encoder'], output, ...more });
}

function weightsOf(folder: string): Buffer {
  return readFileSync(join(output, folder, 'weights/weight.bin'));
}

describe('a conversion whose model was quantised in its place', () => {
  test('names the folders of clients that hold the model as it was, and follows those that are quantised themselves', async () => {
    await convert({ clients: ['optimum', 'openvino'] });
    const notes = async (path: string) => {
      const said: string[] = [];
      const onProgress = (event: ProgressEvent) => event.type === 'note' && said.push(event.message);
      await quantizeArtifact({ artifact: join(output, path), plan, inPlace: true }, { onProgress });
      return said;
    };
    expect(await notes('onnx-openvino/text_encoder')).toEqual([]);
    expect((await verify({ path: output })).problems).toEqual([]);
    expect(await notes('onnx/text_encoder')).toEqual([
      `${join(output, 'onnx-openvino')} still holds the model as it was: sdconvert bundle ${output} --for openvino makes it again.`,
    ]);
  });

  test.each([{}, { forms: 5 }, { forms: null }])(
    'is quantised again whatever a record says of it (%j)',
    async (more) => {
      await convert({ bundle: false });
      const record = join(output, 'sdconvert.json');
      const found = JSON.parse(readFileSync(record, 'utf8'));
      const path = 'onnx/text_encoder';
      found.artifacts[path].options.quantization = { inPlace: true, ...more };
      writeFileSync(record, JSON.stringify(found));
      await quantizeArtifact({ artifact: join(output, path), plan, inPlace: true });
      expect((await readProvenance(output))?.artifacts[path]?.options.quantization).toEqual({
        inPlace: true,
        before: { inPlace: true, ...more },
        forms: [{ kind: 'palette', bits: 6 }],
      });
    },
  );

  test('still verifies, and says what it is now', async () => {
    await convert();
    const before = await readProvenance(output);
    for (const path of ['onnx/text_encoder', encoder])
      await quantizeArtifact({ artifact: join(output, path), plan, inPlace: true });
    const { problems, files } = await verify({ path: output });
    expect(problems).toEqual([]);
    const after = await readProvenance(output);
    for (const path of ['onnx/text_encoder', encoder]) {
      const [then, now] = [before?.artifacts[path], after?.artifacts[path]];
      expect(now).toMatchObject({
        source: then?.source,
        options: {
          ...then?.options,
          quantization: { inPlace: true, forms: [{ kind: 'palette', bits: 6 }] },
        },
      });
      expect(now?.files).not.toEqual(then?.files);
    }
    const count = Object.values(before?.artifacts ?? {}).flatMap((record) => record.files).length;
    expect(files).toBe(count);
    const refused = await rejectionOf(convert());
    expect(refused.problem).toMatch(
      /made with other options \(quantization was inPlace true, .*, now not set\)/,
    );
    await convert({ force: true });
    expect((await readProvenance(output))?.artifacts).toEqual(before?.artifacts);
  });

  test('has it compiled again in Resources', async () => {
    await convert({ targets: ['coreml'] });
    const compiled = 'Resources/TextEncoder.mlmodelc';
    const before = weightsOf(compiled);
    await quantizeArtifact({ artifact: join(output, encoder), plan, inPlace: true });
    const after = weightsOf(compiled);
    expect(after.length).toBeLessThan(before.length);
    expect(after.equals(weightsOf(`${encoder}/Data/com.apple.CoreML`))).toBe(true);
    expect((await verify({ path: output })).problems).toEqual([]);
  });

  test('says so where nobody recorded what was compiled of it', async () => {
    await convert({ targets: ['coreml'] });
    rmSync(join(output, 'sdconvert.json'));
    const events: ProgressEvent[] = [];
    const artifact = join(output, encoder);
    await quantizeArtifact({ artifact, plan, inPlace: true }, { onProgress: (event) => events.push(event) });
    const bundle = join(output, 'Resources/TextEncoder.mlmodelc');
    const message = `${bundle} is still what was compiled before: sdconvert bundle ${output} compiles it again.`;
    expect(events).toContainEqual({ type: 'note', message });
    expect(existsSync(join(output, 'sdconvert.json'))).toBe(false);
  });

  test('is not touched while another run writes into it', async () => {
    await convert({ targets: ['onnx'] });
    const artifact = join(output, 'onnx/text_encoder');
    const error = await whileLocked(output, () =>
      rejectionOf(quantizeArtifact({ artifact, plan, inPlace: true })),
    );
    expect(error).toBeInstanceOf(RequestError);
    expect((await verify({ path: output })).problems).toEqual([]);
  });

  test('keeps its record when the work stops half-way', async () => {
    await convert({ targets: ['onnx'] });
    const before = readFileSync(join(output, 'sdconvert.json'), 'utf8');
    const stop = new AbortController();
    const context = { signal: stop.signal, onProgress: () => stop.abort() };
    await rejectionOf(
      quantizeArtifact({ artifact: join(output, 'onnx/text_encoder'), plan, inPlace: true }, context),
    );
    expect(readFileSync(join(output, 'sdconvert.json'), 'utf8')).toBe(before);
  });
});

test('a UNet that is cut and removed leaves an output that verifies, as if it had been converted in chunks', async () => {
  const coreml = { targets: ['coreml'], models: ['unet'] } satisfies Partial<ConvertOptions>;
  await convert(coreml);
  const whole = join(output, encoder.replace('text_encoder', 'unet'));
  const maxChunkBytes = 1e9;
  const chunks = await chunkArtifact({ artifact: whole, maxChunkBytes, removeOriginal: true });
  expect(existsSync(whole)).toBe(false);
  expect(readdirSync(join(output, 'Resources')).filter((name) => name.startsWith('Unet'))).toEqual(
    chunks.map((_, index) => `UnetChunk${index + 1}.mlmodelc`),
  );
  expect((await verify({ path: output })).problems).toEqual([]);
  const { artifacts = {} } = (await readProvenance(output)) ?? {};
  expect(Object.keys(artifacts).filter((path) => path.endsWith('.mlpackage'))).toEqual(
    chunks.map(({ path }) => basename(path)),
  );
  // Byte for byte what a conversion makes, so a later one reuses it.
  const again = await convert({ ...coreml, maxChunkBytes });
  expect(again.artifacts.map(({ kept }) => kept)).toEqual(chunks.map(() => true));
  await convert({ ...coreml, maxChunkBytes, force: true });
  const anew = (await readProvenance(output))?.artifacts ?? {};
  for (const { path } of chunks) expect(anew[basename(path)]).toEqual(artifacts[basename(path)]);
});

test('an output that is the model itself is refused, with and without --force', async () => {
  await convert({ targets: ['onnx'] });
  const artifact = join(output, 'onnx/text_encoder');
  for (const force of [true, false]) {
    const error = await rejectionOf(quantizeArtifact({ artifact, plan, output: `${artifact}/`, force }));
    expect(error.problem).toBe(`--output ${artifact}/ is the model itself.`);
  }
});
