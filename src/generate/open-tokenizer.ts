import { join } from 'node:path';
import { tokensIn } from '../checkpoint/tokenizer-files.ts';
import { exists, readText } from '../io/disk.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import { ClipTokenizer, type ClipTokenizerFiles } from './clip-tokenizer.ts';

/** Opens the tokenizer in a folder. Throws as `readTokenizerFiles` and `ClipTokenizer.fromFiles` do. */
export async function openTokenizer(folder: string, padding?: string): Promise<ClipTokenizer> {
  return ClipTokenizer.fromFiles(await readTokenizerFiles(folder, padding));
}

/**
 * Reads the files of a tokenizer. `padding`: the padding token, for folders that hold only a vocabulary. Throws
 * `NotFoundError`.
 */
export async function readTokenizerFiles(folder: string, padding?: string): Promise<ClipTokenizerFiles> {
  const optional = async (name: string): Promise<JsonObject | undefined> => {
    const path = join(folder, name);
    return (await exists(path)) ? readJsonObject(path) : undefined;
  };
  const config = await optional('tokenizer_config.json');
  const specialTokensMap =
    padding === undefined ? await optional('special_tokens_map.json') : { pad_token: padding };
  return {
    vocab: await readText(join(folder, 'vocab.json')),
    merges: await readText(join(folder, 'merges.txt')),
    added: tokensIn(await optional('added_tokens.json'), config),
    ...(config ? { config } : {}),
    ...(specialTokensMap ? { specialTokensMap } : {}),
  };
}
