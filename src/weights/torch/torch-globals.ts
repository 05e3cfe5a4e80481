import { UnsupportedModelError } from '../../errors.ts';
import { quote } from '../../io/error-text.ts';
import type { DType } from '../dtype.ts';
import { brokenTorchFile } from './broken-torch-file.ts';
import type { PickleRules } from './pickle.ts';
import {
  isGlobal,
  isStorage,
  isTensor,
  type PickledStorage,
  type PickledTensor,
  type PickleGlobal,
  type PickleValue,
} from './pickle-value.ts';

/**
 * The closed table of Python names that torch files may refer to. What is not here is refused, so every row must be a name
 * that checkpoints have in the wild and that stands for data alone.
 */

/** The rules for one file, which collect what its pickle refers to. */
export interface TorchRules extends PickleRules {
  readonly storages: ReadonlyMap<string, PickledStorage>;
  /** The classes that are not in the table: their objects are tags. */
  readonly unknown: ReadonlySet<string>;
}

/** The rules by which a torch file's pickle is read; `file` names it in errors. */
export function torchRules(file: string): TorchRules {
  const storages = new Map<string, PickledStorage>();
  const unknown = new Set<string>();
  return {
    storages,
    unknown,
    global(name) {
      const known = globals.get(name);
      if (known || !mayBeClass(name)) return known;
      unknown.add(name);
      return { kind: 'global', name, isUnknown: true };
    },
    persistent: (id) => {
      const storage = storageOf(id, file);
      if (!storage) return undefined;
      const before = storages.get(storage.key);
      if (!before) storages.set(storage.key, storage);
      else if (before.dtype !== storage.dtype || before.elements !== storage.elements)
        throw brokenTorchFile(file, 'it describes one storage in two ways', { storage: quote(storage.key) });
      return before ?? storage;
    },
  };
}

/**
 * Whether a name that is not in the table may be a class of the program that wrote the file (a trainer's settings). What
 * Python and PyTorch themselves bring is either in the table or has no business in a file of weights, even uncalled.
 */
function mayBeClass(name: string): boolean {
  const [root = '', ...path] = name.split('.');
  if (root === '' || path.length === 0 || name.includes('__') || (root === 'torch' && path.length === 1))
    return false;
  return !pythonsOwn.has(root);
}

const pythonsOwn: ReadonlySet<string> = new Set(
  (
    'os posix nt sys builtins subprocess commands pty shutil socket ssl http urllib ftplib smtplib telnetlib webbrowser ' +
    'importlib imp runpy code codeop pdb bdb timeit profile cProfile trace doctest pydoc ctypes _ctypes cffi gc signal site ' +
    'types inspect operator _operator functools itertools pickle _pickle marshal shelve dill cloudpickle joblib ' +
    'multiprocessing threading asyncio concurrent tempfile io _io pathlib glob fileinput zipimport pip setuptools ' +
    'requests httpx aiohttp constructor'
  ).split(' '),
);

/** `('storage', torch.FloatStorage, key, 'cpu', number of elements)`, in legacy files with the view of it: always None. */
function storageOf(id: PickleValue, file: string): PickledStorage | undefined {
  const [tag, type, key, , elements, view] = Array.isArray(id) ? id : [];
  const dtype = isGlobal(type) ? storageTypes.get(type.name) : undefined;
  if (tag !== 'storage' || !dtype || typeof key !== 'string' || !isCount(elements)) return undefined;
  if (view !== undefined && view !== null) {
    throw new UnsupportedModelError({
      problem: `${file} has views of storages, as PyTorch before 0.4 wrote, which are not supported.`,
      advice: 'Open it with a current PyTorch and save it again.',
    });
  }
  return { kind: 'storage', key, dtype, elements };
}

const storageTypes: ReadonlyMap<string, DType> = new Map([
  ['torch.DoubleStorage', 'f64'],
  ['torch.FloatStorage', 'f32'],
  ['torch.HalfStorage', 'f16'],
  ['torch.BFloat16Storage', 'bf16'],
  ['torch.LongStorage', 'i64'],
  ['torch.IntStorage', 'i32'],
  ['torch.ShortStorage', 'i16'],
  ['torch.CharStorage', 'i8'],
  ['torch.ByteStorage', 'u8'],
  ['torch.BoolStorage', 'bool'],
  ['torch.storage.UntypedStorage', 'u8'], // bytes: their tensors say what of (_rebuild_tensor_v3)
]);

