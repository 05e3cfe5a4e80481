import type { Model } from '../../../convert/convert.ts';
import { PIXELS } from '../../../convert/networks/latents.ts';
import { reshape, slice } from '../../../graph/functions.ts';
import { GraphBuilder } from '../../../graph/graph.ts';
import { dimAt, fixedDimAt, type Shape } from '../../../graph/shape.ts';
import type { Tensor } from '../../../graph/tensor.ts';
import { declareLike, outputsOf, recordGraph } from './record-graph.ts';

/** The aesthetic scores that diffusers gives a refiner, for the row without the prompt and for the one with it. */
const SCORES = [2.5, 6] as const;

/**
 * A UNet or ControlNet of Stable Diffusion XL with all of the text in one input: `encoder_hidden_states` [B,S,H+P] holds the
 * hidden states of all text encoders, and in every row the pooled text. Of the H channels that a base model has a refiner
 * reads the last. Sizes of the picture (`time_ids`) are constants: as it is drawn, not cropped. `hidden`: H, where the text
 * encoders are known. Other networks are returned as they are.
 */
export function withOneText(model: Model, hidden = 0): Model {
  const { graph } = model;
  const [sample, text, pooled, times] = ['sample', 'encoder_hidden_states', 'text_embeds', 'time_ids'].map(
    (name) => graph.inputs.find((input) => input.name === name),
  );
  if (!sample || !text || !pooled || !times) return model;
  const builder = new GraphBuilder();
  const [own, width] = [fixedDimAt(text.shape, 2), fixedDimAt(pooled.shape, 1)];
  const end = Math.max(hidden, own);
  const given = new Map<string, Tensor>();
  for (const input of graph.inputs) {
    if (input === pooled || input === times) continue;
    if (input !== text) {
      given.set(input.name, declareLike(builder, input));
      continue;
    }
    const shape = [dimAt(text.shape, 0), dimAt(text.shape, 1), end + width];
    const all = declareLike(builder, { ...text, shape });
    const firstToken = slice(all, 1, 0, 1);
    given.set(text.name, slice(all, 2, end - own, end));
    given.set(pooled.name, reshape(slice(firstToken, 2, end, end + width), pooled.shape));
  }
  given.set(times.name, timeIds(builder, times.shape, sample.shape));
  return { ...model, graph: builder.finish(outputsOf(recordGraph(builder, graph, given))) };
}

/** Original size, crop offset and target size; for a refiner an aesthetic score instead of the target size. */
function timeIds(builder: GraphBuilder, shape: Shape, latents: Shape): Tensor {
  const [rows, count] = [fixedDimAt(shape, 0), fixedDimAt(shape, 1)];
  const size = [fixedDimAt(latents, 2) * PIXELS, fixedDimAt(latents, 3) * PIXELS];
  const ids = Array.from({ length: rows }, (_, row) => [
    ...size,
    ...[0, 0],
    ...(count === 5 ? [SCORES[row % 2] ?? 0] : size),
  ]);
  return builder.constant(Float32Array.from(ids.flat()), shape, 'time_ids');
}
