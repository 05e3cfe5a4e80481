import { UnsupportedModelError } from '../../errors.ts';
import type { DType } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';

/** A weight with something merged is computed in float32, which does not become every dtype. */
export function notComputed({ name, file }: Weight, dtype: DType): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${name}, with a LoRA merged, cannot be given as ${dtype}.`,
    details: { file },
    advice: 'Ask for float16 or float32.',
  });
}
