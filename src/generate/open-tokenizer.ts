import { join } from 'node:path';
import { tokensIn } from '../checkpoint/tokenizer-files.ts';
import { exists, readText } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/python-json.ts';
import { ClipTokenizer } from './clip-tokenizer.ts';

/**
 * Opens the tokenizer in a folder. `padding`: the padding token, for folders that hold only a vocabulary. Throws
 * `NotFoundError`, and what `ClipTokenizer.fromFiles` throws.
 */
export async function openTokenizer(folder: string, padding?: string): Promise<ClipTokenizer> {
  const optional = async (name: string): Promise<JsonObject | undefined> => {
    const path = join(folder, name);
    return (await exists(path)) ? readJsonObject(path) : undefined;
  };
  const config = await optional('tokenizer_config.json');
  const specialTokensMap =
    padding === undefined ? await optional('special_tokens_map.json') : { pad_token: padding };
  return ClipTokenizer.fromFiles({
    vocab: await readText(join(folder, 'vocab.json')),
    merges: await readText(join(folder, 'merges.txt')),
    added: tokensIn(await optional('added_tokens.json'), config),
    ...(config ? { config } : {}),
    ...(specialTokensMap ? { specialTokensMap } : {}),
  });
}
