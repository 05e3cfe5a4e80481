import { z } from 'zod';
import type { Checkpoint } from '../checkpoint/checkpoint.ts';
import { readSideJson } from '../checkpoint/side-file.ts';
import { traitsOf } from '../convert/traits.ts';
import { withoutInfiniteDefaults } from '../io/json/strict-json.ts';
import type { PipelineSettings } from './pipeline-settings.ts';

/** Reads a checkpoint's settings for generating with its models. Throws what reading its configs throws. */
export async function pipelineSettingsOf(checkpoint: Checkpoint): Promise<PipelineSettings> {
  const scheduler = await readSideJson(checkpoint.folders.get('scheduler') ?? [], 'scheduler_config.json');
  const { latentScale } = traitsOf(checkpoint);
  const { force_zeros_for_empty_prompt: zeros, is_cosxl_edit: isCosXlEdit } = checkpoint.modelIndex;
  const padding: Record<string, string> = {};
  for (const folder of ['tokenizer', 'tokenizer_2']) {
    const token = await paddingOf(checkpoint, folder);
    if (token !== undefined) padding[folder] = token;
  }
  return {
    ...(scheduler && { scheduler: withoutInfiniteDefaults(scheduler) }),
    ...(latentScale && { latentScale }),
    ...(Object.keys(padding).length > 0 && { padding }),
    ...(typeof zeros === 'boolean' && { zerosForEmptyPrompt: zeros }),
    ...(isCosXlEdit === true && { scalesEditedPicture: true }),
  };
}

/** A token is a string, or an object with its content. */
const tokenSchema = z.union([
  z.string(),
  z.object({ content: z.string() }).transform((token) => token.content),
]);

async function paddingOf({ folders }: Checkpoint, folder: string): Promise<string | undefined> {
  // The first file that names it takes precedence, as in transformers.
  for (const name of ['special_tokens_map.json', 'tokenizer_config.json']) {
    const token = tokenSchema.safeParse(
      (await readSideJson(folders.get(folder) ?? [], name))?.pad_token,
    ).data;
    if (token !== undefined) return token;
  }
  return undefined;
}
