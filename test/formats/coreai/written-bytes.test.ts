import { expect, test } from 'vitest';
import { writeFiles } from '../../../src/formats/write-files.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { type SmallForm, smallAsset } from './small-assets.ts';

const at = temporaryFolder();

/**
 * SHA-256 of the programs of small assets that Apple's runtime (coreai-core 1.0.0b3) computes as our own `run` does: they guard
 * the writer where the runtime cannot be installed. `test/python/check_coreai.py` runs the same assets: after a change that is
 * meant, it must pass before these are changed.
 */
const known: Readonly<Record<SmallForm, string>> = {
  float32: '3b8bf9cd5264442ed74cd0f8460339c811b70122b967c4108356de148b6182b5',
  float16: 'a24d6b918252f539b8ead3f01b00a9b81111db5b249a3c16356a5fd67d25df41',
  'palette of 4 bits': '99b53f68fa1f662b40f96353fc006891b4d20d941ab85f6a48f56722a43abc3d',
  'palettes of 3 bits in groups': '144f1f215474077e2cf322fc640a5c5a2f59cbadf267c5363236fe9450491043',
  'int8 with scales': 'd868f8e043aa190f7846ce12afc5267344110036df61fa53ab63c512fcd2db59',
  'uint4 in blocks': '8909e64233f9571c8d0e4ada0cc34c4870611bf351656340e7cf07ba705761a4',
};

test.each(Object.entries(known))(
  '%s: the bytes are those that Apple’s runtime took',
  async (form, expected) => {
    // as: `Object.entries` forgets which names there are.
    const contents = await smallAsset(form as SmallForm).contents();
    const [program] = await writeFiles(at(form), contents, () => {});
    expect(program).toMatchObject({ name: 'main.mlirb', sha256: expected });
  },
);
