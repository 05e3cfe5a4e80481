import { dirname, resolve } from 'node:path';
import { throwIfInterrupted } from '../../../context.ts';
import { FileFormatError, RequestError, SdConvertError, UnsupportedModelError } from '../../../errors.ts';
import { revived } from '../../../io/carried-error.ts';
import { openFile } from '../../../io/disk.ts';
import type { StoredTensor } from '../../../weights/stored-tensor.ts';
import { copyOf } from '../../../weights/tensor-data.ts';
import type { Runner, RunnerOptions, TensorMap, TextEncoderChanges } from '../../runner.ts';
import { changeTextEncoder } from '../change-text-encoder.ts';
import { decodeModel, encodeModel } from '../proto.ts';
import { openOnnx } from '../read-onnx.ts';
import { onnxruntimeMissing } from './onnxruntime-missing.ts';
import { type HostOptions, OrtHost } from './ort-host.ts';
import type { OrtFailure, OrtReply } from './ort-worker.ts';

/** An ONNX model in memory whose data lies in files. */
export interface OnnxInMemory {
  /** Name for error texts. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Folder of its data; locations are relative to it and must not leave it. */
  readonly dataFolder: string;
  /** Whether it was translated from another format, which is as it should be where onnxruntime rejects the translation. */
  readonly isTranslation?: boolean | undefined;
}

/** Options of loading an ONNX model. */
export interface SessionOptions extends Pick<RunnerOptions, 'optimize' | 'textEncoder'> {
  /** File for the graph that onnxruntime makes of the model and computes. */
  readonly saveGraphTo?: string | undefined;
  /** Whether inputs and outputs of types that sdconvert does not know are left out; refused otherwise. */
  readonly skipUnknownTypes?: boolean;
  /** Where onnxruntime runs: in a thread when left out. */
  readonly host?: HostOptions;
}

/**
 * Loads an ONNX model to be run by onnxruntime, in a thread of its own that lives until `close`. Throws `NotFoundError`
 * when the file is missing or onnxruntime-node is not installed, `UnsupportedModelError` where it has no build for this
 * machine or it rejects a translation, `FileFormatError` when onnxruntime cannot load the file; `run` throws `RequestError` for feeds that the model does not take, `SdConvertError` when onnxruntime crashes.
 */
export async function openOnnxSession(
  stored: string | OnnxInMemory,
  { textEncoder, ...options }: SessionOptions,
): Promise<Runner> {
  const path = typeof stored === 'string' ? stored : stored.path;
  if (typeof stored === 'string') await (await openFile(path)).close();
  const model = textEncoder ? await changed(stored, textEncoder) : stored;
  const { host, inputs, outputs } = await startSession(model, options);
  return {
    path,
    inputs,
    outputs,
    async run(feeds) {
      const reply = await host.ask({ kind: 'run', feeds: copied(feeds) });
      if (reply.kind !== 'ran') throw await failure(path, reply);
      return new Map(reply.outputs);
    },
    close: () => host.close(),
  };
}

/** A model that has been loaded to be run on values in files. */
export interface StoredRunner {
  /** Computes all outputs from all inputs; they are written to files whose paths begin with `outputFiles`. */
  run(feeds: StoredTensors, outputFiles: string): Promise<StoredTensors>;
  close(): Promise<void>;
}

/** Tensors in files, by name. */
export type StoredTensors = ReadonlyMap<string, StoredTensor>;

/**
 * Loads an ONNX model to be run, not optimised, on values in files. Throws `InterruptedError`, and as `openOnnxSession` does; `run` also
 * throws `DiskSpaceError` when the disk is full.
 */
export async function openStoredSession(model: OnnxInMemory, options: HostOptions): Promise<StoredRunner> {
  const { host } = await startSession(model, { optimize: false, host: options });
  return {
    async run(feeds, outputFiles) {
      const reply = await host.ask({ kind: 'run stored', feeds: [...feeds], outputFiles });
      if (reply.kind === 'ran stored') return new Map(reply.outputs);
      throwIfInterrupted(options.signal);
      throw await failure(model.path, reply);
    },
    close: () => host.close(),
  };
}

