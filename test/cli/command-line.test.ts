import { describe, expect, test } from 'vitest';
import yargs from 'yargs';
import { literally, noSuchOptions, readCommandLine, unknownOptions } from '../../cli/command-line.ts';
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
    ['./sd15', 'convert ./sd15'],
    ['model.safetensors --dry-run', 'convert model.safetensors --dry-run'],
    ['org/name -o out', 'convert org/name -o out'],
    ['models', 'convert models'], // a folder that is here
    ['-o out ./sd15', '-o out ./sd15'],
    ['convert ./sd15 -o out', 'convert ./sd15 -o out'],
    ['inspect ./sd15', 'inspect ./sd15'],
    ['torch2coreml --convert-unet', 'convert --convert-unet'],
    ['-m python_coreml_stable_diffusion.torch2coreml -o out', 'convert -o out'],
    ['python_coreml_stable_diffusion.torch2coreml -o out', 'convert -o out'],
    ['python_coreml_stable_diffusion.pipeline --prompt x', 'generate --prompt x'],
    ['StableDiffusionSample --prompt x', 'generate --prompt x'],
    ['chunk_mlprogram X.mlpackage', 'chunk X.mlpackage'],
    [
      'chunk_mlprogram --remove-original --mlpackage-path X.mlpackage -o o',
      'chunk X.mlpackage --remove-original -o o',
    ],
    ['chunk --mlpackage-path=X.mlpackage', 'chunk X.mlpackage'],
    [
      'mixed_bit_compression_apply --mlpackage-path X.mlpackage --pre-analysis-json-path r.json --selected-recipe r4 -o Y.mlpackage',
      'quantize X.mlpackage -o Y.mlpackage --recipe r.json#r4',
    ],
    ['quantize X.mlpackage --pre-analysis-json-path=r.json', 'quantize X.mlpackage --recipe r.json'],
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

  test('an option that takes a package needs one', () => {
    for (const line of [
      'chunk --mlpackage-path',
      'chunk --mlpackage-path --remove-original',
      'chunk --mlpackage-path=',
    ])
      expect(() => readCommandLine(line.split(' '))).toThrow('--mlpackage-path needs a value.');
  });

  test('every command is read as itself', () => {
    for (const name of commandNames) expect(readCommandLine([name, '--help'])).toEqual([name, '--help']);
  });
});

test('quotes that the shell has left in a value are a part of it', () => {
  const values = ['"x"', "'x'", '"', '""', '"a" and "b"', '"x', 'x', '"two\nlines"'];
  for (const value of values) {
    const given = ['generate', `--prompt=${value}`, `-o=${value}`, '--', '--prompt="x"'];
    const read = yargs(literally(given)).option('prompt', { type: 'string' }).option('o', { type: 'string' });
    expect(read.parseSync()).toMatchObject({ prompt: value, o: value, _: ['generate', '--prompt="x"'] });
  }
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
    expect(unknownOptions(args, known)).toEqual(['--quantise-nbits']);
    expect(unknownOptions(['--', '--not-an-option'], known)).toEqual([]);
    expect(unknownOptions(['--quantize_nbits', '6'], known)).toEqual(['--quantize_nbits']);
    expect(noSuchOptions(['--quantize_nbits'], known, '').advice).toContain('Did you mean --quantize-nbits?');
  });

  test('with one dash before its name is found, too; single letters with a value are none', () => {
    expect(unknownOptions(['-q', '-x=1'], known)).toEqual(['-q', '-x']);
    expect(unknownOptions(['-output', 'out', '-o=x', '-o./x', '-o7', '-5', '-o'], known)).toEqual([
      '-output',
    ]);
    expect(noSuchOptions(['-output'], known, '')).toMatchObject({
      problem: 'there is no option -output here.',
      advice: 'Did you mean --output? ',
    });
  });

  test('is named with the nearest that there is', () => {
    const { problem, advice } = noSuchOptions(['--quantise-nbits'], known, 'See help.');
    expect(problem).toBe('there is no option --quantise-nbits here.');
    expect(advice).toBe('Did you mean --quantize-nbits? See help.');
    expect(noSuchOptions(['--xyzzy', '--plugh'], known, 'See help.')).toMatchObject({
      problem: 'there are no options --xyzzy, --plugh here.',
      advice: 'See help.',
    });
  });
});
