import { RequestError } from '../src/errors.ts';

/** An option that changes nothing unless another has some value. */
export interface NeededOption {
  readonly option: string;
  /** What it changes nothing without, in a sentence: `--chunk-unet`. */
  readonly needs: string;
  readonly isMet: (argv: Readonly<Record<string, unknown>>) => boolean;
}

/** Throws `RequestError` for the first option on a command line (`args`) that would change nothing. */
export function checkNeededOptions(
  needed: readonly NeededOption[],
  args: readonly string[],
  argv: Readonly<Record<string, unknown>>,
): void {
  // Not argv: an option that was left out has its default there.
  const end = args.indexOf('--');
  const given = args.slice(0, end < 0 ? args.length : end).map((arg) => arg.split('=', 1)[0]);
  const useless = needed.find(({ option, isMet }) => given.includes(`--${option}`) && !isMet(argv));
  if (!useless) return;
  throw new RequestError({
    problem: `--${useless.option} changes nothing without ${useless.needs}.`,
    advice: `Add ${useless.needs}, or leave it out.`,
  });
}
