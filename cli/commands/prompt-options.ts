import type { Argv } from 'yargs';

/** Options of `generate` that say how prompts are read. */
export function promptOptions<T>(yargs: Argv<T>) {
  return yargs
    .option('clip-skip', {
      type: 'number',
      default: 0,
      describe: 'Number of text encoder layers to skip, as in diffusers; 1 here is “clip skip 2” in web UIs',
    })
    .option('long-prompts', {
      type: 'boolean',
      default: false,
      describe: 'Use prompts beyond 75 tokens instead of cutting them off',
    })
    .option('prompt-weights', {
      type: 'boolean',
      default: false,
      describe: 'Read (word), (word:1.3) and [word] in prompts as weights',
    })
    .option('textual-inversion', {
      type: 'string',
      array: true,
      describe: 'FILE[:TOKEN] of a textual inversion, and its token in prompts',
    });
}
