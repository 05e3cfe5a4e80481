import { mkdirSync, writeFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { ConfigError, NotFoundError } from '../../src/errors.ts';
import { readScheduler } from '../../src/generate/read-scheduler.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { rejectionOf } from '../support/thrown-by.ts';

const at = temporaryFolder();

function write(folder: string, text: string): void {
  mkdirSync(at(folder), { recursive: true });
  writeFileSync(at(folder, 'scheduler_config.json'), text);
}

test.each(['bare', 'checkpoint/scheduler', 'conversion/onnx/scheduler'])(
  'the scheduler in %s is read',
  async (folder) => {
    write(folder, '{"_class_name": "PNDMScheduler", "skip_prk_steps": true, "steps_offset": 1}');
    const [top = ''] = folder.split('/');
    const scheduler = await readScheduler(at(top));
    scheduler.setTimesteps(4);
    expect(scheduler.timesteps).toEqual([751, 501, 501, 251, 1]);
    const other = await readScheduler(at(top), 'ddim');
    other.setTimesteps(4);
    expect(other.timesteps).toEqual([751, 501, 251, 1]);
  },
);

test('a folder without a scheduler is refused, and a file that is none', async () => {
  await expect(readScheduler(at('nowhere'))).rejects.toThrow(NotFoundError);
  write('unknown', '{"_class_name": "NoScheduler"}');
  await expect(readScheduler(at('unknown'))).rejects.toThrow(ConfigError);
  write('list', '[]');
  await expect(readScheduler(at('list'))).rejects.toThrow(/scheduler_config\.json/);
});

test.each([
  ['beta_start', '-1', /a number above 0/],
  ['num_train_timesteps', '2147483648', /a whole number from 2 to 100000/],
  ['beta_schedule', '{"toString": 1}', /linear/],
  ['constructor', '5', /no such option/],
])('a %s of %s is refused with the path of the file', async (key, value, expected) => {
  write('wrong', `{"_class_name": "DDIMScheduler", "${key}": ${value}}`);
  const error = await rejectionOf(readScheduler(at('wrong')));
  expect(error).toBeInstanceOf(ConfigError);
  expect(error.problem).toContain(`"${key}"`);
  expect(error.details.expected).toMatch(expected);
  expect(error.details.file).toBe(at('wrong', 'scheduler_config.json'));
});
