import { join } from 'node:path';
import { NotFoundError } from '../errors.ts';
import { nextCommand } from '../inspect/next-command.ts';
import { exists, pathKind } from '../io/disk.ts';
import { notFound } from '../io/not-found.ts';
import { type RunningServer, type ServerAddress, serveFolder } from '../web/serve-folder.ts';
import { WEB_FOLDER } from '../web/web-folder.ts';
import { checkRequest } from './check-request.ts';
import { type OptionsOf, withDefaults } from './options.ts';

/** A page to serve. */
export interface ServeRequest extends ServerAddress {
  /** A folder with a page that `web` made, or the conversion's output folder that holds it. */
  readonly folder: string;
}

/** Defaults of `serve`. */
export const serveDefaults = { host: '127.0.0.1', port: 8080 } as const satisfies Partial<ServeRequest>;

/** Options of `serve`; only `folder` is required. */
export type ServeOptions = OptionsOf<ServeRequest, typeof serveDefaults>;

/**
 * Serves a page on this machine until it is closed, with the headers that give browsers threads. Throws `NotFoundError`
 * when there is no page, `RequestError` for an address that cannot be listened on.
 */
export async function serve(options: ServeOptions): Promise<RunningServer & { readonly folder: string }> {
  checkRequest('serve', options);
  const { folder, host, port } = withDefaults<ServeRequest, typeof serveDefaults>(serveDefaults, options);
  const page = await pageFolder(folder);
  return { folder: page, ...(await serveFolder(page, { host, port })) };
}

async function pageFolder(folder: string): Promise<string> {
  if ((await pathKind(folder)) !== 'folder')
    throw notFound(folder, 'Name the output folder of a conversion, or a folder that sdconvert web wrote.');
  for (const each of [join(folder, WEB_FOLDER), folder])
    if (await exists(join(each, 'index.html'))) return each;
  throw new NotFoundError({
    problem: `${folder} has no page to serve.`,
    advice: `Make one first: ${nextCommand('web', folder).command}`,
  });
}
