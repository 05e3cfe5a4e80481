import type { Argv } from 'yargs';
import type { Report } from '../report.ts';

/** A command of the command line. */
export interface Command {
  /** Its name and arguments as yargs takes them: `inspect <path>`. */
  readonly usage: string | readonly string[];
  /** One sentence for the list of commands. */
  readonly summary: string;
  /** Adds its options, and an example. */
  options(yargs: Argv): Argv;
  /** Does it and gives the exit code. `argv` holds what `options` declared. */
  run(argv: Readonly<Record<string, unknown>>, report: Report): Promise<number>;
}
