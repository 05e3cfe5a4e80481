import type { Command } from './commands/command.ts';

/** A command in the list of commands; the command itself is loaded when it is used. */
export interface ListedCommand {
  readonly name: string;
  /** Its name and arguments as yargs takes them: `inspect <path>`. */
  readonly usage: string | readonly string[];
  /** One sentence for the list of commands. */
  readonly summary: string;
  load(): Promise<Command>;
}

/** Every command, in the order in which help lists them; the first is the default one. */
export const commands: readonly [ListedCommand, ...ListedCommand[]] = [
  {
    name: 'convert',
    usage: ['convert [checkpoint]', '$0'],
    summary: 'Convert a checkpoint (the default command)',
    load: async () => (await import('./commands/convert.ts')).convertCommand,
  },
  {
    name: 'batch',
    usage: 'batch [manifest]',
    summary: 'Convert many checkpoints into several variants each, and judge every one',
    load: async () => (await import('./commands/batch.ts')).batchCommand,
  },
  {
    name: 'submit',
    usage: 'submit <manifest>',
    summary: 'Give a manifest to the workers of a queue, on any number of machines',
    load: async () => (await import('./commands/submit.ts')).submitCommand,
  },
  {
    name: 'worker',
    usage: 'worker',
    summary: 'Do the jobs of a queue until stopped',
    load: async () => (await import('./commands/worker.ts')).workerCommand,
  },
  {
    name: 'jobs',
    usage: 'jobs',
    summary: 'Show the jobs of a queue, and what came of them',
    load: async () => (await import('./commands/jobs.ts')).jobsCommand,
  },
  {
    name: 'download',
    usage: 'download <repo>',
    summary: 'Download a checkpoint or ready-made Core ML models from the Hub',
    load: async () => (await import('./commands/download.ts')).downloadCommand,
  },
  {
    name: 'inspect',
    usage: 'inspect <path>',
    summary: 'Show what a checkpoint, weight file or converted model is',
    load: async () => (await import('./commands/inspect.ts')).inspectCommand,
  },
  {
    name: 'validate',
    usage: 'validate <path>',
    summary: 'Run converted models and compare every output with a reference',
    load: async () => (await import('./commands/validate.ts')).validateCommand,
  },
  {
    name: 'run',
    usage: 'run <artifacts..>',
    summary: 'Run a converted model, or a chain of chunks, on recorded inputs',
    load: async () => (await import('./commands/run.ts')).runCommand,
  },
  {
    name: 'quantize',
    usage: 'quantize <artifact>',
    summary: 'Store the weights of a converted model in fewer bits',
    load: async () => (await import('./commands/quantize.ts')).quantizeCommand,
  },
  {
    name: 'analyze',
    usage: 'analyze <artifact>',
    summary: 'Measure each weight at fewer bits, and choose mixed bits',
    load: async () => (await import('./commands/analyze.ts')).analyzeCommand,
  },
  {
    name: 'chunk',
    usage: 'chunk <artifact>',
    summary: 'Cut a converted UNet into chunks',
    load: async () => (await import('./commands/chunk.ts')).chunkCommand,
  },
  {
    name: 'compile',
    usage: 'compile <package>',
    summary: 'Compile a .mlpackage into a .mlmodelc, on any machine (experimental)',
    load: async () => (await import('./commands/compile.ts')).compileCommand,
  },
  {
    name: 'bundle',
    usage: 'bundle <dir>',
    summary: 'Make the folders that apps and runtimes load from converted models',
    load: async () => (await import('./commands/bundle.ts')).bundleCommand,
  },
  {
    name: 'verify',
    usage: 'verify <path>',
    summary: 'Check files against their hashes, or against what an app or runtime loads',
    load: async () => (await import('./commands/verify.ts')).verifyCommand,
  },
  {
    name: 'generate',
    usage: 'generate [text]',
    summary: 'Generate pictures with converted models, on any machine',
    load: async () => (await import('./commands/generate.ts')).generateCommand,
  },
  {
    name: 'report',
    usage: 'report <dir>',
    summary: 'Write a page that says how good a conversion is',
    load: async () => (await import('./commands/report.ts')).reportCommand,
  },
  {
    name: 'web',
    usage: 'web <dir>',
    summary: 'Make a page that draws with a conversion in the browser',
    load: async () => (await import('./commands/web.ts')).webCommand,
  },
  {
    name: 'serve',
    usage: 'serve <dir>',
    summary: 'Serve the page of a conversion on this machine',
    load: async () => (await import('./commands/serve.ts')).serveCommand,
  },
];

/** Names of all commands. */
export const commandNames: readonly string[] = commands.map(({ name }) => name);
