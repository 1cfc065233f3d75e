import type { ModelManifest } from '../core/model-manifest.ts'
import { OnnxMessage, refuse } from './onnx-message.ts'
import { checkGrowth, checkNode, constantOf, domainOf } from './onnx-operators.ts'
import { type CheckedTensor, type Constant, checkTensor, checkValueInfo, type ValueType } from './onnx-tensor.ts'

/**
 * A look at every byte of an ONNX file that has a meaning, before ONNX Runtime gets to see it. ONNX can name files to read,
 * bring operators that loop for ever or fill the memory, and hide things in fields that one reader skips and another takes;
 * a network that classifies pictures needs none of it, so what is not known to be harmless is refused.
 *
 * What it can't promise: a network of allowed operators may still take hours, or multiply its way to a tensor that is too
 * large. The deadline and the memory limit of the process that runs it are for those.
 */

export const maxNetworkBytes = 256 * 1024 * 1024
const maxNodes = 5000
/** What ONNX Runtime 1.30 reads: it refuses IR version 14 and opset 27. Opset 7 is the oldest that it promises to support. */
const irVersions = [3, 13] as const
/** Tools list ai.onnx.ml and com.microsoft also where no operator of theirs is used; their operators are refused. */
const opsetVersions = new Map<string, readonly [number, number]>([
  ['', [7, 26]],
  ['ai.onnx.ml', [1, 5]],
  ['com.microsoft', [1, 1]],
])

export type ScanReport = {
  readonly nodes: number
  /** How often each operator is used, the most frequent first. */
  readonly operators: Readonly<Record<string, number>>
  /** Elements of all tensors in the file: weights, biases, scales and zero points. */
  readonly parameters: number
  readonly irVersion: number
  /** By domain; ONNX's own is ai.onnx. */
  readonly opsets: Readonly<Record<string, number>>
}

/** Throws a SightdError `model_invalid` that says what is refused, where, and why. */
export function scanModel(bytes: Uint8Array, contract: Pick<ModelManifest, 'input' | 'outputs'>): ScanReport {
  checkFile(bytes)
  const model = OnnxMessage.parse(bytes)
  const irVersion = inRange(model.integer('ir_version'), irVersions, 'ir_version')
  const opsets = checkOpsets(model)
  checkMetadata(model)
  const graph = model.message('graph')
  if (graph === undefined) refuse('', 'there is no graph in it')

  const tensors: CheckedTensor[] = []
  const constants = new Map<string, Constant>()
  const defined = new Set<string>()
  const define = (name: string, path: string) => {
    if (defined.has(name)) refuse(path, `${name} is defined twice`)
    defined.add(name)
  }

  for (const initializer of graph.messages('initializer')) {
    const name = initializer.text('name')
    if (name === '') refuse(initializer.path, 'has no name')
    define(name, initializer.path)
    const tensor = checkTensor(initializer)
    tensors.push(tensor)
    if (tensor.constant !== undefined) constants.set(name, tensor.constant)
  }
  const inputs = graph.messages('input').map(checkValueInfo)
  // Before IR version 4 every initializer is listed as an input too.
  const fed = inputs.filter(({ name }) => !defined.has(name))
  checkPorts('input', fed, [contract.input])
  checkPorts('output', graph.messages('output').map(checkValueInfo), contract.outputs)
  for (const info of graph.messages('value_info')) checkValueInfo(info)
  for (const { name } of fed) define(name, 'graph.input')

  const nodes = graph.messages('node')
  if (nodes.length > maxNodes) refuse('graph', `${nodes.length} nodes, at most ${maxNodes} are allowed`)
  const counts = new Map<string, number>()
  for (const node of nodes) {
    const operator = checkNode(node, (tensor) => tensors.push(tensor))
    counts.set(operator, (counts.get(operator) ?? 0) + 1)
    const outputs = node.texts('output')
    for (const name of outputs) if (name !== '') define(name, node.path)
    const [name = ''] = outputs
    const constant = operator === 'Constant' ? constantOf(node) : undefined
    if (constant !== undefined && name !== '') constants.set(name, constant)
  }
  for (const node of nodes) checkGrowth(node, constants)

  const memory = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0)
  if (memory > maxNetworkBytes)
    refuse('graph', `its tensors take ${memory} bytes, at most ${maxNetworkBytes} are allowed`)
  return {
    nodes: nodes.length,
    operators: Object.fromEntries([...counts].sort(([, a], [, b]) => b - a)),
    parameters: tensors.reduce((sum, { elements }) => sum + elements, 0),
    irVersion,
    opsets,
  }
}

