import { isUtf8 } from 'node:buffer'
import { SightdError } from '../core/errors.ts'
import { WireError, type WireField, WireView } from '../lib/protobuf.ts'
import { type FieldKind, fieldRule, isMessage, type MessageName } from './onnx-schema.ts'

/** Names, paths and versions; beyond it a name is no name. */
const maxNameBytes = 1024
/** Descriptions, metadata, strings in attributes. */
const maxProseBytes = 64 * 1024
/** Each costs this reader some memory. The bundled network has 10,000 of them for its 496 nodes. */
const maxFields = 250_000
/** Of all texts together; the bundled network has 0.1 MiB. */
const maxTextBytes = 8 * 1024 * 1024

/** What may still come. */
type Budget = { fields: number; textBytes: number }

type Value = bigint | string | WireView | OnnxMessage

/** `path` is where in the model, such as graph.node[12].attribute[0]. */
export function refuse(path: string, why: string): never {
  throw new SightdError('model_invalid', path === '' ? why : `${path}: ${why}`)
}

/**
 * One message of an ONNX file, of which every field is known, has its wire type, and is there once where it is singular:
 * protobuf would skip what it does not know and merge what is there twice, so that two readers see two networks.
 */
export class OnnxMessage {
  readonly path: string
  readonly #values = new Map<string, Value[]>()

  private constructor(path: string) {
    this.path = path
  }

  /** Reads a whole model; throws a SightdError `model_invalid` that says what was refused, and where. */
  static parse(bytes: Uint8Array): OnnxMessage {
    return OnnxMessage.#read(WireView.of(bytes), 'Model', '', { fields: maxFields, textBytes: maxTextBytes })
  }

  static #read(view: WireView, type: MessageName, path: string, left: Budget): OnnxMessage {
    const message = new OnnxMessage(path)
    try {
      for (const field of view.fields()) {
        const rule = fieldRule(type, field.number)
        if (rule === undefined) refuse(path, `field ${field.number} is unknown (at byte ${field.offset})`)
        if (--left.fields < 0) refuse(path, `the file has more than ${maxFields} fields`)
        if ('refused' in rule) refuse(join(path, rule.name), `${rule.refused} is refused`)
        const values = message.#values.get(rule.name) ?? []
        const index = rule.isRepeated ? values.length : undefined
        if (index === undefined && values.length > 0)
          refuse(join(path, rule.name), `is there twice (again at byte ${field.offset})`)
        if (!(wires[rule.kind] ?? bytesOnly).includes(field.wire))
          refuse(join(path, rule.name, index), `has wire type ${field.wire} (at byte ${field.offset})`)
        if (isMessage(rule.kind) && field.wire === 'bytes')
          values.push(OnnxMessage.#read(field.view, rule.kind, join(path, rule.name, index), left))
        else {
          const { value, problem } = readScalar(field, rule.kind)
          if (problem !== undefined) refuse(join(path, rule.name, index), problem)
          if (typeof value === 'string') left.textBytes -= value.length
          if (left.textBytes < 0) refuse(path, `the file has more than ${maxTextBytes} bytes of text`)
          values.push(value)
        }
        message.#values.set(rule.name, values)
      }
    } catch (error) {
      if (error instanceof WireError) refuse(path, `not protobuf: ${error.message}`)
      throw error
    }
    return message
  }

  has(field: string): boolean {
    return this.#values.has(field)
  }

  /** A singular number; undefined where it is left out. */
  integer(field: string): bigint | undefined {
    const value = this.#values.get(field)?.[0]
    return typeof value === 'bigint' ? value : undefined
  }

  /** A singular text, '' where it is left out. */
  text(field: string): string {
    return this.texts(field)[0] ?? ''
  }

