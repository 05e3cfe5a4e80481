import { replacedScheduler } from '../../bundle/profiles/folder-files.ts';
import { profiles } from '../../bundle/profiles/profiles.ts';
import type { PipelineSettings } from '../../formats/pipeline-settings.ts';
import { inRepository } from '../../version.ts';
import { type CardFile, isCoreMl, isUNet, type Lint } from '../card.ts';

/** What rules look at. */
export interface Linted {
  readonly files: readonly CardFile[];
  /** In words: `Stable Diffusion XL`. */
  readonly family: string | null;
  readonly settings: PipelineSettings | undefined;
  readonly scheduler: string | null;
  /** Text encoders whose attention has three axes, by path. */
  readonly flatAttention: readonly string[];
}

/** A fault that is known of a system, a client or a version, and how it is told. */
interface Rule extends Pick<Lint, 'rule' | 'severity' | 'problem' | 'source' | 'mend'> {
  /** The date, system or version that it is known from. */
  readonly since: string;
  /** The places that it concerns. */
  readonly find: (linted: Linted) => readonly string[];
}

const hasPalette = ({ weights }: CardFile): boolean =>
  weights.some(({ stored }) => stored.includes('palette'));
const pathsOf = (files: readonly CardFile[], fits: (file: CardFile) => boolean): string[] =>
  files.filter(fits).map(({ path }) => path);

/** Schedulers that Apple's Swift package has, by their classes in diffusers (Scheduler.swift, DPMSolverMultistepScheduler.swift). */
const swiftSchedulers = ['PNDMScheduler', 'DPMSolverMultistepScheduler', 'FlowMatchEulerDiscreteScheduler'];

/** The rules. Dates are those of the threads; a rule is removed when the fault is mended everywhere that matters. */
const rules: readonly Rule[] = [
  {
    rule: 'flat-attention-of-text',
    severity: 'warning',
    since: 'macOS 27.2',
    problem: 'attention with three axes in a text encoder crashes on the GPU of macOS 27.2.',
    source: 'https://github.com/MochiDiffusion/MochiDiffusion/issues/521',
    mend: 'Convert the text encoder again: sdconvert writes four axes.',
    find: ({ flatAttention }) => flatAttention,
  },
  {
    rule: 'palettes-of-macos15',
    severity: 'warning',
    since: 'macOS 26',
    problem:
      'palettes in the form of macOS 15 are reported to crash on macOS 26; those of macOS 13 and 14 are not.',
    source: 'https://github.com/apple/coremltools/pull/2688',
    mend: 'Convert with --min-deployment-target macOS13.',
    find: ({ files }) =>
      pathsOf(
        files,
        (file) => isCoreMl(file) && hasPalette(file) && (file.needs?.startsWith('macOS 15') ?? false),
      ),
  },
  {
    rule: 'xl-vae-in-float16',
    severity: 'warning',
    since: '2023',
    problem:
      'the VAE of Stable Diffusion XL overflows in float16, and pictures turn black, unless it was trained for it.',
    source: 'https://huggingface.co/madebyollin/sdxl-vae-fp16-fix',
    mend: 'Convert with --custom-vae-version madebyollin/sdxl-vae-fp16-fix, or leave it in float32.',
    find: ({ files, family }) =>
      pathsOf(
        files,
        ({ network, precision }) =>
          (family?.includes('XL') ?? false) &&
          (network?.startsWith('vae') ?? false) &&
          precision === 'float16',
      ),
  },
  {
    rule: 'unet-over-1-gb',
    severity: 'warning',
    since: '2022',
    problem:
      'the Neural Engine of iPhones and iPads does not load a UNet of more than 1 GB in one file, unless its weights have 6 bits or fewer.',
    source: 'https://github.com/apple/ml-stable-diffusion/issues/321',
    mend: 'Convert with --chunk-unet, or with --quantize-nbits 6.',
    find: ({ files }) =>
      pathsOf(files, (file) => isUNet(file) && isCoreMl(file) && file.byteLength > 1e9 && !hasPalette(file)),
  },
  {
    rule: 'einsum-v2-of-xl',
    severity: 'note',
    since: '2023',
    problem: 'SPLIT_EINSUM_V2 takes the Neural Engine’s compiler very long for Stable Diffusion XL.',
    source: 'https://github.com/apple/ml-stable-diffusion (README: --attention-implementation)',
    mend: 'Convert with --attention SPLIT_EINSUM.',
    find: ({ files, family }) =>
      pathsOf(files, ({ attention }) => (family?.includes('XL') ?? false) && attention === 'SPLIT_EINSUM_V2'),
  },
  {
    rule: 'swift-has-no-such-scheduler',
    severity: 'note',
    since: 'package 1.1.0',
    problem:
      'Apple’s Swift package has PNDM and DPM-Solver++ only, and apps built on it draw with one of these.',
    source: 'https://github.com/apple/ml-stable-diffusion/issues/305',
    mend: null,
    find: ({ files, scheduler }) =>
      scheduler !== null && files.some(isCoreMl) && !swiftSchedulers.includes(scheduler) ? [scheduler] : [],
  },
  {
    rule: 'swift-reads-no-prediction',
    severity: 'warning',
    since: 'package 1.1.0',
    problem:
      'Apple’s Swift package reads no metadata: it draws with a model that predicts v as if it predicted noise.',
    source: 'https://github.com/MochiDiffusion/MochiDiffusion/issues/227',
    mend: 'Bundle for Guernika, which reads it: sdconvert bundle OUT --for guernika.',
    find: ({ files, settings }) =>
      settings?.scheduler?.prediction_type === 'v_prediction'
        ? pathsOf(files, (file) => isUNet(file) && isCoreMl(file))
        : [],
  },
];

/** What the dated rules find. */
export function lintRules(linted: Linted): Lint[] {
  const found = rules.flatMap(({ find, ...rule }) => find(linted).map((where): Lint => ({ ...rule, where })));
  return [...found, ...schedulers(linted)];
}

/** ONNX clients that lack the scheduler; their folders name another. */
function schedulers({ files, scheduler }: Linted): Lint[] {
  if (scheduler === null) return [];
  return Object.entries(profiles).flatMap(([client, profile]): Lint[] => {
    const isWritten = files.some(({ path }) => path.startsWith(`${profile.folder}/`));
    const replaced = isWritten && replacedScheduler(profile, { _class_name: scheduler });
    if (!replaced) return [];
    return [
      {
        rule: 'client-has-no-such-scheduler',
        severity: 'note',
        problem: `${client} has no ${replaced.from}: its folder names ${replaced.to}, with the same settings.`,
        where: profile.folder,
        since: null,
        source: inRepository('docs/clients.md'),
        mend: null,
      },
    ];
  });
}
