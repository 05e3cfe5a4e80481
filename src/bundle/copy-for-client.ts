import { join } from 'node:path';
import { type Context, throwIfInterrupted } from '../context.ts';
import type { NetworkKind } from '../convert/networks/networks.ts';
import { RequestError } from '../errors.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import type { ClientForm } from '../formats/client-form.ts';
import { withArtifact } from '../formats/open.ts';
import type { ArtifactRecord } from '../formats/provenance.ts';
import { forgetProvenance, recordBegun } from '../formats/replaced-paths.ts';
import { sharedFiles } from '../formats/shared-files.ts';
import { writeFiles } from '../formats/write-files.ts';
import { createFolder } from '../io/create-folders.ts';
import { linkFile, lookAtFile } from '../io/disk.ts';
import { hashStream } from '../io/hashing/hash-stream.ts';
import { isSamePlace } from '../io/real-place.ts';

/** An artifact on the disk that is written once more, in a client's form. */
export interface ClientCopy {
  /** The artifact's file or folder. */
  readonly from: string;
  /** The folder that its files are in. */
  readonly folder: string;
  readonly kind: NetworkKind;
  /** Its record, where it is as it was written; without one its files are hashed. */
  readonly record: ArtifactRecord | undefined;
  /** Whether its weight files may be linked: a writer that is not ours may have laid them out in another way. */
  readonly canLink: boolean;
  readonly to: string;
  /** Whether the caller puts it on record. */
  readonly isRecorded: boolean;
  /** Adds what appears with the model in its folder: the folder that was there goes, with all that is in it. */
  complete?(growing: string): Promise<void>;
}

/**
 * Writes an artifact in a client's form. Weights are linked where they can be, and never read; everything appears when it is
 * complete. Returns the files written. Throws `UnsupportedModelError` for edges that cannot be converted, `RequestError` for a
 * model that is too large, and what reading and writing throw.
 */
export async function copyForClient(
  { from, folder, kind, record, canLink, to, isRecorded, complete }: ClientCopy,
  form: ClientForm,
  { onProgress, signal }: Context = {},
): Promise<readonly WrittenFile[]> {
  throwIfInterrupted(signal);
  if (await isSamePlace(to, folder)) throw itself(to);
  return withArtifact(from, async (stored) => {
    const own = await stored.open();
    const dressed = own.forClient(form, kind);
    const links: [string, string][] = [];
    for (const [name, twin] of Object.entries(canLink ? sharedFiles(dressed.files(), own.files()) : {})) {
      // Weights that are inside of a model have no file of their own.
      const size = own.files().find((file) => file.name === twin)?.byteLength;
      if ((await lookAtFile(join(folder, twin)))?.size === size) links.push([name, twin]);
    }
    const linked = new Set(links.map(([name]) => name));
    const contents = (await dressed.contents()).filter(({ name }) => !linked.has(name));
    await (isRecorded ? recordBegun(to) : forgetProvenance(to));
    let written: WrittenFile[] = [];
    await createFolder(to, async (growing) => {
      const onBytes = () => throwIfInterrupted(signal);
      written = [...(await writeFiles(growing, contents, onBytes))];
      for (const [name, twin] of links) {
        await linkFile(join(folder, twin), join(growing, name));
        const known = record?.files.find((file) => file.name === twin);
        const { byteLength } = known ?? { byteLength: (await lookAtFile(join(folder, twin)))?.size ?? 0 };
        const sha256 = known?.sha256 ?? (await hashStream(join(folder, twin), { signal }));
        written.push({ name, byteLength, sha256 });
      }
      await complete?.(growing);
    });
    onProgress?.({ type: 'progress', stage: 'bundle', what: to, done: 1, total: 1 });
    return written;
  });
}

function itself(path: string): RequestError {
  return new RequestError({
    problem: `${path} is the model itself, and that of the client would take its place.`,
    advice: 'Name another folder with -o.',
  });
}
