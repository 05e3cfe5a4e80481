import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import type { AttentionImplementation } from '../../convert/blocks/attention.ts';
import { convert, type Model, networksOf } from '../../convert/convert.ts';
import { cardOf, type NetworkName, networkKind } from '../../convert/networks/networks.ts';
import { notesOn } from '../../convert/notes.ts';
import type { TargetName } from '../../formats/format.ts';
import { targets } from '../../formats/targets.ts';
import type { Stage } from '../../pipeline.ts';
import { count } from '../../text.ts';
import type { ConvertRequest } from './request.ts';
import { uselessNotes } from './useless-options.ts';

/** Networks as float32 graphs, one for each target, because the contract and the attention differ. */
export interface Built {
  readonly checkpoint: Checkpoint;
  readonly models: readonly BuiltModel[];
}

/** A network's graph for one target. */
export interface BuiltModel {
  readonly model: Model;
  readonly target: TargetName;
  readonly attention: AttentionImplementation;
}

/** Builds the graphs of the requested networks. Every tensor of a component must be used; no weight is read. */
export function buildStage(request: ConvertRequest): Stage<Checkpoint, Built> {
  return {
    name: 'build',
    async run(checkpoint, { onProgress }) {
      const converted = new Set<NetworkName>(); // of which a target makes its models
      const models = request.targets.flatMap((target) => {
        const attention = request.attention ?? targets[target].attention;
        const options = {
          contract: targets[target].contract,
          attention,
          sizes: targets[target].sizes(request.sizes),
          models: namedModels(request, checkpoint),
        };
        const networks = convert(checkpoint, options);
        for (const { name } of networks) converted.add(name);
        const arranged = targets[target].arrange(checkpoint, networks);
        return arranged.map((model) => ({ model, target, attention }));
      });
      const names = [...converted];
      const coreMl = request.targets.includes('coreml');
      const notes = [
        ...uselessNotes(request, checkpoint, names),
        ...notesOn(checkpoint, names, { coreMl }),
        ...request.targets.flatMap((target) => targets[target].notes(request)),
      ];
      for (const message of notes) onProgress?.({ type: 'note', message });
      const tensors = models.reduce((sum, { model }) => sum + model.graph.tensors.length, 0);
      const attentions = [...new Set(models.map(({ attention }) => attention))].join(', ');
      return {
        output: { checkpoint, models },
        detail: `${count(models.length, 'graph')}, ${count(tensors, 'tensor')}, ${attentions}`,
      };
    },
  };
}

/** Names of the requested networks; a request may name a network or the part it belongs to. */
function namedModels(
  { models, without = [], controlledUnet, controlnets = [] }: ConvertRequest,
  checkpoint: Checkpoint,
): NetworkName[] {
  const all = networksOf(checkpoint, { controlledUnet: controlledUnet || models?.includes('control-unet') });
  const isNamed = (name: NetworkName, wanted: NetworkName): boolean =>
    name === wanted || cardOf(name).part === wanted;
  if (!models) return all.filter((name) => !without.some((unwanted) => isNamed(name, unwanted)));
  const chosen = all.filter(
    (name) =>
      models.some((wanted) => isNamed(name, wanted)) ||
      (networkKind(name) === 'controlnet' && controlnets.length > 0),
  );
  // Networks that the checkpoint lacks stay in the list, so that `convert` refuses them.
  return [...chosen, ...models.filter((wanted) => !all.some((name) => isNamed(name, wanted)))];
}
