import { RequestError } from '../../errors.ts';
import { checkArguments, text } from '../../io/check-call.ts';
import { readText } from '../../io/disk.ts';

/** Reads prompts from a text file, one a line; empty lines are skipped. Throws `NotFoundError`, `RequestError` if there are none. */
export async function readPrompts(path: string): Promise<string[]> {
  checkArguments('readPrompts', { path: [path, text] });
  const lines = (await readText(path)).split(/\r?\n/).map((line) => line.trim());
  const prompts = lines.filter((line) => line !== '');
  if (prompts.length > 0) return prompts;
  throw new RequestError({ problem: `${path} holds no prompts.`, advice: 'Write one a line.' });
}
