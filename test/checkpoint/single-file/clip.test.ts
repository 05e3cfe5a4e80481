import { expect, test } from 'vitest';
import { clip } from '../../../src/checkpoint/single-file/clip.ts';
import { readSingleFile } from '../../../src/checkpoint/single-file/open-single-file.ts';
import { readTensor } from '../../../src/weights/tensor-data.ts';
import { memoryWeight } from '../../support/memory-weight.ts';
import { headerFile, type RecordedFile, recordedPlaces } from '../../support/single-file.ts';

/** What stable-diffusion.cpp (`--convert-name`) calls a tensor of OpenCLIP's text encoder. */
const renamings: readonly (readonly [RegExp, string])[] = [
  [/^token_embedding\.weight$/, 'embeddings.token_embedding.weight'],
  [/^positional_embedding$/, 'embeddings.position_embedding.weight'],
  [/^ln_final\./, 'final_layer_norm.'],
  [/^transformer\.resblocks\./, 'encoder.layers.'],
  [/\.attn\.in_proj_/, '.self_attn.in_proj.'],
  [/\.attn\.out_proj\./, '.self_attn.out_proj.'],
  [/\.ln_([12])\./, '.layer_norm$1.'],
  [/\.mlp\.c_fc\./, '.mlp.fc1.'],
  [/\.mlp\.c_proj\./, '.mlp.fc2.'],
];

/** A published file's shapes as stable-diffusion.cpp names them in its GGUF files. */
function byStableDiffusionCpp(name: RecordedFile): Record<string, readonly number[]> {
  const shapes = Object.entries(recordedPlaces(name)).map(([key, [shape]]): [string, readonly number[]] => {
    const [, prefix, own] = /^(cond_stage_model|conditioner\.embedders\.[01])\.model\.(.+)$/.exec(key) ?? [];
    if (prefix === undefined || own === undefined)
      return [key.replace('conditioner.embedders.0.', 'cond_stage_model.'), shape];
    const renamed = renamings.reduce((now, [from, to]) => now.replace(from, to), own);
    const second = prefix.endsWith('.1') ? '.1' : '';
    return [`cond_stage_model${second}.transformer.text_model.${renamed}`, shape];
  });
  return Object.fromEntries(shapes);
}

test.each(['sd15', 'sd21', 'sdxl'] as const)(
  'the networks of %s are whole under the names of stable-diffusion.cpp',
  async (name) => {
    const original = await readSingleFile(
      headerFile(
        Object.fromEntries(Object.entries(recordedPlaces(name)).map(([key, [shape]]) => [key, shape])),
      ),
    );
    const { components, family } = await readSingleFile(headerFile(byStableDiffusionCpp(name), 'model.gguf'));
    expect(family).toBe(original.family);
    expect([...components.keys()]).toEqual([...original.components.keys()]);
    for (const [part, { weights }] of original.components) {
      const shapes = [...weights.values()].map((weight) => [weight.name, weight.shape]);
      const found = [...(components.get(part)?.weights.values() ?? [])].map((weight) => [
        weight.name,
        weight.shape,
      ]);
      expect(found.sort(), part).toEqual(shapes.sort());
    }
  },
);

const fused = 'text_model.encoder.layers.0.self_attn.in_proj.weight';

test('the projection of such a second encoder is turned, and its rows of queries, keys and values split', async () => {
  const translate = clip('text_encoder_2', [fused]);
  const [projection] = translate('text_model.text_projection', counted('text_projection', [2, 3])) ?? [];
  expect(projection?.name).toBe('text_projection.weight');
  expect(projection && (await readTensor(projection, 'f32')).data).toEqual(Float32Array.of(0, 3, 1, 4, 2, 5));
  const [, keys] = translate(fused, counted(fused, [6, 1])) ?? [];
  expect(keys?.name).toBe('text_model.encoder.layers.0.self_attn.k_proj.weight');
  expect(keys && (await readTensor(keys, 'f32')).data).toEqual(Float32Array.of(2, 3));
});

function counted(name: string, shape: readonly [number, number]) {
  return memoryWeight(
    name,
    shape,
    Float32Array.from({ length: shape[0] * shape[1] }, (_, at) => at),
  );
}
