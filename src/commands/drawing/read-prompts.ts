import { RequestError } from '../../errors.ts';
import { checkArguments, text } from '../../io/check-call.ts';
import { readText } from '../../io/disk.ts';

/** What no prompt has: a zero byte, as in UTF-16 and in pictures, and the sign for bytes that are no UTF-8. */
const NO_TEXT = /[\0\ufffd]/;

/**
 * Reads prompts from a text file, one a line; empty lines are skipped. Throws `NotFoundError`, `RequestError` if there are none, or
 * if it is no text.
 */
export async function readPrompts(path: string): Promise<string[]> {
  checkArguments('readPrompts', { path: [path, text] });
  const content = await readText(path);
  if (NO_TEXT.test(content))
    throw new RequestError({
      problem: `${path} is no text in UTF-8.`,
      advice: 'Write the prompts one a line, and save them as UTF-8.',
    });
  const prompts = content
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== '');
  if (prompts.length > 0) return prompts;
  throw new RequestError({ problem: `${path} holds no prompts.`, advice: 'Write one a line.' });
}
