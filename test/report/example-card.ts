import type { Card } from '../../src/report/card.ts';

const sha256 = 'ab'.repeat(32);

/** A card with something in every part; `text` stands wherever a text comes from a file or a person. */
export function exampleCard(text = 'some text'): Card {
  const picture = (name: string) => ({ name, width: 2, height: 2, scale: 1 });
  return {
    sdconvert: '0.0.0',
    folder: text,
    verdict: {
      result: 'fail',
      sentence: `Fail: ${text}`,
      floor: 35,
      lowest: 34.5,
      failsAt: { floor: 34.51, command: `sdconvert report ${text}` },
      reasons: [text, text],
    },
    identity: {
      name: text,
      hub: [{ repo: text, commit: text, files: [text] }],
      files: [{ name: text, sha256 }],
      family: text,
      task: text,
      recognised: text,
      prediction: text,
      scheduler: text,
      loras: [{ name: text, scale: 0.5, sha256 }],
      licence: { id: text, name: text, link: text, from: text },
      recipe: [{ option: text, value: text, of: text }],
      command: text,
      commandNote: text,
    },
    files: [
      {
        path: text,
        format: 'onnx',
        network: 'unet',
        chunk: 1,
        byteLength: 1000,
        files: [{ name: text, byteLength: 1000, sha256 }],
        weights: [{ stored: text, bits: 6, tensors: 1, parameters: 1000, byteLength: 750 }],
        precision: text,
        attention: text,
        needs: text,
        problem: text,
      },
    ],
    limits: [{ client: text, what: text, limit: 100, found: 1000, where: text, source: text }],
    parity: {
      reference: text,
      models: [
        {
          network: text,
          format: 'onnx',
          paths: [text, text],
          arithmetic: 'rounded',
          median: 40,
          lowest: 34.5,
          lowestToFloat32: 20,
          pass: false,
          outputs: [
            {
              name: text,
              inputs: text,
              psnr: 34.5,
              applePsnr: 'Infinity',
              float32Psnr: 20,
              maxAbsError: 0.1,
              nonFinite: 0,
              pass: false,
            },
          ],
          recorded: 58.2,
          apple: { psnr: 56.6, what: text, source: text },
        },
      ],
    },
    pictures: {
      prompt: text,
      seed: 1,
      steps: 2,
      guidanceScale: 3,
      scheduler: text,
      format: 'onnx',
      gain: 8,
      reference: picture('float32'),
      swapped: ['all', text].map((network) => ({
        network,
        psnr: 50,
        ssim: 0.99,
        picture: picture(text),
        difference: picture(text),
      })),
    },
    layers: [
      {
        path: text,
        network: text,
        weights: [{ name: text, form: text, bits: 6, elements: 4000, byteLength: 3000, decibels: 30 }],
        leftOut: [{ why: text, tensors: 1, parameters: 1, names: [text] }],
      },
    ],
    curve: {
      of: text,
      how: text,
      mixed: [
        { label: text, bytes: 1_000_000, psnr: 30 },
        { label: text, bytes: 2_000_000, psnr: 50 },
      ],
      uniform: [{ label: text, bytes: 1_500_000, psnr: 35 }],
      chosen: { label: text, bytes: 1_500_000, psnr: 45 },
    },
    lint: [
      {
        rule: text,
        severity: 'warning',
        problem: text,
        where: text,
        since: text,
        source: text,
        mend: text,
      },
    ],
    cost: {
      bytes: 1000,
      conversion: [{ name: text, seconds: 1 }],
      report: [{ name: text, seconds: 1 }],
      peakBytes: 1,
      read: 1,
      written: 1,
      machine: text,
    },
    notChecked: [{ what: text, why: text, command: text }],
  };
}
