import { resolve } from 'node:path';
import { NotFoundError } from '../errors.ts';

/** The error for a path where there is nothing: says where it was looked for, and what to do next. */
export function notFound(
  path: string,
  advice = 'Check the spelling of the path.',
  options?: ErrorOptions,
): NotFoundError {
  return new NotFoundError(
    { problem: `${path} does not exist.`, details: { 'looked for': resolve(path) }, advice },
    options,
  );
}
