import { describe, expect, test } from 'vitest';
import { convertCheckpoint } from '../../src/commands/convert.ts';
import { runArtifacts } from '../../src/commands/run.ts';
import { validate } from '../../src/commands/validate.ts';
import type { ProgressEvent } from '../../src/context.ts';
import { InterruptedError, NotFoundError, RequestError, UnsupportedModelError } from '../../src/errors.ts';
import type { TensorMap } from '../../src/formats/runner.ts';
import { openChain } from '../../src/run/chain.ts';
import { compare } from '../../src/validate/psnr.ts';
import { openReference } from '../../src/validate/reference.ts';
import { golden, sdShapes, writeModels } from '../support/sd-shapes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const at = temporaryFolder();

async function recorded(name: string): Promise<TensorMap> {
  const reference = await openReference(golden(name));
  if (reference.kind !== 'recorded') throw new Error(`${name} is not a recording`);
  return reference.tensors;
}

describe('running artifacts', () => {
  test('a model runs on a recording with Apple’s names and gives what was recorded', async () => {
    await writeModels(at('whole'), { models: ['unet'] });
    const tensors = await recorded('unet.t981');
    const outputs = await runArtifacts({ artifacts: [at('whole', 'unet')], inputs: tensors });
    expect([...outputs.keys()]).toEqual(['out_sample']);
    const [expected, found] = [tensors.get('noise_pred'), outputs.get('out_sample')];
    // Float32 sums in another order; measured 142.6 dB.
    expect(expected && found && compare(expected, found).psnr).toBeGreaterThan(130);
  });

  test('chunks in a row give the same bits as the whole, and only the last one’s outputs', async () => {
    await writeModels(at('parts'), { models: ['unet'], maxChunkBytes: 8_000_000 });
    const chunks = ['unet_chunk1', 'unet_chunk2', 'unet_chunk3'].map((name) => at('parts', name));
    const tensors = await recorded('unet.t21');
    const whole = await runArtifacts({ artifacts: [at('whole', 'unet', 'model.onnx')], inputs: tensors });
    expect(await runArtifacts({ artifacts: chunks, inputs: tensors })).toEqual(whole);
  });

  test('what a model or its chunks were given and gave is a reference for validate', async () => {
    const inputs = new Map([...(await recorded('unet.t501'))].filter(([name]) => name !== 'noise_pred'));
    const chunks = ['unet_chunk1', 'unet_chunk2', 'unet_chunk3'].map((name) => at('parts', name));
    for (const [index, artifacts] of [chunks, [at('whole', 'unet')]].entries()) {
      const reference = at(`record${index}.safetensors`);
      await runArtifacts({ artifacts, inputs, record: reference });
      for (const artifact of [at('whole', 'unet'), at('parts', 'unet_chunk1')]) {
        const [verdict] = await validate({ artifact, reference });
        expect(verdict?.outputs).toMatchObject([{ inputs: 'recorded', psnr: Number.POSITIVE_INFINITY }]);
      }
    }
    // Packages and compiled models name their inputs as Apple does; either's record serves both.
    await convertCheckpoint({ modelVersion: sdShapes, models: ['vae_encoder'], output: at('out') });
    const picture = await recorded('vae_encoder');
    const models = [
      'onnx/vae_encoder',
      'Stable_Diffusion_version_sd-shapes_vae_encoder.mlpackage',
      'Resources/VAEEncoder.mlmodelc',
    ].map((name) => at('out', name));
    for (const artifact of models) {
      const record = at('record.safetensors');
      await runArtifacts({ artifacts: [artifact], inputs: picture, record });
      for (const other of models) {
        const [verdict] = await validate({ artifact: other, reference: record });
        expect(verdict, other).toMatchObject({ pass: true });
      }
    }
  });

  test('a chain without its first chunk names what nothing provides', async () => {
    const tensors = await recorded('unet.t21');
    const refused = runArtifacts({
      artifacts: [at('parts', 'unet_chunk2'), at('parts', 'unet_chunk3')],
      inputs: tensors,
    });
    await expect(refused).rejects.toThrow(RequestError);
    await expect(refused).rejects.toThrow(/unet_chunk2.* needs the input .+, which nothing provides/);
  });

  test('a chain takes from outside what its chunks do not give each other', async () => {
    const chain = await openChain(
      [at('parts', 'unet_chunk1'), at('parts', 'unet_chunk2'), at('parts', 'unet_chunk3')],
      { optimize: false },
    );
    await chain.close();
    expect(chain.inputs.map(({ name }) => name).sort()).toEqual([
      'encoder_hidden_states',
      'sample',
      'timestep',
    ]);
    expect(chain.outputs).toEqual([
      { name: 'out_sample', dtype: 'f32', dims: ['batch_size', 4, 'height', 'width'] },
    ]);
  });

  test('what lies beside the inputs is left alone', async () => {
    const tensors = await recorded('unet.t21');
    const more = new Map([...tensors, ...(await recorded('vae_decoder'))]);
    expect(await runArtifacts({ artifacts: [at('whole', 'unet')], inputs: more })).toEqual(
      await runArtifacts({ artifacts: [at('whole', 'unet')], inputs: tensors }),
    );
  });

  test('what is not there or cannot be run is named', async () => {
    await expect(runArtifacts({ artifacts: [at('nowhere')], inputs: new Map() })).rejects.toThrow(
      NotFoundError,
    );
    await expect(runArtifacts({ artifacts: [sdShapes], inputs: new Map() })).rejects.toThrow(
      UnsupportedModelError,
    );
    await expect(
      runArtifacts({ artifacts: [at('whole', 'unet'), at('nowhere')], inputs: new Map() }),
    ).rejects.toThrow('nowhere does not exist');
    await expect(runArtifacts({ artifacts: [], inputs: new Map() })).rejects.toThrow(RequestError);
  });

  test('an aborted signal stops it, and progress is told', async () => {
    const events: ProgressEvent[] = [];
    const controller = new AbortController();
    const onProgress = (event: ProgressEvent) => void events.push(event);
    await runArtifacts(
      { artifacts: [at('whole', 'unet')], inputs: await recorded('unet.t21') },
      { onProgress },
    );
    expect(events.filter(({ type }) => type === 'progress')).toEqual([
      { type: 'progress', stage: 'run', what: at('whole', 'unet', 'model.onnx'), done: 0, total: 1 },
    ]);
    controller.abort();
    const stopped = runArtifacts(
      { artifacts: [at('whole', 'unet')], inputs: await recorded('unet.t21') },
      {
        signal: controller.signal,
      },
    );
    await expect(stopped).rejects.toThrow(InterruptedError);
  });
});
