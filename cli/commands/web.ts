import type { Argv } from 'yargs';
import type { webDefaults } from '../../src/commands/web.ts';
import { nextCommand } from '../../src/inspect/next-command.ts';
import { formatBytes } from '../../src/text.ts';
import { drawnNeeds, drawnOptions, drawnSettings } from '../drawn-options.ts';
import { declareHubOptions, hubOptions, withDownload } from '../hub-options.ts';
import type { NeededOption } from '../needed-options.ts';
import type { Command } from './command.ts';

type Arguments = Awaited<ReturnType<typeof declare>['argv']>;

/** What concerns the demo only. */
export const webNeeds: readonly NeededOption[] = drawnNeeds({
  needs: '--demo',
  isMet: ({ demo }) => demo !== false,
});

// The type keeps them equal to the library's.
const demoDefaults: Omit<typeof webDefaults, 'force' | 'installedIn'> = {
  prompt: 'a red circle',
  steps: 20,
  guidanceScale: 7.5,
  seed: 7,
};

/** `sdconvert web OUT`: makes a page that draws with a conversion's models in the browser. */
export const webCommand: Command = {
  options: declare,
  needed: webNeeds,
  async run(argv, report) {
    // yargs checked the types that `declare` gave each option.
    const { web, webStages } = await import('../../src/commands/web.ts');
    const { dir, output, force, demo, ...args } = argv as Arguments;
    const drawn = drawnSettings(args);
    const request = {
      ...{ folder: dir, output, force, ...drawn },
      steps: demo ? drawn.steps : 0,
      hub: await hubOptions(args),
    };
    const stages = await withDownload(webStages, dir);
    const result = await report.follow(stages, (context) => web(request, context));
    const { wasm, webGpu } = result.memory;
    report.result(
      result,
      [
        `Written to ${result.folder}: ${formatBytes(result.bytes)}, for any static web server.`,
        `A browser needs about ${formatBytes(webGpu)} of memory with WebGPU, ${formatBytes(wasm)} without.`,
        `See it: ${nextCommand('serve', result.folder).command}`,
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
    .options(
      drawnOptions(
        'the demo',
        demoDefaults,
        'Prompt of the demo, which is drawn here and compared with what the browser draws',
      ),
    )
    .option('demo', { type: 'boolean', default: true, describe: 'Draw a demo; --no-demo leaves it out' })
    .option('force', { type: 'boolean', default: false, describe: 'Replace a page that is there' })
    .example('$0 web ./out', 'writes ./out/web');
}
