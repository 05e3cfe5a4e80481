import { UnsupportedModelError } from '../../errors.ts';
import type { DType } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';

/** Error for a dtype that float32, in which merged weights are computed, cannot be converted to. */
export function notComputed({ name, file }: Weight, dtype: DType): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${name}, with a LoRA merged, cannot be converted to ${dtype}.`,
    details: { file },
    advice: 'Ask for float16 or float32.',
  });
}
