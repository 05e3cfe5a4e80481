import { streamBytes } from '../../../io/stream-bytes.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import type { MilModel } from '../mil/mil-model.ts';
import { withValues } from '../mil/mil-program.ts';
import type { BlobFileValue, Model, Value } from '../mil/mil-schema.ts';

/**
 * A model that is open, to be made into others: its constants in weight files stream from there, palettes and all, and
 * are never decoded. (What runs or compiles a model takes it as it was opened: they need to know where its weights lie.)
 * It has to stay open until the others are written.
 */
export function streamedModel(opened: MilModel): Model {
  const { specificationVersion, description, program, weights } = opened;
  // One stream for each place in a file, so that what several constants share is written once.
  const streams = new Map<string, TensorStream>();
  const streamOf = (reference: BlobFileValue): TensorStream => {
    const key = `${reference.offset} ${reference.fileName}`;
    const known = streams.get(key);
    if (known) return known;
    const { file, offset, byteLength } = weights.find(reference);
    const stream = {
      name: `${file.name} from ${offset} on`,
      byteLength,
      stream: () => streamBytes(file, offset, byteLength),
    };
    streams.set(key, stream);
    return stream;
  };
  const streaming = (value: Value): Value => {
    const { docString, type, blobFileValue } = value;
    return blobFileValue ? { docString, type, streamedValue: streamOf(blobFileValue) } : value;
  };
  const mlProgram = withValues(program, streaming);
  return { specificationVersion, description, isUpdatable: false, mlProgram };
}
