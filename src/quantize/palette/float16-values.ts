import { float16Value } from '../../weights/convert-dtype.ts';

/** The code of infinity in float16, beyond which are NaNs; the bit of the sign. */
export const INFINITY_CODE = 0x7c00;
export const SIGN_BIT = 0x8000;

/** Values of the 65,536 float16 codes. */
export function float16Values(): Float64Array {
  values ??= Float64Array.from({ length: 0x10000 }, (_, code) => float16Value(code));
  return values;
}

let values: Float64Array | undefined;

/** The codes of the finite numbers, the smallest number first; −0, which is 0, is left out. */
export function ascendingCodes(): Uint16Array {
  // Codes of negative numbers go down as the numbers go up.
  codes ??= Uint16Array.from({ length: 2 * INFINITY_CODE - 1 }, (_, at) =>
    at < INFINITY_CODE - 1 ? SIGN_BIT | (INFINITY_CODE - 1 - at) : at - (INFINITY_CODE - 1),
  );
  return codes;
}

let codes: Uint16Array | undefined;
