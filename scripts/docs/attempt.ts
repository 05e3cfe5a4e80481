import { SdConvertError } from '../../src/errors.ts';
import type { Notes } from './markdown.ts';

/** What a table says of something that was tried: what `work` gives, or a cross that refers to the error. Throws what is no error of sdconvert's own. */
export async function attempt(work: () => string | Promise<string>, notes: Notes): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof SdConvertError) return `✗ ${notes.refer(sentence(error))}`;
    throw error;
  }
}

/** An error as a line: what is wrong, where, and what to do. */
export function sentence({ problem, details, advice }: SdConvertError): string {
  const where = Object.entries(details).map(([label, text]) => `${label}: ${text}`);
  return [problem, where.length > 0 ? `(${where.join('; ')})` : '', advice].filter(Boolean).join(' ');
}
