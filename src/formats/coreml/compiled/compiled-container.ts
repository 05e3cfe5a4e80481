import protobuf from 'protobufjs';
import { FileFormatError, UnsupportedModelError } from '../../../errors.ts';
import { decodeModel, type ModelDescription } from '../mil/mil-schema.ts';

/**
 * `coremldata.bin` of a compiled ML Program: a header, the model's description (the protobuf message), and an end mark
 * for each function. The layout is Apple's and not published; it was learned from compiled models. Little-endian.
 */

/** Content of a container. */
export interface CompiledContainer {
  readonly specificationVersion: number;
  /** The message `ModelDescription`. */
  readonly descriptionBytes: Uint8Array;
  readonly description: ModelDescription;
}

/** The number of the field that holds the model in the message `Model`: it says what kind of model was compiled. */
const ML_PROGRAM = 502;

const KIND = 'generic';
const KIND_AT = 0x1c;
const SPECIFICATION_AT = 0x2b;
const LENGTH_AT = 0x4b;
const HEADER_BYTES = 0x53;
const END_MARK_BYTES = 16;

/** Field 100 of `ModelDescription` with nothing in it: Apple's compiler always writes the metadata. */
const EMPTY_METADATA = [0xa2, 0x06, 0x00];

/** The bytes of a container. */
export function writeContainer({
  specificationVersion,
  description,
  descriptionBytes,
}: CompiledContainer): Uint8Array {
  const text = [...descriptionBytes, ...(description.metadata ? [] : EMPTY_METADATA)];
  const endMarks = Math.max(1, description.functions.length);
  const bytes = new Uint8Array(HEADER_BYTES + text.length + endMarks * END_MARK_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, ML_PROGRAM, true);
  view.setUint32(4, specificationVersion >= 9 ? 9 : 5, true); // the version of the container itself
  view.setUint32(KIND_AT, KIND.length, true);
  bytes.set(new TextEncoder().encode(KIND), KIND_AT + 8);
  view.setUint32(SPECIFICATION_AT, specificationVersion, true);
  view.setUint32(LENGTH_AT, text.length, true);
  bytes.set(text, HEADER_BYTES);
  for (let mark = 0; mark < endMarks; mark++) {
    view.setUint32(HEADER_BYTES + text.length + mark * END_MARK_BYTES, ML_PROGRAM, true);
  }
  return bytes;
}

/**
 * Reads a container; `file` names it in errors. Throws `FileFormatError` when it is not one, `UnsupportedModelError`
 * when it is that of another kind of model than an ML Program.
 */
export function readContainer(bytes: Uint8Array, file: string): CompiledContainer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const kind = bytes.subarray(KIND_AT + 8, SPECIFICATION_AT);
  if (bytes.length < HEADER_BYTES || new TextDecoder().decode(kind) !== KIND) throw broken(file);
  if (view.getUint32(0, true) !== ML_PROGRAM) {
    throw new UnsupportedModelError({
      problem: `${file} is that of a compiled model that is not an ML Program, and only those are supported.`,
      details: { kind: `field ${view.getUint32(0, true)} of Model` },
      advice: 'Convert the checkpoint it was made from.',
    });
  }
  const length = Number(view.getBigUint64(LENGTH_AT, true));
  if (length > bytes.length - HEADER_BYTES) throw broken(file);
  const descriptionBytes = bytes.slice(HEADER_BYTES, HEADER_BYTES + length);
  const description = decodeDescription(descriptionBytes, file);
  return { specificationVersion: view.getUint32(SPECIFICATION_AT, true), descriptionBytes, description };
}

/** Field 2 of `Model`, of those that have a length. */
const DESCRIPTION = 0x12;

/** Decodes a description as that of a `Model` with nothing else in it. */
function decodeDescription(bytes: Uint8Array, file: string): ModelDescription {
  const model = protobuf.Writer.create().uint32(DESCRIPTION).bytes(bytes).finish();
  try {
    const { description } = decodeModel(model);
    if (description) return description;
  } catch {
    // The same error covers bytes that cannot be decoded.
  }
  throw broken(file);
}

function broken(file: string): FileFormatError {
  return new FileFormatError({
    problem: `${file} is not the coremldata.bin of a compiled model, or is damaged.`,
    advice: 'Copy or download the model again, or compile it again.',
  });
}
