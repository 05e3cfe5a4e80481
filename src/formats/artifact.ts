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

/** A model in a target's format, ready to be written: its graph is final, no weight has been read. */
export interface PlannedArtifact {
  readonly id: ArtifactId;
  /** Its folder, relative to the output folder: `onnx/unet_chunk1`. */
  readonly path: string;
  readonly files: readonly PlannedFile[];
  /** Writes it into `folder`; `onBytes` is told how many bytes each block had, and stops the work by throwing. */
  write(folder: string, onBytes: (count: number) => void): Promise<readonly WrittenFile[]>;
}
