import { count } from '../text.ts';
import type { QuantizableWeight, WeightForm } from './plan.ts';
import type { QuantizedWeight } from './quantized-weight.ts';

/** A form that a weight can have. */
export interface FittedForm {
  readonly form: WeightForm;
  /** Channels in the groups that were asked for, where the weight has none. */
  readonly undivided?: number | undefined;
}

/**
 * A form without its groups of channels where those of a weight do not divide into them, for formats that have equal groups
 * alone: a palette serves a group along the first axis, a scale a block of input channels.
 */
export function withEqualGroups(
  form: WeightForm,
  { shape, outputAxis, inputAxis }: QuantizableWeight,
): FittedForm {
  if (form.kind === 'linear') {
    const { blockSize } = form;
    if (!blockSize || (shape[inputAxis] ?? 1) % blockSize === 0) return { form };
    return { form: { ...form, blockSize: undefined }, undivided: blockSize };
  }
  const { groupSize } = form;
  if (!groupSize || (outputAxis === 0 && (shape[0] ?? 1) % groupSize === 0)) return { form };
  return { form: { ...form, groupSize: undefined }, undivided: groupSize };
}

/** Says which weights have no groups although these were asked for; `undefined` where all have. */
export function undividedNote(weights: readonly QuantizedWeight[]): string | undefined {
  const found = weights.filter(({ undivided }) => undivided !== undefined);
  const [first] = found;
  if (!first) return undefined;
  const names = found.slice(0, 3).map(({ name }) => name);
  const what = first.form.kind === 'linear' ? 'one scale for each output channel' : 'one palette each';
  return `${count(found.length, 'weight')} got ${what}, as the channels do not make groups of ${first.undivided}: ${names.join(', ')}${found.length > 3 ? ', …' : ''}.`;
}
