import { describe, expect, test } from 'vitest';
import { noSuchOptions, readCommandLine, unknownOptions } from '../../cli/command-line.ts';
import { commandNames } from '../../cli/commands.ts';
import { RequestError } from '../../src/errors.ts';

describe('a command line is read as people write it', () => {
  test.each<[given: string, read: string]>([
    ['', '--help'],
    ['help', '--help'],
    ['help chunk', 'chunk --help'],
    ['help torch2coreml', 'convert --help'],
    ['-h', '-h'],
    ['--model-version x', '--model-version x'],
    ['./sd15', 'convert --model-version ./sd15'],
    ['model.safetensors --dry-run', 'convert --model-version model.safetensors --dry-run'],
    ['org/name -o out', 'convert --model-version org/name -o out'],
    ['models', 'convert --model-version models'], // a folder that is here
    ['convert ./sd15 -o out', 'convert --model-version ./sd15 -o out'],
    ['inspect ./sd15', 'inspect ./sd15'],
    ['torch2coreml --convert-unet', 'convert --convert-unet'],
    ['python_coreml_stable_diffusion.torch2coreml -o out', 'convert -o out'],
    ['python_coreml_stable_diffusion.pipeline --prompt x', 'generate --prompt x'],
    ['StableDiffusionSample --prompt x', 'generate --prompt x'],
    ['chunk_mlprogram X.mlpackage', 'chunk X.mlpackage'],
    [
      'chunk_mlprogram --remove-original --mlpackage-path X.mlpackage -o o',
      'chunk X.mlpackage --remove-original -o o',
    ],
    ['chunk --mlpackage-path=X.mlpackage', 'chunk X.mlpackage'],
  ])('sdconvert %s → %s', (given, read) => {
    expect(readCommandLine(given.split(' ').filter(Boolean)).join(' ')).toBe(read);
  });

  test.each(['multilingual_projection', 'python_coreml_stable_diffusion.activation_quantization'])(
    'what Apple has alone is named, with what to do instead: %s',
    (tool) => {
      expect(() => readCommandLine([tool])).toThrow(RequestError);
      expect(() => readCommandLine([tool])).toThrow('has no counterpart here');
    },
  );

  test('a word that is nothing is named with the nearest command', () => {
    expect(() => readCommandLine(['covert'])).toThrow('Did you mean sdconvert convert?');
    expect(() => readCommandLine(['validade', 'x'])).toThrow('Did you mean sdconvert validate?');
    expect(() => readCommandLine(['zzz'])).toThrow(/there is no command called zzz[\s\S]*sdconvert \.\/zzz/);
    expect(() => readCommandLine(['zzz'])).not.toThrow('Did you mean');
    expect(() => readCommandLine(['help', 'validade'])).toThrow('Did you mean sdconvert validate?');
  });

  test('every command is read as itself', () => {
    for (const name of commandNames) expect(readCommandLine([name, '--help'])).toEqual([name, '--help']);
  });
});

describe('an option that there is not', () => {
  const known = new Set(['quantize-nbits', 'quantizeNbits', 'convert-unet', 'output', 'o', 'json']);

  test('is found once, however it is written', () => {
    const args = [
      'x',
      '--quantise-nbits',
      '6',
      '--quantise-nbits=4',
      '--no-convert-unet',
      '--convertUnet',
      '-o',
    ];
    expect(unknownOptions(args, known)).toEqual(['quantise-nbits']);
    expect(unknownOptions(['--', '--not-an-option'], known)).toEqual([]);
    expect(unknownOptions(['--quantize_nbits', '6'], known)).toEqual(['quantize_nbits']);
    expect(noSuchOptions(['quantize_nbits'], known, '').advice).toContain('Did you mean --quantize-nbits?');
  });

  test('is named with the nearest that there is', () => {
    const { problem, advice } = noSuchOptions(['quantise-nbits'], known, 'See help.');
    expect(problem).toBe('there is no option --quantise-nbits here.');
    expect(advice).toBe('Did you mean --quantize-nbits? See help.');
    expect(noSuchOptions(['xyzzy', 'plugh'], known, 'See help.')).toMatchObject({
      problem: 'there are no options --xyzzy, --plugh here.',
      advice: 'See help.',
    });
  });
});
