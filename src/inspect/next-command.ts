import { shellWord } from '../io/shell-word.ts';

/** A command line of sdconvert, quoted where a shell needs it; what the user has to fill in is in CAPITALS. */
export function nextCommand(name: string, ...args: readonly string[]): { readonly command: string } {
  return { command: ['sdconvert', name, ...args.map((arg) => shellWord(arg))].join(' ') };
}
