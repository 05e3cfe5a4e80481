import type { ArtifactId } from './artifact-id.ts';

/** A file that will be written, and its exact size in bytes. */
export interface PlannedFile {
  /** Name relative to the artifact's folder. */
  readonly name: string;
  readonly byteLength: number;
}

/** A file that has been written. */
export interface WrittenFile extends PlannedFile {
  /** SHA-256 of its bytes, in hexadecimal. */
  readonly sha256: string;
}

/** Bytes of files together. */
export function totalBytes(files: readonly PlannedFile[]): number {
  return files.reduce((sum, { byteLength }) => sum + byteLength, 0);
}

/** What an artifact will be: no weight has been read, and the model that it is made of need not be in memory. */
export interface PlannedArtifact {
  readonly id: ArtifactId;
  /** Its folder, relative to the output folder: `onnx/unet_chunk1`. */
  readonly path: string;
  readonly files: readonly PlannedFile[];
}
