import { portForm } from '../../../convert/networks/card.ts';
import { cardOf, type NetworkKind } from '../../../convert/networks/networks.ts';
import type { Choices, Dims, OnnxEdges, Port } from '../../client-form.ts';

/** Whether a port is an input or an output. */
export type Side = 'inputs' | 'outputs';

/**
 * The form that a client wants a port of a network to have; `undefined` for an output that it does not want. Ports that are
 * not the network's (between chunks, or of other converters) stay as they are.
 */
export function wantedPort(edges: OnnxEdges, kind: NetworkKind, side: Side, port: Port): Port | undefined {
  const { name, dtype } = port;
  const isText = kind === 'text_encoder' || kind === 'text_encoder_2';
  if (kind === 'text_encoder' && side === 'outputs' && edges.textOutputs?.includes(name) === false)
    return undefined;
  if (!isBorder(kind, side, name)) return port;
  const shape = port.shape.map((dim) => boundDim(dim, edges.dims[kind] ?? {}));
  if (name === 'input_ids' && isText) return { name, dtype: choose(edges.ids[kind], dtype), shape };
  if (name === 'timestep') {
    const { dtypes, shapes } = edges.timestep;
    return {
      name,
      dtype: choose(dtypes, dtype),
      shape: shapes.find((each) => fits(shape, each)) ?? shapes[0],
    };
  }
  const floats = dtype === 'f32' || dtype === 'f16' ? choose(edges.floats, dtype) : dtype;
  if (name === 'latent_parameters' && edges.vaeEncoder === 'sample')
    return { name: 'latent_sample', dtype: floats, shape: shape.with(1, Number(shape[1]) / 2) };
  return { name, dtype: floats, shape };
}

function choose<T>(choices: Choices<T>, present: T): T {
  return choices.includes(present) ? present : choices[0];
}

/** Whether declared sizes are of the same rank and can be those that are wanted. */
export function fits(declared: Dims, wanted: Dims): boolean {
  if (declared.length !== wanted.length) return false;
  return declared.every((size, axis) => {
    const other = wanted[axis];
    return typeof size === 'string' || typeof other === 'string' || size === other;
  });
}

/** Whether a name is that of a network's own input or output in optimum's contract, or of a VAE encoder's sample. */
function isBorder(kind: NetworkKind, side: Side, name: string): boolean {
  if (kind === 'vae_encoder' && name === 'latent_sample') return true;
  const [, number = '0'] = /(\d+)$/.exec(name) ?? [];
  return Object.values(cardOf(kind)[side]).some((port) => {
    const { name: own } = portForm(port, 'optimum') ?? {};
    if (typeof own !== 'function') return own === name;
    // Of tensors in a row the last one may have a name of its own.
    return own(Number(number), Number(number) + 2) === name || own(0, 1) === name;
  });
}

/** A declared size with free dimensions renamed or fixed: `latent_height * 8` may become `height_latent * 8` or 512. */
export function boundDim(
  dim: number | string,
  names: Readonly<Record<string, string | number>>,
): number | string {
  if (typeof dim === 'number') return dim;
  const bound = dim.replaceAll(/[A-Za-z_]\w*/g, (name) => String(names[name] ?? name));
  return /^[\d\s*/+-]+$/.test(bound) ? evaluated(bound) : bound;
}

/** The value of sums and differences of products and quotients, with blanks between all, as `formatDim` writes them. */
function evaluated(text: string): number {
  const terms = text.split(/ (?=[+-] )/).map((term) => {
    const sign = term.startsWith('- ') ? -1 : 1;
    const factors = term.replace(/^[+-] /, '').split(/ (?=[*/] )/);
    return factors.reduce((product, factor) => {
      const number = Number(factor.replace(/^[*/] /, ''));
      return factor.startsWith('/ ') ? product / number : product * number;
    }, sign);
  });
  return terms.reduce((sum, term) => sum + term, 0);
}
