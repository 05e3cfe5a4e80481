import { expect, test } from 'vitest';
import { checkGiven } from '../../cli/check-values.ts';
import { thrownBy } from '../support/thrown-by.ts';

const declared = {
  array: ['lora', 'controlnet-scale'],
  boolean: ['force', 'dry-run', 'bundle'],
  number: ['min-psnr', 'nbits', 'controlnet-scale'],
  key: Object.fromEntries(
    ['output', 'lora', 'controlnet-scale', 'force', 'dry-run', 'bundle', 'min-psnr', 'nbits'].map((name) => [
      name,
      true,
    ]),
  ),
  alias: { nbits: ['quantize-nbits'], output: ['o'] },
};

test.each([
  [['--dry-run=yes'], '--dry-run is on or off, and takes no value such as yes.'],
  [['--dryRun=1'], '--dryRun is on or off, and takes no value such as 1.'],
  [['--force='], '--force is on or off, and takes no value such as an empty one.'],
  [['--no-output'], '--no-output turns nothing off: --output takes a value.'],
  [['--no-min-psnr'], '--no-min-psnr turns nothing off: --min-psnr takes a value.'],
  [['--no-lora', 'x'], '--no-lora turns nothing off: --lora takes a value.'],
  [['--noLora'], undefined], // told as unknown
  [['--min-psnr='], '--min-psnr is empty.'],
  [['--minPsnr', ''], '--min-psnr is empty.'],
  [['--min-psnr', ' '], '--min-psnr is empty.'],
  [['--quantize-nbits', ''], '--nbits is empty.'],
  [['--controlnet-scale', '1', ''], '--controlnet-scale is empty.'],
])('%j', (args, problem) => {
  if (problem === undefined) expect(() => checkGiven(args, declared)).not.toThrow();
  else expect(thrownBy(() => checkGiven(args, declared)).problem).toBe(problem);
});

test('what is spelled as it is meant passes', () => {
  const lines = [
    ['--force', '--no-bundle', '--dry-run=true', '--force=false', '--dry-run', 'true'],
    ['--min-psnr', '0', '--nbits=4', '-o', 'out', '--controlnet-scale', '1', '0.5', '--output='],
    ['--no-constructor', '--no-such', '--lora', 'a', ''], // told elsewhere
    ['--', '--no-output', '--min-psnr='],
  ];
  for (const line of lines) expect(() => checkGiven(line, declared)).not.toThrow();
});
