import { join } from 'node:path';
import { tokensIn } from '../checkpoint/tokenizer-files.ts';
import { tokenizerParts } from '../checkpoint/tokenizer-parts.ts';
import { exists, readText } from '../io/disk.ts';
import { inFile } from '../io/in-file.ts';
import { type JsonObject, readJsonObject } from '../io/json/python-json.ts';
import { ClipTokenizer, type ClipTokenizerFiles } from './clip-tokenizer.ts';

/** Where a tokenizer is. */
export interface TokenizerPlace {
  readonly folder: string;
  /** The padding token, for folders that hold only a vocabulary. */
  readonly padding?: string | undefined;
}

/** Opens the tokenizer in a folder. Throws as `readTokenizerFiles` and `ClipTokenizer.fromFiles` do. */
export async function openTokenizer(place: TokenizerPlace): Promise<ClipTokenizer> {
  try {
    return ClipTokenizer.fromFiles(await readTokenizerFiles(place));
  } catch (error) {
    throw inFile(error, place.folder);
  }
}

/** Reads the files of a tokenizer, and checks them. Throws as `readTokenizerFiles` and `tokenizerParts` do. */
export async function readCheckedTokenizer(place: TokenizerPlace): Promise<ClipTokenizerFiles> {
  try {
    const files = await readTokenizerFiles(place);
    tokenizerParts(files);
    return files;
  } catch (error) {
    throw inFile(error, place.folder);
  }
}

/** Reads the files of a tokenizer. Throws `NotFoundError`, and `ConfigError` for added tokens that are none. */
async function readTokenizerFiles({ folder, padding }: TokenizerPlace): Promise<ClipTokenizerFiles> {
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
