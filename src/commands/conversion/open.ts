import type { Checkpoint } from '../../checkpoint/checkpoint.ts';
import { familyTitles } from '../../checkpoint/family.ts';
import type { LocatedModels } from '../../checkpoint/from-hub/locate-models.ts';
import { openModels } from '../../checkpoint/open-models.ts';
import { traitsOf } from '../../convert/traits.ts';
import type { Stage } from '../../pipeline.ts';
import { count } from '../../text.ts';
import type { ConvertRequest } from './request.ts';
import { checkSideFiles } from './side-files.ts';

/** Opens the checkpoint, and LoRAs, ControlNets and others that come with it. Headers, configs and small files are read, weights are not. */
export function openStage(request: ConvertRequest): Stage<LocatedModels, Checkpoint> {
  return {
    name: 'open',
    async run(located, context) {
      const checkpoint = await openModels(request, located, context);
      context.closeAtEnd(checkpoint);
      const aside = await checkSideFiles(checkpoint, request.bundle);
      for (const message of [...checkpoint.notes, ...notesOnLoras(checkpoint), ...aside])
        context.onProgress?.({ type: 'note', message });
      return { output: checkpoint, detail: describe(checkpoint) };
    },
  };
}

/** Says what each LoRA changes: one that fits only in part changes less than it should. */
function notesOnLoras({ loras = [] }: Checkpoint): string[] {
  return loras.map(({ name, scale, layers }) => {
    const changed = Object.entries(layers).map(
      ([network, number]) => `${count(number, 'layer')} of the ${network}`,
    );
    return `${name} at a scale of ${scale} changes ${changed.join(' and ') || 'nothing'}.`;
  });
}

function describe(checkpoint: Checkpoint): string {
  const { name, components } = checkpoint;
  const tensors = [...components.values()].reduce((sum, { weights }) => sum + weights.size, 0);
  const { family } = traitsOf(checkpoint);
  const title = family ? `${familyTitles[family]}: ` : '';
  return `${name}, ${title}${[...components.keys()].join(', ')}, ${tensors.toLocaleString('en')} tensors`;
}
