import {
  DownloadError,
  NotFoundError,
  RepositoryNotFoundError,
  RequestError,
  type SdConvertError,
} from '../errors.ts';
import { version } from '../version.ts';
import { passing } from './hub-answer.ts';
import type { HubOptions } from './hub-options.ts';
import { checkProxies, proxyOf } from './proxy.ts';
import { PassingError } from './retry.ts';

/** Subject of a request, for its headers and errors. */
export interface Subject {
  readonly repo: string;
  readonly revision: string;
  /** The file in the repository; left out, the request is about the repository itself. */
  readonly file?: string;
}

/**
 * Makes one request to the Hub and follows where it leads. A token goes to the Hub's own address alone, never to one
 * that it names (files lie on other hosts, behind signed addresses). Throws `PassingError` for failures that may pass, and an
 * error that explains itself for every other refusal; status 416 is an answer.
 */
export async function hubRequest(
  url: URL,
  init: RequestInit,
  { subject, options, signal }: { subject: Subject; options: HubOptions; signal: AbortSignal | undefined },
): Promise<Response> {
  const headers = new Headers(init.headers);
  headers.set('user-agent', `sdconvert/${version}`);
  // Compressed, a file's ranges would not be the file's.
  headers.set('accept-encoding', 'identity');
  if (options.token && url.origin === new URL(options.endpoint).origin) {
    if (!/^[ -~]+$/.test(options.token)) throw noToken();
    headers.set('authorization', `Bearer ${options.token}`);
  }
  const request = options.fetch ?? fetch;
  if (options.proxy) checkProxies(options.proxy);
  const proxy = options.proxy && proxyOf(url, options.proxy);
  const way = proxy ? `${url.host} through the proxy ${proxy}` : url.host;
  const { patience } = options;
  const response = await passing(way, (either) => request(url, { ...init, headers, signal: either }), {
    signal,
    patience,
  }).catch((error: unknown) => {
    if (proxy && wantsLogin(error)) throw proxyLogin(proxy, { cause: error });
    throw isOfCertificate(error) ? untrusted(way, error) : error;
  });
  if (proxy && response.status === 407) throw proxyLogin(proxy);
  const isPage = response.headers.get('content-type')?.startsWith('text/html');
  if (response.ok && isPage && !/\.html?$/.test(subject.file ?? '')) throw pageInstead(response, url);
  if (response.ok || response.status === 416) return response;
  const error = refusal(response, subject, options);
  await response.body?.cancel().catch(() => {});
  throw error;
}

/** Whether a proxy refused to connect until somebody logs in (407). */
function wantsLogin(error: unknown): boolean {
  return error instanceof PassingError && /\b407\b/.test(error.message);
}

/** Whether a connection was refused here, for the certificate that it showed: OpenSSL's names of what was wrong with it. */
function isOfCertificate(error: unknown): boolean {
  const { code, cause } = Object(error) as { readonly code?: unknown; readonly cause?: unknown };
  return /CERT|VERIFY_LEAF_SIGNATURE/.test(String(code)) || (cause !== undefined && isOfCertificate(cause));
}

function untrusted(way: string, error: unknown): DownloadError {
  return new DownloadError(
    {
      problem: `${way} shows a certificate that is not trusted here.`,
      details: { found: error instanceof Error ? error.message : String(error) },
      advice:
        'A proxy that reads along signs with one of its own: give it to Node with NODE_EXTRA_CA_CERTS=FILE.pem, or, where the system trusts it, NODE_OPTIONS=--use-system-ca.',
    },
    { cause: error },
  );
}

function proxyLogin(proxy: string, options?: ErrorOptions): DownloadError {
  return new DownloadError(
    {
      problem: `the proxy ${proxy} wants a name and a password.`,
      advice: 'Put them into the address that HTTPS_PROXY names: http://NAME:PASSWORD@HOST:PORT.',
    },
    options,
  );
}

