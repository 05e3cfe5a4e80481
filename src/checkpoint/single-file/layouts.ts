import { elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import type { FoundPart } from '../recognize/survey.ts';
import { clip } from './clip.ts';
import { ldmControlNet } from './ldm-controlnet.ts';
import { ldmUnet } from './ldm-unet.ts';
import { ldmVae } from './ldm-vae.ts';
import { openClip } from './open-clip.ts';
import { type Translate, unchanged } from './translate.ts';

/** Naming scheme of a network's tensors in a file, behind their prefix. */
export interface Layout {
  /** Matches the network's own names, at their beginning. */
  readonly heads: RegExp;
  /** Matches names of a second spelling, which some tools write beside the first. */
  readonly second?: RegExp;
  /** Whether a tensor without such a name may still be part of the network and change what it computes. */
  mayBelong(name: string, weight: Weight): boolean;
  /** Makes the translation of these names to diffusers'. */
  translate(names: readonly string[]): Translate;
}

const never = () => false;

/** Layout of a network that `survey` found. */
export function layoutOf({ part, naming, prefix }: FoundPart): Layout {
  if (part === 'unet' || part === 'controlnet') return denoiserLayout(part, naming, prefix);
  if (part === 'vae') {
    const heads = /^(encoder|decoder|quant_conv|post_quant_conv)\./;
    return naming === 'original'
      ? {
          heads,
          second: /\.attn_1\.(to_|query|key|value|proj_attn|group_norm)/,
          mayBelong: never,
          translate: ldmVae,
        }
      : { heads, mayBelong: never, translate: () => unchanged };
  }
  if (naming === 'openclip') {
    return {
      heads:
        /^(positional_embedding$|token_embedding\.|transformer\.resblocks\.|ln_final\.|text_projection(\.weight)?$)/,
      second: /^text_projection\.weight$/,
      mayBelong: never,
      translate: () => openClip(part),
    };
  }
  return {
    heads:
      part === 'text_encoder'
        ? textHeads
        : /^((text_model|embeddings|encoder|final_layer_norm)\.|text_projection\.weight$)/,
    second: /^(embeddings|encoder|final_layer_norm)\./,
    mayBelong: never,
    translate: (names) => clip(part, names),
  };
}

const textHeads = /^(text_model|embeddings|encoder|final_layer_norm)\./;

const denoiserHeads = {
  original:
    /^(time_embed|label_emb|input_blocks|middle_block|output_blocks|out|input_hint_block|zero_convs|middle_block_out)\./,
  diffusers:
    /^(conv_in|conv_out|conv_norm_out|time_embedding|add_embedding|down_blocks|mid_block|up_blocks|controlnet_\w+)\./,
} as const;

/** Matches parts that UNets of Stable Diffusion do not have. */
const foreignHeads =
  /^(encoder_hid_proj|class_embedding|class_emb|position_net|image_proj\w*|motion_modules|add_time_condition|control_\w+|task_embedding|transformer_\w+|spatial_ch_projs)\b/;

function denoiserLayout(part: 'unet' | 'controlnet', naming: FoundPart['naming'], prefix: string): Layout {
  const original = part === 'unet' ? ldmUnet : ldmControlNet;
  return {
    heads: naming === 'original' ? denoiserHeads.original : denoiserHeads.diffusers,
    // Behind a prefix, every tensor of more than one element belongs to the network; without one, other tensors may be beside it.
    mayBelong: (name, { shape }) => (prefix === '' ? foreignHeads.test(name) : elementCount(shape) > 1),
    translate: naming === 'original' ? original : () => unchanged,
  };
}
