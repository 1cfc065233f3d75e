import { describe, expect, test } from 'vitest'
import { TufClient } from '../../../src/ota/client.ts'
import { maxMetadataBytes } from '../../../src/ota/metadata.ts'
import { bytesOf, day, ed25519Signer, signed, TufDevice, TufRepository, todayMs } from '../../support/tuf-repository.ts'

/** Rows of the test matrix in notes/ota.md, section 8: timestamp, snapshot and targets. */

const dayMs = 86_400_000

/** A repository at version 3 of all, and a device that has followed it. */
async function followed(change: (repository: TufRepository) => void = () => {}) {
  const repository = new TufRepository()
  change(repository)
  repository.release(() => repository.addTarget('models/a.onnx', 'a'))
  repository.release()
  const device = TufDevice.of(repository)
  expect(await device.refresh()).toBe('fresh')
  const before = device.store.versions
  repository.asked.length = 0
  return { repository, device, before }
}

const withHashes = [
  ['with digests', true],
  ['without digests', false],
] as const

describe('versions never fall', () => {
  test('row 14: timestamp', async () => {
    const { repository, device, before } = await followed()
    repository.timestamp.version = 2
    repository.publishTimestamp()
    expect(await device.refresh()).toBe('rollback')
    expect(device.store.versions).toEqual(before)
  })

  test.each(withHashes)('row 14: snapshot, %s', async (_, tellsHashes) => {
    const { repository, device, before } = await followed((made) => {
      made.tellsHashes = tellsHashes
    })
    repository.timestamp.version++
    repository.snapshot.version = 2
    repository.publishSnapshot()
    expect(await device.refresh()).toBe('rollback')
    expect(device.store.versions).toEqual(before)
    expect(repository.asked.at(-1)).toBe('timestamp.json')
  })

  test.each(withHashes)('row 14: targets, %s', async (_, tellsHashes) => {
    const { repository, device, before } = await followed((made) => {
      made.tellsHashes = tellsHashes
    })
    repository.release(() => {
      repository.targets.version = 2
    })
    expect(await device.refresh()).toBe('rollback')
    expect(device.store.versions).toEqual({ ...before, timestamp: 4 })
  })

  test('row 14: a delegated role', async () => {
    const { repository, device } = await followed((made) => made.delegate('deploy', ['desired/*.json']))
    repository.release(() => {
      const deploy = repository.delegated.get('deploy')
      if (deploy !== undefined) deploy.version = 1
    })
    expect(await device.refresh()).toBe('rollback')
  })

  test('row 14: a snapshot, although the timestamp in the store is lost', async () => {
    const { repository, device } = await followed()
    device.store.files.set('timestamp', Buffer.from('{"signed"'))
    repository.timestamp.version = 1
    repository.snapshot.version = 2
    repository.publishSnapshot()
    expect(await device.refresh()).toBe('rollback')
  })

  test('row 14: targets, although what remembers them has expired', async () => {
    const { repository, device } = await followed()
    device.clockMs = todayMs + 40 * dayMs
    repository.release(() => {
      for (const part of [repository.timestamp, repository.snapshot, repository.targets]) part.expires = day(90)
      repository.targets.version = 2
    })
    repository.rotateRoot(() => {
      repository.root.expires = day(90)
    })
    expect(await device.refresh()).toBe('rollback')
  })

  test('row 15: the same timestamp version with other content: the old one is kept', async () => {
    const { repository, device } = await followed()
    const old = device.store.files.get('timestamp')
    repository.timestamp.expires = day(99)
    repository.publishTimestamp()
    expect(await device.refresh()).toBe('fresh')
    expect(device.store.files.get('timestamp')).toEqual(old)
    expect(repository.asked).toEqual(['2.root.json', 'timestamp.json'])
  })

  test.each(['targets.json', 'deploy.json'])('row 16: the snapshot lists %s no more: refused', async (name) => {
    const { repository, device, before } = await followed((made) => made.delegate('deploy', ['desired/*.json']))
    repository.release()
    delete repository.snapshot.meta[name]
    repository.publishSnapshot()
    expect(await device.refresh()).toBe('rollback')
    expect(device.store.versions).toEqual({ ...before, timestamp: 4 })
  })

  test('row 17: what was refused is not stored, and the next good update works', async () => {
    const { repository, device, before } = await followed()
    const bad = signed({ ...repository.timestamp, version: 99 }, [ed25519Signer('other')])
    repository.files.set('timestamp.json', bytesOf(bad))
    expect(await device.refresh()).toBe('unsigned')
    expect(device.store.versions).toEqual(before)
    repository.timestamp.version = 99
    repository.timestamp.expires = day(-1)
    repository.publishTimestamp()
    expect(await device.refresh()).toBe('stale')
    expect(device.store.versions).toEqual(before)
    repository.timestamp.expires = day(30)
    repository.timestamp.version = 3
    repository.release()
    expect(await device.refresh()).toBe('fresh')
    expect(device.store.versions).toEqual({ root: 1, timestamp: 4, snapshot: 4, targets: 4 })
  })

  test.each([
    ['timestamp', ['timestamp']],
    ['snapshot', ['snapshot', 'timestamp']],
    ['snapshot', ['snapshot']],
    ['targets', ['snapshot']],
    ['targets', ['timestamp']],
  ] as const)('row 18: %s at 2^31-1: it comes down when the keys of %s rotate', async (role, rotated) => {
    const { repository, device } = await followed()
    const part = repository[role]
    const before = part.version
    repository.release(() => {
      part.version = 2 ** 31 - 1
    })
    expect(await device.refresh()).toBe('fresh')
    repository.timestamp.version++
    part.version = before + 1
    repository.publish()
    expect(await device.refresh()).not.toBe('fresh')
    repository.rotateRoot(() => {
      for (const name of rotated) repository.setRole(name, [ed25519Signer(`new ${name}`)])
    })
    repository.timestamp.version = 9
    repository.publish()
    expect(await device.refresh()).toBe('fresh')
    expect(device.store.versions[role]).toBe(role === 'timestamp' ? 9 : before + 1)
  })

  test('row 18: a key more is no rotation: versions are remembered', async () => {
    const { repository, device, before } = await followed()
    repository.rotateRoot(() => repository.setRole('timestamp', ['timestamp', 'more'].map(ed25519Signer)))
    repository.timestamp.version = 2
    repository.publishTimestamp()
    expect(await device.refresh()).toBe('rollback')
    expect(device.store.versions).toEqual({ ...before, root: 2 })
  })

  test('row 18: a version above 2^31-1: refused', async () => {
    const { repository, device } = await followed()
    repository.timestamp.version = 2 ** 31
    repository.publishTimestamp()
    expect(await device.refresh()).toBe('malformed')
  })
})

