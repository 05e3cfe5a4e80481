import { isIntact } from '../formats/kept.ts';
import {
  type ArtifactRecord,
  type Provenance,
  type RecordedItem,
  readProvenance,
  updateProvenance,
} from '../formats/provenance.ts';
import { ancestorAmong } from '../io/ancestor-among.ts';
import { whileLocked } from '../io/disk.ts';
import { hashFile } from '../io/hashing/hash-file.ts';
import type { IdentifiedItem } from './item.ts';

/** How far an item's models are from their reference. */
export type Quality = NonNullable<RecordedItem['quality']>;

/** PSNR in dB; JSON has no infinities. */
export type Decibels = Quality['psnr'][string];

/** A number of dB, as it is on record. */
export function asDecibels(psnr: number): Decibels {
  if (Number.isFinite(psnr)) return psnr;
  return psnr > 0 ? 'Infinity' : '-Infinity';
}

/** What is there of an item already. */
export interface Finished {
  /** Bytes of its files; those that are there under two names count once. */
  readonly bytes: number;
  /** Present where it was measured against the item's reference. */
  readonly quality?: Quality | undefined;
}

/** The finished result of an item, by the record in its folder; `undefined` where it is not, or no longer, whole. */
export async function finishedResult(item: IdentifiedItem): Promise<Finished | undefined> {
  const record = await readProvenance(item.output);
  const finished = record && finishedIn(record, item);
  return finished && (await isIntact(item.output, record, (path) => hashFile(path))) ? finished : undefined;
}

type RecordedFiles = Readonly<Record<string, Pick<ArtifactRecord, 'files'>>>;

/** What a record says of an item; `undefined` where it is another item's, or of none. */
export function finishedIn(
  record: Pick<Provenance, 'item'> & { readonly artifacts: RecordedFiles },
  { id, referenceIdentity }: Pick<IdentifiedItem, 'id' | 'referenceIdentity'>,
): Finished | undefined {
  if (record.item?.id !== id) return undefined;
  const files = Object.values(record.artifacts).flatMap(({ files: own }) => own);
  const distinct = new Map(files.map(({ sha256, byteLength }) => [sha256, byteLength]));
  const { quality } = record.item;
  return {
    bytes: [...distinct.values()].reduce((sum, byteLength) => sum + byteLength, 0),
    quality:
      quality && quality.reference === referenceIdentity && isOfModels(quality, record.artifacts)
        ? quality
        : undefined,
  };
}

/** Whether numbers are those of models whose files are on record: of others, or of none, they say nothing of an item. */
function isOfModels({ psnr }: Quality, artifacts: RecordedFiles): boolean {
  const measured = Object.keys(psnr);
  const above = ancestorAmong(measured);
  const found = new Set(
    Object.entries(artifacts).flatMap(([path, { files }]) =>
      files.map(({ name }) => above(`${path}/${name}`)),
    ),
  );
  return measured.length > 0 && measured.every((path) => found.has(path));
}

/** Whether what is there of an item was compared with its reference, if it has one. */
export function isMeasured(
  { referenceIdentity }: Pick<IdentifiedItem, 'referenceIdentity'>,
  { quality }: Finished,
): boolean {
  return referenceIdentity === undefined || quality !== undefined;
}

/** Records that a folder is the whole result of an item. Throws as `whileLocked`. */
export async function recordFinished({ id, output }: IdentifiedItem, quality?: Quality): Promise<void> {
  await whileLocked(output, () => updateProvenance(output, { item: { id, ...(quality && { quality }) } }));
}
