import type { Argv } from 'yargs';
import { reportDefaults } from '../../src/commands/reporting/request.ts';
import type { Card } from '../../src/report/card.ts';
import { commandAtFloor } from '../../src/report/facts/command-at-floor.ts';
import { alignColumns } from '../../src/text.ts';
import { boundOptions, runBounds } from '../bound-options.ts';
import { forOption, parseClients } from '../clients.ts';
import { drawnNeeds, drawnOptions, drawnSettings } from '../drawn-options.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { NeededOption } from '../needed-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** What concerns pictures only, and what models that are run. */
const reportNeeds: readonly NeededOption[] = [
  ...drawnNeeds({ needs: '--pictures', isMet: ({ pictures }) => pictures === true }),
  ...['min-psnr', 'max-memory', 'tmp-dir'].map((option) => ({
    option,
    needs: '--reference',
    isMet: ({ reference }: Readonly<Record<string, unknown>>) => reference !== undefined,
  })),
];

/** `sdconvert report OUT`: writes a page that says how good a conversion is. */
export const reportCommand: Command = {
  options: declare,
  needed: reportNeeds,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { report: writeReport, reportStages } = await import('../../src/commands/report.ts');
    const args = argv as Arguments;
    const { dir, output, reference, analysis, pictures, force } = args;
    const request = {
      ...{ folder: dir, output, reference, analysis, pictures, force },
      minPsnr: args['min-psnr'],
      clients: parseClients(args.for),
      ...drawnSettings(args),
      ...runBounds(args),
      hub: await hubOptions(args),
    };
    const stages = reportStages(request);
    const all = reference === undefined ? stages : await withDownload(stages, reference);
    const result = await report.follow(all, (context) => writeReport(request, context));
    report.result(result, describeCard(result.card, result.files, { folder: dir, reference }));
    return result.card.verdict.result === 'fail' ? 1 : 0;
  },
};

/** The verdict, the floor at which it would turn, and where the card is; commands name the places as they were given. */
export function describeCard(
  { verdict, lint, notChecked }: Card,
  files: readonly string[],
  { folder, reference }: { readonly folder: string; readonly reference: string | undefined },
): string {
  const { sentence, failsAt, reasons } = verdict;
  const told = lint.filter(({ severity }) => severity !== 'note');
  return [
    [sentence, ...(reasons.length > 1 ? reasons.map((reason) => `  ${reason}`) : [])].join('\n'),
    ...(failsAt && reference !== undefined
      ? [
          `It would fail at a floor of ${failsAt.floor.toFixed(2)} dB: ${commandAtFloor(failsAt.floor, folder, reference)}`,
        ]
      : []),
    ...(told.length > 0
      ? [alignColumns(told.map(({ severity, where, problem }) => [severity, where, problem]))]
      : []),
    `Not checked: ${notChecked.map(({ what }) => what).join('; ')}.`,
    `Written: ${files.join(', ')}`,
  ].join('\n\n');
}

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('dir', {
      type: 'string',
      demandOption: true,
      describe: 'Output folder of a conversion, or any folder of converted models',
    })
    .option('output', {
      alias: 'o',
      type: 'string',
      describe: 'Folder for report.html, report.json and README.md [default: DIR]',
    })
    .option('reference', {
      type: 'string',
      describe: 'Checkpoint that was converted: models are run and compared with it in float32',
    })
    .option('min-psnr', {
      type: 'number',
      default: reportDefaults.minPsnr,
      describe: 'Lowest PSNR in dB that passes',
    })
    .option('pictures', {
      type: 'boolean',
      default: false,
      describe: 'Draw with float32 and with the conversion’s networks, one at a time',
    })
    .options(drawnOptions('the pictures', reportDefaults))
    .option('analysis', {
      type: 'string',
      describe: 'File of sdconvert analyze, for the curve of bytes against dB',
    })
    .option('for', forOption('; what they would refuse fails the verdict'))
    .option('force', {
      type: 'boolean',
      default: false,
      describe: 'Replace a README.md that sdconvert did not write',
    })
    .options(boundOptions)
    .example('$0 report ./out', 'what is known without running anything')
    .example(
      '$0 report ./out --reference ./stable-diffusion-v1-5 --pictures',
      'compares every model, and draws with one network of the conversion at a time',
    );
}
