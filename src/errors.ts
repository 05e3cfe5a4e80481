import { onOneLine, printable } from './text.ts';

/**
 * Every failure a user can cause is one of these. Four parts, in this order:
 * what is wrong (one sentence), where and expected-against-found (`details`), what to do next (`advice`).
 * `message` alone is enough to act on; the command line lays the same parts out. Names and values of files stand in all
 * parts: they are made printable, on one line or (details) indented, and are cut where they are long.
 */
export interface ErrorParts {
  /** One sentence that says what is wrong. */
  readonly problem: string;
  /** Where it happened and what was expected against found, in reading order, e.g. `{ file: 'unet.safetensors' }`. */
  readonly details?: Readonly<Record<string, string>>;
  /** What the user can do next. */
  readonly advice?: string;
}

/** The base of all errors that are the input's or the request's fault (exit code 1). Anything else is our bug (exit 2). */
export class SdConvertError extends Error {
  readonly problem: string;
  readonly details: Readonly<Record<string, string>>;
  readonly advice: string | undefined;

  constructor(given: ErrorParts, options?: ErrorOptions) {
    const parts = printableParts(given);
    super(layOut(parts), options);
    this.name = new.target.name;
    this.problem = parts.problem;
    this.details = parts.details;
    this.advice = parts.advice;
  }
}

function printableParts({ problem, details = {}, advice }: ErrorParts) {
  const rows = Object.entries(details).map(([label, text]) => [onOneLine(label), printable(text)] as const);
  return {
    problem: onOneLine(problem),
    details: Object.fromEntries(rows),
    advice: advice === undefined ? undefined : onOneLine(advice),
  };
}

/** A file, folder or model that is not there. */
export class NotFoundError extends SdConvertError {}

/** A repository that the Hub does not have, or does not show. */
export class RepositoryNotFoundError extends NotFoundError {}

/** A download that did not come through: no connection, a server that refuses, bytes that are not the file's. */
export class DownloadError extends SdConvertError {}

/** Results that could not be put where they were to go: no connection, a store or Hub that fails. */
export class UploadError extends SdConvertError {}

/** A file that is there but is not what its name says: truncated, hostile, an HTML page, a Git-LFS pointer. */
export class FileFormatError extends SdConvertError {}

/** A file whose weights are NaN, infinite, or too large for the dtype they are to have. */
export class NonFiniteWeightError extends FileFormatError {}

/** A model or file that is intact, but of a kind that sdconvert does not convert. */
export class UnsupportedModelError extends SdConvertError {}

/** A configuration that contradicts the weights beside it, or itself. */
export class ConfigError extends SdConvertError {}

/** The network needs weights that the checkpoint does not have. */
export class MissingWeightError extends SdConvertError {}

/** The checkpoint has weights that the network does not use. */
export class UnusedWeightError extends SdConvertError {}

/** Two tensors whose shapes cannot meet, found while the graph is built. */
export class ShapeError extends SdConvertError {}

/** A request that makes no sense by itself: unknown option value, impossible size. */
export class RequestError extends SdConvertError {}

/** A folder that another run is writing into, or has just changed: the same request works when that has ended. */
export class OutputBusyError extends RequestError {}

/** A result that already exists and was made differently. */
export class OutputExistsError extends SdConvertError {}

/** Not enough room on the disk for what would be written. */
export class DiskSpaceError extends SdConvertError {}

/** Chunks that cannot stay under the size asked for. */
export class ChunkBudgetError extends SdConvertError {}

/** An artifact whose numbers are too far from the reference. */
export class ValidationError extends SdConvertError {}

/** The work was interrupted (Ctrl-C, an aborted signal). */
export class InterruptedError extends SdConvertError {}

function layOut({ problem, details, advice }: ReturnType<typeof printableParts>): string {
  const rows = Object.entries(details);
  const width = Math.max(0, ...rows.map(([label]) => label.length));
  return [
    problem,
    ...rows.map(
      ([label, text]) => `  ${label.padEnd(width)}  ${text.replaceAll('\n', `\n${' '.repeat(width + 4)}`)}`,
    ),
    ...(advice ? [advice] : []),
  ].join('\n');
}
