import { expect, test } from 'vitest';
import * as sdconvert from '../src/index.ts';

test.each([
  'convert',
  'inspect',
  'validate',
  'run',
  'chunk',
  'compile',
  'bundle',
  'generate',
  'download',
  'quantize',
  'analyze',
  'report',
])('the library has the function of the command %s', (name) =>
  expect(sdconvert).toHaveProperty(name, expect.any(Function)),
);
