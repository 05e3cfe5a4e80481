import { homedir } from 'node:os';
import { join, resolve, sep } from 'node:path';
import { SdConvertError } from '../errors.ts';
import { checkArguments, object, text } from '../io/check-call.ts';
import { pathKind, readText } from '../io/disk.ts';
import { type ProxySettings, proxyFrom, throughProxy } from './proxy.ts';

/** Address of the Hub, folder of the cache, and credentials. */
export interface HubOptions {
  /** The address of the Hub or of a mirror: `https://huggingface.co`. */
  readonly endpoint: string;
  /** The folder that holds `models--org--name`, shared with Python's huggingface_hub. */
  readonly cacheDir: string;
  readonly token?: string | undefined;
  /** Why the token that a login left cannot be read: told where the Hub refuses. */
  readonly unreadableToken?: string | undefined;
  /** Whether to use only the cache. */
  readonly offline?: boolean | undefined;
  /** A branch, tag or commit; `main` when left out. */
  readonly revision?: string | undefined;
  /** The proxies to go through; none when left out. */
  readonly proxy?: ProxySettings | undefined;
  /** Makes every request; the platform's own when left out, through `proxy` where there is one. */
  readonly fetch?: typeof fetch | undefined;
  /** Milliseconds without a byte after which a connection counts as broken; a minute when left out. */
  readonly patience?: number | undefined;
  /** Waits before another attempt; a timer when left out. */
  readonly wait?: ((milliseconds: number, signal: AbortSignal | undefined) => Promise<void>) | undefined;
}

/** The environment variables that decide, as Python's huggingface_hub reads them. */
export type HubEnvironment = Readonly<Record<string, string | undefined>>;

/**
 * The Hub's settings from the environment (`HF_HOME`, `HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `XDG_CACHE_HOME`,
 * `HF_ENDPOINT`, `HF_TOKEN`, `HUGGING_FACE_HUB_TOKEN`, `HF_HUB_OFFLINE`; proxies as `proxyFrom`) and the token that `hf auth login` left in
 * `HF_HOME`. `home` is the user's home folder.
 */
export async function hubOptionsFrom(env: HubEnvironment, home: string): Promise<HubOptions> {
  checkArguments('hubOptionsFrom', { env: [env, object], home: [home, text] });
  const folder = (path: string): string => resolve(path.replace(/^~(?=$|[/\\])/, home));
  const cacheHome = env.XDG_CACHE_HOME || join(home, '.cache');
  const hfHome = folder(env.HF_HOME || join(cacheHome, 'huggingface'));
  const given = env.HF_TOKEN?.trim() || env.HUGGING_FACE_HUB_TOKEN?.trim();
  return withFetch({
    proxy: proxyFrom(env),
    endpoint: env.HF_ENDPOINT || 'https://huggingface.co',
    cacheDir: folder(env.HF_HUB_CACHE || env.HUGGINGFACE_HUB_CACHE || join(hfHome, 'hub')),
    ...(given ? { token: given } : await tokenIn(join(hfHome, 'token'))),
    offline: /^(1|true|yes|on)$/i.test(env.HF_HUB_OFFLINE ?? ''),
  });
}

/** Settings whose requests go through their proxy, if they have one; functions do not survive the way into another process. */
export function withFetch(options: Omit<HubOptions, 'fetch' | 'wait'>): HubOptions {
  const { proxy } = options;
  return { ...options, fetch: proxy && throughProxy(proxy) };
}

/** The settings of who runs this. */
export function ownHubOptions(env: HubEnvironment = {}): Promise<HubOptions> {
  return hubOptionsFrom(env, homeFolder());
}

/** The root where the system knows none: of users that a container has no name for, or with an empty HOME. */
function homeFolder(): string {
  try {
    return homedir() || sep;
  } catch {
    return sep;
  }
}

/** Longer files are no tokens. */
const LONGEST_TOKEN = 1 << 16;

/** Somebody else's token, or none that can be read, is no reason to fail: what is public needs none. */
async function tokenIn(file: string): Promise<Pick<HubOptions, 'token' | 'unreadableToken'>> {
  try {
    if ((await pathKind(file)) === undefined) return {};
    return { token: (await readText(file, LONGEST_TOKEN)).trim() || undefined };
  } catch (error) {
    if (!(error instanceof SdConvertError)) throw error;
    return { unreadableToken: error.problem };
  }
}
