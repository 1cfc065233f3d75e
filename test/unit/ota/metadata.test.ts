import { describe, expect, test } from 'vitest'
import { keyIdOf } from '../../../src/ota/keys.ts'
import { maxMetadataBytes, parseMetadata } from '../../../src/ota/metadata.ts'
import type { TopRole } from '../../../src/ota/metadata-schema.ts'
import { bytesOf, ed25519Signer, type Json, signed, TufDevice, TufRepository } from '../../support/tuf-repository.ts'

/** Rows of the test matrix in notes/ota.md, section 8: one file of metadata. */

const roles = ['root', 'timestamp', 'snapshot', 'targets'] as const

/** The role's signed part after a change, signed rightly. */
function changed(role: TopRole, change: (part: Json) => void): Uint8Array {
  const repository = new TufRepository()
  repository.addTarget('models/a.onnx', 'a')
  const part = { ...repository[role] }
  change(part)
  return bytesOf(signed(part, [ed25519Signer(role)]))
}

/** `verified`, or why it is refused. */
function verdictOn(role: TopRole, bytes: Uint8Array): string {
  try {
    const { root } = new TufRepository()
    const signers = parseMetadata('root', bytesOf(signed(root, [])), 'root').verifiedBy(({ signers }) => ({
      ...signers[role],
      threshold: 0,
    })).signers[role]
    parseMetadata(role, bytes, role).verifiedBy(signers)
    return 'verified'
  } catch (error) {
    return error instanceof Error && 'reason' in error ? String(error.reason) : String(error)
  }
}

describe.each(roles)('%s', (role) => {
  test('is verified', () => {
    expect(
      verdictOn(
        role,
        changed(role, () => {}),
      ),
    ).toBe('verified')
  })

  test('changed after it was signed: refused', () => {
    const { signatures } = JSON.parse(Buffer.from(changed(role, () => {})).toString())
    const other = JSON.parse(Buffer.from(changed(role, (part) => Object.assign(part, { version: 2 }))).toString())
    expect(verdictOn(role, bytesOf({ ...other, signatures }))).toBe('unsigned')
  })

  test('row 7: two signatures of one key id: refused', () => {
    const { signed: part, signatures } = JSON.parse(Buffer.from(changed(role, () => {})).toString())
    expect(verdictOn(role, bytesOf({ signed: part, signatures: [...signatures, ...signatures] }))).toBe('malformed')
    const bad = { ...signatures[0], sig: 'ab' }
    expect(verdictOn(role, bytesOf({ signed: part, signatures: [...signatures, bad] }))).toBe('malformed')
  })

  test.each(['', 'ab', 'zz', '00'.repeat(64)])('row 9: a signature %j beside a valid one: accepted', (sig) => {
    const { signed: part, signatures } = JSON.parse(Buffer.from(changed(role, () => {})).toString())
    for (const keyid of ['', 'someone', 'ab'.repeat(32)])
      expect(verdictOn(role, bytesOf({ signed: part, signatures: [{ keyid, sig }, ...signatures] }))).toBe('verified')
  })

  test('32 signatures are taken, 33 are not', () => {
    const { signed: part, signatures } = JSON.parse(Buffer.from(changed(role, () => {})).toString())
    const others = (count: number) => Array.from({ length: count }, (_, i) => ({ keyid: `${i}`, sig: '' }))
    expect(verdictOn(role, bytesOf({ signed: part, signatures: [...others(31), ...signatures] }))).toBe('verified')
    expect(verdictOn(role, bytesOf({ signed: part, signatures: [...others(32), ...signatures] }))).toBe('malformed')
  })

  test('row 12: of another type: refused', () => {
    for (const other of roles)
      if (other !== role) {
        const bytes = changed(other, () => {})
        const { signed: part } = JSON.parse(Buffer.from(bytes).toString())
        expect(verdictOn(role, bytesOf(signed(part, [ed25519Signer(role)])))).toBe('malformed')
      }
  })

  test.each([
    'never',
    '',
    '2030-07-01',
    '2030-07-01T00:00:00',
    '2030-07-01T00:00:00z',
    '2030-07-01T00:00:00.000Z',
    '2030-07-01T00:00:00+00:00',
    '2030-07-01 00:00:00Z',
    '2030-02-30T00:00:00Z',
    '2030-07-01T24:00:00Z',
    '2030-13-01T00:00:00Z',
    '10000-01-01T00:00:00Z',
    '+010000-01-01T00:00:00Z',
    '2030-07-01T00:00:00Z\n',
    'Mon, 01 Jul 2030 00:00:00 GMT',
    1909094400,
    null,
  ])('row 20: expires %j: refused', (expires) => {
    expect(
      verdictOn(
        role,
        changed(role, (part) => Object.assign(part, { expires })),
      ),
    ).toBe('malformed')
  })

  test.each([0, -1, 1.5, 2 ** 31, 2 ** 53, '1', null, true, [1]])('version %j: refused', (version) => {
    expect(
      verdictOn(
        role,
        changed(role, (part) => Object.assign(part, { version })),
      ),
    ).toBe('malformed')
  })

  test.each(['2.0.0', '1', '1.0.31.1', '0.9', '1.x', '1.0e1', '', 1, ' 1.0'])('spec_version %j: refused', (text) => {
    expect(
      verdictOn(
        role,
        changed(role, (part) => Object.assign(part, { spec_version: text })),
      ),
    ).toBe('malformed')
  })

  test.each(['_type', 'spec_version', 'version', 'expires'])('without %s: refused', (name) => {
    expect(
      verdictOn(
        role,
        changed(role, (part) => delete part[name]),
      ),
    ).toBe('malformed')
  })

  test('row 26: fields that nobody knows, outside and inside: accepted and signed along', () => {
    const bytes = changed(role, (part) => Object.assign(part, { 'x-new': { deep: [1, null, 'ü"\\\n'] } }))
    const json = JSON.parse(Buffer.from(bytes).toString())
    expect(verdictOn(role, bytesOf({ ...json, 'x-outside': 1 }))).toBe('verified')
    json.signed['x-new'].deep[0] = 2
    expect(verdictOn(role, bytesOf(json))).toBe('unsigned')
  })

  test('row 27: JSON that two readers could understand differently: refused', () => {
    const text = Buffer.from(changed(role, () => {})).toString()
    expect(verdictOn(role, Buffer.from(text.replace('"version":1', '"version":1,"version":1')))).toBe('malformed')
    expect(verdictOn(role, Buffer.from(text.replace('"version":1', '"version":1,"__proto__":{}')))).toBe('malformed')
    expect(verdictOn(role, Buffer.from(`${text}\0`))).toBe('malformed')
  })

  test('numbers that are no integers are not signed by anybody', () => {
    expect(
      verdictOn(
        role,
        changed(role, (part) => Object.assign(part, { x: 1.5 })),
      ),
    ).not.toBe('verified')
  })

  test('larger than it may be: refused', () => {
    const bytes = changed(role, (part) => Object.assign(part, { x: 'x'.repeat(maxMetadataBytes[role]) }))
    expect(verdictOn(role, bytes)).toBe('too_large')
  })

  test.each([
    ['no object', []],
    ['no signed part', { signatures: [] }],
    ['no signatures', { signed: {} }],
    ['signatures that are no list', { signed: {}, signatures: {} }],
    ['a signed part that is a list', { signed: [], signatures: [] }],
    ['null', null],
  ])('%s: refused', (_, json) => {
    expect(verdictOn(role, bytesOf(json))).toBe('malformed')
  })
})

