import type { Runner, TensorMap } from '../formats/runner.ts';
import { joinRows, pickRows, type TensorData } from '../weights/tensor-data.ts';
import { feedsFor } from './feeds.ts';

/**
 * A loaded model as one that takes any contract's names and any number of rows: where it was made for a fixed number it
 * runs as often as it takes, the last row filling up the last pass. Outputs have the model's names and the rows that were
 * fed. Its `run` throws `RequestError` for what is missing or does not fit.
 */
export function withAnyRows(model: Runner): Runner {
  const batch = fixedRows(model);
  return {
    ...model,
    async run(feeds) {
      const rows = Math.max(...[...feeds.values()].map(rowsIn));
      if (batch === undefined || batch === rows) return model.run(feedsFor(model, feeds));
      const passes: TensorMap[] = [];
      for (let first = 0; first < rows; first += batch) {
        const wanted = Array.from({ length: batch }, (_, i) => Math.min(first + i, rows - 1));
        const part = mapTensors(feeds, (tensor) =>
          tensor.shape.length > 0 ? pickRows(tensor, wanted) : tensor,
        );
        passes.push(await model.run(feedsFor(model, part)));
      }
      return joinPasses(passes, rows);
    },
  };
}

/** The rows that a model was made for, by its first input that has rows; `undefined` where any number will do. */
function fixedRows({ inputs }: Runner): number | undefined {
  const [rows] = inputs.find(({ dims }) => dims.length > 1)?.dims ?? [];
  return typeof rows === 'number' ? rows : undefined;
}

/** A scalar is for all rows. */
function rowsIn({ shape }: TensorData): number {
  return shape[0] ?? 1;
}

/** The outputs of passes one after another, without the rows that only filled the last one up. */
function joinPasses([first = new Map(), ...others]: readonly TensorMap[], rows: number): TensorMap {
  const wanted = Array.from({ length: rows }, (_, row) => row);
  return mapTensors(first, (tensor, name) =>
    pickRows(joinRows(tensor, ...others.flatMap((outputs) => outputs.get(name) ?? [])), wanted),
  );
}

function mapTensors(
  tensors: TensorMap,
  change: (tensor: TensorData, name: string) => TensorData,
): Map<string, TensorData> {
  return new Map([...tensors].map(([name, tensor]) => [name, change(tensor, name)]));
}
