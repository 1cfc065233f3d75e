import * as ort from 'onnxruntime-node'
import { describeError, SightdError } from '../core/errors.ts'
import type { ModelManifest } from '../core/model-manifest.ts'
import type { RawOutputs } from './decode.ts'
import type { ModelFolder } from './model-folder.ts'
import { createInputTensor, type TensorData } from './preprocess.ts'

export type SessionOptions = {
  /** Threads of one inference; 1 keeps it on the calling thread. */
  readonly threads: number
}

/**
 * A loaded network with its own input and output memory: fill `input`, `run()`, read `outputs`; nothing is allocated per
 * run. The only door to ONNX Runtime. `run()` blocks the calling thread until the network is through and can't be
 * interrupted, so it belongs into a thread of its own.
 */
export class ModelSession {
  readonly input: TensorData
  readonly outputs: RawOutputs
  readonly #session: ort.InferenceSession
  readonly #feeds: Record<string, ort.Tensor>
  readonly #fetches: Record<string, ort.Tensor>

  private constructor(session: ort.InferenceSession, manifest: ModelManifest) {
    this.#session = session
    this.input = createInputTensor(manifest.input)
    this.#feeds = { [manifest.input.name]: new ort.Tensor(manifest.input.type, this.input, manifest.input.shape) }
    const outputs = manifest.outputs.map(({ name, type, shape }) => ({
      name,
      type,
      shape,
      data: outputMemory(type, shape),
    }))
    this.outputs = Object.fromEntries(outputs.map(({ name, data }) => [name, data]))
    this.#fetches = Object.fromEntries(
      outputs.map(({ name, type, data, shape }) => [name, new ort.Tensor(type, data, shape)]),
    )
  }

  /** Loads a model; throws a SightdError `model_invalid` when ONNX Runtime refuses it or it is not what its manifest says. */
  static async open({ dir, manifest, network }: ModelFolder, { threads }: SessionOptions): Promise<ModelSession> {
    const session = await ort.InferenceSession.create(network, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // Errors come back as exceptions; what ORT prints besides would only repeat them.
      logSeverityLevel: 4,
      // A board has other work for its cores than to spin while a thread waits for its part of the next layer.
      extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
    }).catch((error: unknown) => {
      throw new SightdError('model_invalid', `${dir}/${manifest.model}: ONNX Runtime refuses it`, { cause: error })
    })
    const contradictions = metadataContradictions(session, manifest)
    if (contradictions.length > 0) {
      await session.release()
      throw new SightdError(
        'model_invalid',
        `${dir}/${manifest.model} is not what its manifest says: ${contradictions.join('; ')}`,
      )
    }
    return new ModelSession(session, manifest)
  }

  async run(): Promise<void> {
    try {
      await this.#session.run(this.#feeds, this.#fetches)
    } catch (error) {
      throw new SightdError('model_invalid', `the model failed while it ran: ${describeError(error)}`, { cause: error })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}

function outputMemory(type: 'uint8' | 'int8' | 'float32', shape: readonly number[]): TensorData {
  const length = shape.reduce((product, dim) => product * dim, 1)
  return type === 'float32'
    ? new Float32Array(length)
    : type === 'int8'
      ? new Int8Array(length)
      : new Uint8Array(length)
}

function metadataContradictions(session: ort.InferenceSession, { input, outputs }: ModelManifest): string[] {
  return [
    ...(session.inputNames.length === 1 ? [] : [`it has ${session.inputNames.length} inputs, has to have 1`]),
    ...contradictions('input', session.inputMetadata, [input]),
    ...contradictions('output', session.outputMetadata, outputs),
  ]
}

type Port = { readonly name: string; readonly type: string; readonly shape: readonly number[] }

function* contradictions(
  what: string,
  actual: readonly ort.InferenceSession.ValueMetadata[],
  expected: readonly Port[],
): Generator<string> {
  for (const port of expected) {
    const found = actual.find(({ name }) => name === port.name)
    if (found === undefined)
      yield `no ${what} is named ${port.name} (it has ${actual.map(({ name }) => name).join(', ')})`
    else if (!found.isTensor) yield `${what} ${port.name} is not a tensor`
    else if (found.type !== port.type) yield `${what} ${port.name} is ${found.type}, the manifest says ${port.type}`
    else if (!fits(found.shape, port.shape))
      yield `${what} ${port.name} is [${found.shape.join(', ')}], the manifest says [${port.shape.join(', ')}]`
  }
}

/** A dimension that the network leaves open (a name instead of a number) takes what the manifest says. */
function fits(found: readonly (number | string)[], expected: readonly number[]): boolean {
  return found.length === expected.length && found.every((dim, i) => typeof dim === 'string' || dim === expected[i])
}
