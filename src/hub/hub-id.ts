import { join } from 'node:path';
import { RequestError } from '../errors.ts';
import { pathKind } from '../io/disk.ts';

/** A repository on the Hub, or one file in it. */
export interface HubId {
  /** `org/name`, or `name` for the oldest repositories. */
  readonly repo: string;
  /** The file's path in the repository, when one is named. */
  readonly file?: string | undefined;
}

const segment = /^\w(?:[\w.-]*\w)?$/;
const weightFile = /\.(safetensors|ckpt|pt|pth|bin|gguf)$/i;

/** Takes `org/name`, `name` or `org/name/path/to/file.safetensors` apart; `undefined` for anything else. */
export function parseHubId(text: string): HubId | undefined {
  const [first = '', second, ...rest] = text.split('/');
  const names = second === undefined ? [first] : [first, second];
  if (!names.every((name) => segment.test(name) && !/--|\.\./.test(name))) return undefined;
  const repo = names.join('/');
  // A file of that name would be meant, and it is not there.
  if (rest.length === 0) return weightFile.test(repo) ? undefined : { repo };
  const file = rest.join('/');
  return weightFile.test(file) && isPlainPath(file) ? { repo, file } : undefined;
}

/**
 * Whether a text names a model on the Hub: it is spelled like one, and no file or folder of that name exists, but for what
 * a conversion of it wrote here.
 */
export async function isHubId(text: string): Promise<boolean> {
  if (parseHubId(text) === undefined) return false;
  return (await pathKind(text)) === undefined || (await isOutput(text));
}

/** Whether a folder is the output of a conversion, and so never a model to be converted. */
export async function isOutput(folder: string): Promise<boolean> {
  return (await pathKind(join(folder, 'sdconvert.json'))) === 'file';
}

/** Whether a name stays in the folder that it is joined to, on every system. */
export function isPlainPath(name: string): boolean {
  return (
    !/[\\\0]|^[a-z]:/i.test(name) && name.split('/').every((part) => part !== '' && !/^\.{1,2}$/.test(part))
  );
}

/** `parseHubId` for a text that must be one. Throws `RequestError`. */
export function requireHubId(text: string): HubId {
  const id = parseHubId(text);
  if (id) return id;
  throw new RequestError({
    problem: `${text} is not the name of a repository on the Hub.`,
    advice: 'Write it as org/name, or org/name/file.safetensors for one file.',
  });
}
