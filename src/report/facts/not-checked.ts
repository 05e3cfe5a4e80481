import { nextCommand } from '../../inspect/next-command.ts';
import { shellWord } from '../../io/shell-word.ts';
import { type Card, isCoreMl } from '../card.ts';

type NotChecked = Card['notChecked'][number];

/** What is not on a card, and for whom the commands are. */
export interface Gaps extends Pick<Card, 'files' | 'parity' | 'pictures' | 'layers' | 'curve'> {
  readonly folder: string;
  readonly reference: string;
  readonly hasConversionCost: boolean;
}

/** What was not checked here, and the command for someone who can. */
export function notCheckedOf(gaps: Gaps): NotChecked[] {
  return [...notMeasured(gaps), ...notHere(gaps)];
}

/** What another run of the same command would measure. */
function notMeasured({
  folder,
  reference,
  parity,
  pictures,
  layers,
  curve,
  files,
  hasConversionCost,
}: Gaps): NotChecked[] {
  const again = (...options: readonly string[]) =>
    nextCommand('report', folder, '--reference', reference, ...options).command;
  const isUnknown = layers.some(({ weights }) => weights.some(({ decibels }) => decibels === null));
  const analyze = nextCommand('analyze', `${folder}/onnx/unet`, '--analysis', 'unet.json').command;
  return [
    ...(parity && lacksRounding(files, parity)
      ? [
          {
            what: 'Core ML packages with every operation rounded',
            why: 'Only the arithmetic of this machine was checked.',
            command: again(),
          },
        ]
      : []),
    ...(parity ? [] : [{ what: 'Distance from float32', why: 'No reference was given.', command: again() }]),
    ...(pictures
      ? []
      : [
          {
            what: 'Pictures, and which network changes them',
            why: 'None were drawn.',
            command: again('--pictures'),
          },
        ]),
    ...(isUnknown
      ? [{ what: 'What each weight lost', why: 'It takes the checkpoint’s own weights.', command: again() }]
      : []),
    ...(curve || layers.length === 0
      ? []
      : [
          {
            what: 'Whether other bits would be better',
            why: 'No analysis was given.',
            command: `${analyze} && ${again('--analysis', 'unet.json')}`,
          },
        ]),
    ...(hasConversionCost
      ? []
      : [
          {
            what: 'Time and memory of the conversion',
            why: 'A record holds no times.',
            command: 'sdconvert convert … --report',
          },
        ]),
  ];
}

/** Whether packages ran only as this machine computes. */
function lacksRounding(files: Card['files'], { models }: NonNullable<Card['parity']>): boolean {
  return (
    files.some(({ format }) => format === 'mlpackage') &&
    !models.some(({ arithmetic }) => arithmetic === 'rounded')
  );
}

/** What no run on such a machine can check. */
function notHere({ folder, files }: Gaps): NotChecked[] {
  const hasOnnx = files.some(({ format }) => format === 'onnx');
  const hasCoreMl = files.some(isCoreMl);
  return [
    {
      what: 'That every byte is as it was written',
      why: 'Sizes were compared with the record, not hashes.',
      command: nextCommand('verify', folder).command,
    },
    ...(hasCoreMl
      ? [
          {
            what: 'Core ML itself, on a Mac, an iPhone or an iPad',
            why: 'Packages were translated and run by onnxruntime; nothing ran on Apple’s hardware.',
            command: `In a clone of apple/ml-stable-diffusion, on a Mac: swift run StableDiffusionSample "a prompt" --resource-path ${shellWord(`${folder}/Resources`)} --output-path .`,
          },
        ]
      : []),
    ...(hasOnnx
      ? [
          {
            what: 'GPUs',
            why: 'onnxruntime’s CPU computes float16 models mostly in float32: a GPU may overflow where it does not.',
            command:
              'On a machine with a GPU: draw with the client, and compare with the pictures of this card.',
          },
        ]
      : []),
  ];
}
