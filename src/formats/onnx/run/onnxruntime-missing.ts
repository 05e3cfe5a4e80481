import { NotFoundError, type SdConvertError, UnsupportedModelError } from '../../../errors.ts';
import { installCommand } from '../../../io/install-command.ts';

/** The version that models are run with. */
export const ORT_NODE_VERSION = '1.30.0';

/** The systems that it holds binaries for, as Node names them. */
const withBinaries = ['darwin-arm64', 'linux-arm64', 'linux-x64', 'win32-arm64', 'win32-x64'];

const elsewhere = 'Conversion works without it; run, validate and draw on another machine.';

/** A machine, as `process` describes it. */
interface Machine {
  readonly platform: string;
  readonly arch: string;
}

/**
 * Why models cannot be run on this machine, from what Node said when it was to load onnxruntime-node: `NotFoundError`
 * where an installation helps, `UnsupportedModelError` where none does.
 */
export async function onnxruntimeMissing(found: string, machine: Machine): Promise<SdConvertError> {
  const system = `${machine.platform}-${machine.arch}`;
  if (!withBinaries.includes(system))
    return new UnsupportedModelError({
      problem: `Models cannot be run on this machine: onnxruntime-node has no build for ${system}.`,
      advice: elsewhere,
    });
  const install = `Install it beside sdconvert: ${await installing(system)}`;
  if (found.startsWith("Cannot find package 'onnxruntime-node'"))
    return new NotFoundError({
      problem: 'onnxruntime-node, which runs the models, is not installed.',
      advice: install,
    });
  return new NotFoundError({
    problem: 'onnxruntime-node, which runs the models, is installed but cannot be loaded.',
    details: { found },
    advice: `${install} (there is no build for musl, as in Alpine). ${elsewhere}`,
  });
}

/** On Linux with x64, its install script would fetch CUDA's libraries from NuGet, and npm removes it where that fails. */
async function installing(system: string): Promise<string> {
  const skip = system === 'linux-x64' ? 'ONNXRUNTIME_NODE_INSTALL=skip ' : '';
  return `${skip}${await installCommand([`onnxruntime-node@${ORT_NODE_VERSION}`])}`;
}
