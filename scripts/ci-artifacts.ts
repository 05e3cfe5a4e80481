/**
 * Writes what the checks in Python read. ONNX artifacts of every checkpoint in the project, in every precision and with
 * every attention: those whose sizes are free in OUT/free, those whose sizes are fixed in OUT/fixed. Core ML packages in
 * OUT/coreml: every UNet with every attention, every other network once.
 *
 *     node scripts/ci-artifacts.ts OUT
 */
import { join } from 'node:path';
import { attentionImplementations } from '../src/convert/blocks/attention.ts';
import { convertCheckpoint } from '../src/convert-checkpoint.ts';
import { precisions } from '../src/quantize/precision.ts';

const checkpoints = ['models/sd-shapes', 'test/fixtures/sd15-wide-f16', 'test/fixtures/sd21'];

const [out] = process.argv.slice(2);
if (!out) throw new Error('usage: node scripts/ci-artifacts.ts OUT');
for (const checkpoint of checkpoints) {
  for (const attention of attentionImplementations) {
    for (const precision of precisions) {
      const name = [checkpoint.split('/').at(-1), attention, precision].join('-');
      const { output, artifacts } = await convertCheckpoint({
        modelVersion: join(import.meta.dirname, '..', checkpoint),
        output: join(out, attention === 'SPLIT_EINSUM_V2' ? 'fixed' : 'free', name),
        targets: ['onnx'],
        attention,
        precision,
      });
      console.log(`${output}: ${artifacts.map(({ model }) => model).join(', ')}`);
    }
  }
  for (const attention of attentionImplementations) {
    const name = [checkpoint.split('/').at(-1), attention].join('-');
    const { output, artifacts } = await convertCheckpoint({
      modelVersion: join(import.meta.dirname, '..', checkpoint),
      output: join(out, 'coreml', name),
      targets: ['coreml'],
      attention,
      models: attention === 'SPLIT_EINSUM' ? undefined : ['unet'],
      bundle: false,
    });
    console.log(`${output}: ${artifacts.map(({ model }) => model).join(', ')}`);
  }
}
