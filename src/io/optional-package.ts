import { NotFoundError } from '../errors.ts';
import { installCommand } from './install-command.ts';

/** Packages that only some commands use: an installation of sdconvert has none of them. */
export interface OptionalPackages {
  /** What they do, as the subject of a sentence: `the queue`. */
  readonly purpose: string;
  /** Each with the version that sdconvert is tested with: `bullmq@6.7.0`. */
  readonly packages: readonly string[];
}

/**
 * Loads something of packages that may not be installed. Throws `NotFoundError`, with the command that installs them, where
 * one is missing, and what loading them throws otherwise.
 */
export async function loadOptional<T>(
  { purpose, packages }: OptionalPackages,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const [, missing] =
      /^Cannot find (?:package|module) '([^']+)'/.exec(String(Reflect.get(Object(error), 'message'))) ?? [];
    if (missing === undefined) throw error;
    throw new NotFoundError(
      {
        problem: `${purpose} needs ${missing}, which is not installed.`,
        advice: `Install it beside sdconvert: ${await installCommand(packages)}`,
      },
      { cause: error },
    );
  }
}