describe('dates', () => {
  test.each(['root', 'timestamp', 'snapshot', 'targets'] as const)('row 19: %s expired: stale', async (role) => {
    const { repository, device, before } = await followed()
    if (role === 'root') {
      repository.rotateRoot(() => {
        repository.root.expires = day(-1)
      })
    } else {
      repository.release(() => {
        repository[role].expires = day(-1)
      })
    }
    expect(await device.refresh()).toBe('stale')
    // Each part is stored by its own step, and an expired one is not; root is stored before its date is looked at (5.3.8).
    const stored = {
      root: { root: 2 },
      timestamp: {},
      snapshot: { timestamp: 4 },
      targets: { timestamp: 4, snapshot: 4 },
    }
    expect(device.store.versions).toEqual({ ...before, ...stored[role] })
  })

  test('row 19: a delegated role expired: nothing is said by it', async () => {
    const { repository, device } = await followed((made) => made.delegate('deploy', ['desired/*.json']))
    repository.addTarget('desired/a.json', 'x', { role: 'deploy' })
    repository.release(() => {
      const deploy = repository.delegated.get('deploy')
      if (deploy !== undefined) deploy.expires = day(-1)
    })
    expect(await device.refresh()).toBe('fresh')
    expect(await device.target('desired/a.json')).toBe('expired')
    expect(await device.target('models/a.onnx')).toBe('targets')
  })

  test('row 19: with time alone: no install, and what was trusted is still known', async () => {
    const { repository, device, before } = await followed()
    device.clockMs = todayMs + 30 * dayMs - 1
    expect(await device.refresh()).toBe('fresh')
    device.clockMs++
    expect(await device.refresh()).toBe('stale')
    expect(await device.target('models/a.onnx')).toBe('expired')
    const client = await device.open()
    expect(client.freshness).toMatchObject({ state: 'stale', error: { reason: 'expired', what: 'root' } })
    expect(client.trusted.targets?.targets.has('models/a.onnx')).toBe(true)
    expect(device.store.versions).toEqual(before)
    expect(repository.asked.at(-1)).toBe('2.root.json')
  })

  test.each(['timestamp', 'snapshot', 'targets'] as const)(
    'row 19: %s expired with time alone, nothing newer',
    async (role) => {
      const { device } = await followed((made) => {
        made[role].expires = day(5)
      })
      device.clockMs = todayMs + 5 * dayMs
      expect(await device.refresh()).toBe('stale')
      expect((await device.open()).freshness).toMatchObject({ state: 'stale', error: { what: role } })
    },
  )

  test('row 21: a clock at 1970: the floor holds', async () => {
    const { repository, device } = await followed()
    device.clockMs = 0
    device.floorMs = todayMs
    expect(await device.refresh()).toBe('fresh')
    repository.release(() => {
      repository.timestamp.expires = day(-1)
    })
    expect(await device.refresh()).toBe('stale')
    device.floorMs = todayMs + 31 * dayMs
    expect((await device.open()).freshness.state).toBe('stale')
  })

  test('row 21: a clock that jumps ten years ahead and back: nothing is lost', async () => {
    const { repository, device } = await followed()
    device.clockMs = todayMs + 3650 * dayMs
    expect(await device.refresh()).toBe('stale')
    device.clockMs = todayMs
    repository.release()
    expect(await device.refresh()).toBe('fresh')
    expect(await device.target('models/a.onnx')).toBe('targets')
  })

  test('one time for all of a refresh', async () => {
    const { repository, device } = await followed()
    repository.release()
    const fetch = repository.metadata.bind(repository)
    repository.metadata = (name) => {
      device.clockMs += 20 * dayMs
      return fetch(name)
    }
    expect(await device.refresh()).toBe('fresh')
  })
})

