import { recognizeWeights } from '../../checkpoint/recognize.ts';
import { UnsupportedModelError } from '../../errors.ts';
import { quote } from '../../io/error-text.ts';
import { isTensor, type PickledTensor, type PickleValue } from './pickle-value.ts';

/**
 * The tensors by name in what a torch file holds: a dict of tensors, or one that has such a dict under `state_dict`
 * (Lightning and the checkpoints that were trained with it), `model` or `module`. Everything else in it (steps, callbacks,
 * optimizers) is passed over. Throws `UnsupportedModelError` when there are no tensors.
 */
export function namedTensors(root: PickleValue, file: string): ReadonlyMap<string, PickledTensor> {
  const dict = unwrapped(root);
  const tensors = new Map<string, PickledTensor>();
  for (const [name, value] of dict) if (typeof name === 'string' && isTensor(value)) tensors.set(name, value);
  if (tensors.size === 0) throw noTensors(file, root);
  return tensors;
}

type Dict = ReadonlyMap<PickleValue, PickleValue>;

function unwrapped(root: PickleValue): Dict {
  if (!(root instanceof Map)) return new Map();
  const stateDict = root.get('state_dict');
  if (stateDict instanceof Map) return stateDict;
  if ([...root.values()].some(isTensor)) return root;
  return ['model', 'module'].map((key) => root.get(key)).find((inner) => inner instanceof Map) ?? root;
}

function noTensors(file: string, root: PickleValue): UnsupportedModelError {
  const keys = root instanceof Map ? [...root.keys()].filter((key) => typeof key === 'string') : [];
  const { what, advice } = recognizeWeights(keys) ?? {
    what: 'a PyTorch file without named tensors',
    advice: 'Give a file of weights: one whose state_dict was saved.',
  };
  return new UnsupportedModelError({
    problem: `${file} is ${what}.`,
    details: { 'it holds': keys.length > 0 ? keys.slice(0, 12).map(quote).join(', ') : 'no dict of names' },
    advice,
  });
}
