import type { Weight } from './weight.ts';

/** Content of a file of tensors; the tensors are unread. */
export interface TensorsOfFile {
  /** Metadata of the file; empty for torch files. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Every tensor by name, in the order of the data, so that reading them in turn reads the file from start to end. */
  readonly weights: ReadonlyMap<string, Weight>;
  /** Classes of objects that a torch file holds beside its tensors and that nobody knows: no such object was made. */
  readonly unknownClasses?: readonly string[];
}

/** An open weight file, whatever its format: its directory is in memory, its tensors are streamed on request. */
export interface WeightFile extends TensorsOfFile {
  readonly path: string;
  /** Bytes of the whole file. */
  readonly size: number;
  close(): Promise<void>;
}
