import { RequestError, UnsupportedModelError } from '../../errors.ts';
import { SKIPPED_STATES, type TextEncoderChanges, type TokenRows } from '../runner.ts';
import { onnxNode } from './onnx-writer.ts';
import {
  dataTypes,
  type GraphProto,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  toNumber,
} from './proto.ts';

/**
 * Changes to a text encoder while it is loaded. Both find their place in the graph by its structure, so they apply to any
 * export of CLIP, at any number of bits, and to Core ML models, which run as ONNX.
 */

const IDS = 'input_ids';

/**
 * Adds tokens and an output that skips layers; `path` is for errors. Throws `RequestError` if the embeddings have another width
 * or there are not so many layers, `UnsupportedModelError` if the graph does not show its structure.
 */
export function changeTextEncoder(
  model: ModelProto,
  { moreTokens, skipLayers }: TextEncoderChanges,
  path: string,
): ModelProto {
  let graph = model.graph ?? {};
  if (moreTokens) graph = withMoreTokens(graph, moreTokens, path);
  if (skipLayers) graph = withSkippedLayers(graph, skipLayers, path);
  return { ...model, graph };
}

/**
 * Looks ids from `firstId` on up in the new rows, and all others in the model's own table. That table may be stored in any way;
 * it is neither read nor copied.
 */
function withMoreTokens(graph: GraphProto, { firstId, width, data }: TokenRows, path: string): GraphProto {
  const nodes = graph.node ?? [];
  const lookup = lookupOfTokens(nodes);
  const [table = '', ids = ''] = lookup?.input ?? [];
  const [embedding = ''] = lookup?.output ?? [];
  if (!lookup) throw unsupported(path, 'does not look input_ids up in a table, so no tokens can be added');
  const channels = channelsOf(graph);
  if (channels !== undefined && channels !== width)
    throw new RequestError({
      problem: `the textual inversion does not fit ${path}: it belongs to another family of checkpoints.`,
      details: { expected: `embeddings of ${channels} numbers`, found: `${width} numbers` },
    });
  const at = (name: string) => `${embedding}/more_tokens/${name}`;
  const [first, last, zero, rows] = [at('first'), at('last'), at('zero'), at('rows')];
  const known = (graph.initializer ?? []).find(({ name }) => name === table)?.dataType;
  const added: NodeProto[] = [
    onnxNode('Cast', [ids], at('ids'), { to: dataTypes.i64 }),
    onnxNode('Min', [at('ids'), last], at('own_ids')),
    { ...lookup, input: [table, at('own_ids')], output: [at('own')] },
    onnxNode('Sub', [at('ids'), first], at('beyond')),
    onnxNode('Max', [at('beyond'), zero], at('new_ids')),
    onnxNode('Gather', [rows, at('new_ids')], at('new_float32'), { axis: 0 }),
    known
      ? onnxNode('Cast', [at('new_float32')], at('new'), { to: known })
      : onnxNode('CastLike', [at('new_float32'), at('own')], at('new')),
    onnxNode('Greater', [at('ids'), last], at('is_new')),
    onnxNode('Unsqueeze', [at('is_new'), at('axes')], at('is_new_row')),
    onnxNode('Where', [at('is_new_row'), at('new'), at('own')], embedding),
  ];
  return {
    ...graph,
    node: nodes.flatMap((node) => (node === lookup ? added : node)),
    initializer: [
      ...(graph.initializer ?? []),
      int64(first, [firstId]),
      int64(last, [firstId - 1]),
      int64(zero, [0]),
      int64(at('axes'), [-1]),
      {
        name: rows,
        dims: [data.length / width, width],
        dataType: dataTypes.f32,
        rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
      },
    ],
  };
}

/** Finds the lookup of token ids; positions depend on the shape of the ids only, and the end of the text is looked up in states. */
function lookupOfTokens(nodes: readonly NodeProto[]): NodeProto | undefined {
  const fromIds = new Set([IDS]);
  for (const node of nodes) {
    const [data = '', indices = ''] = node.input ?? [];
    if (node.opType === 'Gather' && fromIds.has(indices) && !fromIds.has(data)) return node;
    if (node.opType !== 'Shape' && node.input?.some((input) => fromIds.has(input)))
      for (const output of node.output ?? []) fromIds.add(output);
  }
  return undefined;
}

/** Width of the hidden states; `undefined` if it is not declared. */
function channelsOf({ output }: GraphProto): number | undefined {
  const hidden = output?.find(({ name }) => /^(last_hidden_state|hidden_embeds)$/.test(name ?? ''));
  return toNumber(hidden?.type?.tensorType?.shape?.dim?.at(-1)?.dimValue) || undefined;
}

/**
 * Adds the hidden states of an earlier layer as an output. Each layer of CLIP begins with a layer norm and has another one
 * inside, and the network ends with one, so the norms in a graph mark its layers.
 */
function withSkippedLayers(
  graph: GraphProto,
  { count, before, normalize }: NonNullable<TextEncoderChanges['skipLayers']>,
  path: string,
): GraphProto {
  const nodes = graph.node ?? [];
  const norms = nodes.filter(({ opType }) => opType === 'LayerNormalization');
  const final = norms.at(-1);
  const layers = (norms.length - 1) / 2;
  if (!final || !Number.isInteger(layers))
    throw unsupported(
      path,
      'does not have the layer norms that mark the layers of CLIP, so none can be skipped',
    );
  const most = layers - before;
  if (count > most)
    throw new RequestError({
      problem: `${count} layers of ${path} cannot be skipped.`,
      details: { expected: `at most ${most}`, found: String(count) },
    });
  const states = norms[2 * (layers - before - count)]?.input?.[0] ?? '';
  const skipped = `${SKIPPED_STATES}/states`;
  const chosen: NodeProto = normalize
    ? { ...final, name: skipped, input: [states, ...(final.input ?? []).slice(1)], output: [skipped] }
    : onnxNode('Identity', [states], skipped);
  return {
    ...graph,
    node: [...nodes, chosen, onnxNode('Cast', [skipped], SKIPPED_STATES, { to: dataTypes.f32 })],
    output: [
      ...(graph.output ?? []),
      { name: SKIPPED_STATES, type: { tensorType: { elemType: dataTypes.f32 } } },
    ],
  };
}

function unsupported(path: string, why: string): UnsupportedModelError {
  return new UnsupportedModelError({
    problem: `${path} ${why}.`,
    advice: 'Convert the checkpoint with sdconvert and use that conversion.',
  });
}

function int64(name: string, values: readonly number[]): TensorProto {
  const rawData = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
  return { name, dims: [values.length], dataType: dataTypes.i64, rawData };
}
