import { RequestError } from '../src/errors.ts';
import { kebab } from './kebab.ts';

/** An option that has no effect without another option. */
export interface NeededOption {
  readonly option: string;
  /** The option it needs, as an error names it: `--chunk-unet`. */
  readonly needs: string;
  readonly isMet: (argv: Readonly<Record<string, unknown>>) => boolean;
}

/** Throws `RequestError` for the first option on a command line (`args`) that would have no effect. */
export function checkNeededOptions(
  needed: readonly NeededOption[],
  args: readonly string[],
  argv: Readonly<Record<string, unknown>>,
): void {
  // `args`, not `argv`, says which options were given: `argv` also holds defaults.
  const end = args.indexOf('--');
  const given = args.slice(0, end < 0 ? args.length : end).map((arg) => kebab(arg.split('=', 1)[0] ?? ''));
  const useless = needed.find(({ option, isMet }) => given.includes(`--${option}`) && !isMet(argv));
  if (!useless) return;
  throw new RequestError({
    problem: `--${useless.option} changes nothing without ${useless.needs}.`,
    advice: `Add ${useless.needs}, or leave it out.`,
  });
}
