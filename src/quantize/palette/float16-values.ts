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
