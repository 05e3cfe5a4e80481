/**
 * Names of a LoRA's tensors. There is no standard, only the conventions of the programs that write the files: diffusers
 * (three over time), PEFT, kohya's scripts and LyCORIS. A name consists of a network's prefix, a module of that
 * network, and the part that the tensor is; modules are written with dots, or with underscores instead.
 */

/** The networks that LoRAs change. */
export type Network = 'unet' | 'text_encoder' | 'text_encoder_2';

/** Part that a tensor is of a module's change. */
export type Part =
  | 'down'
  | 'up'
  | 'mid'
  | 'alpha'
  | 'magnitude' // DoRA as PEFT writes it
  | 'dora_scale' // DoRA as kohya and LyCORIS write it
  | 'diff' // a full difference, which extraction tools write where no low rank suffices
  | 'diff_b'
  | 'w_norm' // LyCORIS: the differences of a norm
  | 'b_norm'
  | `hada_${'w1_a' | 'w1_b' | 'w2_a' | 'w2_b' | 't1' | 't2'}`
  | `lokr_${'w1' | 'w1_a' | 'w1_b' | 'w2' | 'w2_a' | 'w2_b' | 't2'}`;

/** A parsed tensor name. */
export interface LoraKey {
  /** The module as in the file, with its prefix: `lora_unet_mid_block_attentions_0_proj_in`. */
  readonly module: string;
  /** Networks that it may belong to; several where the name does not show which. */
  readonly networks: readonly Network[];
  /** The module's name in its network, underscores for dots: `mid_block_attentions_0_proj_in`. */
  readonly name: string;
  readonly part: Part;
}

/** Parses a tensor's name; `undefined` if it is not a LoRA's. */
export function parseLoraKey(key: string): LoraKey | undefined {
  for (const [ending, part] of endings) {
    const match = ending.exec(key);
    if (!match) continue;
    // as: an ending without a part captures the part's name.
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

/** diffusers' first LoRAs and PEFT's own files have no prefix that shows the network. */
const anyNetwork: readonly Network[] = ['unet', 'text_encoder'];

/** Replaces old names: in early diffusers, LoRAs belonged to attention processors, which named the layers differently. */
function presentName(name: string): string {
  return name
    .replace('.processor.', '.')
    .replace(/(attn\d)\.to_out$/, '$1.to_out.0')
    .replace(/self_attn\.to_(q|k|v|out)$/, 'self_attn.$1_proj');
}

/** Adapters in files like LoRAs that are not supported, with a tensor name that only they have. */
export const otherAdapters: readonly (readonly [tensor: RegExp, name: string])[] = [
  [/\.(oft_blocks|oft_diag|oft_R\b|R_weight)/, 'OFT'],
  [/\.(a1|a2|b1|b2)\.weight$/, 'GLoRA'],
  [/\.on_input$/, 'IA3'],
  [/\.lora_[AB](\.[\w-]+)?\.bias$|\.lora_up\.bias$/, 'a LoRA with biases'],
  [/\.lora_embedding_[AB]\b/, 'a LoRA of token embeddings'],
  [/\.lokr_t1$/, 'LoKr with a first core'],
];