describe('lengths and digests', () => {
  const withTarget = (fields: object) => changed('targets', (part) => Object.assign(part, { targets: { a: fields } }))
  const sha256 = 'ab'.repeat(32)

  test.each([
    ['an unknown algorithm alone', { crc32: '00000000' }],
    ['none', {}],
    ['SHA-512 alone', { sha512: 'ab'.repeat(64) }],
    ['an unknown algorithm beside it', { sha256, md5: 'ab'.repeat(16) }],
    ['upper case', { sha256: sha256.toUpperCase() }],
    ['too short', { sha256: 'ab' }],
    ['with something behind', { sha256: `${sha256}zz` }],
    ['no text', { sha256: 1 }],
  ])('row 35: digests of a target: %s: refused', (_, hashes) => {
    expect(verdictOn('targets', withTarget({ length: 1, hashes }))).toBe('malformed')
    const meta = { 'snapshot.json': { version: 1, hashes }, 'targets.json': { version: 1, hashes } }
    expect(
      verdictOn(
        'timestamp',
        changed('timestamp', (part) => Object.assign(part, { meta })),
      ),
    ).toBe('malformed')
    expect(
      verdictOn(
        'snapshot',
        changed('snapshot', (part) => Object.assign(part, { meta })),
      ),
    ).toBe('malformed')
  })

  test.each([-1, 1.5, '1', 2 ** 53, null])('row 39: a length of %j: refused', (length) => {
    expect(verdictOn('targets', withTarget({ length, hashes: { sha256 } }))).toBe('malformed')
    const meta = { 'snapshot.json': { version: 1, length }, 'targets.json': { version: 1, length } }
    expect(
      verdictOn(
        'timestamp',
        changed('timestamp', (part) => Object.assign(part, { meta })),
      ),
    ).toBe('malformed')
    expect(
      verdictOn(
        'snapshot',
        changed('snapshot', (part) => Object.assign(part, { meta })),
      ),
    ).toBe('malformed')
  })

  test.each([0, 1, 2 ** 31, 2 ** 32, 2 ** 40])('row 39: a length of %d is told as it is', async (length) => {
    const repository = new TufRepository()
    repository.release(() => Object.assign(repository.targets.targets, { a: { length, hashes: { sha256 } } }))
    const client = await TufDevice.of(repository).open()
    const { signal } = new AbortController()
    await client.refresh(signal)
    expect(await client.target('a', signal)).toEqual({ path: 'a', role: 'targets', length, sha256, custom: undefined })
  })

  test('what is custom is told as it is', async () => {
    const repository = new TufRepository()
    const custom = { model: { name: 'a', percent: 1 } }
    repository.release(() =>
      Object.assign(repository.targets.targets, { a: { length: 1, hashes: { sha256 }, custom } }),
    )
    const client = await TufDevice.of(repository).open()
    const { signal } = new AbortController()
    await client.refresh(signal)
    expect(await client.target('a', signal)).toMatchObject({ custom })
  })
})

