import { type Graph, GraphBuilder } from '../../src/graph/graph.ts';
import { Float16Histogram } from '../../src/quantize/palette/histogram.ts';
import { optimalPalette, type PaletteBits } from '../../src/quantize/palette/palette.ts';
import { type Precision, withPrecision } from '../../src/quantize/precision.ts';
import { float16Bits, float16Value } from '../../src/weights/convert-dtype.ts';
import { memoryWeight } from '../support/memory-weight.ts';
import { scattered } from '../support/scattered.ts';

/** The numbers of a small network's weights, by name. */
export type Numbers = ReadonlyMap<string, Float32Array>;

const shapes: Readonly<Record<string, readonly number[]>> = {
  'conv.weight': [64, 4, 3, 3],
  'positions.weight': [1, 64, 6, 6],
  'linear.weight': [96, 64],
  'small.weight': [16, 96],
  'tokens.weight': [100, 32],
};

/** Weights that are rounded to float16, which every precision holds. */
export function smallNumbers(): Numbers {
  const entries = Object.entries(shapes).map(([name, shape], seed): [string, Float32Array] => {
    const count = shape.reduce((product, size) => product * size, 1);
    return [name, scattered(count, seed).map((x) => roundToFloat16(x ** 3 / 8))];
  });
  return new Map(entries);
}

/**
 * A network of what quantisation has to tell apart: a convolution and a matrix to be quantised, a matrix that is too small,
 * a table that is added and one that is looked up. x [1,4,6,6] and ids [3] → y [36,16] and rows [3,32].
 */
export function smallNetwork(numbers: Numbers, precision: Precision = 'float16'): Graph {
  const builder = new GraphBuilder();
  const weight = (name: string) => {
    const shape = shapes[name] ?? [];
    return builder.weight(memoryWeight(name, shape, numbers.get(name) ?? new Float32Array()), {
      dtype: 'f32',
      shape,
    });
  };
  const pads = { top: 1, left: 1, bottom: 1, right: 1 };
  const x = builder.input('x', { dtype: 'f32', shape: [1, 4, 6, 6] });
  const ids = builder.input('ids', { dtype: 'i32', shape: [3] });
  const image = builder.apply({ kind: 'conv2d', stride: 1, pads }, [x, weight('conv.weight')], 'conv');
  const placed = builder.apply({ kind: 'add' }, [image, weight('positions.weight')], 'placed');
  const rows = builder.apply({ kind: 'reshape', shape: [64, 36] }, [placed], 'rows');
  const turned = builder.apply({ kind: 'transpose', perm: [1, 0] }, [rows], 'turned');
  const wide = builder.apply({ kind: 'linear' }, [turned, weight('linear.weight')], 'linear');
  const y = builder.apply({ kind: 'linear' }, [wide, weight('small.weight')], 'small');
  const looked = builder.apply({ kind: 'embedding' }, [weight('tokens.weight'), ids], 'tokens');
  const outputs = [
    { name: 'y', tensor: builder.apply({ kind: 'cast', to: 'f32' }, [y], 'y32') },
    { name: 'looked', tensor: builder.apply({ kind: 'cast', to: 'f32' }, [looked], 'looked32') },
  ];
  return withPrecision(builder.finish(outputs), precision);
}

/** What is fed to the network. */
export const smallFeeds = {
  x: { dtype: 'f32', shape: [1, 4, 6, 6], data: scattered(144, 9) },
  ids: { dtype: 'i32', shape: [3], data: Int32Array.of(0, 99, 41) },
} as const;

/** Which of its weights are quantised. */
export const quantizable = ['conv.weight', 'linear.weight'] as const;

/** Every number replaced by the nearest of an optimal palette, for each equal stretch of the numbers. */
export function palettized(numbers: Float32Array, bits: PaletteBits, groups = 1): Float32Array {
  const size = numbers.length / groups;
  const stretches = Array.from({ length: groups }, (_, group) =>
    numbers.subarray(group * size, (group + 1) * size),
  );
  return Float32Array.from(
    stretches.flatMap((stretch) => {
      const histogram = new Float16Histogram();
      histogram.add(Uint16Array.from(stretch, float16Bits));
      const { entries, used } = optimalPalette(histogram.distinct(), bits);
      const needed = [...entries.subarray(0, used)];
      return Array.from(stretch, (number) =>
        needed.reduce((best, entry) => (Math.abs(entry - number) < Math.abs(best - number) ? entry : best)),
      );
    }),
  );
}

/**
 * Every number rounded to whole multiples of a float16 scale for each block of so many neighbours; `apart`: the products with
 * number and zero point are rounded before they are subtracted.
 */
export function linearized(
  numbers: Float32Array,
  bits: 4 | 8,
  block: number,
  symmetric: boolean,
  apart = false,
): Float32Array {
  const steps = symmetric ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  return numbers.map((number, at) => {
    const begin = at - (at % block);
    const own = numbers.subarray(begin, begin + block);
    const [low, high] = [Math.min(0, ...own), Math.max(0, ...own)];
    const scale = roundToFloat16((symmetric ? Math.max(-low, high) : high - low) / steps);
    const zero = symmetric ? 0 : Math.round(-low / scale);
    const whole = Math.max(symmetric ? -steps : 0, Math.min(steps, Math.round(number / scale) + zero));
    if (apart) return roundToFloat16(roundToFloat16(whole * scale) - roundToFloat16(zero * scale));
    return roundToFloat16((whole - zero) * scale);
  });
}

/** The network with the numbers of the weights that are quantised replaced. */
export function withReplaced(
  numbers: Numbers,
  replace: (numbers: Float32Array, name: string) => Float32Array,
): Numbers {
  return new Map(
    [...numbers].map(([name, given]) => [
      name,
      quantizable.some((each) => each === name) ? replace(given, name) : given,
    ]),
  );
}

function roundToFloat16(value: number): number {
  return float16Value(float16Bits(value));
}
