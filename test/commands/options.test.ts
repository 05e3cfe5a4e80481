import { expect, test } from 'vitest';
import { withDefaults } from '../../src/commands/options.ts';
import {
  analyze,
  bundle,
  chunk,
  compile,
  convert,
  download,
  generate,
  inspect,
  quantize,
  run,
  validate,
} from '../../src/index.ts';

interface Request {
  readonly path: string;
  readonly force: boolean;
  readonly bits: number;
}

test('what is left out or undefined has its default; what is given, 0 and false too, stays', () => {
  const defaults = { force: true, bits: 8 } as const;
  const request = (options: { force?: boolean | undefined; bits?: number | undefined }) =>
    withDefaults<Request, typeof defaults>(defaults, { path: 'x', ...options });
  expect(request({})).toEqual({ path: 'x', force: true, bits: 8 });
  expect(request({ force: undefined, bits: undefined })).toEqual({ path: 'x', force: true, bits: 8 });
  expect(request({ force: false, bits: 0 })).toEqual({ path: 'x', force: false, bits: 0 });
});

test.each([convert, download, inspect, quantize, analyze, chunk, validate, run, compile, bundle, generate])(
  'the library is called with options and a context: %o',
  // A parameter with a default, as every context has, does not count.
  (command) => expect(command.length).toBe(1),
);
