/** What of ELF64 (System V ABI, chapter 4) is needed to take symbols away. */
const at = { shoff: 0x28, shentsize: 0x3a, shnum: 0x3c, shstrndx: 0x3e, phoff: 0x20, phentsize: 0x36, phnum: 0x38 }
const sectionBytes = 64
const sectionTypes = { null: 0, symbols: 2, rela: 4, nobits: 8, rel: 9 }
const flags = { alloc: 0x2, infoIsSection: 0x40 }

type Section = { readonly header: Buffer; readonly name: string }

export function isElf(bytes: Buffer): boolean {
  return bytes.subarray(0, 4).equals(Buffer.from('\x7fELF', 'latin1'))
}

export function hasSymbols(bytes: Buffer): boolean {
  return sectionsOf(bytes).some(({ header }) => header.readUInt32LE(4) === sectionTypes.symbols)
}

/**
 * The same program without symbols and debugging data, which nothing loads. Done here, since strip knows one architecture
 * and each version of it writes other bytes. What the program loads stays where it is, byte for byte.
 */
export function withoutSymbols(bytes: Buffer): Buffer {
  if (bytes[4] !== 2 || bytes[5] !== 1) throw new Error('not an ELF file of 64 bits and little endian')
  const all = sectionsOf(bytes)
  const namesIndex = bytes.readUInt16LE(at.shstrndx)
  const kept = all.flatMap((_, index) => (isLoaded(all[index]) || index === 0 || index === namesIndex ? [index] : []))
  const newIndex = new Map(kept.map((old, index) => [old, index]))
  const loaded = bytes.subarray(0, loadedBytes(bytes, all))

  const names = Buffer.from(kept.map((index) => `${all[index]?.name ?? ''}\0`).join(''), 'latin1')
  const headersAt = Math.ceil((loaded.length + names.length) / 8) * 8
  let nameAt = 0
  const headers = kept.map((index) => {
    const { header, name } = all[index] ?? { header: Buffer.alloc(sectionBytes), name: '' }
    const copy = Buffer.from(header)
    copy.writeUInt32LE(nameAt, 0)
    nameAt += name.length + 1
    copy.writeUInt32LE(newIndex.get(header.readUInt32LE(0x28)) ?? 0, 0x28)
    const type = header.readUInt32LE(4)
    if (type === sectionTypes.rel || type === sectionTypes.rela || (header.readUInt32LE(8) & flags.infoIsSection) !== 0)
      copy.writeUInt32LE(newIndex.get(header.readUInt32LE(0x2c)) ?? 0, 0x2c)
    if (index === namesIndex) {
      copy.writeBigUInt64LE(BigInt(loaded.length), 0x18)
      copy.writeBigUInt64LE(BigInt(names.length), 0x20)
    }
    return copy
  })

  const padding = Buffer.alloc(headersAt - loaded.length - names.length)
  const stripped = Buffer.concat([loaded, names, padding, ...headers])
  stripped.writeBigUInt64LE(BigInt(headersAt), at.shoff)
  stripped.writeUInt16LE(headers.length, at.shnum)
  stripped.writeUInt16LE(newIndex.get(namesIndex) ?? 0, at.shstrndx)
  return stripped
}

function sectionsOf(bytes: Buffer): Section[] {
  const start = Number(bytes.readBigUInt64LE(at.shoff))
  const count = bytes.readUInt16LE(at.shnum)
  if (bytes.readUInt16LE(at.shentsize) !== sectionBytes) throw new Error('section headers of an unknown length')
  const headers = Array.from({ length: count }, (_, index) =>
    bytes.subarray(start + index * sectionBytes, start + (index + 1) * sectionBytes),
  )
  const names = headers[bytes.readUInt16LE(at.shstrndx)]
  const namesAt = names === undefined ? 0 : Number(names.readBigUInt64LE(0x18))
  return headers.map((header) => {
    const from = namesAt + header.readUInt32LE(0)
    return { header, name: bytes.toString('latin1', from, bytes.indexOf(0, from)) }
  })
}

function isLoaded(section: Section | undefined): boolean {
  return section !== undefined && (section.header.readUInt32LE(8) & flags.alloc) !== 0
}

/** How far into the file the last byte lies that a segment or a loaded section needs. */
function loadedBytes(bytes: Buffer, sections: readonly Section[]): number {
  const segmentsAt = Number(bytes.readBigUInt64LE(at.phoff))
  const segmentBytes = bytes.readUInt16LE(at.phentsize)
  const ends = Array.from({ length: bytes.readUInt16LE(at.phnum) }, (_, index) => {
    const from = segmentsAt + index * segmentBytes
    return Number(bytes.readBigUInt64LE(from + 8) + bytes.readBigUInt64LE(from + 0x20))
  })
  for (const { header } of sections.filter(isLoaded))
    if (header.readUInt32LE(4) !== sectionTypes.nobits)
      ends.push(Number(header.readBigUInt64LE(0x18) + header.readBigUInt64LE(0x20)))
  return Math.max(...ends, segmentsAt + segmentBytes * ends.length)
}
