import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { NetworkName } from '../../convert/networks/networks.ts';

import { targets } from '../../formats/targets.ts';
import { verifyGraph } from '../../graph/verify.ts';
import type { Stage } from '../../pipeline.ts';
import { type Precision, withPrecision } from '../../quantize/precision.ts';
import type { Built, BuiltModel } from './build.ts';
import { Examination } from './examination.ts';
import type { ConvertRequest } from './request.ts';

/** Graphs in their final precision. */
export interface Precise {
  readonly checkpoint: Checkpoint;
  readonly models: readonly PreciseModel[];
}

/** A network's graph for one target, in its final precision. */
export interface PreciseModel extends BuiltModel {
  readonly precision: Precision;
  /** Check of its weights while they are written. */
  readonly examination: Examination;
}

/** Rewrites the graphs to the requested precision, or the nearest that the target and the network allow. */
export function precisionStage({ precision: asked }: ConvertRequest): Stage<Built, Precise> {
  return {
    name: 'precision',
    async run({ checkpoint, models }, { onProgress }) {
      const wide = new Map<string, NetworkName[]>();
      const examinations = new Map<NetworkName, Examination>();
      const precise = models.map(({ model, target, attention }): PreciseModel => {
        const wanted = targets[target].precision(asked);
        const precision =
          model.needsFloat32 === undefined || wanted === 'float16-weights' ? wanted : 'float32';
        if (model.needsFloat32 !== undefined && precision !== wanted)
          wide.set(model.needsFloat32, [...(wide.get(model.needsFloat32) ?? []), model.name]);
        const examination = examinations.get(model.name) ?? new Examination();
        examinations.set(model.name, examination);
        const graph = withPrecision(model.graph, precision, examination.of(model.graph));
        verifyGraph(graph);
        return { target, attention, precision, examination, model: { ...model, graph } };
      });
      if (models.some(({ target }) => targets[target].precision(asked) !== asked))
        onProgress?.({
          type: 'note',
          message: `--precision ${asked} is float16 for Core ML, which computes in float16 wherever weights are stored so.`,
        });
      for (const [reason, names] of wide)
        onProgress?.({ type: 'note', message: `${[...new Set(names)].join(' and ')} in float32: ${reason}` });
      const detail = [...new Set(precise.map(({ precision }) => precision))].join(', ');
      return { output: { checkpoint, models: precise }, detail };
    },
  };
}
