import type { ClientName } from '../../bundle/profiles/profile.ts';
import { profiles } from '../../bundle/profiles/profiles.ts';
import type { Format } from '../../formats/format.ts';
import { type Card, type CardFile, isCoreMl, isUNet } from '../card.ts';

/** A size that a client or its system takes at most. */
interface KnownLimit {
  readonly client: ClientName;
  readonly what: string;
  readonly bytes: number;
  /** The bytes that count, of a model; `undefined` for models that the limit does not concern. */
  readonly of: (file: CardFile) => number | undefined;
  readonly source: string;
}

const ONNXRUNTIME_WEB = 'https://onnxruntime.ai/docs/tutorials/web/large-models.html';

/** The largest ArrayBuffer of Chrome, and what a protobuf message can have. */
const [ARRAY_BUFFER, MESSAGE] = [0x7fe0_0000, 2 ** 31 - 1];

const knownLimits: readonly KnownLimit[] = [
  {
    client: 'optimum',
    what: 'model.onnx without its data file: a protobuf message',
    bytes: MESSAGE,
    of: (file) => sizeOf(file, 'onnx', (name) => name.endsWith('.onnx')),
    source: 'https://protobuf.dev/programming-guides/proto-limits/',
  },
  {
    client: 'ort-web',
    what: 'a model in one file, in one ArrayBuffer',
    bytes: ARRAY_BUFFER,
    of: (file) => (file.format === 'onnx' ? file.byteLength : undefined),
    source: ONNXRUNTIME_WEB,
  },
  {
    client: 'diffusers-js',
    what: 'each file of a model, in an ArrayBuffer',
    bytes: ARRAY_BUFFER,
    of: (file) => sizeOf(file, 'onnx', () => true),
    source: ONNXRUNTIME_WEB,
  },
  ...(['swift', 'mochi'] as const).map((client) => ({
    client,
    what: 'a UNet’s file for the Neural Engine of an iPhone or iPad',
    bytes: 1e9,
    of: (file: CardFile) => (isUNet(file) && isCoreMl(file) ? file.byteLength : undefined),
    source: 'https://github.com/apple/ml-stable-diffusion (README: --chunk-unet)',
  })),
];

/** For each limit that is known, the largest model of the folder beside it. */
export function limitsOf(files: readonly CardFile[]): Card['limits'] {
  return knownLimits.flatMap(({ client, what, bytes, of, source }) => {
    const sized = files
      .filter((file) => isFor(file, client))
      .flatMap((file) => {
        const found = of(file);
        return found === undefined ? [] : [{ found, where: file.path }];
      })
      .sort((a, b) => b.found - a.found);
    return sized.slice(0, 1).map((largest) => ({ client, what, limit: bytes, source, ...largest }));
  });
}

/** Whether a model is the client's, by the folder it is in; where the client has none, those of its target. */
function isFor({ path, format }: CardFile, client: ClientName): boolean {
  const { target, folder } = profiles[client];
  if (path.startsWith(`${folder}/`)) return true;
  return target === 'onnx' ? path.startsWith('onnx/') : format === 'mlpackage' && !path.includes('/');
}

/** The largest of a model's files; of one without a record, all of it together. */
function sizeOf(
  { format, files, byteLength }: CardFile,
  wanted: Format,
  counts: (name: string) => boolean,
): number | undefined {
  if (format !== wanted) return undefined;
  const sizes = files.filter(({ name }) => counts(name)).map((file) => file.byteLength);
  return sizes.length > 0 ? sizes.reduce((most, each) => Math.max(most, each)) : byteLength;
}
