/**
 * A reader of the protobuf wire format (https://protobuf.dev/programming-guides/encoding/) for bytes that nobody vouches for.
 * It copies nothing, never reads outside what it was given, and refuses whatever two readers could take in two ways:
 * groups, field number 0, varints that are longer than their value needs.
 */

/** What is wrong with the bytes, and where: `offset` counts from the start of the outermost message. */
export class WireError extends Error {
  override readonly name = 'WireError'
  readonly offset: number

  constructor(problem: string, offset: number) {
    super(`${problem}, at byte ${offset}`)
    this.offset = offset
  }
}

export type WireField = {
  readonly number: number
  /** Where the field's tag begins. */
  readonly offset: number
} & (
  | { readonly wire: 'varint'; readonly value: bigint }
  | { readonly wire: 'bytes' | 'fixed32' | 'fixed64'; readonly view: WireView }
)

const wires = ['varint', 'fixed64', 'bytes', undefined, undefined, 'fixed32'] as const

/** 64 bits in groups of seven. */
const longestVarint = 10

/** A stretch of the outermost message: a message in itself, a string, bytes or packed numbers, as the caller knows. */
export class WireView {
  readonly #all: Uint8Array
  readonly #end: number
  readonly #depth: number
  readonly offset: number

  private constructor(all: Uint8Array, offset: number, end: number, depth: number) {
    this.#all = all
    this.offset = offset
    this.#end = end
    this.#depth = depth
  }

  /** `maxDepth` is how many messages may lie inside each other below this one. */
  static of(bytes: Uint8Array, maxDepth = 32): WireView {
    // Not a Buffer, whose views are slow to make.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    return new WireView(plain, 0, plain.length, maxDepth)
  }

  get length(): number {
    return this.#end - this.offset
  }

  /** The bytes themselves, not a copy. */
  get bytes(): Uint8Array {
    return this.#all.subarray(this.offset, this.#end)
  }

  /** Reads it as a message, field by field; throws a WireError at the first that is malformed. */
  *fields(): Generator<WireField, void, undefined> {
    if (this.#depth < 0) throw new WireError('messages are nested too deeply', this.offset)
    for (let at = this.offset; at < this.#end; ) {
      const offset = at
      const tagEnd = this.#varintEnd(at)
      const tag = this.#varint(at, tagEnd)
      if (tag > 0xffff_ffffn) throw new WireError('a field number is above 2^29 - 1', offset)
      const number = Number(tag >> 3n)
      if (number === 0) throw new WireError('field number 0', offset)
      const code = Number(tag & 7n)
      const wire = wires[code]
      if (wire === undefined) throw new WireError(`wire type ${code}`, offset)
      if (wire === 'varint') {
        at = this.#varintEnd(tagEnd)
        yield { number, offset, wire, value: this.#varint(tagEnd, at) }
        continue
      }
      let start = tagEnd
      let length = BigInt(wire === 'fixed32' ? 4 : 8)
      if (wire === 'bytes') {
        start = this.#varintEnd(tagEnd)
        length = this.#varint(tagEnd, start)
      }
      if (length > BigInt(this.#end - start))
        throw new WireError(`${length} bytes are announced where ${this.#end - start} are left`, offset)
      at = start + Number(length)
      yield { number, offset, wire, view: new WireView(this.#all, start, at, this.#depth - 1) }
    }
  }

  /** Reads it as packed varints. */
  *varints(): Generator<bigint, void, undefined> {
    for (let at = this.offset; at < this.#end; ) {
      const end = this.#varintEnd(at)
      yield this.#varint(at, end)
      at = end
    }
  }

  /** How many packed varints it holds; throws a WireError if it is not made of whole ones. */
  countVarints(): number {
    let count = 0
    for (let at = this.offset; at < this.#end; at = this.#varintEnd(at)) count++
    return count
  }

  #varintEnd(start: number): number {
    const limit = Math.min(this.#end, start + longestVarint)
    for (let at = start; at < limit; at++) if ((this.#all[at] ?? 0) < 0x80) return at + 1
    throw new WireError(
      limit === this.#end ? 'a varint runs past the end' : `a varint of more than ${longestVarint} bytes`,
      start,
    )
  }

  #varint(start: number, end: number): bigint {
    const last = this.#all[end - 1] ?? 0
    if (last === 0 && end - start > 1) throw new WireError('a varint is longer than its value needs', start)
    if (last > 1 && end - start === longestVarint) throw new WireError('a varint of more than 64 bits', start)
    // Four groups of seven bits fit into the integers that bitwise operators know; nearly all varints are that short.
    if (end - start <= 4) {
      let small = 0
      for (let at = end - 1; at >= start; at--) small = (small << 7) | ((this.#all[at] ?? 0) & 0x7f)
      return BigInt(small)
    }
    let value = 0n
    for (let at = end - 1; at >= start; at--) value = (value << 7n) | BigInt((this.#all[at] ?? 0) & 0x7f)
    return value
  }
}
