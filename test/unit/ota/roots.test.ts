import { describe, expect, test } from 'vitest'
import { keyIdOf } from '../../../src/ota/keys.ts'
import {
  bytesOf,
  day,
  ecdsaSigner,
  ed25519Signer,
  type Signer,
  signed,
  signerOf,
  TufDevice,
  TufRepository,
} from '../../support/tuf-repository.ts'

/** Rows of the test matrix in notes/ota.md, section 8. */

const five = ['a', 'b', 'c', 'd', 'e'].map(ed25519Signer)
const pick = (names: string): Signer[] => [...names].map(ed25519Signer)

/** A repository whose first root has these keys, and a device that has followed it. */
async function repositoryWith(signers: Signer[], threshold: number, role = 'root') {
  const repository = new TufRepository()
  repository.setRole(role, signers, threshold)
  repository.publishRoot()
  repository.publish()
  const device = TufDevice.of(repository)
  expect(await device.refresh()).toBe('fresh')
  return { repository, device }
}

async function rootVersion(device: TufDevice): Promise<number> {
  return (await device.open()).trusted.root.version
}

describe('the first root', () => {
  test.each([
    ['unsigned', 'unsigned', (root: TufRepository['root']) => signed(root, [])],
    ['signed by another key', 'unsigned', (root: TufRepository['root']) => signed(root, [ed25519Signer('other')])],
    [
      'without a version',
      'malformed',
      ({ version: _, ...root }: TufRepository['root']) => signed(root, [ed25519Signer('root')]),
    ],
    [
      'changed after it was signed',
      'unsigned',
      (root: TufRepository['root']) => ({ ...signed(root, pick('r')), signed: { ...root, expires: day(99) } }),
    ],
  ])('row 1: %s: refused, and nothing is asked', async (_, reason, make) => {
    const repository = new TufRepository()
    const device = new TufDevice(repository, bytesOf(make(repository.root)))
    expect(await device.refresh()).toBe(reason)
    expect(repository.asked).toEqual([])
  })

  test('row 1: none at all', async () => {
    const repository = new TufRepository()
    const device = new TufDevice(repository, Buffer.of())
    expect(await device.refresh()).toBe('malformed')
  })

  test('may have expired, as long as the newest has not', async () => {
    const repository = new TufRepository()
    repository.root.expires = day(-1)
    repository.publishRoot()
    const device = TufDevice.of(repository)
    expect(await device.refresh()).toBe('stale')
    repository.rotateRoot(() => {
      repository.root.expires = day(9)
    })
    expect(await device.refresh()).toBe('fresh')
  })

  test('a newer one that comes with the program is taken, an older one is not', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.rotateRoot()
    device.factoryRoot = repository.file('2.root.json')
    expect(await rootVersion(device)).toBe(2)
    repository.rotateRoot()
    await device.refresh()
    expect(await rootVersion(device)).toBe(3)
  })

  test('a newer one that comes with the program forgets what the keys that it takes away have signed', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.release(() => {
      repository.snapshot.version = 99
    })
    expect(await device.refresh()).toBe('fresh')
    repository.rotateRoot(() => repository.setRole('snapshot', pick('s')))
    device.factoryRoot = repository.file('2.root.json')
    expect((await device.open()).trusted.timestamp).toBeUndefined()
    expect(device.store.versions).toEqual({ root: 2, targets: 2 })
    repository.timestamp.version = 1
    repository.snapshot.version = 2
    repository.publish()
    expect(await device.refresh()).toBe('fresh')
    expect((await device.open()).trusted.snapshot?.version).toBe(2)
  })

  test('a damaged copy in the store is replaced along the chain', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.rotateRoot()
    expect(await device.refresh()).toBe('fresh')
    expect(device.store.versions).toMatchObject({ root: 2 })
    device.store.files.set('root', repository.file('2.root.json').slice(0, 300))
    expect(await rootVersion(device)).toBe(1)
    expect(await device.refresh()).toBe('fresh')
    expect(device.store.versions).toMatchObject({ root: 2 })
  })
})

