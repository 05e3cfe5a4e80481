import { z } from 'zod';

/** A number of bytes or elements. */
export const amount = z.int().min(0);

/** Schema of a finding, as it is on record. */
export const findingSchema = z.discriminatedUnion('problem', [
  z.object({
    problem: z.literal('non-finite'),
    weight: z.string(),
    elements: amount,
    nan: amount,
    infinite: amount,
    overflowing: amount,
    first: amount,
  }),
  z.object({
    problem: z.enum(['constant', 'huge']),
    weight: z.string(),
    elements: amount,
    value: z.number(),
  }),
]);
