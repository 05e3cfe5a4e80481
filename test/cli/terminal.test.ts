import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/temporary-folder.ts';

const root = join(import.meta.dirname, '../..');
const model = join(root, 'models/sd-shapes');
const temporary = temporaryFolder();

interface Shown {
  readonly code: number;
  readonly shown: string;
  /** How much of that there was whenever it had stopped. */
  readonly stops: readonly number[];
}

/** What a person sees who runs sdconvert in a terminal and presses Ctrl-C (Ctrl-Z: `^Z`) each time the next text is shown. */
function inTerminal(columns: number, interrupts: readonly string[], ...args: readonly string[]): Shown {
  const pressed = interrupts.length > 0 ? ['--interrupt', interrupts.join(',')] : [];
  const command = [process.execPath, join(root, 'cli/main.ts'), ...args];
  const terminal = [join(root, 'test/support/terminal.py'), String(columns), ...pressed, '--', ...command];
  return JSON.parse(execFileSync('python3', terminal, { encoding: 'utf8', maxBuffer: 1 << 26 }));
}

/** The rows that stay when the list is done: what is drawn after the screen was last cleared upwards. */
function finalRows({ shown }: Shown): string[] {
  const last = shown.split('\x1b[?2026l').at(-1) ?? '';
  return stripVTControlCharacters(last)
    .split('\n')
    .map((row) => row.trimEnd())
    .filter((row) => row !== '');
}

const SHOW_CURSOR = '\x1b[?25h';

function showsCursor(shown: string): boolean {
  return shown.lastIndexOf(SHOW_CURSOR) > shown.lastIndexOf('\x1b[?25l');
}

const hasPython = (() => {
  try {
    return execFileSync('python3', ['-c', 'import pty']).length === 0;
  } catch {
    return false; // Windows has no pseudo-terminals of this kind
  }
})();

describe.skipIf(!hasPython)('in a terminal', () => {
  test('each stage keeps what it did and its seconds, notes stand below, and nothing is wider than the window', () => {
    const out = temporary('drawn');
    const drawn = inTerminal(80, [], '--model-version', model, '-o', out, '--convert-vae-decoder');
    const rows = finalRows(drawn);
    expect(drawn.code).toBe(0);
    const stages = rows.filter((row) => row.startsWith('✔'));
    expect(stages.length).toBeGreaterThanOrEqual(6);
    for (const stage of stages) expect(stage).toMatch(/^✔ \w+ +\S+/);
    expect(rows.find((row) => row.includes(' MB to '))).toMatch(/\d\.\d s$/);
    expect(rows.find((row) => row.startsWith('  › '))).toContain("the VAE's scaling factor");
    const list = rows.slice(
      0,
      rows.findIndex((row) => row.startsWith('artifact')),
    );
    expect(Math.max(...list.map((row) => row.length))).toBeLessThanOrEqual(80);
  });

  test('a narrow window shows how far it is, in one row', () => {
    const out = temporary('narrow');
    const { shown } = inTerminal(
      40,
      [],
      '--model-version',
      model,
      '-o',
      out,
      '--convert-unet',
      '--no-bundle',
    );
    const progress = stripVTControlCharacters(shown)
      .split('\n')
      .filter((row) => /\d+ %/.test(row));
    expect(progress.length).toBeGreaterThan(0);
    expect(Math.max(...progress.map((row) => row.trimEnd().length))).toBeLessThanOrEqual(40);
  });

  test('Ctrl-C while models are written ends with 130, one sentence and nothing half-written', () => {
    const out = temporary('interrupted');
    const interrupted = inTerminal(80, [' of 42'], '--model-version', model, '-o', out);
    expect(interrupted.code).toBe(130);
    const rows = finalRows(interrupted);
    expect(rows.filter((row) => row.startsWith('InterruptedError'))).toEqual([
      'InterruptedError: interrupted; nothing half-written was left behind.',
    ]);
    const left = existsSync(out) ? readdirSync(out, { recursive: true, encoding: 'utf8' }) : [];
    expect(left.filter((path) => path.includes('.sdc-'))).toEqual([]);
  });

  test('Ctrl-Z gives the cursor back, and fg hides it again until the end', () => {
    const { code, shown, stops } = inTerminal(
      80,
      ['^Z of 42'],
      '--model-version',
      model,
      '-o',
      temporary('halted'),
    );
    expect(code).toBe(0);
    expect(stops).toHaveLength(1);
    const [halted = 0] = stops;
    expect(showsCursor(shown.slice(0, halted))).toBe(true);
    const shows = shown.indexOf(SHOW_CURSOR, halted);
    expect(showsCursor(shown.slice(0, shows))).toBe(false);
    expect(showsCursor(shown)).toBe(true);
  });

  test('a batch shows each item as it ends, and keeps it', () => {
    // More than the terminal has rows; each fails at once, for its hash.
    const sources = Array.from({ length: 60 }, (_, index) => {
      const source = temporary(`model-${index}.safetensors`);
      writeFileSync(source, 'x');
      return { source, sha256: '0'.repeat(64) };
    });
    const manifest = temporary('batch.json');
    writeFileSync(manifest, JSON.stringify({ sources, output: temporary('converted') }));
    const { code, shown } = inTerminal(80, [], 'batch', manifest);
    expect(code).toBe(1);
    const noted = stripVTControlCharacters(shown).match(/^\r?note +\S+ failed: /gm) ?? [];
    expect(noted).toHaveLength(60);
    expect(shown).not.toContain('\x1b[1A'); // nothing above is written again
  });

  test('Ctrl-C while a model is run ends with 130, and a second one at once, without a crash', () => {
    const out = temporary('run');
    const convert = ['--model-version', model, '-o', out, '--target', 'onnx', '--convert-vae-decoder'];
    expect(inTerminal(80, [], ...convert).code).toBe(0);
    const validate = ['validate', out, '--reference', model];
    const once = inTerminal(80, ['vae_decoder'], ...validate);
    expect(once.code).toBe(130);
    expect(once.shown).toContain('InterruptedError');
    const twice = inTerminal(80, ['vae_decoder', '^C'], ...validate);
    expect(twice.code).toBe(130);
    expect(showsCursor(twice.shown)).toBe(true);
    expect(twice.shown).not.toMatch(/terminate called|Napi|core dumped/);
  });
});