/** The element types of torch files, by PyTorch's names. */
export const torchDTypes: ReadonlyMap<string, DType> = new Map([
  ['torch.float64', 'f64'],
  ['torch.float32', 'f32'],
  ['torch.float16', 'f16'],
  ['torch.bfloat16', 'bf16'],
  ['torch.float8_e4m3fn', 'f8_e4m3'],
  ['torch.float8_e5m2', 'f8_e5m2'],
  ['torch.int64', 'i64'],
  ['torch.int32', 'i32'],
  ['torch.int16', 'i16'],
  ['torch.int8', 'i8'],
  ['torch.uint64', 'u64'],
  ['torch.uint32', 'u32'],
  ['torch.uint16', 'u16'],
  ['torch.uint8', 'u8'],
  ['torch.bool', 'bool'],
]);

/** Constructors of the values that weights consist of. */
const makers = new Map<string, NonNullable<PickleGlobal['make']>>([
  ['collections.OrderedDict', ([pairs]) => dictOf(pairs)],
  ['torch.nn.modules.container.ParameterDict', () => new Map()], // its state has the tensors
  ['torch.Size', ([sizes]) => (Array.isArray(sizes) ? sizes : undefined)],
  ['torch._utils._rebuild_tensor', (args) => tensorOf(args)],
  ['torch._utils._rebuild_tensor_v2', (args) => tensorOf(args)],
  ['torch._utils._rebuild_tensor_v3', (args) => tensorOf(args, dtypeOf(args[6]))],
  ['torch._utils._rebuild_parameter', ([data]) => (isTensor(data) ? data : undefined)],
  ['torch._utils._rebuild_parameter_with_state', ([data]) => (isTensor(data) ? data : undefined)],
]);

/** Classes of training frameworks that weights do not need: each becomes a tag, whatever its arguments. */
const inert: readonly string[] = [
  'torch.device',
  'pytorch_lightning.callbacks.ModelCheckpoint',
  'pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint',
  'pytorch_lightning.callbacks.early_stopping.EarlyStopping',
  'pytorch_lightning.utilities.parsing.AttributeDict',
  'lightning.pytorch.callbacks.model_checkpoint.ModelCheckpoint',
  'lightning_fabric.utilities.data.AttributeDict',
  'lightning.fabric.utilities.data.AttributeDict',
  'omegaconf.dictconfig.DictConfig',
  'omegaconf.listconfig.ListConfig',
  'omegaconf.base.ContainerMetadata',
  'omegaconf.base.Metadata',
  'omegaconf.nodes.AnyNode',
  'argparse.Namespace',
  'typing.Any',
  'collections.defaultdict',
  'collections.Counter',
  'numpy.dtype',
  'numpy.ndarray',
  'numpy.core.multiarray.scalar',
  'numpy.core.multiarray._reconstruct',
  'numpy._core.multiarray.scalar',
  'numpy._core.multiarray._reconstruct',
  '_codecs.encode',
  'copyreg._reconstructor', // an object of a class, as protocol 1 writes it
  'copy_reg._reconstructor',
  ...['PosixPath', 'PurePosixPath', 'WindowsPath', 'PureWindowsPath'].map((name) => `pathlib.${name}`),
  ...['datetime', 'date', 'timedelta'].map((name) => `datetime.${name}`),
  // Python 2's names of built-in types, which protocol 2 writes, and Python 3's.
  ...['__builtin__', 'builtins'].flatMap((module) =>
    ['set', 'frozenset', 'dict', 'list', 'tuple', 'int', 'float', 'str', 'bool', 'bytearray', 'object'].map(
      (name) => `${module}.${name}`,
    ),
  ),
];

const globals: ReadonlyMap<string, PickleGlobal> = new Map(
  [
    ...[...storageTypes.keys()].map((name) => ({ name })),
    ...[...torchDTypes].map(([name, dtype]) => ({ name, dtype })),
    ...[...makers].map(([name, make]) => ({ name, make })),
    ...inert.map((name) => ({ name, make: () => ({ kind: 'inert', name }) as const })),
  ].map((global) => [global.name, { kind: 'global', ...global }]),
);

function dictOf(pairs: PickleValue = []): PickleValue | undefined {
  if (!Array.isArray(pairs)) return undefined;
  const dict = new Map<PickleValue, PickleValue>();
  for (const pair of pairs) {
    const [key, value] = Array.isArray(pair) ? pair : [];
    if (key === undefined || value === undefined) return undefined;
    dict.set(key, value);
  }
  return dict;
}

function tensorOf(args: readonly PickleValue[], dtype?: DType): PickledTensor | undefined {
  const [storage, offset, shape, strides] = args;
  if (!isStorage(storage) || offset === undefined || !Array.isArray(shape) || !Array.isArray(strides))
    return undefined;
  return { kind: 'tensor', storage, dtype: dtype ?? storage.dtype, offset, shape, strides };
}

function dtypeOf(value: PickleValue | undefined): DType | undefined {
  return isGlobal(value) ? value.dtype : undefined;
}

function isCount(value: PickleValue | undefined): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}