  texts(field: string): string[] {
    return (this.#values.get(field) ?? []).filter((value) => typeof value === 'string')
  }

  /** The bytes of a singular field. */
  bytes(field: string): Uint8Array | undefined {
    return this.#views(field)[0]?.bytes
  }

  message(field: string): OnnxMessage | undefined {
    return this.messages(field)[0]
  }

  messages(field: string): OnnxMessage[] {
    return (this.#values.get(field) ?? []).filter((value) => value instanceof OnnxMessage)
  }

  /** How many numbers a repeated field holds, packed and one by one together. */
  count(field: string, bytesEach?: number): number {
    let count = 0
    for (const value of this.#values.get(field) ?? []) {
      if (!(value instanceof WireView)) count++
      else if (bytesEach === undefined) count += value.countVarints()
      else if (value.length % bytesEach === 0) count += value.length / bytesEach
      else refuse(`${this.path}.${field}`, `${value.length} bytes are no numbers of ${bytesEach} bytes`)
    }
    return count
  }

  /** The whole numbers of a repeated field; ask for their `count` first. */
  integers(field: string): bigint[] {
    return (this.#values.get(field) ?? []).flatMap((value) =>
      value instanceof WireView
        ? [...value.varints()].map((one) => BigInt.asIntN(64, one))
        : typeof value === 'bigint'
          ? BigInt.asIntN(64, value)
          : [],
    )
  }

  /** The float32 numbers of a repeated field; ask for their `count` first. */
  floats(field: string): number[] {
    return this.#views(field).flatMap(({ bytes }) => readNumbers(bytes, 4, (view, at) => view.getFloat32(at, true)))
  }

  #views(field: string): WireView[] {
    return (this.#values.get(field) ?? []).filter((value) => value instanceof WireView)
  }
}

/** A path is put together only where it is needed: nearly all fields are fine. */
function join(path: string, name: string, index?: number): string {
  return `${path === '' ? '' : `${path}.`}${name}${index === undefined ? '' : `[${index}]`}`
}

export function readNumbers(bytes: Uint8Array, size: number, read: (view: DataView, at: number) => number): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  return Array.from({ length: bytes.length / size }, (_, i) => read(view, i * size))
}

const wires: { readonly [kind in FieldKind]?: readonly WireField['wire'][] } = {
  int: ['varint'],
  enum: ['varint'],
  ints: ['varint', 'bytes'],
  float: ['fixed32'],
  floats: ['fixed32', 'bytes'],
  doubles: ['fixed64', 'bytes'],
}
const bytesOnly: readonly WireField['wire'][] = ['bytes']

type Scalar = { readonly value: bigint | string | WireView; readonly problem?: string | undefined }

function readScalar(field: WireField, kind: FieldKind): Scalar {
  // Readers cut an enum to 32 bits: 2^32 + 1 would be 1 to them.
  if (field.wire === 'varint')
    return kind === 'enum' && field.value > 0x7fff_ffffn
      ? { value: field.value, problem: `${field.value} is out of range` }
      : { value: field.value }
  return kind === 'name' || kind === 'prose' ? readText(field.view, kind) : { value: field.view }
}

/** A byte order mark is a part of the name, as it is to ONNX Runtime. */
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function readText({ bytes }: WireView, kind: 'name' | 'prose'): Scalar {
  const maxBytes = kind === 'name' ? maxNameBytes : maxProseBytes
  if (bytes.length > maxBytes)
    return { value: '', problem: `${bytes.length} bytes long, at most ${maxBytes} are allowed` }
  if (!isUtf8(bytes)) return { value: '', problem: 'not UTF-8' }
  const value = utf8.decode(bytes)
  return { value, problem: textProblem(value, kind) }
}

function textProblem(text: string, kind: 'name' | 'prose'): string | undefined {
  // Names reach logs and terminals.
  if (kind === 'name' && /\p{Cc}/u.test(text)) return 'a control character in a name'
  // The two file names that stand for an address in ONNX Runtime's memory (onnxruntime/core/framework/tensorprotoutils.h).
  const address = /_ORT_(?:NATIVE_ENDIAN_)?MEM_ADDR_/.exec(text)?.[0]
  if (address !== undefined) return `names an address in memory (${address})`
  return undefined
}
