import { strictJson } from '../../io/json/strict-json.ts';
import { memoryStream } from '../../weights/tensor-stream.ts';
import type { FileContents, PlannedFile } from '../artifact.ts';
import { layOutProgram } from './bytecode/encode-program.ts';
import type { Program } from './program.ts';

/** The names of an asset's files. */
export const assetFileNames = {
  program: 'main.mlirb',
  hash: 'main.hash',
  metadata: 'metadata.json',
} as const;

/** What an asset says of itself, for people and for its maker. */
export interface AssetMetadata {
  readonly author?: string | undefined;
  readonly license?: string | undefined;
  readonly description?: string | undefined;
  /** The maker's own, of any kind. */
  readonly creatorDefinedMetadata?: Readonly<Record<string, unknown>> | undefined;
}

/** A Core AI asset ready to be written: its program, and its description. */
export interface Asset {
  readonly program: Program;
  readonly metadata: AssetMetadata;
}

/** The version of assets; readers refuse others, and files without any. */
export const ASSET_VERSION = '2.0';
/** Bytes of a SHA-256. */
export const HASH_BYTES = 32;

/** Lists the files of an asset, with exact sizes. No weight is read. */
export function assetFiles({ program, metadata }: Asset): PlannedFile[] {
  return [
    { name: assetFileNames.program, byteLength: layOutProgram(program).byteLength },
    { name: assetFileNames.hash, byteLength: HASH_BYTES },
    { name: assetFileNames.metadata, byteLength: encodeMetadata(metadata).length },
  ];
}

/** Returns the contents of an asset's files; the hash of the program is that of the bytes that were written before it. */
export function assetContents({ program, metadata }: Asset): FileContents[] {
  let digest: Uint8Array | undefined;
  const hash = {
    name: assetFileNames.hash,
    byteLength: HASH_BYTES,
    *stream() {
      if (!digest) throw new Error(`${assetFileNames.hash} is written before ${assetFileNames.program}`);
      yield digest;
    },
  };
  const description = memoryStream(assetFileNames.metadata, encodeMetadata(metadata));
  return [
    {
      name: assetFileNames.program,
      parts: layOutProgram(program).parts,
      onWritten({ sha256 }) {
        digest = Buffer.from(sha256, 'hex');
      },
    },
    ...[hash, description].map((tensor) => ({ name: tensor.name, parts: [{ offset: 0, tensor }] })),
  ];
}

/** `metadata.json`; without a date, so that equal assets are equal bytes. */
function encodeMetadata(metadata: AssetMetadata): Uint8Array {
  const json = { assetVersion: ASSET_VERSION, producer: 'sdconvert', ...metadata };
  return new TextEncoder().encode(strictJson(json, assetFileNames.metadata, 2));
}
