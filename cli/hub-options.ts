import { resolve } from 'node:path';
import type { Argv } from 'yargs';
import type { HubOptions } from '../src/hub/hub-options.ts';

/** Declares the options of commands that use the Hub. */
export function declareHubOptions<T>(yargs: Argv<T>, { all } = { all: true }) {
  const withRevision = yargs
    .option('revision', {
      hidden: !all,
      type: 'string',
      describe: 'Branch, tag or commit [default: main]',
    })
    .group('revision', 'Hub:');
  return declareHubAccess(withRevision, { all });
}

/** The same for commands that are told elsewhere what of the Hub they use. */
export function declareHubAccess<T>(yargs: Argv<T>, { all } = { all: true }) {
  return yargs
    .option('token', {
      hidden: !all,
      type: 'string',
      describe:
        'Access token for private and gated models [default: HF_TOKEN, or the one of `hf auth login`]',
    })
    .option('cache-dir', {
      hidden: !all,
      type: 'string',
      describe: 'Cache folder, shared with Python [default: HF_HUB_CACHE, or ~/.cache/huggingface/hub]',
    })
    .option('offline', {
      hidden: !all,
      type: 'boolean',
      describe: 'Use only cached files [default: HF_HUB_OFFLINE]',
    })
    .group(['token', 'cache-dir', 'offline'], 'Hub:');
}

/** Settings of the Hub: from the options above, or else from the environment. */
export async function hubOptions(argv: {
  readonly revision?: string | undefined;
  readonly token: string | undefined;
  readonly 'cache-dir': string | undefined;
  readonly offline: boolean | undefined;
}): Promise<HubOptions> {
  const { revision, token, offline, 'cache-dir': cacheDir } = argv;
  const { ownHubOptions } = await import('../src/hub/hub-options.ts');
  const usual = await ownHubOptions(process.env);
  return {
    ...usual,
    revision,
    token: token?.trim() || usual.token,
    cacheDir: cacheDir ? resolve(cacheDir) : usual.cacheDir,
    offline: offline ?? usual.offline,
  };
}

/** Stages of a command, with that of downloading first where one of these models is on the Hub. */
export async function withDownload(
  stages: readonly string[],
  ...names: readonly string[]
): Promise<readonly string[]> {
  const { isOnHub } = await import('../src/checkpoint/from-hub/locate-requested.ts');
  const onHub = await Promise.all(names.map(isOnHub));
  return onHub.includes(true) ? ['download', ...stages] : stages;
}
