import { FileFormatError, UnsupportedModelError } from '../../errors.ts';
import { excerpt, quote } from '../../io/error-text.ts';
import { isJsonObject, type JsonObject } from '../../io/json/python-json.ts';
import { elementCount } from '../dtype.ts';
import { readTensor } from '../tensor-data.ts';
import type { TensorsOfFile } from '../tensors-of-file.ts';
import type { Weight } from '../weight.ts';

/**
 * What ComfyUI's files say of their layers: a JSON object `{"format": …}` for each, as the bytes of a tensor
 * `<layer>.comfy_quant`, or all of them as `layers` of `_quantization_metadata` in the header
 * (https://github.com/Comfy-Org/ComfyUI/blob/master/QUANTIZATION.md).
 */

/** The formats that are read. */
export const readFormats: readonly string[] = [
  'float8_e4m3fn',
  'float8_e5m2',
  'int8_tensorwise',
  'int8_blockwise',
  'nvfp4',
];

const MARKER = '.comfy_quant';
const METADATA_KEY = '_quantization_metadata';

/** No layer's description is longer. */
const MOST_BYTES = 1 << 16;

/** Formats that other tools write, by a tensor of theirs. */
export const otherFormats: readonly (readonly [RegExp, string])[] = [
  [/\.weight\.(absmax|quant_map|nested_absmax|quant_state\.\w+)$/, 'bitsandbytes'],
  [/\.(qweight|qzeros|wscales|smooth_factor)$/, 'GPTQ, AWQ or SVDQuant'],
  [/\.weight\._data$/, 'Quanto'],
  [/\.weight_(s_rel|s_channel|codebook)$/, 'asym_w4a8_int8'],
  [
    /\.(pre_quant_scale|weight_quantizer\._(double_scale|pre_quant_scale))$/,
    'ModelOpt with smoothing or double scales',
  ],
];

/** Whether a tensor says what format its layer has. */
export function isFormatMarker(name: string): boolean {
  return name.endsWith(MARKER);
}

/**
 * The format of each layer that the file says one of. Throws `UnsupportedModelError` that names a format that is not
 * read, or a rotation, and `FileFormatError` for any other text.
 */
export async function quantFormats(
  { weights, metadata }: TensorsOfFile,
  file: string,
): Promise<(layer: string) => string | undefined> {
  const formats = new Map<string, string>();
  for (const [layer, described] of layersOf(metadata[METADATA_KEY], file))
    formats.set(layer, formatOf(layer, described, file));
  for (const [name, weight] of weights) {
    if (!isFormatMarker(name)) continue;
    const layer = name.slice(0, -MARKER.length);
    formats.set(layer, formatOf(layer, await readMarker(weight), file));
  }
  return (layer) => formatUnder(formats, layer);
}

/** Throws `UnsupportedModelError` for a file in another tool's format. */
export function refuseOtherFormats(weights: Iterable<Pick<Weight, 'name' | 'file'>>): void {
  for (const { name, file } of weights) {
    const other = otherFormats.find(([tensor]) => tensor.test(name));
    if (other) throw notRead(file, `weights in the format of ${other[1]}`, { tensor: quote(name) });
  }
}

/** Some tools leave out the network's prefix: `model.diffusion_model.`. */
function formatUnder(formats: ReadonlyMap<string, string>, layer: string): string | undefined {
  for (let at = 0; at >= 0; at = layer.indexOf('.', at + 1)) {
    const format = formats.get(at === 0 ? layer : layer.slice(at + 1));
    if (format !== undefined) return format;
  }
  return undefined;
}

function formatOf(layer: string, described: unknown, file: string): string {
  const settings: JsonObject = isJsonObject(described) ? described : { format: described };
  const { format, params } = settings;
  const details = { layer: quote(layer) };
  if (typeof format !== 'string') throw notDescribed(file, details);
  if ([settings, params].some((each) => isJsonObject(each) && each.convrot))
    throw notRead(file, 'weights that are rotated (convrot)', details);
  if (!readFormats.includes(format)) throw notRead(file, `weights in the format ${excerpt(format)}`, details);
  return format;
}

function layersOf(text: string | undefined, file: string): [string, unknown][] {
  if (text === undefined) return [];
  const described = parsed(text, file);
  if (!isJsonObject(described) || !isJsonObject(described.layers))
    throw notDescribed(file, { metadata: METADATA_KEY });
  return Object.entries(described.layers);
}

async function readMarker(weight: Weight): Promise<unknown> {
  const { name, dtype, shape, file } = weight;
  if (dtype !== 'u8' || elementCount(shape) > MOST_BYTES) throw notDescribed(file, { tensor: quote(name) });
  const { data } = await readTensor(weight, 'u8');
  return parsed(new TextDecoder().decode(data), file);
}

function parsed(text: string, file: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw notDescribed(file, { found: quote(text) });
  }
}

function notRead(
  file: string,
  what: string,
  details: Readonly<Record<string, string>>,
): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${file} holds ${what}, which are not supported.`,
    details,
    advice: 'Use the float16, bfloat16 or float32 version of the model, or one in scaled 8-bit floats.',
  });
}

function notDescribed(file: string, details: Readonly<Record<string, string>>): FileFormatError {
  return new FileFormatError({
    problem: `${file} does not say in what format its layers are, where it should.`,
    details,
    advice: 'The file was written by a faulty tool: get it from another source, or use the float16 version.',
  });
}
