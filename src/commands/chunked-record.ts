import { dirname } from 'node:path';
import { refreshBundles } from '../bundle/refresh-bundles.ts';
import type { SwiftPackage } from '../bundle/swift-resources.ts';
import type { Context } from '../context.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { formatOfEnding } from '../formats/format.ts';
import { placeInOutput, recordOf, updateProvenance } from '../formats/provenance.ts';

/** What was cut. */
export interface CutModelFiles {
  readonly chunks: readonly { readonly path: string; readonly files: readonly WrittenFile[] }[];
  /** Where chunks of an earlier cut were. */
  readonly replaced: readonly string[];
  /** Whether the whole model is gone. */
  readonly removed: boolean;
  readonly maxChunkBytes: number;
}

/** What a conversion's record says of a model that is cut. */
export interface ChunkedRecord {
  /** Puts its chunks on record. */
  write(cut: Pick<CutModelFiles, 'chunks' | 'maxChunkBytes'>): Promise<void>;
  /** Brings what was compiled in step with the chunks. Throws as `refreshBundles` does. */
  refresh(cut: Omit<CutModelFiles, 'maxChunkBytes'>, context: Context): Promise<void>;
}

/** The record of the whole model at a path, as it is before it is cut. */
export async function recordOfWhole(whole: string): Promise<ChunkedRecord> {
  const place = await placeInOutput(whole);
  const record = place && (await recordOf(place));
  return {
    async write({ chunks, maxChunkBytes }) {
      for (const { path, files } of chunks) {
        const there = await placeInOutput(path);
        if (!record || !there || there.output !== place.output) continue;
        const written = { [there.path]: { ...record, options: { ...record.options, maxChunkBytes }, files } };
        await updateProvenance(there.output, { written });
      }
    },
    async refresh({ chunks, replaced, removed }, context) {
      const folder = dirname(chunks[0]?.path ?? whole);
      if (folder !== dirname(whole)) return;
      const before = (removed ? [whole, ...replaced] : replaced).flatMap(packageAt);
      await refreshBundles(
        folder,
        {
          packages: chunks.flatMap(({ path, files }) => packageAt(path).map((each) => ({ ...each, files }))),
          before,
        },
        context,
      );
    },
  };
}

function packageAt(path: string): SwiftPackage[] {
  const { network, chunk } = parsePath(path);
  return network !== undefined && formatOfEnding(path) === 'mlpackage'
    ? [{ id: { network, chunk }, path }]
    : [];
}
