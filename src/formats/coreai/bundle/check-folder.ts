import { join } from 'node:path';
import { z } from 'zod';
import { isPlainPath } from '../../../hub/hub-id.ts';
import { exists, pathKind } from '../../../io/disk.ts';
import { excerpt, shown } from '../../../io/error-text.ts';
import { isJsonObject } from '../../../io/json/python-json.ts';
import { readStrictJson } from '../../../io/json/strict-json.ts';
import { checkAssets, type FolderReading } from './check-assets.ts';
import { BETA_SCHEDULE, predictions } from './folder-metadata.ts';

/**
 * What Apple's Core AI pipelines read of a folder (apple/coreai-models of August 2026: PipelineDescriptor.swift,
 * StableDiffusionPipeline.swift), restated: everything that they would refuse, or draw wrong pictures with.
 */

const text = z.string({ error: 'a text' });
const fileName = text.refine(isPlainPath, { error: 'a name of a file beside it' });
const whole = z.int({ error: 'a whole number' });
const number = z.number({ error: 'a number' });
const oneOf = (...names: [string, ...string[]]) => z.enum(names, { error: names.join(', ') });

/** Only what is there must be right: other keys of `diffusion` may be left out. */
const metadataSchema = z.looseObject(
  {
    metadata_version: z.literal('0.2', { error: '"0.2"' }),
    kind: z.literal('diffusion', { error: '"diffusion"' }),
    name: text,
    assets: z.record(z.string(), fileName, { error: 'names of files' }),
    diffusion: z.looseObject(
      {
        type: oneOf('stable-diffusion', 'stable-diffusion-xl').nullish(),
        version: text.nullish(),
        prediction_type: oneOf(...predictions).nullish(),
        image_size: whole.nullish(),
        scheduler: z
          .looseObject(
            {
              training_steps: whole,
              beta_start: number,
              beta_end: number,
              beta_schedule: oneOf(BETA_SCHEDULE),
            },
            { error: 'four keys: training_steps, beta_start, beta_end, beta_schedule' },
          )
          .nullish(),
        encoder_scale_factor: number.nullish(),
        decoder_scale_factor: number.nullish(),
        decoder_shift_factor: z.literal(0, { error: '0, for it shifts no latents' }).nullish(),
        batch_norm_eps: number.nullish(),
        guidance_embeds: z.boolean({ error: 'true or false' }).nullish(),
        rope_axes_dims: z.array(whole, { error: 'a list' }).nullish(),
        rope_theta: number.nullish(),
        default_guidance_scale: number.nullish(),
        default_steps: whole.nullish(),
      },
      { error: 'the settings of a pipeline' },
    ),
  },
  { error: 'an object' },
);

/** Everything that Apple's Core AI pipelines would refuse in a folder, a sentence each. Reads what `checkAssets` reads. */
export async function checkCoreAiFolder(
  folder: string,
  reading: FolderReading = { hashes: true },
): Promise<string[]> {
  const found: string[] = [];
  for (const name of ['vocab.json', 'merges.txt'])
    if (!(await exists(join(folder, name))) && !(await exists(join(folder, 'tokenizer', name))))
      found.push(`${name} is missing.`);
  const path = join(folder, 'metadata.json');
  if ((await pathKind(path)) !== 'file') {
    const old = (await exists(join(folder, 'pipeline.json')))
      ? '; the pipeline.json is of older exporters'
      : '';
    return [...found, `metadata.json is missing${old}.`];
  }
  const json = await readStrictJson(path);
  if (json === undefined) return [...found, 'metadata.json is not strict JSON.'];
  const { data, error } = metadataSchema.safeParse(json);
  if (!data) return [...found, ...(error?.issues ?? []).map((issue) => misfit(json, issue))];
  const imageSize = data.diffusion.image_size ?? undefined;
  return [...found, ...(await checkAssets(folder, { assets: data.assets, imageSize }, reading))];
}

function misfit(json: unknown, { path, message }: z.core.$ZodIssue): string {
  const value = path.reduce<unknown>(
    (inside, key) => (isJsonObject(inside) ? inside[String(key)] : undefined),
    json,
  );
  const where = excerpt(path.join('.'));
  return value === undefined
    ? `metadata.json lacks ${where} (${message}).`
    : `metadata.json: ${where || 'it'} is ${shown(value)}, and coreai reads ${message}.`;
}
