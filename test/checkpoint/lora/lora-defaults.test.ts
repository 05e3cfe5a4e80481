import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test, vi } from 'vitest';
import { loraSettings } from '../../../src/checkpoint/lora/lora-defaults.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';

const at = temporaryFolder();

function settings(name: string, config: unknown) {
  mkdirSync(at(name));
  writeFileSync(at(name, 'adapter_config.json'), JSON.stringify(config));
  return loraSettings(at(name, 'adapter_model.safetensors'), {});
}

test('the first pattern that a module ends in counts, as in PEFT', async () => {
  const patterns = { to_q: 1, 'attn.to_q': 2, k: 3, 'up.attn.to_k': 4, 'down.attn.to_k': 5 };
  const { rankOf, defaultsOf } = await settings('first', {
    r: 9,
    rank_pattern: patterns,
    alpha_pattern: patterns,
  });
  const modules = [
    'base_model.model.up.attn.to_q',
    'to_q',
    'up.attn.to_k',
    'x.down.attn.to_k',
    'to_v',
    'x.k',
  ];
  expect(modules.map(rankOf)).toEqual([1, 1, 4, 5, 9, 3]);
  expect(modules.map((module) => defaultsOf(module).alpha)).toEqual([1, 1, 4, 5, 8, 3]);
});

test('patterns are not gone through for every module', async () => {
  const patterns = Object.fromEntries(Array.from({ length: 2000 }, (_, index) => [`x${index}.to_q`, 1]));
  const { rankOf, defaultsOf } = await settings('many', { rank_pattern: patterns, alpha_pattern: patterns });
  const compared = vi.spyOn(String.prototype, 'endsWith');
  for (let index = 0; index < 100; index++) {
    rankOf(`y.x${index}.to_q`);
    defaultsOf(`y.x${index}.to_q`);
  }
  const { length } = compared.mock.calls;
  compared.mockRestore();
  expect(length).toBeLessThan(1000);
});
