import type { TensorMap } from '../../src/formats/runner.ts';
import type { TensorData } from '../../src/weights/tensor-data.ts';

/** Height and width of a recording's latents; 16 × 16 where it has none. */
export function latentSize(tensors: TensorMap | undefined): [height: number, width: number] {
  const latents = tensors?.get('sample') ?? tensors?.get('z') ?? tensors?.get('latent');
  const [, , height = 16, width = 16] = latents?.shape ?? [];
  return [height, width];
}

/** Selects the tensors of one rounding of the weights. Throws `Error` where none is recorded with rounded weights. */
export function chosen(recorded: TensorMap, rounding: '' | '_w16'): Map<string, TensorData> {
  const names = [...recorded.keys()].filter((name) => !name.endsWith('_w16'));
  const rounded = names.filter((name) => recorded.has(`${name}_w16`));
  if (rounding && rounded.length === 0) throw new Error('nothing is recorded with rounded weights');
  return new Map(
    names.flatMap((name) => {
      const tensor = recorded.get(rounded.includes(name) ? `${name}${rounding}` : name);
      return tensor ? [[name, tensor]] : [];
    }),
  );
}

/** Repeats a picture four times in each direction [1,4H,4W,3]: Core ML's safety checker takes 512 × 512, 128 is recorded. */
export function tiled(picture: TensorData | undefined): TensorData {
  if (picture?.dtype !== 'f32') throw new Error('no picture is recorded');
  const [, height = 0, width = 0, channels = 0] = picture.shape;
  const data = new Float32Array(16 * picture.data.length);
  const row = width * channels;
  for (let y = 0; y < 4 * height; y++) {
    const start = (y % height) * row;
    for (let x = 0; x < 4; x++) data.set(picture.data.subarray(start, start + row), (4 * y + x) * row);
  }
  return { dtype: 'f32', shape: [1, 4 * height, 4 * width, channels], data };
}

/** The first rows of tensors: of those that have as many as the largest, where that is more than a model takes. */
export function firstRows(tensors: TensorMap, rows: number): TensorMap {
  const most = Math.max(...[...tensors.values()].map(({ shape }) => shape[0] ?? 0));
  return new Map(
    [...tensors].map(([name, tensor]) => {
      const [all = 0, ...others] = tensor.shape;
      if (all !== most || all <= rows) return [name, tensor];
      const data = tensor.data.subarray(0, (tensor.data.length / all) * rows);
      // as: a part of a typed array is one of the same type.
      return [name, { ...tensor, shape: [rows, ...others], data } as TensorData];
    }),
  );
}
