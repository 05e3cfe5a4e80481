import { DiskSpaceError, FileFormatError, OutputBusyError, RequestError, SdConvertError } from '../errors.ts';
import { errorCode } from './error-code.ts';
import { exhausted } from './exhausted.ts';
import { notFound } from './not-found.ts';
import { finalPath } from './stages/owner.ts';

/** Errors of the operating system, with advice. */

/** Turns an error of the operating system into one with advice; for `.catch()`. */
export function rethrow(action: 'read' | 'write', at: string): (error: unknown) => never {
  return (error) => {
    if (error instanceof SdConvertError) throw error;
    const path = finalPath(at);
    const cause = { cause: error };
    switch (errorCode(error)) {
      case 'ENOTDIR':
        if (action === 'read') throw notFound(path, undefined, cause);
        throw fileOnTheWay(path, cause);
      case 'ENOENT':
        // The parents of a folder that is made are there.
        if (hasCall(error, 'mkdir')) throw noFolderThere(path, cause);
        if (action === 'write' && hasCall(error, 'rename')) throw goneMeanwhile(path, cause);
        throw notFound(path, undefined, cause);
      case 'ENAMETOOLONG':
        throw new RequestError(
          { problem: `${path} is too long for a name.`, advice: 'Choose a shorter one.' },
          cause,
        );
      case 'ERR_INVALID_ARG_VALUE': // of Node itself; no argument of a command can hold one, but a file can
        throw new RequestError(
          { problem: `${path} is no path: names have no NUL in them.`, advice: 'Check its spelling.' },
          cause,
        );
      case 'ELOOP':
        throw circle(path, cause);
      case 'ENXIO':
        throw notPlain(path, 'socket or device', cause);
      case 'EMFILE':
      case 'ENFILE':
        throw exhausted(error, `${path} could not be ${action === 'read' ? 'read' : 'written'}`);
      case 'EISDIR':
        throw folderInsteadOfFile(path, cause);
      case 'EEXIST':
        throw fileInsteadOfFolder(path, cause);
      case 'EACCES':
      case 'EPERM':
      case 'EROFS':
        throw new RequestError(
          {
            problem: `${path} cannot be ${action === 'read' ? 'read' : 'written'}: permission denied.`,
            advice: 'Change its permissions, or choose another place.',
          },
          cause,
        );
      case 'EFBIG':
        throw new DiskSpaceError(
          {
            problem: `${path} could not be written: so large a file is not allowed there.`,
            advice:
              'Choose a disk of another kind (FAT32 ends at 4 GB), lift the limit (ulimit -f), or cut the UNet with --chunk-unet.',
          },
          cause,
        );
      case 'ENOSPC':
      case 'EDQUOT':
        throw new DiskSpaceError(
          {
            problem: `The disk is full: ${path} could not be written.`,
            advice: 'Free some space, or choose another disk.',
          },
          cause,
        );
      default:
        throw new SdConvertError(
          {
            problem: `${path} could not be ${action === 'read' ? 'read' : 'written'}.`,
            details: { cause: String(error) },
          },
          cause,
        );
    }
  };
}

/** A link is where a folder is to be made. */
export function leadsNowhere(path: string, options: ErrorOptions): RequestError {
  return new RequestError(
    {
      problem: `${path} is a link that leads nowhere, and a folder is needed there.`,
      advice: 'Make the folder that it leads to, or remove it.',
    },
    options,
  );
}

/** Links lead to each other. */
function circle(path: string, options: ErrorOptions): RequestError {
  return new RequestError(
    { problem: `${path} leads nowhere: its links lead around in a circle.`, advice: 'Remove one of them.' },
    options,
  );
}

/** Whether nothing is at the path that was looked at. */
export function isAbsent(error: unknown): boolean {
  const code = errorCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}

function hasCall(error: unknown, name: string): boolean {
  return error instanceof Error && 'syscall' in error && error.syscall === name;
}

/** A folder is where a file is needed. */
export function folderInsteadOfFile(path: string, options?: ErrorOptions): RequestError {
  return new RequestError(
    { problem: `${path} is a folder, but a file is needed there.`, advice: 'Name the file itself.' },
    options,
  );
}

/** Something is in the place of a file that can be read at any offset. */
export function notPlain(
  path: string,
  kind: 'pipe' | 'device' | 'socket or device',
  options?: ErrorOptions,
): RequestError {
  return new RequestError(
    {
      problem: `${path} is a ${kind}, but a file is needed there: it is read out of order.`,
      advice: 'Write its output to a file, and name that.',
    },
    options,
  );
}

/** What was growing is no longer there when it is complete. */
export function goneMeanwhile(path: string, options?: ErrorOptions): OutputBusyError {
  return new OutputBusyError(
    {
      problem: `${path} could not be completed: what was written of it is gone.`,
      advice:
        'Somebody removed it, or this run was halted for so long that another one took it for dead: run this again.',
    },
    options,
  );
}

/** A text is larger than any that is meant here. */
export function tooLarge(path: string, size: number, most: number): FileFormatError {
  return new FileFormatError({
    problem: `${path} is too large to be what its name says.`,
    details: {
      expected: `at most ${most.toLocaleString('en-US')} bytes`,
      found: `${size.toLocaleString('en-US')} bytes`,
    },
    advice: 'Check that it is the right file.',
  });
}

/** Whether something has the name already. */
export function isThereAlready(error: unknown): boolean {
  return errorCode(error) === 'EEXIST';
}

/** A file is where a folder is needed. */
export function fileInsteadOfFolder(path: string, options?: ErrorOptions): RequestError {
  return new RequestError({ problem: `${path} is a file, but a folder is needed there.` }, options);
}

/** Makes the error for a file that ends before the range to be read. */
export function endsTooSoon(path: string, size: number, needed: number): FileFormatError {
  return new FileFormatError({
    problem: `${path} ends too soon.`,
    details: { expected: `at least ${needed} bytes`, found: `${size} bytes` },
    advice: 'It is damaged or still being written: download or copy it again.',
  });
}

/** The system makes no folders at a place, such as /proc. */
function noFolderThere(path: string, options: ErrorOptions): RequestError {
  return new RequestError(
    {
      problem: `${path} cannot be made: the system makes no folders there.`,
      advice: 'Choose another place.',
    },
    options,
  );
}

/** A path leads through a file. */
export function fileOnTheWay(path: string, options?: ErrorOptions): RequestError {
  return new RequestError(
    { problem: `${path} cannot be written: what should be a folder on the way to it is a file.` },
    options,
  );
}

/** Two runs would write into one folder. */
export function beingWritten(folder: string, by: string): OutputBusyError {
  return new OutputBusyError({
    problem: `another run is writing into ${folder}: ${by}.`,
    advice: 'Wait until it has ended, or choose another --output.',
  });
}