function refusal(response: Response, subject: Subject, options: HubOptions): Error {
  const { status, headers } = response;
  if (status === 408 || status === 429 || status >= 500)
    return new PassingError(describeBusy(status), retryAfter(headers.get('retry-after')));
  const code = headers.get('x-error-code');
  const said = headers.get('x-error-message') ?? '';
  if (code === 'GatedRepo') return gated(subject, options);
  if (status === 401 && (/invalid credentials/i.test(said) || (options.token && !code)))
    return badToken(options);
  if (code === 'RevisionNotFound') return noRevision(subject, options);
  if (code === 'EntryNotFound' || (status === 404 && !code && subject.file)) return noFile(subject, options);
  if (code === 'RepoNotFound' || status === 401 || (status === 404 && !code))
    return noRepository(subject, options);
  if (status === 403) return forbidden(subject, options, said);
  return new DownloadError({
    problem: `${options.endpoint} refused ${subject.file ?? subject.repo} with status ${status}.`,
    details: said ? { 'it says': said } : {},
    advice: 'Open the address in a browser to see whether the Hub or something before it refuses.',
  });
}

function describeBusy(status: number): string {
  if (status === 429) return 'the Hub has had too many requests from here (429)';
  return `the Hub is busy or has a fault (${status})`;
}

/** Seconds or a date, in milliseconds from now. */
function retryAfter(header: string | null): number | undefined {
  if (!header) return undefined;
  const seconds = /^\s*\d+\s*$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now();
  return Number.isFinite(seconds) ? Math.max(0, seconds) : undefined;
}

/** Told with a refusal: a token may be all that is missing. */
function tokenLeft({ token, unreadableToken }: HubOptions): Readonly<Record<string, string>> {
  return token || unreadableToken === undefined ? {} : { 'without a token': unreadableToken };
}

function noToken(): RequestError {
  return new RequestError({
    problem: 'the token for the Hub is none: it has letters that no token has.',
    advice: 'Check --token, HF_TOKEN, or the file that `hf auth login` wrote.',
  });
}

function noRepository({ repo }: Subject, options: HubOptions): SdConvertError {
  const { endpoint, token } = options;
  return new RepositoryNotFoundError({
    problem: `${repo} is neither a file or folder here nor a repository on ${endpoint}, or it is private.`,
    details: tokenLeft(options),
    advice: token
      ? 'Check the spelling; if it is private, check that your token may read it.'
      : 'Check the spelling; if it is private, give a token: --token or HF_TOKEN.',
  });
}

function gated({ repo }: Subject, options: HubOptions): SdConvertError {
  const { endpoint, token } = options;
  const accept = `accept them on ${endpoint}/${repo}`;
  return new RequestError({
    problem: `${repo} is gated: its authors require that you accept their terms.`,
    details: tokenLeft(options),
    advice: token
      ? `With the account of your token, ${accept}, then run this again.`
      : `Log in and ${accept}, then run this again with a token of that account: --token or HF_TOKEN.`,
  });
}

function badToken(options: HubOptions): SdConvertError {
  const { endpoint, token } = options;
  return new RequestError({
    problem: token ? `${endpoint} does not accept the token.` : `${endpoint} wants a token.`,
    details: tokenLeft(options),
    advice: `Make a new one on ${endpoint}/settings/tokens and give it with --token or HF_TOKEN; public models need none.`,
  });
}

function forbidden({ repo }: Subject, options: HubOptions, said: string): SdConvertError {
  const { endpoint, token } = options;
  return new RequestError({
    problem: `${endpoint} does not let ${token ? 'this token' : 'anyone without a token'} read ${repo}.`,
    details: { ...(said && { 'it says': said }), ...tokenLeft(options) },
    advice: 'Give a token that may read this repository: --token or HF_TOKEN.',
  });
}

function noRevision({ repo, revision }: Subject, { endpoint }: HubOptions): SdConvertError {
  return new NotFoundError({
    problem: `${repo} has no revision called ${revision}.`,
    advice: `See ${endpoint}/${repo}/tree/main for its branches, and leave out --revision for the newest.`,
  });
}

function noFile({ repo, revision, file }: Subject, { endpoint }: HubOptions): SdConvertError {
  return new NotFoundError({
    problem: `${repo} has no ${file} in revision ${revision}.`,
    advice: `See ${endpoint}/${repo}/tree/${revision} for its files.`,
  });
}

function pageInstead(response: Response, url: URL): SdConvertError {
  return new DownloadError({
    problem: `${url.host} answered with a web page where a file was asked for.`,
    details: {
      'asked for': url.href,
      ...(response.redirected ? { 'led to': withoutQuery(response.url) } : {}),
    },
    advice: 'A proxy or a login page answers instead: open the address in a browser to see its message.',
  });
}

/** Signed addresses carry their secret in the query. */
function withoutQuery(address: string): string {
  return address.replace(/\?.*/s, '');
}
