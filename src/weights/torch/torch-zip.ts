import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import type { ByteRange, ByteSource } from '../../io/bytes.ts';
import { quote } from '../../io/error-text.ts';
import { locateEntries, openZip, type ZipArchive } from '../../io/zip-archive.ts';
import type { TensorsOfFile } from '../tensors-of-file.ts';
import { brokenTorchFile } from './broken-torch-file.ts';
import { checkPickleSize, type PickleRules, readPickle } from './pickle.ts';
import { PickleEndsError } from './pickle-bytes.ts';
import type { PickleValue } from './pickle-value.ts';
import { torchRules } from './torch-globals.ts';
import { checkStorage, torchTensors } from './torch-tensors.ts';

/**
 * Reads what `torch.save` writes since PyTorch 1.6: a zip archive of one folder, in it `data.pkl` (the object, with its
 * storages by key), `data/<key>` (their numbers) and `byteorder`. Nothing is compressed, so tensors are streamed from
 * where they lie (https://docs.pytorch.org/docs/stable/notes/serialization.html). Throws `FileFormatError`, or
 * `UnsupportedModelError` for an intact file that is not read.
 */
export async function readTorchZip(source: ByteSource): Promise<TensorsOfFile> {
  const archive = await openZip(source);
  const root = findRoot(archive);
  const ranges = await locateEntries(archive);
  await checkByteOrder(ranges.get(`${root}/byteorder`), source);
  const rangeOf = (name: string) => {
    const range = ranges.get(`${root}/${name}`);
    if (range) return range;
    throw brokenTorchFile(source.name, 'a part of it is missing', { entry: quote(`${root}/${name}`) });
  };

  const rules = torchRules(source.name);
  const value = await readObject(rangeOf('data.pkl'), rules, source);
  const storages = new Map<string, ByteRange>();
  for (const storage of rules.storages.values()) {
    const range = rangeOf(`data/${storage.key}`);
    checkStorage(storage, range.bytes, source.name);
    storages.set(storage.key, range);
  }
  return { ...torchTensors(value, storages, source), unknownClasses: [...rules.unknown] };
}

/** The folder that all is in. */
function findRoot({ source, entries }: ZipArchive): string {
  const names = [...entries.keys()];
  const [root, second] = names
    .filter((name) => /^[^/]+\/data\.pkl$/.test(name))
    .map((name) => name.slice(0, -9));
  if (root === undefined) {
    throw new FileFormatError({
      problem: `${source.name} is a zip archive, but not one that PyTorch wrote: it has no data.pkl.`,
      details: { 'it holds': names.slice(0, 12).map(quote).join(', ') || 'nothing' },
      advice:
        'If it is a packed folder, unpack it and give the folder; if not, check that it is the right file.',
    });
  }
  if (second !== undefined) throw brokenTorchFile(source.name, 'it has two pickles');
  if (entries.has(`${root}/constants.pkl`) || names.some((name) => name.startsWith(`${root}/code/`))) {
    throw new UnsupportedModelError({
      problem: `${source.name} is a TorchScript program, not a file of weights.`,
      advice: 'Use the checkpoint that it was made from.',
    });
  }
  return root;
}

/** Files older than PyTorch 2.1 do not say it, and are little-endian. */
async function checkByteOrder(range: ByteRange | undefined, source: ByteSource): Promise<void> {
  if (!range) return;
  const text = new Uint8Array(Math.min(range.bytes, 16));
  await source.read(text, range.offset);
  const order = new TextDecoder().decode(text);
  if (order === 'little') return;
  throw new UnsupportedModelError({
    problem: `${source.name} was not written on a little-endian machine.`,
    details: { expected: '"little"', found: quote(order) },
    advice: 'Save it again on another machine, or use the .safetensors of the same model.',
  });
}

async function readObject(range: ByteRange, rules: PickleRules, source: ByteSource): Promise<PickleValue> {
  checkPickleSize(range.bytes, source.name);
  const bytes = new Uint8Array(range.bytes);
  await source.read(bytes, range.offset);
  try {
    return readPickle(bytes, 0, rules, source.name).value;
  } catch (error) {
    if (error instanceof PickleEndsError) throw brokenTorchFile(source.name, 'its pickle is cut short');
    throw error;
  }
}
