import * as errors from '../errors.ts';
import { exhausted } from './exhausted.ts';

/** An error on its way to another thread or process, which its class does not survive. */
export type CarriedError = Pick<errors.SdConvertError, 'name' | 'problem' | 'details' | 'advice'>;

/** The parts of an error. One that is not the input's fault says so, as a defect. */
export function carried(error: unknown): CarriedError {
  const known = error instanceof errors.SdConvertError ? error : exhausted(error);
  if (!known) return defect(error);
  const { name, problem, details, advice } = known;
  return { name, problem, details, advice };
}

/** An error in its class again. */
export function revived({ name, advice, ...parts }: CarriedError): errors.SdConvertError {
  const kind = Object.values(errors).find((each) => each.name === name) ?? errors.SdConvertError;
  return new kind({ ...parts, ...(advice === undefined ? {} : { advice }) });
}

function defect(error: unknown): CarriedError {
  const cause = error instanceof Error ? error : new Error(String(error));
  return {
    name: errors.SdConvertError.name,
    problem: `this is a defect of sdconvert, not of your input: ${cause.message}`,
    details: { stack: cause.stack ?? '' },
    advice: 'Please report it with the command line and the text above.',
  };
}