describe('parts that do not fit', () => {
  test('row 23: a snapshot with older targets', async () => {
    const { repository, device, before } = await followed()
    const old = repository.file('3.targets.json')
    repository.release()
    repository.files.set('4.targets.json', old)
    expect(await device.refresh()).toBe('digest_mismatch')
    expect(device.store.versions).toEqual({ ...before, timestamp: 4, snapshot: 4 })
    expect(await device.target('models/a.onnx')).toBe('missing')
  })

  test.each(['snapshot', 'targets', 'deploy'] as const)('row 13: %s of another version than asked', async (role) => {
    const { repository, device } = await followed((made) => {
      made.tellsHashes = false
      made.delegate('deploy', ['desired/*.json'])
    })
    const old = repository.file(`3.${role}.json`)
    repository.release()
    repository.files.set(`4.${role}.json`, old)
    const verdict =
      role === 'deploy' ? [await device.refresh(), await device.target('desired/x.json')] : [await device.refresh()]
    expect(verdict.at(-1)).toBe('version_mismatch')
  })

  test.each(['snapshot', 'targets', 'deploy'] as const)('row 24: %s of another digest or length', async (role) => {
    for (const change of [(text: string) => text.replace(':', ': '), (text: string) => `${text.slice(0, -1)} }`]) {
      const { repository, device } = await followed((made) => made.delegate('deploy', ['desired/*.json']))
      repository.release()
      repository.files.set(
        `4.${role}.json`,
        Buffer.from(change(Buffer.from(repository.file(`4.${role}.json`)).toString())),
      )
      await device.refresh()
      const verdict = role === 'deploy' ? await device.target('desired/x.json') : await device.refresh()
      // A length that is known is also the most that is fetched.
      expect(['digest_mismatch', 'too_large']).toContain(verdict)
    }
  })

  test('row 24: only the SHA-512 is wrong', async () => {
    const { repository, device } = await followed()
    repository.release()
    const meta = repository.timestamp.meta['snapshot.json'] ?? {}
    Object.assign(meta['hashes'] ?? {}, { sha512: 'ab'.repeat(64) })
    repository.publishTimestamp()
    expect(await device.refresh()).toBe('digest_mismatch')
  })

  test.each(['timestamp.json', '4.snapshot.json', '4.targets.json'])('row 25: %s is not there', async (name) => {
    const { repository, device } = await followed()
    repository.release()
    const bytes = repository.file(name)
    repository.files.delete(name)
    expect(await device.refresh()).toBe('missing')
    repository.files.set(name, bytes)
    expect(await device.refresh()).toBe('fresh')
    expect(device.store.versions).toEqual({ root: 1, timestamp: 4, snapshot: 4, targets: 4 })
  })

  test('what a transport throws goes through, and nothing is lost', async () => {
    const { repository, device, before } = await followed()
    const fetch = repository.metadata.bind(repository)
    repository.metadata = (name) => (name === 'timestamp.json' ? Promise.reject(new Error('no link')) : fetch(name))
    await expect(device.refresh()).rejects.toThrow('no link')
    expect(device.store.versions).toEqual(before)
    expect(await device.target('models/a.onnx')).toBe('targets')
  })

  test('more bytes than asked for are refused', async () => {
    const { repository, device } = await followed()
    repository.files.set('timestamp.json', Buffer.alloc(16_385, ' '))
    expect(await device.refresh()).toBe('too_large')
  })
})

