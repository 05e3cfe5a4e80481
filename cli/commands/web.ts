import type { Argv } from 'yargs';
import { formatBytes } from '../../src/text.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { NeededOption } from '../needed-options.ts';
import { wholeNumber } from '../options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** What concerns the demo only. */
export const webNeeds: readonly NeededOption[] = [
  'prompt',
  'num-inference-steps',
  'guidance-scale',
  'seed',
].map((option) => ({ option, needs: '--demo', isMet: ({ demo }) => demo !== false }));

/** `sdconvert web OUT`: makes a page that draws with a conversion's models in the browser. */
export const webCommand: Command = {
  options: declare,
  needed: webNeeds,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { web, webStages } = await import('../../src/commands/web.ts');
    const { dir, output, force, prompt, ...args } = argv as Arguments;
    const steps = args.demo ? wholeNumber(args['num-inference-steps'], '--num-inference-steps', 1) : 0;
    const seed = wholeNumber(args.seed, '--seed', 0);
    const request = {
      folder: dir,
      output,
      prompt,
      steps,
      seed,
      guidanceScale: args['guidance-scale'],
      force,
      hub: await hubOptions(argv as Arguments),
    };
    const stages = await withDownload(webStages, dir);
    const result = await report.follow(stages, (context) => web(request, context));
    const { wasm, webGpu } = result.memory;
    report.result(
      result,
      [
        `Written to ${result.folder}: ${formatBytes(result.bytes)}, for any static web server.`,
        `A browser needs about ${formatBytes(webGpu)} of memory with WebGPU, ${formatBytes(wasm)} without.`,
        `See it: sdconvert serve ${result.folder}`,
      ].join('\n'),
    );
    return 0;
  },
};

function declare(yargs: Argv, how: { readonly all: boolean }) {
  return declareHubOptions(yargs, how)
    .positional('dir', {
      type: 'string',
      demandOption: true,
      describe: 'Output folder of a conversion to ONNX, or ONNX models on the Hub',
    })
    .option('output', {
      alias: 'o',
      type: 'string',
      describe: 'Folder for the page [default: DIR/web]',
    })
    .option('prompt', {
      type: 'string',
      default: 'a red circle',
      describe: 'Prompt of the demo, which is drawn here and compared with what the browser draws',
    })
    .option('num-inference-steps', { type: 'number', default: 20, describe: 'Steps of the demo' })
    .option('guidance-scale', { type: 'number', default: 7.5, describe: 'Guidance scale of the demo' })
    .option('seed', { type: 'number', default: 7, describe: 'Seed of the demo' })
    .option('demo', { type: 'boolean', default: true, describe: 'Draw a demo; --no-demo leaves it out' })
    .option('force', { type: 'boolean', default: false, describe: 'Replace a page that is there' })
    .example('$0 web ./out', 'writes ./out/web');
}
