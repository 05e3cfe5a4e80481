import { elementCount } from '../../weights/dtype.ts';
import type { Weight } from '../../weights/weight.ts';
import type { FoundPart } from '../recognize/survey.ts';
import { clip } from './clip.ts';
import { ldmControlNet } from './ldm-controlnet.ts';
import { ldmUnet } from './ldm-unet.ts';
import { ldmVae } from './ldm-vae.ts';
import { openClip } from './open-clip.ts';
import { asItIs, type Translate } from './translate.ts';

/** How one network's tensors are named in a file, behind their prefix. */
export interface Layout {
  /** What the network's own names begin with. */
  readonly heads: RegExp;
  /** A second spelling, which some tools leave beside the first. */
  readonly second?: RegExp;
  /** Whether a name that does not begin so may be a part of the network all the same: one that changes what it computes. */
  mayBelong(name: string, weight: Weight): boolean;
  /** Makes the translation of these names. */
  translate(names: readonly string[]): Translate;
}

const never = () => false;

/** How a part that was found is named. */
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
      : { heads, mayBelong: never, translate: () => asItIs };
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

/** Parts of UNets that are none of Stable Diffusion's. */
const strangeHeads =
  /^(encoder_hid_proj|class_embedding|class_emb|position_net|image_proj\w*|motion_modules|add_time_condition|control_\w+|task_embedding|transformer_\w+|spatial_ch_projs)\b/;

function denoiserLayout(part: 'unet' | 'controlnet', naming: FoundPart['naming'], prefix: string): Layout {
  const original = part === 'unet' ? ldmUnet : ldmControlNet;
  return {
    heads: naming === 'original' ? denoiserHeads.original : denoiserHeads.diffusers,
    // Behind its own prefix all that is more than a number is the network's; a bare file may hold anything beside it.
    mayBelong: (name, { shape }) => (prefix === '' ? strangeHeads.test(name) : elementCount(shape) > 1),
    translate: naming === 'original' ? original : () => asItIs,
  };
}