describe('delegations', () => {
  const role = { name: 'deploy', keyids: [ed25519Signer('d').id], threshold: 1, terminating: true, paths: ['a/*'] }
  const delegating = (delegations: object) => {
    const keys = { [ed25519Signer('d').id]: ed25519Signer('d').key }
    return changed('targets', (part) => Object.assign(part, { delegations: { keys, ...delegations } }))
  }

  test('by paths are taken', () => {
    expect(verdictOn('targets', delegating({ roles: [role] }))).toBe('verified')
    expect(verdictOn('targets', delegating({ roles: [] }))).toBe('verified')
  })

  test.each([
    ['a top role’s name', { ...role, name: 'snapshot' }],
    ['no name', { ...role, name: '' }],
    ['a name of 4 KiB', { ...role, name: 'x'.repeat(4096) }],
    ['no paths', { ...role, paths: undefined }],
    ['path_hash_prefixes', { ...role, path_hash_prefixes: ['a'] }],
    ['a threshold above its keys', { ...role, threshold: 2 }],
    ['a threshold of 0', { ...role, threshold: 0 }],
    ['a key twice', { ...role, keyids: [role.keyids[0], role.keyids[0]] }],
    ['no word on whether it terminates', { ...role, terminating: undefined }],
  ])('%s: refused', (_, wrong) => {
    const plain = JSON.parse(JSON.stringify(wrong))
    expect(verdictOn('targets', delegating({ roles: [plain] }))).toBe('malformed')
  })

  test('two roles of one name: refused', () => {
    expect(verdictOn('targets', delegating({ roles: [role, { ...role, paths: ['b/*'] }] }))).toBe('malformed')
  })

  test('succinct roles are refused in words', () => {
    const succinct = { keyids: role.keyids, threshold: 1, bit_length: 2, name_prefix: 'bin' }
    const bytes = delegating({ succinct_roles: succinct })
    expect(() => parseMetadata('targets', bytes, 'targets')).toThrow('succinct_roles are not supported')
    const hashed = delegating({ roles: [{ ...role, path_hash_prefixes: ['a'] }] })
    expect(() => parseMetadata('targets', hashed, 'targets')).toThrow('path_hash_prefixes are not supported')
  })
})

describe('how much there may be of it, since the library takes the square of the time', () => {
  const listOf = (count: number, make: (i: number) => [string, object]) =>
    Object.fromEntries(Array.from({ length: count }, (_, i) => make(i)))
  const meta = (count: number) => listOf(count, (i) => [`r${i}`, { version: 1 }])
  const targets = (count: number) => listOf(count, (i) => [`t${i}`, { length: 1, hashes: { sha256: 'ab'.repeat(32) } }])
  const keys = (count: number) =>
    listOf(count, (i) => {
      const key = { keytype: 'x', scheme: 'y', keyval: { public: `${i}` } }
      return [keyIdOf(key), key]
    })
  const roles = (count: number) => listOf(count, (i) => [`r${i}`, { keyids: [], threshold: 1 }])

  test.each<[string, TopRole, number, (part: Json, count: number) => void]>([
    ['files in a snapshot', 'snapshot', 1000, (part, count) => Object.assign(part, { meta: meta(count) })],
    ['targets', 'targets', 2000, (part, count) => Object.assign(part, { targets: targets(count) })],
    [
      'keys of delegations',
      'targets',
      1024,
      (part, count) => Object.assign(part, { delegations: { keys: keys(count), roles: [] } }),
    ],
    [
      'roles of a root that nobody knows',
      'root',
      28,
      (part, count) => Object.assign(part, { roles: { ...Object(part['roles']), ...roles(count) } }),
    ],
  ])('%s', (_, role, most, change) => {
    parseMetadata(
      role,
      changed(role, (part) => change(part, most)),
      role,
    )
    const tooMany = changed(role, (part) => change(part, most + 1))
    expect(tooMany.length).toBeLessThan(maxMetadataBytes[role])
    expect(verdictOn(role, tooMany)).toBe('malformed')
  })
})

test('a timestamp that lists more than the snapshot is refused: its signature could not be checked', () => {
  const meta = { 'snapshot.json': { version: 1 }, 'other.json': { version: 1 } }
  expect(
    verdictOn(
      'timestamp',
      changed('timestamp', (part) => Object.assign(part, { meta })),
    ),
  ).toBe('malformed')
})

test('an error names the file, what was found and what is allowed', () => {
  const bytes = changed('timestamp', (part) => Object.assign(part, { expires: 'never' }))
  expect(() => parseMetadata('timestamp', bytes, 'timestamp')).toThrow(
    /^timestamp: .*expires: found "never", has to be a date and time of the form 2030-01-31T00:00:00Z/,
  )
})
