/**
 * What a LoRA's tensors are called. There is no standard, only the programs that wrote the files: diffusers (three
 * spellings over time), PEFT, kohya's scripts and LyCORIS. A name is a network's prefix, a module of that network, and
 * the part that the tensor plays; modules are written with dots, or with underscores for dots.
 */

/** The networks that LoRAs change. */
export type Network = 'unet' | 'text_encoder' | 'text_encoder_2';

/** What a tensor is to the change of its module's weight. */
export type Part =
  | 'down'
  | 'up'
  | 'mid'
  | 'alpha'
  | 'magnitude' // DoRA as PEFT writes it
  | 'dora_scale' // DoRA as kohya and LyCORIS write it
  | 'diff' // a whole difference, as extractors write it where nothing is of low rank
  | 'diff_b'
  | 'w_norm' // LyCORIS: the differences of a norm
  | 'b_norm'
  | `hada_${'w1_a' | 'w1_b' | 'w2_a' | 'w2_b' | 't1' | 't2'}`
  | `lokr_${'w1' | 'w1_a' | 'w1_b' | 'w2' | 'w2_a' | 'w2_b' | 't2'}`;

/** A tensor's name, taken apart. */
export interface LoraKey {
  /** The module as the file spells it, with its prefix: `lora_unet_mid_block_attentions_0_proj_in`. */
  readonly module: string;
  /** The networks it may belong to; more than one where the file does not say. */
  readonly networks: readonly Network[];
  /** The module's name in its network, underscores for dots: `mid_block_attentions_0_proj_in`. */
  readonly name: string;
  readonly part: Part;
}

/** Takes a tensor's name apart; `undefined` where it is none of the spellings. */
export function parseLoraKey(key: string): LoraKey | undefined {
  for (const [ending, part] of endings) {
    const match = ending.exec(key);
    if (!match) continue;
    // as: an ending without a part of its own captures it.
    return { ...parseModule(key.slice(0, match.index)), part: part ?? (match[1] as Part) };
  }
  return undefined;
}

/** PEFT puts the adapter's name, if there is one, before `.weight`. */
const endings: readonly (readonly [ending: RegExp, part?: Part])[] = [
  [/[._]lora(_linear_layer)?[._]down\.weight$|\.lora_A(\.[\w-]+)?\.weight$/, 'down'],
  [/[._]lora(_linear_layer)?[._]up\.weight$|\.lora_B(\.[\w-]+)?\.weight$/, 'up'],
  [/\.lora_mid\.weight$/, 'mid'],
  [/\.alpha$/, 'alpha'],
  [/\.lora_magnitude_vector(\.[\w-]+)?$/, 'magnitude'],
  [/\.dora_scale$/, 'dora_scale'],
  [/\.(diff|diff_b|w_norm|b_norm)$/],
  [/\.(hada_(?:w[12]_[ab]|t[12])|lokr_(?:w[12](?:_[ab])?|t2))$/],
];

function parseModule(module: string): Omit<LoraKey, 'part'> {
  const inner = module.replace(/^base_model\.model\./, '');
  const [prefix, networks] = prefixes.find(([prefix]) => prefix.test(inner)) ?? [/^/, anyNetwork];
  const name = presentName(inner.replace(prefix, '')).replaceAll('.', '_');
  return { module, networks, name };
}

const prefixes: readonly (readonly [prefix: RegExp, networks: readonly Network[]])[] = [
  [/^(unet\.|lora_unet[._]|(model\.)?diffusion_model\.)/, ['unet']],
  [/^(text_encoder\.|lora_te1?[._]|(text_encoders\.)?clip_[hl]\.(transformer\.)?)/, ['text_encoder']],
  [/^(text_encoder_2\.|lora_te2[._]|(text_encoders\.)?clip_g\.(transformer\.)?)/, ['text_encoder_2']],
];

/** The first LoRAs of diffusers, and PEFT's own files, say nothing of the network. */
const anyNetwork: readonly Network[] = ['unet', 'text_encoder'];

/** Attention processors held the LoRA before the layers themselves did; they had names of their own. */
function presentName(name: string): string {
  return name
    .replace('.processor.', '.')
    .replace(/(attn\d)\.to_out$/, '$1.to_out.0')
    .replace(/self_attn\.to_(q|k|v|out)$/, 'self_attn.$1_proj');
}

/** The ways of changing a model that come in files like LoRAs and are not merged, by a tensor that only they have. */
export const otherAdapters: readonly (readonly [tensor: RegExp, name: string])[] = [
  [/\.(oft_blocks|oft_diag|oft_R\b|R_weight)/, 'OFT'],
  [/\.(a1|a2|b1|b2)\.weight$/, 'GLoRA'],
  [/\.on_input$/, 'IA3'],
  [/\.lora_[AB](\.[\w-]+)?\.bias$|\.lora_up\.bias$/, 'a LoRA with biases'],
  [/\.lora_embedding_[AB]\b/, 'a LoRA of token embeddings'],
  [/\.lokr_t1$/, 'LoKr with a first core'],
];
