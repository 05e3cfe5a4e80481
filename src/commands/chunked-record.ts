import { dirname } from 'node:path';
import { refreshBundles } from '../bundle/refresh-bundles.ts';
import type { SwiftPackage } from '../bundle/swift-resources.ts';
import type { Context } from '../context.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { formatOfEnding } from '../formats/format.ts';
import { intactRecordOf } from '../formats/kept.ts';
import { placeInOutput, readProvenance, recordOf, updateProvenance } from '../formats/provenance.ts';
import { forgetProvenance } from '../formats/replaced-paths.ts';

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
  /** Notes the chunks as about to be written, and others as gone. */
  begin(chunks: readonly { readonly path: string }[], gone: readonly string[]): Promise<void>;
  /** Whether an earlier run began to write just these, and did not record them. */
  isBegun(chunks: readonly { readonly path: string }[]): Promise<boolean>;
  /** Adds the chunks to the record. */
  write(cut: Pick<CutModelFiles, 'chunks' | 'maxChunkBytes'>): Promise<void>;
  /** Compiles the chunks again for `Resources`, if the model was compiled there. Throws what `refreshBundles` throws. */
  refresh(cut: Omit<CutModelFiles, 'maxChunkBytes'>): Promise<void>;
}

/** Reads the record of a whole model before it is cut; a run that was killed may have left that of its first chunk alone. */
export async function recordOfWhole(whole: string, first: string, context: Context): Promise<ChunkedRecord> {
  const place = await placeInOutput(whole);
  const firstPlace = await placeInOutput(first);
  const isBeside = place !== undefined && firstPlace?.output === place.output;
  const isRecorded = place !== undefined && (await recordOf(place)) !== undefined;
  const ofFirst = isBeside && !isRecorded ? await recordOf(firstPlace) : undefined;
  const record = isRecorded ? await intactRecordOf(place, context) : ofFirst;
  const placesOf = async (paths: readonly string[]): Promise<string[]> => {
    const places = await Promise.all(paths.map(placeInOutput));
    return places.flatMap((each) => (record && each && each.output === place?.output ? [each.path] : []));
  };
  return {
    async begin(chunks, gone) {
      await forgetProvenance(...gone, ...(record ? [] : chunks.map(({ path }) => path)));
      const begun = await placesOf(chunks.map(({ path }) => path));
      if (!place || begun.length === 0) return;
      const pending = (await readProvenance(place.output))?.pending ?? [];
      await updateProvenance(place.output, { pending: [...new Set([...pending, ...begun])] });
    },
    async isBegun(chunks) {
      const begun = await placesOf(chunks.map(({ path }) => path));
      if (!place || begun.length === 0) return false;
      const { pending = [], artifacts = {} } = (await readProvenance(place.output)) ?? {};
      const isPending = new Set(pending);
      return begun.every((path) => isPending.has(path) && !artifacts[path]);
    },
    async write({ chunks, maxChunkBytes }) {
      if (!place || !record) return;
      const written: Record<string, typeof record> = {};
      for (const { path, files } of chunks) {
        const there = await placeInOutput(path);
        if (there?.output === place.output)
          written[there.path] = { ...record, options: { ...record.options, maxChunkBytes }, files };
      }
      await updateProvenance(place.output, { written });
    },
    async refresh({ chunks, replaced, removed }) {
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
