import { dirname } from 'node:path';
import { refreshBundles } from '../bundle/refresh-bundles.ts';
import type { Context } from '../context.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { formatOfEnding } from '../formats/format.ts';
import { type ArtifactRecord, placeInOutput, recordOf, updateProvenance } from '../formats/provenance.ts';
import type { WeightForm } from '../quantize/plan.ts';

/** What a conversion's record says of an artifact that is quantised in its place. */
export interface QuantizedRecord {
  /** Puts on record what is about to be there. */
  rewrite(files: readonly WrittenFile[], weights: readonly { readonly form: WeightForm }[]): Promise<void>;
  /** Puts back what was on record, for work that fails after `rewrite`. */
  restore(): Promise<void>;
  /** Brings what was compiled of the artifact in step with it. Throws as `refreshBundles` does. */
  refresh(context: Context): Promise<void>;
}

/** The record of the artifact at a path. */
export async function openRecord(path: string): Promise<QuantizedRecord> {
  const place = await placeInOutput(path);
  const before = place && (await recordOf(place));
  let files = before?.files;
  const write = async (record: ArtifactRecord): Promise<void> => {
    if (place) await updateProvenance(place.output, { written: { [place.path]: record } });
  };
  return {
    async rewrite(written, weights) {
      files = written;
      if (before) await write({ ...before, files, options: optionsNow(before.options, weights) });
    },
    async restore() {
      if (before && files !== before.files) await write(before);
    },
    async refresh(context) {
      const { network, chunk } = parsePath(path);
      if (network === undefined || formatOfEnding(path) !== 'mlpackage') return;
      const now = { id: { network, chunk }, path, files: files ?? [] };
      await refreshBundles(place?.output ?? dirname(path), { packages: [now], before: [now] }, context);
    },
  };
}

/**
 * The options of what was converted and then quantised. It is not what a conversion with fewer bits makes, which has the
 * weights of the checkpoint before it: `inPlace` tells them apart.
 */
function optionsNow(
  { quantization, ...options }: ArtifactRecord['options'],
  weights: readonly { readonly form: WeightForm }[],
): ArtifactRecord['options'] {
  const then = isInPlace(quantization) ? quantization : { inPlace: true, before: quantization, forms: [] };
  const forms = new Set(
    [...then.forms, ...weights.map(({ form }) => form)].map((form) => JSON.stringify(form)),
  );
  return { ...options, quantization: { ...then, forms: [...forms].sort().map((form) => JSON.parse(form)) } };
}

interface InPlace {
  readonly inPlace: true;
  /** What it was converted with. */
  readonly before?: unknown;
  /** What the weights have become since. */
  readonly forms: readonly unknown[];
}

function isInPlace(quantization: unknown): quantization is InPlace {
  return typeof quantization === 'object' && quantization !== null && 'inPlace' in quantization;
}
