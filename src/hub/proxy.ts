import { RequestError } from '../errors.ts';
import { shown } from '../io/error-text.ts';

/** The proxies that stand between here and the Hub, and who is asked without them. */
export interface ProxySettings {
  /** For `http:` addresses. */
  readonly http?: string | undefined;
  /** For `https:` addresses. */
  readonly https?: string | undefined;
  /** Hosts that are asked directly, comma-separated; `*` stands for all. */
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

async function connected({ http, https, except }: ProxySettings): Promise<typeof fetch> {
  const { EnvHttpProxyAgent, fetch: request } = await import('undici');
  const dispatcher = new EnvHttpProxyAgent({
    ...(http && { httpProxy: withScheme(http) }),
    ...(https && { httpsProxy: withScheme(https) }),
    noProxy: except ?? '',
  });
  // as: the platform's fetch is undici's; only their types are declared twice.
  const fetchThrough: unknown = (input: string, init: object) => request(input, { ...init, dispatcher });
  return fetchThrough as typeof fetch;
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

/** The proxy for an address as an error may name it: without its password. */
export function proxyOf(url: URL, { http, https }: ProxySettings): string {
  const proxy = (url.protocol === 'https:' ? https : http) ?? '';
  return withoutPassword(withScheme(proxy));
}

function withoutPassword(proxy: string): string {
  return proxy.replace(/\/\/[^@/]*@/, '//');
}
