/**
 * How every function of the library is called: `(options, context) => Promise<result>`. The options are a request of which
 * what has a default may be left out; the defaults are an exported constant beside the function.
 */
export type OptionsOf<Request, Defaults extends Partial<Request>> = Omit<Request, keyof Defaults> & {
  readonly [K in keyof Defaults & keyof Request]?: Request[K] | undefined;
};

/** The request that options ask for: what is left out, or `undefined`, has its default. */
export function withDefaults<Request extends object, Defaults extends Partial<Request>>(
  defaults: Defaults,
  options: OptionsOf<Request, Defaults>,
): Request {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  // as: the options have what has no default.
  return { ...defaults, ...Object.fromEntries(given) } as unknown as Request;
}
