import { UnsupportedModelError } from '../../errors.ts';
import { quote } from '../../io/error-text.ts';
import { isInert, isTensor, type PickledTensor, type PickleValue } from './pickle-value.ts';

/**
 * The tensors by name in what a torch file holds: a dict of tensors, or one that has such a dict under `state_dict`
 * (Lightning and the checkpoints that were trained with it, some twice), `model` or `module`. Everything else in it
 * (steps, callbacks, optimizers) is passed over. Where there are no such tensors, those of the dicts within, as
 * `dict.name` (`string_to_param.*` of a textual inversion). Throws `UnsupportedModelError` when there are none at all.
 */
export function namedTensors(root: PickleValue, file: string): ReadonlyMap<string, PickledTensor> {
  const dict = unwrapped(root);
  const tensors = tensorsIn(dict);
  if (tensors.size > 0) return tensors;
  const inside = new Map([...dict].flatMap(([name, value]) => tensorsWithin(name, value)));
  if (inside.size === 0) throw noTensors(file, root);
  return inside;
}

type Dict = ReadonlyMap<PickleValue, PickleValue>;

/** Limit on nested `state_dict`s: a pickle can make a dict that contains itself. */
const MAX_WRAPPINGS = 8;

function unwrapped(root: PickleValue): Dict {
  if (!(root instanceof Map)) return new Map();
  let dict: Dict = root;
  for (let depth = 0; depth < MAX_WRAPPINGS; depth++) {
    const inner = dict.get('state_dict');
    if (!(inner instanceof Map)) break;
    dict = inner;
  }
  if (dict !== root || tensorsIn(dict).size > 0) return dict;
  return ['model', 'module'].map((key) => root.get(key)).find((inner) => inner instanceof Map) ?? root;
}

function tensorsIn(dict: Dict): ReadonlyMap<string, PickledTensor> {
  const tensors = new Map<string, PickledTensor>();
  for (const [name, value] of dict) if (typeof name === 'string' && isTensor(value)) tensors.set(name, value);
  return tensors;
}

function tensorsWithin(name: PickleValue, value: PickleValue): (readonly [string, PickledTensor])[] {
  if (typeof name !== 'string' || !(value instanceof Map)) return [];
  return [...tensorsIn(value)].map(([inner, tensor]) => [`${name}.${inner}`, tensor]);
}

function noTensors(file: string, root: PickleValue): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} is a PyTorch file without named tensors.`,
    details: { 'it holds': contentsOf(root) },
    advice: 'Give a file of weights: one whose state_dict was saved.',
  });
}

/** The names of a dict, or the class of what was saved in its place. */
function contentsOf(root: PickleValue): string {
  if (isInert(root)) return `an object of the class ${root.name}`;
  const keys = root instanceof Map ? [...root.keys()].filter((key) => typeof key === 'string') : [];
  return keys.length > 0 ? keys.slice(0, 12).map(quote).join(', ') : 'no dict of names';
}
