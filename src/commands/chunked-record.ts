import { dirname } from 'node:path';
import { refreshBundles } from '../bundle/refresh-bundles.ts';
import type { SwiftPackage } from '../bundle/swift-resources.ts';
import type { Context } from '../context.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { formatOfEnding } from '../formats/format.ts';
import { placeInOutput, recordOf, updateProvenance } from '../formats/provenance.ts';

/** Files of a model that was cut. */
export interface CutModelFiles {
  readonly chunks: readonly { readonly path: string; readonly files: readonly WrittenFile[] }[];
  /** Paths of chunks of an earlier cut, which were replaced. */
  readonly replaced: readonly string[];
  /** Whether the whole model was removed. */
  readonly removed: boolean;
  readonly maxChunkBytes: number;
}

/** Updates a conversion's output after one of its models is cut. */
export interface ChunkedRecord {
  /** Adds the chunks to the record. */
  write(cut: Pick<CutModelFiles, 'chunks' | 'maxChunkBytes'>): Promise<void>;
  /** Compiles the chunks again for `Resources`, if the model was compiled there. Throws what `refreshBundles` throws. */
  refresh(cut: Omit<CutModelFiles, 'maxChunkBytes'>, context: Context): Promise<void>;
}

/** Reads the record of a whole model before it is cut. */
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
