import { FileFormatError } from '../../errors.ts';
import { quote } from '../../io/error-text.ts';
import { count } from '../../text.ts';
import { viewedAs } from '../derived-weight.ts';
import { isFloat } from '../dtype.ts';
import type { TensorsOfFile } from '../tensors-of-file.ts';
import type { Weight } from '../weight.ts';
import { nvfp4Weight } from './nvfp4.ts';
import { isFormatMarker, quantFormats, refuseOtherFormats } from './quant-formats.ts';
import { isFloat8, refusingSaturated } from './saturated-float8.ts';
import { scaledWeight } from './scaled-weight.ts';

/** The names of scales behind a module's: those of ComfyUI's first files, of ModelOpt and diffusers, and of DeepSeek's. */
const scaleName = /^(.+)\.(?:scale_weight|weight_scale(?:_inv)?|weight_quantizer\._scale)$/;

/** A second scale, for the whole tensor, where the first is for blocks. */
const wholeScaleName = /^(.+)\.weight_scale_2$/;

/** Names without effect on the weights: scales of activations, and the mark of a scaled file. */
const otherName = /(^|\.)(scaled_fp8|scale_input|input_scale|(input|weight|output)_quantizer\._amax)$/;

const advice =
  'The file was written by a faulty tool: get it from another source, or use the float16 version.';

/** Tensors that belong to one module's weight. */
interface Scales {
  scale?: Weight;
  whole?: Weight;
}

/**
 * The tensors of a checkpoint's files with their scales applied as they stream: scaled 8-bit floats and signed bytes,
 * and NVIDIA's 4-bit floats. The scales are no tensors of their own any more. Throws `UnsupportedModelError` for formats
 * that are not read, what is rotated among them, and `FileFormatError` for scales that do not fit or fit nothing.
 */
export async function withScales(tensors: TensorsOfFile): Promise<ReadonlyMap<string, Weight>> {
  const { weights } = tensors;
  const [first] = weights.values();
  if (!first) return weights;
  refuseOtherFormats(weights.values());
  const { scales, plain } = sorted(weights);
  const formatOf = await quantFormats(tensors, first.file);
  const applied = new Map<string, Weight>();
  for (const [name, weight] of plain) {
    const module = name.endsWith('.weight') ? name.slice(0, -'.weight'.length) : undefined;
    const own = module === undefined ? undefined : scales.get(module);
    if (module !== undefined) scales.delete(module);
    applied.set(name, withOwn(weight, own ?? {}, module === undefined ? undefined : formatOf(module)));
  }
  const [left] = scales.values();
  if (left) throw withoutWeight(left, scales.size);
  return applied;
}

function sorted(weights: ReadonlyMap<string, Weight>) {
  const scales = new Map<string, Scales>();
  const plain = new Map<string, Weight>();
  for (const [name, weight] of weights) {
    const [, module] = scaleName.exec(name) ?? [];
    const [, wholeModule] = wholeScaleName.exec(name) ?? [];
    const owner = module ?? wholeModule;
    if (owner === undefined) {
      if (!otherName.test(name) && !isFormatMarker(name)) plain.set(name, weight);
      continue;
    }
    const role = module === undefined ? 'whole' : 'scale';
    const own = scales.get(owner) ?? {};
    const other = own[role];
    if (other) throw scaledTwice(weight, other);
    scales.set(owner, { ...own, [role]: weight });
  }
  return { scales, plain };
}

function withOwn(weight: Weight, { scale, whole }: Scales, format: string | undefined): Weight {
  const stored = asFloat8(weight, format);
  if (!scale) {
    if (whole) throw withoutWeight({ whole }, 1);
    if (format !== undefined && !isFloat(stored.dtype)) throw withoutScale(weight, format);
    return isFloat8(stored.dtype) ? refusingSaturated(stored, stored.dtype) : stored;
  }
  if (stored.dtype !== 'u8' || !whole) return scaledWeight(stored, scale);
  const blocks = scale.dtype === 'u8' ? viewedAs(scale, 'f8_e4m3') : scale;
  return nvfp4Weight(stored, { blocks, whole, byComfy: format !== undefined });
}

/** Files from before safetensors had 8-bit floats hold them as bytes. */
function asFloat8(weight: Weight, format: string | undefined): Weight {
  if (weight.dtype !== 'u8') return weight;
  if (format === 'float8_e4m3fn') return viewedAs(weight, 'f8_e4m3');
  return format === 'float8_e5m2' ? viewedAs(weight, 'f8_e5m2') : weight;
}

function withoutWeight({ scale, whole }: Scales, all: number): FileFormatError {
  const [found] = [scale, whole].filter((each) => each !== undefined);
  return new FileFormatError({
    problem: `${found?.file} has ${count(all, 'scale')} for weights that it does not hold.`,
    details: { scale: quote(found?.name ?? '') },
    advice,
  });
}

function withoutScale({ name, file }: Weight, format: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} lacks the scale of a weight.`,
    details: { weight: quote(name), format },
    advice,
  });
}

function scaledTwice(scale: Weight, other: Weight): FileFormatError {
  return new FileFormatError({
    problem: `${scale.file} has two scales for one weight.`,
    details: { first: quote(other.name), second: quote(scale.name) },
    advice,
  });
}