async function startSession(
  model: string | OnnxInMemory,
  { optimize, saveGraphTo, skipUnknownTypes, host: options }: Omit<SessionOptions, 'textEncoder'>,
): Promise<{ readonly host: OrtHost } & Pick<Runner, 'inputs' | 'outputs'>> {
  // Each by its name: callers give options of their own beside them, of which some, functions, cannot be sent.
  const host = new OrtHost({ model, optimize, saveGraphTo, skipUnknownTypes }, options);
  const reply = await host.nextReply();
  if (reply.kind === 'opened') return { host, inputs: reply.inputs, outputs: reply.outputs };
  await host.close();
  throwIfInterrupted(options?.signal); // a process ended for that
  throw typeof model === 'string'
    ? await failure(model, reply)
    : await failure(model.path, reply, model.isTranslation);
}

/** A text encoder in memory, changed. Throws as `openOnnx` and `changeTextEncoder` do. */
async function changed(model: string | OnnxInMemory, changes: TextEncoderChanges): Promise<OnnxInMemory> {
  if (typeof model !== 'string') {
    const proto = changeTextEncoder(decodeModel(model.bytes), changes, model.path);
    return { ...model, bytes: encodeModel(proto) };
  }
  const { proto, close } = await openOnnx(model);
  await close(); // onnxruntime reads its data
  const bytes = encodeModel(changeTextEncoder(proto, changes, model));
  return { path: model, bytes, dataFolder: resolve(dirname(model)) };
}

/**
 * Checks that onnxruntime-node loads, before any work that will need it. Throws `NotFoundError` when it is not installed
 * or does not load, `UnsupportedModelError` where it has no build for this machine.
 */
export async function requireOnnxruntime(): Promise<void> {
  if (hasLoaded) return;
  const host = new OrtHost('load only');
  const reply = await host.nextReply();
  await host.close();
  if (reply.kind !== 'loaded') throw await failure('no model', reply);
  hasLoaded = true;
}

/** Whether it has loaded in this process: then it will load again. */
let hasLoaded = false;

function copied(feeds: TensorMap) {
  return [...feeds].map(([name, tensor]) => [name, copyOf(tensor)] as const);
}

async function failure(path: string, reply: OrtReply, isTranslation = false): Promise<SdConvertError> {
  const { at, message, error } = reply.kind === 'failed' ? reply : unexpected(reply);
  if (error) return revived(error);
  const found = message.split('\n', 1)[0] ?? '';
  switch (at) {
    case 'import':
      return onnxruntimeMissing(found, process);
    case 'open':
      if (isTranslation)
        return new UnsupportedModelError({
          problem: `${path} cannot be run on this machine: onnxruntime rejects its translation to ONNX.`,
          details: { onnxruntime: found },
        });
      return new FileFormatError({
        problem: `${path} cannot be loaded as an ONNX model.`,
        details: { onnxruntime: found },
        advice: 'It is damaged, or its data files are not beside it: copy or convert it again.',
      });
    case 'run':
      return new RequestError({
        problem: `${path} cannot be run with these inputs.`,
        details: { onnxruntime: found },
        advice:
          'Compare them with what sdconvert inspect says of its inputs; in a prompt, its tokenizer may have words that the model does not.',
      });
    case 'crash':
      return new SdConvertError({
        problem: `onnxruntime crashed while it had ${path} loaded.`,
        details: { found },
        advice: 'It may have run out of memory: close other programs, or run fewer models at a time.',
      });
    case 'closed':
      return new RequestError({ problem: `${path} has been closed and cannot be run any more.` });
  }
}

function unexpected({ kind }: OrtReply): OrtFailure {
  throw new Error(`the onnxruntime worker answered ${kind} out of turn`);
}
