import { streamBytes } from '../../../io/stream-bytes.ts';
import type { TensorStream } from '../../../weights/tensor-stream.ts';
import type { MilModel } from '../mil/mil-model.ts';
import { withValues } from '../mil/mil-program.ts';
import type { BlobFileValue, Model, Value } from '../mil/mil-schema.ts';

/**
 * Makes an open model the source of others: its constants in weight files, palettes included, stream from there undecoded.
 * (Runners and compilers take the model as it was opened: they need the places of its weights.) It must stay open until the
 * others are written.
 */
export function streamedModel(opened: MilModel): Model {
  const { specificationVersion, description, program, weights } = opened;
  // One stream for each place in a file, so that shared data is written once.
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
