import { freeBytes } from '../../io/disk.ts';
import type { Stage } from '../../pipeline.ts';
import { formatBytes } from '../../text.ts';
import { bundledPaths } from './bundle.ts';
import { findExisting } from './existing-results.ts';
import { withExistingTwins } from './existing-twins.ts';
import { bytesToWrite, describeArtifact, type Planned } from './plan.ts';
import type { ConvertRequest, ConvertResult } from './request.ts';

/** Reports what would be written, reused and removed, and stops. */
export function dryRunStage(request: ConvertRequest): Stage<Planned, ConvertResult> {
  return {
    name: 'dry-run',
    async run(planned, context) {
      const { checkpoint, output, models, memory } = planned;
      const { kept, otherForms, foreign, obstacle } = await findExisting(planned, request);
      const note = (message: string) => context.onProgress?.({ type: 'note', message });
      if (obstacle) note(`the conversion would stop: ${obstacle.problem} ${obstacle.advice ?? ''}`);
      else {
        if (foreign.length > 0)
          note(`would be removed, as converted from another checkpoint: ${foreign.join(', ')}.`);
        if (otherForms.length > 0)
          note(
            `would be removed, as another form (whole or in chunks) of what is written: ${otherForms.join(', ')}.`,
          );
      }
      const twins = request.force ? planned.twins : await withExistingTwins(planned, kept);
      const artifacts = models.flatMap((model) =>
        model.artifacts.map((artifact) => describeArtifact(model, artifact, kept.has(artifact), twins)),
      );
      const bytes = bytesToWrite(artifacts);
      const bundled = request.bundle ? bundledPaths(request, checkpoint, artifacts) : [];
      const detail = `${formatBytes(bytes)} would be written to ${output} (${formatBytes(await freeBytes(output))} free)`;
      return {
        output: { output, artifacts, bundled, verdicts: [], memory, downloads: checkpoint.hub },
        detail,
      };
    },
  };
}
