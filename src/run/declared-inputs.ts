import { LARGEST_LATENT_SIDE } from '../convert/config/number-ranges.ts';
import { PIXELS } from '../convert/networks/latents.ts';
import type { Axis } from '../convert/networks/realistic.ts';
import { FileFormatError } from '../errors.ts';
import type { DeclaredDim } from '../formats/runner.ts';
import { MOST_ROWS } from './feeds.ts';
import { networkOf, optimumInput, optimumInputs } from './tensor-names.ts';

/** An input that a model declares. */
export interface DeclaredInput {
  readonly name: string;
  readonly dims: readonly DeclaredDim[];
}

/** Wider than any layer is. */
const MOST_CHANNELS = 2 ** 16;

/** What no model is made for. Inputs are allocated in the sizes that a model declares: damaged ones must not fill the memory. */
const most: { readonly [A in Axis]: number } = {
  batch: MOST_ROWS,
  tokens: 2 ** 16,
  textChannels: MOST_CHANNELS,
  latentChannels: MOST_CHANNELS,
  latentHeight: LARGEST_LATENT_SIDE,
  latentWidth: LARGEST_LATENT_SIDE,
  colours: MOST_CHANNELS,
  height: LARGEST_LATENT_SIDE * PIXELS,
  width: LARGEST_LATENT_SIDE * PIXELS,
  pooledChannels: MOST_CHANNELS,
  timeIds: MOST_CHANNELS,
  guidanceChannels: MOST_CHANNELS,
  clipSize: 2 ** 12,
};

/** Elements of one input: more than the largest picture has. */
const MOST_ELEMENTS = 2 ** 28;

/**
 * Refuses inputs of sizes that no model is made for. `path` names the model. Throws `FileFormatError`.
 */
export function checkDeclaredInputs(path: string, inputs: readonly DeclaredInput[]): void {
  const network = networkOf(inputs.map(({ name }) => name));
  for (const input of inputs) {
    const sizes = input.dims.filter((dim) => typeof dim === 'number');
    const elements = sizes.reduce((product, size) => product * size, 1);
    if (!sizes.every((size) => size > 0) || elements > MOST_ELEMENTS)
      throw absurd(path, input, `sizes from 1 on, ${MOST_ELEMENTS.toLocaleString('en')} elements at most`);
    for (const [axis, size] of network ? sizesOf(optimumInputs(network), input) : [])
      if (size > most[axis]) throw absurd(path, input, `at most ${most[axis].toLocaleString('en')} there`);
  }
}

/** The sizes of an input that are fixed, with what each is the size of, where that is known. */
export function sizesOf(
  meanings: ReturnType<typeof optimumInputs>,
  { name, dims }: DeclaredInput,
): (readonly [Axis, number])[] {
  const axes = meanings.get(optimumInput(name)) ?? [];
  // Where optimum has [B,S,C], Apple has [B,C,1,S].
  const isApple = axes.length === 3 && dims.length === 4;
  if (!isApple && axes.length !== dims.length) return [];
  return [...axes.entries()].flatMap(([axis, meaning]) => {
    const size = dims[isApple ? ([0, 3, 1][axis] ?? axis) : axis];
    return typeof size !== 'number' || typeof meaning === 'number' ? [] : [[meaning, size] as const];
  });
}

function absurd(path: string, { name, dims }: DeclaredInput, expected: string): FileFormatError {
  return new FileFormatError({
    problem: `${path} declares an input of a size that no model is made for.`,
    details: { input: `${name} [${dims.join(', ')}]`, expected },
    advice: 'It is damaged, or was made by a faulty tool: get it again, or convert it again.',
  });
}
