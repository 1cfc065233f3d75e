import * as ort from 'onnxruntime-node'
import { SightdError } from '../core/errors.ts'
import type { ModelManifest } from '../core/model-manifest.ts'
import type { RawOutputs } from './decode.ts'
import { createInputTensor, type TensorData } from './input-tensor.ts'
import type { ModelFolder } from './model-folder.ts'

// Since 1.29 ONNX Runtime's builds report to its maker unless this is set before its first session. A process that runs it
// in a worker thread has to be started with it: there, this line changes only the thread's copy.
process.env['ORT_DISABLE_TELEMETRY'] = '1'

export type SessionOptions = {
  /** Threads of one inference; 1 keeps it on the calling thread. */
  readonly threads: number
}

/**
 * A loaded network: fill `input`, `run()`, read what it returns. The only door to ONNX Runtime. `run()` blocks the calling
 * thread until the network is through and can't be interrupted, so it belongs into a thread of its own.
 */
export class ModelSession {
  readonly input: TensorData
  readonly #session: ort.InferenceSession
  readonly #feeds: Record<string, ort.Tensor>
  readonly #outputNames: readonly string[]
  readonly #outputs: Record<string, TensorData> = {}

  private constructor(session: ort.InferenceSession, manifest: ModelManifest) {
    this.#session = session
    this.input = createInputTensor(manifest.input)
    this.#feeds = { [manifest.input.name]: new ort.Tensor(manifest.input.type, this.input, manifest.input.shape) }
    this.#outputNames = manifest.outputs.map(({ name }) => name)
  }

  /**
   * Loads a model and takes its network's bytes, which are empty afterwards: they are as large as what is made of them.
   * Throws a SightdError `model_invalid` when ONNX Runtime refuses it or it is not what its
   * manifest says.
   */
  static async open({ dir, manifest, network }: ModelFolder, { threads }: SessionOptions): Promise<ModelSession> {
    const session = await ort.InferenceSession.create(network, {
      intraOpNumThreads: threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // One block planned for a whole run is larger than what the arena gives piece by piece, and no faster.
      enableMemPattern: false,
      // Errors come back as exceptions; what ORT prints besides would only repeat them.
      logSeverityLevel: 4,
      // A board has other work for its cores than to spin while a thread waits for its part of the next layer.
      extra: { session: { intra_op: { allow_spinning: '0' }, inter_op: { allow_spinning: '0' } } },
    }).catch((error: unknown) => {
      throw new SightdError('model_invalid', `${dir}/${manifest.model}: ONNX Runtime refuses it`, { cause: error })
    })
    freeNow(network)
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

  /** The output tensors by name; they are gone with the next run. */
  async run(): Promise<RawOutputs> {
    // The binding hands out new memory at each run, also where it is given some to fill. Left to the garbage collector,
    // which sees a few small objects, that adds up to tens of megabytes; this frees it now.
    for (const name of this.#outputNames) freeNow(this.#outputs[name])
    try {
      const results = await this.#session.run(this.#feeds, this.#outputNames)
      for (const name of this.#outputNames) this.#outputs[name] = tensorData(results[name])
      return this.#outputs
    } catch (error) {
      throw new SightdError('model_invalid', 'the model failed while it ran', { cause: error })
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.release()
  }
}

/** Gives an array's memory back, instead of when the garbage collector comes to it; not one that is part of another's. */
function freeNow(array: TensorData | undefined): void {
  const buffer = array?.buffer
  if (buffer instanceof ArrayBuffer && buffer.byteLength === array?.byteLength) buffer.transfer(0)
}

function tensorData(tensor: ort.Tensor | undefined): TensorData {
  const data = tensor?.data
  if (data instanceof Float32Array || data instanceof Uint8Array || data instanceof Int8Array) return data
  throw new Error(`an output is ${tensor?.type ?? 'missing'}`)
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
