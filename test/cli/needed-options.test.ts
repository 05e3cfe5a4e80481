import { describe, expect, test } from 'vitest';
import { bundleNeeds } from '../../cli/commands/bundle.ts';
import { neededOptions } from '../../cli/commands/convert-options.ts';
import { webNeeds } from '../../cli/commands/web.ts';
import { checkNeededOptions } from '../../cli/needed-options.ts';
import { thrownBy } from '../support/thrown-by.ts';

const plain = { target: 'onnx,coreml', 'chunk-unet': false, 'check-output-correctness': false, bundle: true };
const refused = (args: readonly string[], argv: object) =>
  thrownBy(() => checkNeededOptions(neededOptions, args, { ...plain, ...argv })).problem;
const passes = (args: readonly string[], argv: object = {}) =>
  expect(() => checkNeededOptions(neededOptions, args, { ...plain, ...argv })).not.toThrow();

describe('an option of convert that would change nothing is refused', () => {
  test.each([
    [['--max-chunk-size', '500MB'], {}, '--max-chunk-size changes nothing without --chunk-unet.'],
    [['--min-psnr=40'], {}, '--min-psnr changes nothing without --check-output-correctness.'],
    [['--unet-batch-one'], { target: 'onnx' }, '--unet-batch-one changes nothing without --target coreml.'],
    [['--compiler', 'own'], { bundle: false }, '--compiler changes nothing without --bundle.'],
  ])('%j', (args, argv, problem) => {
    expect(refused(args, argv)).toBe(problem);
  });
});

test('an option is the same in camel case', () => {
  expect(refused(['--maxChunkSize', '500MB'], {})).toBe(
    '--max-chunk-size changes nothing without --chunk-unet.',
  );
});

test('defaults, options with what they need, and what follows -- pass', () => {
  passes([]);
  passes(['--max-chunk-size', '500MB', '--chunk-unet'], { 'chunk-unet': true });
  passes(['--compiler', 'own', '--min-deployment-target', 'iOS17']);
  passes(['--', '--min-psnr']);
});

test.each([
  ['--tokenizer', { for: 'openvino' }],
  ['--compiler', { for: 'comfyui,ort-web' }],
])('%s of bundle is refused for clients that load no compiled models: %j', (option, argv) => {
  expect(thrownBy(() => checkNeededOptions(bundleNeeds, [option, 'x'], argv)).problem).toBe(
    `${option} changes nothing without --for swift, mochi or guernika.`,
  );
  for (const other of [{}, { for: 'guernika' }, { for: 'openvino,swift' }])
    expect(() => checkNeededOptions(bundleNeeds, [option, 'x'], other)).not.toThrow();
});

test.each(['--prompt', '--num-inference-steps', '--guidance-scale', '--seed'])(
  '%s of web is refused with --no-demo',
  (option) => {
    const check = (demo: boolean) => () => checkNeededOptions(webNeeds, [option, '1'], { demo });
    expect(thrownBy(check(false)).problem).toBe(`${option} changes nothing without --demo.`);
    expect(check(true)).not.toThrow();
  },
);
