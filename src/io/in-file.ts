import { SdConvertError } from '../errors.ts';

/** An error that also names the file it is about, where it does not yet: who finds what is wrong need not know where it is from. */
export function inFile(error: unknown, file: string): unknown {
  if (!(error instanceof SdConvertError) || error.message.includes(file)) return error;
  const { problem, details, advice, cause } = error;
  const parts = { problem, details: { file, ...details }, ...(advice !== undefined && { advice }) };
  return Reflect.construct(error.constructor, [parts, { cause }]);
}
