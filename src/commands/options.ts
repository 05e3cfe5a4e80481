/**
 * Options of a library function, which is called as `(options, context) => Promise<result>`: the request, with every field
 * that has a default optional. The defaults are exported next to the function.
 */
export type OptionsOf<Request, Defaults extends Partial<Request>> = Omit<Request, keyof Defaults> & {
  readonly [K in keyof Defaults & keyof Request]?: Request[K] | undefined;
};

/** Fills in the defaults of fields that are left out or `undefined`. */
export function withDefaults<Request extends object, Defaults extends Partial<Request>>(
  defaults: Defaults,
  options: OptionsOf<Request, Defaults>,
): Request {
  const given = Object.entries(options).filter(([, value]) => value !== undefined);
  // as: options require every field without a default.
  return { ...defaults, ...Object.fromEntries(given) } as unknown as Request;
}