describe('an update that stopped half way', () => {
  test('row 23: no target is told from a snapshot that has been overtaken', async () => {
    const { repository, device } = await followed((made) => {
      made.delegate('deploy', ['desired/*.json'])
      made.addTarget('desired/a.json', 'x', { role: 'deploy' })
    })
    const client = await device.open()
    const { signal } = new AbortController()
    expect(await client.target('models/a.onnx', signal)).toBeDefined()
    repository.release()
    repository.files.delete('4.snapshot.json')
    await expect(client.refresh(signal)).rejects.toMatchObject({ reason: 'missing' })
    await expect(client.target('models/a.onnx', signal)).rejects.toMatchObject({ reason: 'missing' })
    expect(await device.target('models/a.onnx')).toBe('missing')
    expect(await device.target('desired/a.json')).toBe('missing')
  })

  test('row 14: what a timestamp said of the snapshot counts, although that never came', async () => {
    const { repository, device } = await followed()
    repository.release(() => {
      repository.snapshot.version = 9
    })
    repository.files.delete('9.snapshot.json')
    expect(await device.refresh()).toBe('missing')
    repository.timestamp.version++
    repository.snapshot.version = 8
    repository.publishSnapshot()
    expect(await device.refresh()).toBe('rollback')
  })
})

describe('lengths', () => {
  test.each([
    [1, 'digest_mismatch'],
    [-1, 'too_large'],
  ])('row 24: told %d too long, without digests: refused', async (error, reason) => {
    for (const role of ['snapshot', 'targets']) {
      const { repository, device } = await followed((made) => {
        made.tellsHashes = false
      })
      repository.release()
      const { length } = repository.file(`4.${role}.json`)
      if (role === 'targets') {
        Object.assign(repository.snapshot.meta['targets.json'] ?? {}, { length: length + error })
        repository.publishSnapshot()
      } else {
        Object.assign(repository.timestamp.meta['snapshot.json'] ?? {}, { length: length + error })
        repository.publishTimestamp()
      }
      expect(await device.refresh()).toBe(reason)
    }
  })

  test('a transport is asked for no more than the length that is known', async () => {
    const { repository, device } = await followed()
    repository.release()
    const asked: [string, number][] = []
    const client = await TufClient.open({
      store: device.store,
      clockMs: () => todayMs,
      transport: {
        metadata: (name, maxBytes) => {
          asked.push([name, maxBytes])
          return repository.metadata(name)
        },
      },
    })
    await client.refresh(new AbortController().signal)
    expect(asked).toEqual([
      ['2.root.json', maxMetadataBytes.root],
      ['timestamp.json', maxMetadataBytes.timestamp],
      ['4.snapshot.json', repository.file('4.snapshot.json').length],
      ['4.targets.json', repository.file('4.targets.json').length],
    ])
  })
})

