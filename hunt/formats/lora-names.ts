import { readFileSync } from 'node:fs';
import type { Files, Mutator } from '../format.ts';
import { littleEndian, mutateBytes } from '../mutate-bytes.ts';
import { oddTexts } from '../mutate-text.ts';
import { bytesOf, inProject } from './seeds.ts';

/** Prefixes and endings of the spellings of LoRAs, and words that files of other kinds have. */
const prefixes = [
  'unet.',
  'text_encoder.',
  'lora_unet_',
  'lora_te_',
  'lora_te1_',
  'base_model.model.',
  'diffusion_model.',
  '',
];
const endings = [
  ...[
    '.lora_A.weight',
    '.lora_B.weight',
    '.lora_down.weight',
    '.lora_up.weight',
    '.lora.down.weight',
    '.lora.up.weight',
  ],
  ...[
    '.alpha',
    '.dora_scale',
    '.lora_magnitude_vector',
    '.hada_w1_a',
    '.hada_w2_b',
    '.lokr_w1',
    '.lokr_w2_a',
  ],
  ...['.oft_blocks', '.diff', '.diff_b', '.a1.weight', '.lora_mid.weight', '.hada_t1', '_lora.up.weight'],
];

interface Entry {
  readonly dtype: string;
  readonly shape: readonly number[];
}

/** LoRAs of a few modules of `sd-shapes`, in each spelling. */
export async function loraSeeds(): Promise<Files[]> {
  const file = readFileSync(inProject('models/sd-shapes/unet/diffusion_pytorch_model.safetensors'));
  const header: Record<string, Entry> = JSON.parse(
    file.subarray(8, 8 + Number(file.readBigUInt64LE(0))).toString(),
  );
  const modules = Object.entries(header)
    .filter(([name]) => /(to_q|to_out\.0|proj_in|conv1)\.weight$/.test(name))
    .slice(0, 8)
    .map(([name, { shape }]) => ({ name: name.replace(/\.weight$/, ''), shape }));
  const spellings = [
    (name: string) => [`unet.${name}.lora_A.weight`, `unet.${name}.lora_B.weight`],
    (name: string) => [
      `lora_unet_${name.replaceAll('.', '_')}.lora_down.weight`,
      `lora_unet_${name.replaceAll('.', '_')}.lora_up.weight`,
    ],
    (name: string) => [`unet.${name}.lora.down.weight`, `unet.${name}.lora.up.weight`],
  ];
  return spellings.map((spell): Files => {
    const tensors = modules.flatMap(
      ({ name, shape: [rows = 1, columns = 1, ...kernel] }): [string, Entry][] => {
        const [down = '', up = ''] = spell(name);
        return [
          [down, { dtype: 'F32', shape: [2, columns, ...kernel] }],
          [up, { dtype: 'F32', shape: [rows, 2, ...kernel.map(() => 1)] }],
        ];
      },
    );
    return new Map([['lora.safetensors', written(tensors)]]);
  });
}

/** Changes which tensors a LoRA has: their names by pieces, their shapes and dtypes. */
export const mutateLoraNames: Mutator = (bytes, random) => {
  const entries = readEntries(bytes);
  if (!entries || entries.length === 0) return mutateBytes(bytes, random);
  const at = random.below(entries.length);
  const [name, { dtype, shape }] = entries[at] ?? ['', { dtype: 'F32', shape: [] }];
  const module = name
    .replace(/^(unet|text_encoder|lora_unet|lora_te)[._]/, '')
    .replace(/\.(lora|alpha|hada|lokr).*$/, '');
  const axis = random.below(Math.max(1, shape.length));
  const other = random.pick<() => [string, Entry][]>([
    () => [],
    () => [[random.pick(prefixes) + module + random.pick(endings), { dtype, shape }]],
    () => [
      [random.pick(prefixes) + module.replaceAll('.', '_') + random.pick(endings), { dtype, shape: [] }],
    ],
    () => [[name, { dtype, shape: shape.toSpliced(axis, 1, random.below(9)) }]],
    () => [[name, { dtype, shape: random.oneIn(2) ? [...shape, 1] : shape.slice(1) }]],
    () => [[name, { dtype: random.pick(['F16', 'BF16', 'I64', 'F64', 'U8']), shape }]],
    () => [[random.pick(oddTexts) + random.pick(endings), { dtype, shape }]],
    () =>
      Array.from({ length: random.length(500) }, (_, n): [string, Entry] => [
        `${name}${n}`,
        { dtype, shape },
      ]),
  ])();
  const without = random.oneIn(2) ? entries : entries.toSpliced(at, 1);
  try {
    return written([...new Map([...without, ...other])]);
  } catch {
    return mutateBytes(bytes, random);
  }
};

const widths: Readonly<Record<string, number>> = { F32: 4, F16: 2, BF16: 2, I64: 8, F64: 8, U8: 1 };

/** A safetensors file of these tensors, their numbers small and not all alike. */
function written(tensors: readonly (readonly [string, Entry])[]): Uint8Array {
  let end = 0;
  const header = tensors.map(([name, { dtype, shape }]) => {
    const bytes = shape.reduce((product, size) => product * size, widths[dtype] ?? 4);
    end += bytes;
    return [name, { dtype, shape, data_offsets: [end - bytes, end] }] as const;
  });
  if (end > 1 << 22) throw new RangeError('a file that large is no test');
  const json = bytesOf(JSON.stringify(Object.fromEntries(header)));
  const data = new Uint8Array(end).map((_, index) => (index % 4 === 3 ? 0x3c : index % 7));
  return new Uint8Array(Buffer.concat([littleEndian(BigInt(json.length), 8), json, data]));
}

function readEntries(bytes: Uint8Array): [string, Entry][] | undefined {
  try {
    const length = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const header: Record<string, Entry> = JSON.parse(new TextDecoder().decode(bytes.subarray(8, 8 + length)));
    const entries = Object.entries(header);
    return entries.every(([, { dtype, shape }]) => dtype && Array.isArray(shape)) ? entries : undefined;
  } catch {
    return undefined;
  }
}
