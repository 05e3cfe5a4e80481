import { join } from 'node:path';
import { z } from 'zod';
import { tokensIn } from '../checkpoint/tokenizer-files.ts';
import type { NetworkName } from '../convert/networks/networks.ts';
import { latentScaleOf } from '../convert/networks/vae-variants.ts';
import { ConfigError, NotFoundError, RequestError } from '../errors.ts';
import type { Runner } from '../formats/runner.ts';
import { exists, readText } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { type JsonObject, readJsonObject } from '../io/python-json.ts';
import { modelsIn } from '../run/find-models.ts';
import { ClipTokenizer } from './clip-tokenizer.ts';

/** The `onnx` folder that pictures are drawn from: its settings, its tokenizer, its networks. */

const unetSchema = z.object({
  sample_size: z.union([z.int(), z.tuple([z.int(), z.int()])]),
  in_channels: z.int(),
});

/** The settings that drawing needs, of an `onnx` folder. Throws `NotFoundError` and `ConfigError`. */
export async function readConfigs(folder: string) {
  const unetFolder = (await networkFolders(folder, 'unet'))[0] ?? folder;
  return {
    unet: parse(unetSchema, await readJsonObject(join(unetFolder, 'config.json')), unetFolder),
    scale: latentScaleOf({ config: await readJsonObject(join(folder, 'vae_decoder', 'config.json')) }),
    schedulerConfig: await readJsonObject(join(folder, 'scheduler', 'scheduler_config.json')),
  };
}

function parse<Schema extends z.ZodType>(
  schema: Schema,
  config: JsonObject,
  where: string,
): z.output<Schema> {
  const result = schema.safeParse(config);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw new ConfigError({
    problem: `the config in ${where} does not say ${issue?.path.join('.')}.`,
    advice: 'Convert the checkpoint again.',
  });
}

/** The tokenizer in a folder of a conversion or checkpoint. Throws `NotFoundError` and what the tokenizer throws. */
export async function openTokenizer(folder: string): Promise<ClipTokenizer> {
  const optional = async (name: string): Promise<JsonObject | undefined> => {
    const path = join(folder, name);
    return (await exists(path)) ? readJsonObject(path) : undefined;
  };
  const config = await optional('tokenizer_config.json');
  const specialTokensMap = await optional('special_tokens_map.json');
  return ClipTokenizer.fromFiles({
    vocab: await readText(join(folder, 'vocab.json')),
    merges: await readText(join(folder, 'merges.txt')),
    added: tokensIn(await optional('added_tokens.json'), config),
    ...(config ? { config } : {}),
    ...(specialTokensMap ? { specialTokensMap } : {}),
  });
}

/** The folders of a network's chunks, or its own. Throws `NotFoundError` where there are neither. */
export async function networkFolders(folder: string, name: NetworkName): Promise<readonly string[]> {
  if (!(await exists(folder))) throw notFound(folder, 'Name the output folder of a conversion.');
  const models = (await modelsIn(folder)).filter(
    ({ format, network }) => format === 'onnx' && network === name,
  );
  const found = models.find(({ isInChunks }) => isInChunks) ?? models[0];
  if (found) return found.paths;
  throw new NotFoundError({
    problem: `${folder} has no ${name}.`,
    advice: `Convert it too: sdconvert --model-version … --convert-${name.replace('_', '-')}`,
  });
}

/** What the UNet was made for, or the config's size where it takes any. */
export function latentShape(unet: Runner, config: z.output<typeof unetSchema>): number[] {
  const dims = unet.inputs.find(({ name }) => name === 'sample')?.dims ?? [];
  const side = (axis: number): number => {
    const size = dims[axis];
    if (typeof size === 'number') return size;
    const [height, width = height] = [config.sample_size].flat();
    return (axis === 2 ? height : width) ?? 0;
  };
  if (config.in_channels !== 4) {
    throw new RequestError({
      problem: `this UNet reads ${config.in_channels} channels, which text-to-image cannot feed.`,
      advice: 'It is made for inpainting or editing.',
    });
  }
  return [1, config.in_channels, side(2), side(3)];
}