describe('a target', () => {
  test('is found without a request once it is known, even after a start', async () => {
    const { repository, device } = await followed((made) => {
      made.delegate('deploy', ['desired/*.json'])
      made.addTarget('desired/a.json', 'x', { role: 'deploy' })
    })
    expect(await device.target('desired/a.json')).toBe('deploy')
    expect(repository.asked).toEqual(['3.deploy.json'])
    expect(await device.target('desired/a.json')).toBe('deploy')
    expect(repository.asked).toEqual(['3.deploy.json'])
  })

  test('is nobody’s outside the paths of a delegated role', async () => {
    const { repository, device } = await followed((made) => {
      made.delegate('deploy', ['desired/*.json'])
      made.addTarget('models/evil.onnx', 'x', { role: 'deploy' })
      made.addTarget('desired/a/b.json', 'x', { role: 'deploy' })
    })
    expect(await device.target('models/evil.onnx')).toBe('nobody')
    expect(await device.target('desired/a/b.json')).toBe('nobody')
    expect(repository.asked).toEqual([])
  })

  test('ends at a terminating role, and goes on after one that is not', async () => {
    const { device } = await followed((made) => {
      made.delegate('first', ['a/*'], { terminating: false })
      made.delegate('second', ['a/*'], { terminating: true })
      made.delegate('third', ['a/*'])
      made.addTarget('a/2', 'x', { role: 'second' })
      made.addTarget('a/3', 'x', { role: 'third' })
    })
    expect(await device.target('a/2')).toBe('second')
    expect(await device.target('a/3')).toBe('nobody')
  })

  test('a terminating role ends the search of its delegator as well', async () => {
    const { device } = await followed((made) => {
      made.delegate('outer', ['a/*'], { terminating: false })
      made.delegate('inner', ['a/*'], { by: 'outer', terminating: true })
      made.delegate('other', ['a/*'])
      made.addTarget('a/x', 'x', { role: 'other' })
    })
    expect(await device.target('a/x')).toBe('nobody')
  })

  test('roles in a circle end', async () => {
    const { device } = await followed((made) => {
      made.delegate('one', ['a/*'], { terminating: false })
      made.delegate('two', ['a/*'], { by: 'one', terminating: false })
      made.delegate('one', ['a/*'], { by: 'two', terminating: false })
    })
    expect(await device.target('a/x')).toBe('nobody')
  })

  test('no more than 32 delegated roles are asked', async () => {
    const { repository, device } = await followed((made) => {
      for (let i = 0; i < 40; i++)
        made.delegate(`r${i}`, ['a/*'], { by: i === 0 ? 'targets' : `r${i - 1}`, terminating: false })
      made.addTarget('a/x', 'x', { role: 'r39' })
      made.addTarget('a/y', 'y', { role: 'r31' })
    })
    expect(await device.target('a/x')).toBe('nobody')
    expect(repository.asked).toHaveLength(32)
    expect(await device.target('a/y')).toBe('r31')
  })

  test('a role that two delegate to with different keys is good only for who named its key', async () => {
    const { device } = await followed((made) => {
      made.delegate('one', ['a/*'], { terminating: false })
      made.delegate('shared', ['a/*'], { by: 'one', terminating: false, signer: ed25519Signer('wrong') })
      made.delegate('shared', ['a/*'], { terminating: false, signer: ed25519Signer('right') })
      made.addTarget('a/x', 'x', { role: 'shared' })
    })
    expect(await device.target('a/x')).toBe('unsigned')
  })

  test('a delegated role that is known is checked against each delegator', async () => {
    const { device } = await followed((made) => {
      made.delegate('shared', ['b/*'], { terminating: true, signer: ed25519Signer('wrong') })
      made.delegate('one', ['a/*'], { terminating: false })
      made.delegate('shared', ['a/*'], { by: 'one', terminating: false, signer: ed25519Signer('right') })
      made.addTarget('a/x', 'x', { role: 'shared' })
      made.addTarget('b/x', 'x', { role: 'shared' })
    })
    const client = await device.open()
    const { signal } = new AbortController()
    expect(await client.target('a/x', signal)).toMatchObject({ role: 'shared' })
    await expect(client.target('b/x', signal)).rejects.toMatchObject({ reason: 'unsigned' })
  })
})
