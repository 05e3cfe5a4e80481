import { RequestError } from '../errors.ts';
import { shown } from '../io/error-text.ts';

/** The proxies that stand between here and the Hub, and who is asked without them. */
export interface ProxySettings {
  /** For `http:` addresses. */
  readonly http?: string | undefined;
  /** For `https:` addresses. */
  readonly https?: string | undefined;
  /** Hosts and domains that are asked directly, comma-separated; `*` stands for all. */
  readonly except?: string | undefined;
}

/**
 * The proxies that the environment names, as curl and Python do: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and
 * `NO_PROXY`, small or capital (small ones first). `undefined` where it names none.
 */
export function proxyFrom(env: Readonly<Record<string, string | undefined>>): ProxySettings | undefined {
  const named = (name: string): string | undefined => env[name.toLowerCase()] || env[name] || undefined;
  const all = named('ALL_PROXY');
  const [http, https] = [named('HTTP_PROXY') ?? all, named('HTTPS_PROXY') ?? named('HTTP_PROXY') ?? all];
  return http || https ? { http, https, except: named('NO_PROXY') } : undefined;
}

/** Makes requests through the proxies; the platform's own `fetch` knows of none. */
export function throughProxy(proxies: ProxySettings): typeof fetch {
  let ready: Promise<typeof fetch> | undefined;
  return async (input, init) => {
    ready ??= connected(proxies);
    return (await ready)(input, init);
  };
}

async function connected(proxies: ProxySettings): Promise<typeof fetch> {
  const { Agent, Pool, ProxyAgent, fetch: request } = await import('undici');
  const dispatcher = new Agent({
    factory(origin, options) {
      const proxy = proxyFor(new URL(origin), proxies);
      return proxy === undefined ? new Pool(origin, options) : new ProxyAgent(proxy);
    },
  });
  // as: the platform's fetch is undici's; only their types are declared twice.
  const fetchThrough: unknown = (input: string, init: object) => request(input, { ...init, dispatcher });
  return fetchThrough as typeof fetch;
}

/** The proxy for an address; `undefined` for one that is asked directly. */
function proxyFor(url: URL, { http, https, except = '' }: ProxySettings): string | undefined {
  const proxy = url.protocol === 'https:' ? https : http;
  const isDirect = except.split(/[\s,]+/).some((entry) => isMeant(entry.toLowerCase(), url));
  return proxy && !isDirect ? withScheme(proxy) : undefined;
}

/** Whether an entry of `NO_PROXY` means a host: itself or a domain above it, on any port or on that of the entry; `*` means all. */
function isMeant(entry: string, { hostname, port, protocol }: URL): boolean {
  if (entry === '*') return true;
  // An IPv6 address has colons of its own.
  const [, named = entry, only] = /^([^:]+|\[.+\]):(\d+)$/.exec(entry) ?? [];
  const name = /^[^[]*:/.test(named) ? `[${named}]` : named.replace(/^\*?\./, '');
  const own = port || (protocol === 'https:' ? '443' : '80');
  const isHost = hostname === name || hostname.endsWith(`.${name}`);
  return name !== '' && isHost && (only === undefined || only === own);
}

/** Throws `RequestError` for an address that is none of a proxy; only who asks the Hub needs one. */
export function checkProxies({ http, https }: ProxySettings): void {
  for (const proxy of [http, https]) {
    if (!proxy || (URL.canParse(withScheme(proxy)) && /^https?:/i.test(withScheme(proxy)))) continue;
    throw new RequestError({
      problem: `${shown(withoutPassword(proxy))} is not the address of a proxy.`,
      advice: 'Write HTTPS_PROXY, HTTP_PROXY or ALL_PROXY as http://HOST:PORT, or leave it out.',
    });
  }
}

/** `proxy.example:3128` → `http://proxy.example:3128`, as curl reads it. */
function withScheme(proxy: string): string {
  return /^[a-z][a-z\d+.-]*:\/\//i.test(proxy) ? proxy : `http://${proxy}`;
}

/** The proxy for an address as an error may name it: without its password; `undefined` for one that is asked directly. */
export function proxyOf(url: URL, proxies: ProxySettings): string | undefined {
  const proxy = proxyFor(url, proxies);
  return proxy && withoutPassword(proxy);
}

function withoutPassword(proxy: string): string {
  return proxy.replace(/\/\/[^@/]*@/, '//');
}
