import { join } from 'node:path';
import { RequestError } from '../errors.ts';
import { pathKind } from '../io/disk.ts';

/** A repository on the Hub, or a file or folder in it. */
export interface HubId {
  /** `org/name`, or `name` for the oldest repositories. */
  readonly repo: string;
  /** The file's path in the repository, when one is named. */
  readonly file?: string | undefined;
  /** The folder's, when that is named. */
  readonly folder?: string | undefined;
  /** The branch, tag or commit, when an address names it. */
  readonly revision?: string | undefined;
}

const segment = /^\w(?:[\w.-]*\w)?$/;
const weightFile = /\.(safetensors|ckpt|pt|pth|bin|gguf)$/i;
const modelFile = /\.(safetensors|ckpt|pt|pth|bin|gguf|onnx)$/i;

/** The public addresses of the Hub. */
const hubHosts = ['huggingface.co', 'www.huggingface.co', 'hf.co'];

/**
 * Takes apart what names a model on the Hub: `org/name`, `name`, `org/name/path/to/file.safetensors`,
 * `hf://org/name[@revision][/path]`, or an address of one of its pages or files, `https://huggingface.co/org/name/blob/main/…`
 * (of the mirror at `endpoint`, too). `undefined` for anything else.
 */
export function parseHubId(text: string, endpoint?: string): HubId | undefined {
  if (/^hf:\/\//i.test(text)) return parseScheme(text.slice('hf://'.length));
  if (/^https?:\/\//i.test(text)) return parseAddress(text, endpoint);
  const [first = '', second, ...rest] = text.split('/');
  const repo = repository(second === undefined ? [first] : [first, second]);
  // A file of that name would be meant, and it is not there.
  if (repo === undefined || rest.length === 0)
    return repo === undefined || weightFile.test(repo) ? undefined : { repo };
  return weightFile.test(text) ? within({ repo }, rest) : undefined;
}

/** `org/name@revision/path`, as Python's file systems write it; a branch may have its slashes as %2F. */
function parseScheme(path: string): HubId | undefined {
  const [org = '', named = '', ...rest] = path.split('/');
  const [name = '', revision] = named.split('@', 2);
  const repo = repository([org, name]);
  return repo === undefined ? undefined : within({ repo, ...at(revision) }, rest);
}

function parseAddress(text: string, endpoint: string | undefined): HubId | undefined {
  if (!URL.canParse(text)) return undefined;
  const { host, pathname } = new URL(text);
  const isHub = hubHosts.includes(host) || (endpoint !== undefined && host === hostOf(endpoint));
  const [org = '', name = '', page, revision, ...rest] = pathname.split('/').slice(1).map(decoded);
  const repo = isHub && !otherKinds.includes(org) ? repository(name === '' ? [org] : [org, name]) : undefined;
  if (repo === undefined) return undefined;
  if (page === undefined || page === '') return { repo };
  return ['blob', 'resolve', 'raw', 'tree'].includes(page)
    ? within({ repo, ...at(revision) }, rest)
    : { repo };
}

/** What the Hub has besides models. */
const otherKinds = ['datasets', 'spaces', 'docs', 'papers', 'collections', 'api'];

function hostOf(endpoint: string): string | undefined {
  return URL.canParse(endpoint) ? new URL(endpoint).host : undefined;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function at(revision: string | undefined): Pick<HubId, 'revision'> {
  return revision ? { revision: decoded(revision) } : {};
}

function repository(names: readonly string[]): string | undefined {
  return names.every((name) => segment.test(name) && !/--|\.\./.test(name)) ? names.join('/') : undefined;
}

/** A file or folder of a repository; what ends in a slash is a folder. */
function within(id: HubId, segments: readonly string[]): HubId | undefined {
  const path = segments.join('/').replace(/\/$/, '');
  if (path === '') return id;
  if (!isPlainPath(path)) return undefined;
  return modelFile.test(path) ? { ...id, file: path } : { ...id, folder: path };
}

/** An id as people write it: `org/name/file.safetensors`. */
export function idText({ repo, file, folder }: HubId): string {
  return [repo, file ?? folder].filter((part) => part !== undefined).join('/');
}

/** Whether a text is an address, of the Hub or of anything else, and never a path. */
export function isAddress(text: string): boolean {
  return /^(hf|https?):\/\//i.test(text);
}

/** Whether a file holds weights, by its name. */
export function isWeightFile(name: string): boolean {
  return modelFile.test(name) || /\.(onnx_data(_\d+)?|mlmodel|mlirb|h5|msgpack|pb)$/.test(name);
}

/**
 * Whether a text names a model on the Hub: it is spelled like one, and no file or folder of that name exists, but for what
 * a conversion of it wrote here.
 */
export async function isHubId(text: string): Promise<boolean> {
  if (isAddress(text)) return true; // one that is not the Hub's is refused by what opens it
  if (parseHubId(text) === undefined) return false;
  return (await pathKind(text)) === undefined || (await isOutput(text));
}

/** Whether a folder is the output of a conversion, and so never a model to be converted. */
export async function isOutput(folder: string): Promise<boolean> {
  return (await pathKind(join(folder, 'sdconvert.json'))) === 'file';
}

/** Whether a name stays in the folder that it is joined to, on every system, and is one that can be written: no half of a letter. */
export function isPlainPath(name: string): boolean {
  return (
    name.isWellFormed() &&
    !/[\\\0]|^[a-z]:/i.test(name) &&
    name.split('/').every((part) => part !== '' && !/^\.{1,2}$/.test(part))
  );
}

/** `parseHubId` for a text that must be one. Throws `RequestError`. */
export function requireHubId(text: string, endpoint?: string): HubId {
  const id = parseHubId(text, endpoint);
  if (id) return id;
  if (isAddress(text)) {
    throw new RequestError({
      problem: `${text} is not the address of a model on the Hub.`,
      advice:
        'Write org/name, hf://org/name/file or https://huggingface.co/org/name. From elsewhere, download the file and name it.',
    });
  }
  throw new RequestError({
    problem: `${text} is not the name of a repository on the Hub.`,
    advice: 'Write it as org/name, or org/name/file.safetensors for one file.',
  });
}
