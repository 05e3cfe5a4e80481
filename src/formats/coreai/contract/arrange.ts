import type { Checkpoint } from '../../../checkpoint/checkpoint.ts';
import type { Model } from '../../../convert/convert.ts';
import { cardOf } from '../../../convert/networks/networks.ts';
import { traitsOf } from '../../../convert/traits.ts';
import { GraphBuilder } from '../../../graph/graph.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { withOneText } from './denoisers.ts';
import { declareLike, outputsOf, recordGraph } from './record-graph.ts';
import { hiddenChannels, oneTextEncoder, withOwnPadding } from './text-encoders.ts';

/**
 * Makes of the networks of a checkpoint, built for `coreAiContract`, the models that Apple's pipelines load: prompts are padded
 * inside, and those of Stable Diffusion XL read one text (`oneTextEncoder`, `withOneText`), since the pipelines pass three inputs
 * to any UNet. Throws `RequestError` where a part of that is left out.
 */
export function arrangeForCoreAi(checkpoint: Checkpoint, models: readonly Model[]): Model[] {
  const texts = models.filter(({ name }) => cardOf(name).part === 'text_encoder');
  const { isXl } = traitsOf(checkpoint);
  const hidden = hiddenChannels(checkpoint);
  return [
    ...(isXl ? oneTextEncoder(checkpoint, texts) : texts.map((model) => withOwnPadding(checkpoint, model))),
    ...models
      .filter((model) => !texts.includes(model))
      .map((model) => (model.name === 'vae_encoder' ? withExportedNames(model) : withOneText(model, hidden))),
  ];
}

/** What Apple's exporter calls the ports of a VAE encoder. */
const exported: Readonly<Record<string, string>> = { x: 'image', latent: 'latent_params' };

function withExportedNames(model: Model): Model {
  const builder = new GraphBuilder();
  const inputs = model.graph.inputs.map((input): [string, Tensor] => [
    input.name,
    declareLike(builder, { ...input, name: exported[input.name] ?? input.name }),
  ]);
  const results = recordGraph(builder, model.graph, new Map(inputs));
  return { ...model, graph: builder.finish(outputsOf(results, exported)) };
}