function checkFile(bytes: Uint8Array): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
  if (buffer.length > maxNetworkBytes)
    refuse('', `the network has ${buffer.length} bytes, at most ${maxNetworkBytes} are allowed`)
  // The file identifier of a flatbuffer, at its place (onnxruntime/core/flatbuffers/schema/ort.fbs).
  if (buffer.toString('latin1', 4, 8) === 'ORTM')
    refuse('', 'this is a model in the format of ONNX Runtime itself (.ort), only ONNX is allowed')
}

function checkOpsets(model: OnnxMessage): Record<string, number> {
  const opsets: Record<string, number> = {}
  for (const opset of model.messages('opset_import')) {
    const domain = domainOf(opset)
    const range = opsetVersions.get(domain)
    if (range === undefined) refuse(opset.path, `domain ${domain} is not allowed`)
    const name = domain === '' ? 'ai.onnx' : domain
    if (Object.hasOwn(opsets, name)) refuse(opset.path, `${name} is there twice`)
    opsets[name] = inRange(opset.integer('version'), range, `${opset.path}.version`)
  }
  if (opsets['ai.onnx'] === undefined) refuse('opset_import', `does not name ONNX's own operators`)
  return opsets
}

/** ONNX Runtime can take options of its session from here (`ort_config`); nobody but us sets those. */
function checkMetadata(model: OnnxMessage): void {
  for (const entry of model.messages('metadata_props')) {
    if (entry.text('key') === 'ort_config') refuse(entry.path, 'options for ONNX Runtime (ort_config) are refused')
  }
}

function inRange(version: bigint | undefined, [lowest, highest]: readonly [number, number], path: string): number {
  if (version === undefined || version < BigInt(lowest) || version > BigInt(highest))
    refuse(path, `${version ?? 'missing'}, has to be ${lowest} to ${highest}`)
  return Number(version)
}

type Port = { readonly name: string; readonly type: string; readonly shape: readonly number[] }

/** Exactly the inputs or outputs that the manifest names, each of the type and the shape that it says. */
function checkPorts(what: 'input' | 'output', found: readonly ValueType[], expected: readonly Port[]): void {
  const path = `graph.${what}`
  if (found.length !== expected.length)
    refuse(
      path,
      `there are ${found.length} (${found.map(({ name }) => name).join(', ')}), has to be ${expected.length}`,
    )
  for (const port of expected) {
    const [value, ...others] = found.filter(({ name }) => name === port.name)
    if (value === undefined || others.length > 0)
      refuse(path, `no ${what} is named ${port.name} (there is ${someNames(found)})`)
    if (value.type !== port.type) refuse(path, `${what} ${port.name} is ${value.type}, the manifest says ${port.type}`)
    if (value.dims.length !== port.shape.length || value.dims.some((dim, i) => dim !== port.shape[i])) {
      const dims = value.dims.map((dim) => dim ?? '?').join(', ')
      refuse(path, `${what} ${port.name} is [${dims}], the manifest says [${port.shape.join(', ')}]`)
    }
  }
}

/** A hostile file may have any number of them. */
function someNames(values: readonly ValueType[]): string {
  const names = values.slice(0, 8).map(({ name }) => name)
  return [...names, ...(values.length > names.length ? ['...'] : [])].join(', ')
}
