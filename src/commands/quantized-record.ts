import { dirname } from 'node:path';
import { refreshBundles } from '../bundle/refresh-bundles.ts';
import { noteStaleClients } from '../bundle/stale-clients.ts';
import type { Context } from '../context.ts';
import type { WrittenFile } from '../formats/artifact.ts';
import { parsePath } from '../formats/artifact-id.ts';
import { formatOfEnding } from '../formats/format.ts';
import { intactRecordOf } from '../formats/kept.ts';
import { type ArtifactRecord, placeInOutput, updateProvenance } from '../formats/provenance.ts';
import { isJsonObject } from '../io/json/python-json.ts';
import type { WeightForm } from '../quantize/plan.ts';

/** Updates a conversion's output around an artifact that is quantised in place. */
export interface QuantizedRecord {
  /** Records the new files and weight forms, just before they replace the old ones. */
  rewrite(files: readonly WrittenFile[], weights: readonly { readonly form: WeightForm }[]): Promise<void>;
  /** Restores the previous record, if the work fails after `rewrite`. */
  restore(): Promise<void>;
  /** Compiles the artifact again for `Resources`, if it was compiled there. Throws what `refreshBundles` throws. */
  refresh(): Promise<void>;
}

/** Reads the record of the artifact at a path. */
export async function openRecord(path: string, context: Context): Promise<QuantizedRecord> {
  const place = await placeInOutput(path);
  const before = place && (await intactRecordOf(place, context));
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
    async refresh() {
      if (place) await noteStaleClients(place, context);
      const { network, chunk } = parsePath(path);
      if (network === undefined || formatOfEnding(path) !== 'mlpackage') return;
      const now = { id: { network, chunk }, path, files: files ?? [] };
      await refreshBundles(place?.output ?? dirname(path), { packages: [now], before: [now] }, context);
    },
  };
}

/**
 * Options on record for an artifact that was quantised after its conversion. Its bytes differ from those of a conversion
 * with fewer bits, which quantises the checkpoint's own weights, so `inPlace` marks it.
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
  /** Quantisation at conversion. */
  readonly before?: unknown;
  /** Forms of the weights quantised since then. */
  readonly forms: readonly unknown[];
}

/** Whether it is what this file wrote: records may come from anybody. */
function isInPlace(quantization: unknown): quantization is InPlace {
  return isJsonObject(quantization) && quantization.inPlace === true && Array.isArray(quantization.forms);
}
