import { join } from 'node:path';
import type { Context } from '../../context.ts';
import { RequestError } from '../../errors.ts';
import { isAddress, isHubId } from '../../hub/hub-id.ts';
import { type HubOptions, ownHubOptions } from '../../hub/hub-options.ts';
import { pathKind } from '../../io/disk.ts';
import type { Purpose } from './choosers.ts';
import { revisionOnDisk } from './locate-models.ts';
import { type ResolvedModel, type Resolving, resolveModel } from './resolve-model.ts';

/** What a request has whose models may be on the Hub. */
export interface FromHub {
  /** Address and cache of the Hub; default: the public Hub and the usual cache. */
  readonly hub?: HubOptions | undefined;
}

/** Whether a name is that of a model on the Hub: an address, or `org/name` where there is neither that path nor a folder `org`. */
export async function isOnHub(name: string): Promise<boolean> {
  if (isAddress(name)) return true;
  if (!(await isHubId(name)) || (await pathKind(name)) !== undefined) return false;
  const [org = '', ...rest] = name.split('/');
  const isPath = /\.(onnx|mlpackage|mlmodelc|aimodel)$/.test(name);
  return rest.length > 0 && !isPath && (await pathKind(org)) === undefined;
}

/**
 * The request with local paths in the place of these names: what is on the Hub is downloaded, as far as the purpose needs
 * it. Throws as `resolveModel` does.
 */
export async function locateRequested<R extends FromHub>(
  request: R,
  purposes: { readonly [K in keyof R]?: Purpose },
  context: Context,
): Promise<R> {
  const located: Record<string, unknown> = {};
  // as: the keys are the request's, and their values names of models.
  const fields = Object.entries(purposes).map(
    ([field, purpose]) =>
      [field, purpose as Purpose, request[field as keyof R] as string | readonly string[]] as const,
  );
  await refuseRevisionOnDisk(
    request,
    fields.flatMap(([, , named]) => named),
  );
  for (const [field, purpose, named] of fields) {
    const pathOf = async (name: string): Promise<string> =>
      (await resolveRequested(name, request, { purpose }, context))?.path ?? name;
    if (typeof named === 'string') located[field] = await pathOf(named);
    else {
      const paths: string[] = [];
      for (const name of named) paths.push(await pathOf(name));
      located[field] = paths;
    }
  }
  return { ...request, ...located };
}

/** Throws `RequestError` for a revision where none of the models is on the Hub. */
export async function refuseRevisionOnDisk({ hub }: FromHub, names: readonly string[]): Promise<void> {
  if (hub?.revision === undefined) return;
  for (const name of names) if (await isOnHub(name)) return;
  throw revisionOnDisk(names.join(' and '), hub.revision);
}

/** The model that a name is of on the Hub; `undefined` for a path. Throws as `resolveModel` does. */
export async function resolveRequested(
  name: string,
  { hub }: FromHub,
  how: Pick<Resolving, 'show' | 'variant' | 'isNeeded'> & { readonly purpose: Purpose },
  context: Context,
): Promise<ResolvedModel | undefined> {
  if (!(await isOnHub(name))) return undefined;
  return resolveModel(name, { ...(hub ?? (await ownHubOptions())), ...how }, context);
}

/** Throws `RequestError` for a model on the Hub, beside which in the cache a result would be written; before it is downloaded. */
export async function refuseInCache(name: string): Promise<void> {
  if (!(await isOnHub(name))) return;
  throw new RequestError({
    problem: `${name} is in the cache of the Hub, and nothing is written there.`,
    advice: `Name an output of your own: -o ${join('.', 'out')}`,
  });
}
