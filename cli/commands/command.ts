import type { Argv } from 'yargs';
import type { NeededOption } from '../needed-options.ts';
import type { Report } from '../report.ts';

/** A command of the command line. Help loads it, so it must load the library only in `run`. */
export interface Command {
  /** Declares its options and an example. `all`: whether help shows every option or only the essential ones. */
  options(yargs: Argv, help: { readonly all: boolean }): Argv;
  /** Options that mean something only beside others. */
  readonly needed?: readonly NeededOption[];
  /** Runs the command and returns the exit code. `argv`: values of the declared options. */
  run(argv: Readonly<Record<string, unknown>>, report: Report): Promise<number>;
}
