import { beforeAll, describe, expect, test } from 'vitest';
import { openOnnxSession } from '../../../src/formats/onnx/run/onnx-session.ts';
import { SKIPPED_STATES, type TextEncoderChanges } from '../../../src/formats/runner.ts';
import { numbersOf } from '../../../src/weights/tensor-values.ts';
import { writeModels } from '../../support/sd-shapes.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const temporary = temporaryFolder();
const WIDTH = 64;
const TOKENS = 77;
/** What CLIP's vocabulary has. */
const FIRST = 49408;

describe('a text encoder in float16', () => {
  let path = '';
  beforeAll(async () => {
    const options = { models: ['text_encoder'], precision: 'float16' } as const;
    const folder = await writeModels(temporary('encoder'), options);
    path = `${folder}/text_encoder/model.onnx`;
  });

  test('gives for known tokens what it gave, and for new ones something else', async () => {
    const moreTokens = { firstId: FIRST, width: WIDTH, data: new Float32Array(2 * WIDTH).fill(0.1) };
    const known = [49406, 320, 736, 49407];
    const [before, after] = [await encode(path, known), await encode(path, known, { moreTokens })];
    expect(after).toEqual(before);
    const added = await encode(path, [49406, 320, FIRST + 1, 49407], { moreTokens });
    // A token is seen by those after it.
    expect(added.subarray(0, 2 * WIDTH)).toEqual(before.subarray(0, 2 * WIDTH));
    expect(added.subarray(2 * WIDTH)).not.toEqual(before.subarray(2 * WIDTH));
  });

  test('skips layers, and refuses to skip more than it has and rows of another width', async () => {
    const skipLayers = { count: 4, before: 0, normalize: false } as const;
    const [embedding] = [await encode(path, [49406, 320, 49407], { skipLayers }, SKIPPED_STATES)];
    expect(embedding).toHaveLength(TOKENS * WIDTH);
    await expect(
      encode(path, [1], { skipLayers: { ...skipLayers, count: 5 } }, SKIPPED_STATES),
    ).rejects.toThrow('5 layers of');
    const wide = { firstId: FIRST, width: 768, data: new Float32Array(768) };
    await expect(encode(path, [1], { moreTokens: wide })).rejects.toThrow(
      'belongs to another family of checkpoints',
    );
  });
});

/** An output for a prompt of these ids, filled up with ends. */
async function encode(
  path: string,
  ids: readonly number[],
  textEncoder?: TextEncoderChanges,
  output = 'last_hidden_state',
): Promise<Float32Array> {
  const session = await openOnnxSession(path, { optimize: true, ...(textEncoder && { textEncoder }) });
  const data = BigInt64Array.from({ length: TOKENS }, (_, i) => BigInt(ids[i] ?? 49407));
  const outputs = await session.run(new Map([['input_ids', { dtype: 'i64', shape: [1, TOKENS], data }]]));
  await session.close();
  const tensor = outputs.get(output);
  return Float32Array.from(tensor ? numbersOf(tensor) : []);
}
