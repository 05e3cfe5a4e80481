import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import type { ByteRange, ByteSource } from '../../io/bytes.ts';
import { quote } from '../../io/error-text.ts';
import { byteWidth } from '../dtype.ts';
import type { TensorsOfFile } from '../tensors-of-file.ts';
import { brokenTorchFile } from './broken-torch-file.ts';
import { checkPickleSize, MAX_PICKLE_BYTES, readPickle } from './pickle.ts';
import { PickleEndsError } from './pickle-bytes.ts';
import type { PickleValue } from './pickle-value.ts';
import { type TorchRules, torchRules } from './torch-globals.ts';
import { checkStorage, torchTensors } from './torch-tensors.ts';

/** Value of the first pickle of a legacy file. */
const MAGIC_NUMBER = 0x1950a86a20f9469cfc6cn;

const PROTOCOL = 1001;

/** Before each storage: its number of elements. */
const COUNT_BYTES = 8;

/** Size of the first read; longer pickles need another. */
const FIRST_READ_BYTES = 1 << 20;

/**
 * Reads what `torch.save` wrote before PyTorch 1.6: five pickles one after another (a magic number, the protocol, the
 * machine, the object, the keys of its storages), then each storage in the order of the keys: its number of elements in
 * 8 bytes, and the elements. Throws `FileFormatError`, or `UnsupportedModelError` for an intact file that is not read.
 */
export async function readTorchLegacy(source: ByteSource): Promise<TensorsOfFile> {
  const rules = torchRules(source.name);
  const pickles = new PickleSequence(source, rules);
  if ((await pickles.next()) !== MAGIC_NUMBER) throw otherPickle(source.name);
  const protocol = await pickles.next();
  if (protocol !== PROTOCOL) throw brokenTorchFile(source.name, `its protocol is not ${PROTOCOL}`);
  checkByteOrder(await pickles.next(), source.name);
  const root = await pickles.next();
  const keys = await pickles.next();
  const storages = await locateStorages(keys, pickles.end, rules, source);
  return { ...torchTensors(root, storages, source), unknownClasses: [...rules.unknown] };
}

/** The pickles of a file, one after another; as much of the file is in memory as they need. */
class PickleSequence {
  /** End of the last pickle. */
  end = 0;
  readonly #source: ByteSource;
  readonly #rules: TorchRules;
  #bytes: Uint8Array = new Uint8Array();

  constructor(source: ByteSource, rules: TorchRules) {
    this.#source = source;
    this.#rules = rules;
  }

  async next(): Promise<PickleValue> {
    for (;;) {
      try {
        const { value, end } = readPickle(this.#bytes, this.end, this.#rules, this.#source.name);
        this.end = end;
        return value;
      } catch (error) {
        if (!(error instanceof PickleEndsError)) throw error;
        await this.#readMore();
      }
    }
  }

  async #readMore(): Promise<void> {
    const { name, size } = this.#source;
    const length = this.#bytes.length;
    if (length === size) throw brokenTorchFile(name, 'it is cut short within its pickles');
    if (length === MAX_PICKLE_BYTES) checkPickleSize(size, name);
    this.#bytes = new Uint8Array(Math.min(size, MAX_PICKLE_BYTES, Math.max(FIRST_READ_BYTES, 8 * length)));
    await this.#source.read(this.#bytes, 0);
  }
}

async function locateStorages(
  keys: PickleValue,
  start: number,
  { storages }: TorchRules,
  source: ByteSource,
): Promise<ReadonlyMap<string, ByteRange>> {
  const file = source.name;
  if (!Array.isArray(keys)) throw brokenTorchFile(file, 'its list of storages is none');
  const ranges = new Map<string, ByteRange>();
  const count = new Uint8Array(COUNT_BYTES);
  let end = start;
  for (const key of keys) {
    const storage = typeof key === 'string' ? storages.get(key) : undefined;
    if (!storage || ranges.has(storage.key))
      throw brokenTorchFile(file, 'its list of storages does not fit its tensors', {
        storage: typeof key === 'string' ? quote(key) : `a ${typeof key}`,
      });
    if (end + COUNT_BYTES > source.size) throw cutShort(source);
    await source.read(count, end);
    const bytes = Number(new DataView(count.buffer).getBigUint64(0, true)) * byteWidth(storage.dtype);
    const offset = end + COUNT_BYTES;
    if (bytes > source.size - offset) throw cutShort(source);
    checkStorage(storage, bytes, file);
    ranges.set(storage.key, { offset, bytes });
    end = offset + bytes;
  }
  return ranges;
}

function checkByteOrder(machine: PickleValue, file: string): void {
  if (machine instanceof Map && machine.get('little_endian') === true) return;
  throw new UnsupportedModelError({
    problem: `${file} was not written on a little-endian machine.`,
    advice: 'Save it again on another machine, or use the .safetensors of the same model.',
  });
}

function otherPickle(file: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} is a Python pickle, but not one that PyTorch wrote.`,
    advice: 'Nothing in it was run. Check that it is the right file.',
  });
}

function cutShort({ name, size }: ByteSource): FileFormatError {
  return new FileFormatError({
    problem: `${name} is cut short: it ends before its last tensor does.`,
    details: { found: `${size.toLocaleString('en-US')} bytes` },
    advice: 'The download or copy was interrupted: download or copy it again.',
  });
}
