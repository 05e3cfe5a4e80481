import type { Argv } from 'yargs';
import type { NeededOption } from '../needed-options.ts';
import type { Report } from '../report.ts';

/** A command of the command line. Help loads it, so it loads the library only when it runs. */
export interface Command {
  /** Adds its options, and an example; help shows `all` of them, or those that matter first. */
  options(yargs: Argv, help: { readonly all: boolean }): Argv;
  /** Options that mean something only beside others. */
  readonly needed?: readonly NeededOption[];
  /** Does it and gives the exit code. `argv` holds what `options` declared. */
  run(argv: Readonly<Record<string, unknown>>, report: Report): Promise<number>;
}
