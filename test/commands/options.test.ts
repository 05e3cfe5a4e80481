import { expect, test } from 'vitest';
import { withDefaults } from '../../src/commands/options.ts';
import * as sdconvert from '../../src/index.ts';

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

test('every function of the library takes options and a context', () => {
  const functions = [
    'convert',
    'download',
    'inspect',
    'quantize',
    'analyze',
    'chunk',
    'validate',
    'run',
  ] as const;
  for (const name of [...functions, 'compile', 'bundle', 'generate'] as const) {
    // The second parameter has a default, so it does not count.
    expect(sdconvert[name].length, name).toBe(1);
  }
});
