import { SdConvertError } from '../../src/errors.ts';

/** The error that a user would see; anything else that is thrown, or nothing, fails the test. */
export function thrownBy(action: () => unknown): SdConvertError {
  try {
    action();
  } catch (error) {
    return userError(error);
  }
  throw new Error('nothing was thrown');
}

/** The same of a promise. */
export async function rejectionOf(promise: Promise<unknown>): Promise<SdConvertError> {
  return promise.then(() => {
    throw new Error('nothing was thrown');
  }, userError);
}

function userError(error: unknown): SdConvertError {
  if (error instanceof SdConvertError) return error;
  throw error;
}
