import { SdConvertError } from '../../src/errors.ts';
import { ClipTokenizer } from '../../src/generate/clip-tokenizer.ts';
import type { WebTokenizer } from '../../src/web/web-plan.ts';

/** The tokenizer in the bytes of a page's file. Throws an error of one sentence for anything else. */
export function readTokenizer(bytes: Uint8Array, path: string): ClipTokenizer {
  try {
    const { added, ...rest }: WebTokenizer = JSON.parse(new TextDecoder().decode(bytes));
    return ClipTokenizer.fromFiles({ ...rest, added: new Map(added) });
  } catch (error) {
    const found = error instanceof SdConvertError ? error.problem : 'it holds something else';
    throw new Error(`${path} is no tokenizer (${found}): make the page again.`);
  }
}