describe('the next root', () => {
  test.each([
    ['row 2', 'the old threshold', pick('ab'), pick('fg')],
    ['row 3', 'the new threshold', pick('abc'), pick('f')],
  ])('%s: not signed by %s: the old one is kept', async (_row, _what, old, next) => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.root.version = 2
    repository.setRole('root', pick('fgh'), 2)
    repository.publishRoot([...old, ...next])
    expect(await device.refresh()).toBe('unsigned')
    expect(await rootVersion(device)).toBe(1)
    expect(device.store.versions).toMatchObject({ root: 1 })
  })

  test.each([
    ['two above', 3],
    ['the same', 1],
    ['one below', 0],
  ])('row 4: its version is %s: refused', async (_, version) => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.root.version = version
    repository.files.set('2.root.json', bytesOf(signed(repository.root, five)))
    expect(await device.refresh()).toBe(version === 0 ? 'malformed' : 'version_mismatch')
    expect(await rootVersion(device)).toBe(1)
  })

  test('row 4: the one after the next can not be reached alone', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.rotateRoot()
    repository.rotateRoot()
    repository.files.delete('2.root.json')
    expect(await device.refresh()).toBe('fresh')
    expect(await rootVersion(device)).toBe(1)
  })

  /** The 15 root cases of tuf-conformance: from 3-of-5 or 1-of-2 keys to others, and who signs. */
  test.each([
    ['1-of-1 to the same', 'a', 1, 'a', 1, 'a', true],
    ['1-of-1 to another, signed by both', 'a', 1, 'b', 1, 'ab', true],
    ['1-of-1 to another, signed by the old', 'a', 1, 'b', 1, 'a', false],
    ['1-of-1 to another, signed by the new', 'a', 1, 'b', 1, 'b', false],
    ['1-of-1 to one of two, signed by the old', 'a', 1, 'ab', 1, 'a', true],
    ['3-of-5 to the same, signed by other three', 'abcde', 3, 'abcde', 3, 'ace', true],
    ['3-of-5 to the same, signed by two', 'abcde', 3, 'abcde', 3, 'ab', false],
    ['3-of-5 with one key changed, signed by three of both', 'abcde', 3, 'abcdf', 3, 'abc', true],
    ['3-of-5 with three keys changed, signed by both', 'abcde', 3, 'defgh', 3, 'abcfgh', true],
    ['3-of-5 with three keys changed, one too few of the old', 'abcde', 3, 'defgh', 3, 'abfgh', false],
    ['3-of-5 with three keys changed, one too few of the new', 'abcde', 3, 'defgh', 3, 'abcfg', false],
    ['3-of-5 with three keys changed, those that stay count for both', 'abcde', 3, 'defgh', 3, 'adeh', true],
    ['the threshold grows, signed by enough for the new', 'abcde', 3, 'abcde', 5, 'abcde', true],
    ['the threshold grows, signed by enough for the old', 'abcde', 3, 'abcde', 5, 'abc', false],
    ['the threshold falls, signed by enough for the new', 'abcde', 3, 'abcde', 1, 'a', false],
  ])('row 5: root: %s', async (_, old, oldThreshold, next, threshold, signers, isTaken) => {
    const { repository, device } = await repositoryWith(pick(old), oldThreshold)
    repository.root.version = 2
    repository.setRole('root', pick(next), threshold)
    repository.publishRoot(pick(signers))
    expect(await device.refresh()).toBe(isTaken ? 'fresh' : 'unsigned')
    expect(await rootVersion(device)).toBe(isTaken ? 2 : 1)
  })

  /** The 10 cases of the other roles: who may sign is what the newest root says. */
  test.each([
    ['by the one key', 'a', 1, 'a', true],
    ['by another key', 'a', 1, 'b', false],
    ['by one of two', 'ab', 1, 'b', true],
    ['by both of two, both needed', 'ab', 2, 'ab', true],
    ['by one of two, both needed', 'ab', 2, 'a', false],
    ['by three of five', 'abcde', 3, 'bde', true],
    ['by two of five, three needed', 'abcde', 3, 'bd', false],
    ['by two of five and a stranger, three needed', 'abcde', 3, 'bdz', false],
    ['by all and a stranger', 'abcde', 3, 'abcdez', true],
    ['by nobody', 'a', 1, '', false],
  ])('row 5: timestamp, snapshot, targets and a delegated role signed %s', async (_, keys, threshold, by, isTaken) => {
    for (const role of ['timestamp', 'snapshot', 'targets', 'deploy']) {
      const { repository, device } = await repositoryWith(five, 3)
      if (role === 'deploy') {
        const delegated = repository.delegate('deploy', ['desired/*.json'])
        Object.assign(delegated, { keyids: pick(keys).map(({ id }) => id), threshold })
        for (const { id, key } of pick(keys)) Object.assign(repository.targets.delegations?.keys ?? {}, { [id]: key })
      } else {
        repository.rotateRoot(() => repository.setRole(role, pick(keys), threshold))
      }
      repository.signers[role] = pick(by)
      repository.release()
      const verdict = await device.refresh()
      if (role === 'deploy') expect(await device.target('desired/x.json')).toBe(isTaken ? 'nobody' : 'unsigned')
      else expect(verdict).toBe(isTaken ? 'fresh' : 'unsigned')
    }
  })

  test('row 5: keys that are trusted no longer take what they signed along', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.rotateRoot(() => repository.setRole('targets', pick('t')))
    expect(await device.refresh()).toBe('unsigned')
    expect(await device.target('any')).toBe('missing')
    repository.release()
    expect(await device.refresh()).toBe('fresh')
  })

  test('row 6: a key id twice in a role: refused', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.rotateRoot(() => {
      repository.root.roles['root']?.keyids.push(five[0]?.id ?? '')
    })
    expect(await device.refresh()).toBe('malformed')
    expect(await rootVersion(device)).toBe(1)
  })

  test('row 6: one ECDSA key under two ids is one signer', async () => {
    const signer = ecdsaSigner()
    const repository = new TufRepository()
    const { keytype: _, ...key } = signer.key
    const twin = { ...key, keytype: 'ecdsa-sha2-nistp256' }
    const pem = String(Object.values(signer.key['keyval'] ?? {})[0])
    const twinId = keyIdOf({ keytype: twin.keytype, scheme: 'ecdsa-sha2-nistp256', keyval: { public: pem } })
    const both = [signer, { ...signer, id: twinId, key: twin }]
    repository.rotateRoot(() => repository.setRole('timestamp', both, 2))
    repository.publish()
    const device = TufDevice.of(repository)
    expect(await device.refresh()).toBe('unsigned')
    repository.rotateRoot(() => repository.setRole('timestamp', [...both, ecdsaSigner()], 2))
    repository.publish()
    expect(await device.refresh()).toBe('fresh')
  })

  test.each([0, -1, 1.5, 6, 2 ** 40, '1', null])('row 8: a threshold of %j of 5: refused', async (threshold) => {
    for (const role of ['root', 'timestamp', 'snapshot', 'targets']) {
      const { repository, device } = await repositoryWith(five, 3)
      repository.rotateRoot(() => Object.assign(repository.root.roles[role] ?? {}, { threshold }))
      expect(await device.refresh()).toBe('malformed')
      expect(await rootVersion(device)).toBe(1)
    }
  })

  test('row 8: a threshold below 1 in a delegation: refused', async () => {
    const repository = new TufRepository()
    const role = repository.delegate('deploy', ['desired/*.json'])
    role.threshold = 0
    repository.release()
    expect(await TufDevice.of(repository).refresh()).toBe('malformed')
  })

  test('an id that is not the digest of its key: refused', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.rotateRoot(() => {
      repository.root.keys['0'.repeat(64)] = ed25519Signer('z').key
    })
    expect(await device.refresh()).toBe('malformed')
  })

  test('keys of kinds that we do not use are let be', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    const rsa = signerOf('rsa', 'rsassa-pss-sha256', 'something', () => 'ab')
    repository.rotateRoot(() => repository.setRole('root', [...five, rsa], 3))
    repository.rotateRoot()
    expect(await device.refresh()).toBe('fresh')
    expect(await rootVersion(device)).toBe(3)
  })

  test('one that turns consistent snapshots off: refused', async () => {
    const { repository, device } = await repositoryWith(five, 3)
    repository.rotateRoot(() => {
      repository.root['consistent_snapshot'] = false
    })
    expect(await device.refresh()).toBe('malformed')
  })

  test('256 of them at once, the others with the next refresh', { timeout: 60_000 }, async () => {
    const repository = new TufRepository()
    const device = TufDevice.of(repository)
    for (let i = 0; i < 257; i++) repository.rotateRoot()
    await device.refresh()
    expect(await rootVersion(device)).toBe(257)
    await device.refresh()
    expect(await rootVersion(device)).toBe(258)
  })
})
