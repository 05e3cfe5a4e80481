import { z } from 'zod';
import { anything } from '../io/check-call.ts';
import { dtypes, elementCount } from './dtype.ts';

/** A tensor in a call, for callers without a type checker. */
export const tensor = z
  .looseObject({
    dtype: z.enum(dtypes),
    shape: z.array(z.int().min(0)).readonly(),
    data: anything('a typed array', ArrayBuffer.isView),
  })
  .refine(({ shape, data }) => Reflect.get(Object(data), 'length') === elementCount(shape), {
    path: ['data'],
    error: 'expected as many numbers as the shape says',
  });
