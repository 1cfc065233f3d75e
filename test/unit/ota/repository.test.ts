import { expect, test } from 'vitest'
import { approve, approvedModels, findModel, withoutModel } from '../../../src/ota/approved-models.ts'
import { defaultLifetimes, type RootDocument } from '../../../src/ota/documents.ts'
import { type Change, makeDrafts } from '../../../src/ota/drafts.ts'
import {
  type Group,
  modelOf,
  promoted,
  readGroups,
  rolledBack,
  withGroups,
  withoutRevoked,
} from '../../../src/ota/groups.ts'
import { Keyring, makeKey, type NewKey } from '../../../src/ota/key-files.ts'
import { filesOf } from '../../../src/ota/publish.ts'
import { type RepositoryState, readRepository, targetFileName } from '../../../src/ota/repository.ts'
import { findKey, type KeyRole, keyRoles, newRepository, withoutKey } from '../../../src/ota/role-keys.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const todayMs = Date.parse('2030-06-01T00:00:00Z')
const dayMs = 86_400_000

/** A repository in memory, and what its operator does to it. */
class Workshop {
  readonly files = new Map<string, Uint8Array>()
  readonly keyring: Keyring
  readonly keys: { readonly [R in KeyRole]: NewKey[] }
  nowMs = todayMs

  private constructor(keyring: Keyring) {
    this.keyring = keyring
    const made = (role: KeyRole, count = 1) =>
      Array.from({ length: count }, (_, i) => this.add(makeKey(`${role}-${i + 1}`)))
    this.keys = {
      root: made('root', 3),
      targets: made('targets'),
      deploy: made('deploy'),
      snapshot: made('snapshot'),
      timestamp: made('timestamp'),
    }
  }

  static async start(): Promise<Workshop> {
    const workshop = new Workshop(await Keyring.open(await tempFolder(), async () => undefined))
    const { root, targets, deploy, snapshot, timestamp } = workshop.keys
    const named = (keys: NewKey[]) => keys.map(({ signer: { id, key } }) => ({ id, key }))
    const keys = {
      root: named(root),
      targets: named(targets),
      deploy: named(deploy),
      snapshot: named(snapshot),
      timestamp: named(timestamp),
    }
    await workshop.write(newRepository(keys, 2, defaultLifetimes))
    return workshop
  }

  add(key: NewKey): NewKey {
    this.keyring.add(key)
    return key
  }

  readonly read = async (name: string) => this.files.get(name)

  async state(): Promise<RepositoryState> {
    const state = await readRepository(this.read)
    if (state === undefined) throw new Error('no repository')
    return state
  }

  /** The names of the files that a change writes, in their order. */
  async write(change: Change, { keyring = this.keyring, isRefresh = false } = {}): Promise<string[]> {
    const { read, nowMs } = this
    const state = await readRepository(read)
    const drafts = await makeDrafts(state, change, keyring, nowMs)
    const { files } = await filesOf(state, drafts, change.files ?? [], { keyring, nowMs, read, isRefresh })
    for (const { name, bytes } of files) this.files.set(name, bytes)
    return files.map(({ name }) => name.replace('metadata/', ''))
  }
}

const model = (version: string, content = 'network') => ({
  name: 'cats',
  version,
  networkSha256: 'ab'.repeat(32),
  rollbackIndex: 0,
  files: [
    { name: 'manifest.json', bytes: Buffer.from(`{"v":${version}}`) },
    { name: 'model.onnx', bytes: Buffer.from(content) },
  ],
})

async function added(workshop: Workshop, version: string): Promise<string[]> {
  const change = approve((await workshop.state()).targets, model(version))
  return workshop.write(change ?? {})
}

test('files are written from the targets up: what names a file comes after it', async () => {
  const workshop = await Workshop.start()
  expect(await added(workshop, '1')).toEqual([
    expect.stringMatching(/^targets\/models\/cats\/1\/[0-9a-f]{64}\.manifest\.json$/),
    expect.stringMatching(/^targets\/models\/cats\/1\/[0-9a-f]{64}\.model\.onnx$/),
    '2.targets.json',
    '2.snapshot.json',
    'timestamp.json',
  ])
})

test.each([...keyRoles])('the key of %s is replaced so that a device can read before and after', async (role) => {
  const workshop = await Workshop.start()
  const state = await workshop.state()
  const { id, roles } = findKey(state, workshop.keys[role][0]?.signer.id ?? '', (key) => workshop.keyring.nameOf(key))
  const next = workshop.add(makeKey('next'))
  const { root, targets } = withoutKey(state, { id, roles, replacement: next.signer })
  const change = {
    ...(root && { root }),
    ...(targets || role === 'targets' ? { targets: targets ?? state.targets } : {}),
    ...(role === 'deploy' ? { deploy: state.deploy } : {}),
  }
  const names = await workshop.write(change)
  expect(names).not.toContain('timestamp.next.json')
  if (role === 'deploy') expect(names.at(-1)).toBe('timestamp.json')
  else expect(names.at(-1)).toBe('2.root.json')
  expect(JSON.stringify(await workshop.state())).toContain(next.signer.id)
  // Cut short before the new root.
  workshop.files.delete('metadata/2.root.json')
  await workshop.state()
})

test('without the old key the root comes first, and the timestamp waits beforehand', async () => {
  const workshop = await Workshop.start()
  const state = await workshop.state()
  const rest = await Keyring.open(await tempFolder(), async () => undefined)
  for (const role of ['root', 'snapshot'] as const) for (const key of workshop.keys[role]) rest.add(key)
  const next = makeKey('next')
  rest.add(next)
  const id = workshop.keys.timestamp[0]?.signer.id ?? ''
  const { root } = withoutKey(state, { id, roles: ['timestamp'], replacement: next.signer })
  if (root === undefined) throw new Error('no root')
  const old = workshop.files.get('metadata/timestamp.json') ?? Buffer.alloc(0)
  expect(await workshop.write({ root }, { keyring: rest })).toEqual([
    'timestamp.next.json',
    '2.root.json',
    'timestamp.json',
  ])
  workshop.files.set('metadata/timestamp.json', old)
  expect((await workshop.state()).timestamp.version).toBe(2)
})

test('what no device would take is not written', async () => {
  const workshop = await Workshop.start()
  const { root } = await workshop.state()
  const twoOfTwo: RootDocument = { ...root, roles: { ...root.roles, targets: { ...root.roles.targets, threshold: 2 } } }
  await expect(workshop.write({ root: twoOfTwo })).rejects.toThrow('threshold')
})

test('refresh signs the snapshot anew once half of its time is over, and versions only grow', async () => {
  const workshop = await Workshop.start()
  workshop.nowMs = todayMs + 14 * dayMs
  expect(await workshop.write({}, { isRefresh: true })).toEqual(['timestamp.json'])
  workshop.nowMs = todayMs + 16 * dayMs
  expect(await workshop.write({}, { isRefresh: true })).toEqual(['2.snapshot.json', 'timestamp.json'])
  const { timestamp, snapshot, root, targets, deploy } = await workshop.state()
  expect([timestamp.version, timestamp.expires]).toEqual([3, '2030-06-24T00:00:00Z'])
  expect(snapshot.expires).toBe('2030-07-17T00:00:00Z')
  expect([root.expires, targets.expires, deploy.expires]).toEqual([
    '2031-06-01T00:00:00Z',
    '2030-11-28T00:00:00Z',
    '2030-07-01T00:00:00Z',
  ])
})

test('a revoked model is remembered, also by whoever adds it again', async () => {
  const workshop = await Workshop.start()
  await added(workshop, '1')
  await added(workshop, '2')
  const { targets } = await workshop.state()
  expect(approve(targets, model('1'))).toBeUndefined()
  expect(() => approve(targets, model('1', 'other'))).toThrow('is approved with other content')
  expect(findModel(targets, 'models/cats/2/manifest.json')).toBe('models/cats/2')
  expect(() => findModel(targets, 'cats')).toThrow('which version? cats/1, cats/2')
  await workshop.write({ targets: withoutModel(targets, 'models/cats/2') })
  const left = (await workshop.state()).targets
  expect(approvedModels(left).map(({ folder }) => folder)).toEqual(['models/cats/1'])
  expect(findModel(left, 'cats')).toBe('models/cats/1')
  expect(() => findModel(left, 'cats/2')).toThrow('was revoked')
  expect(() => approve(left, model('2'))).toThrow('was revoked')
})

test('the history of a group: promoted, rolled back step by step, and without what was revoked', async () => {
  const to = (old: Group | undefined, folder: string, percent = 100) =>
    promoted(old, 'porch', { folder, percent, fromMs: undefined }, todayMs)
  const one = to(undefined, 'models/cats/1', 10)
  const more = to(one, 'models/cats/1', 50)
  expect([more.desired.salt, more.desired.percent, more.history]).toEqual([one.desired.salt, 50, []])
  const three = to(to(more, 'models/cats/2'), 'models/cats/3')
  expect(three.desired.salt).not.toBe(one.desired.salt)
  expect(three.history).toEqual(['models/cats/2', 'models/cats/1'])
  const back = rolledBack(three, 100, todayMs)
  expect([modelOf(back), back.history]).toEqual(['models/cats/2', ['models/cats/1']])
  const further = rolledBack(back, 100, todayMs)
  expect([modelOf(further), further.history]).toEqual(['models/cats/1', []])
  expect(() => rolledBack(further, 100, todayMs)).toThrow('never had another model')
  expect(modelOf(withoutRevoked(three, 'models/cats/3', todayMs))).toBe('models/cats/2')
  expect(withoutRevoked(three, 'models/cats/2', todayMs).history).toEqual(['models/cats/1'])
  expect(withoutRevoked(one, 'models/cats/1', todayMs).desired).toMatchObject({ hold: true, percent: 10 })
  const workshop = await Workshop.start()
  await workshop.write(
    withGroups(
      (await workshop.state()).deploy,
      [three, one].map((group, i) => ({ ...group, name: `g${i}` })),
    ),
  )
  const read = await readGroups((await workshop.state()).deploy, workshop.read)
  expect(read).toEqual([
    { ...three, name: 'g0' },
    { ...one, name: 'g1' },
  ])
})

test('a group whose name climbs out of its place is none, and nothing is read for it', async () => {
  const workshop = await Workshop.start()
  const group = promoted(undefined, 'porch', { folder: 'models/cats/1', percent: 1, fromMs: undefined }, todayMs)
  const { deploy, files } = withGroups((await workshop.state()).deploy, [group])
  const fields = deploy.targets['desired/porch.json'] ?? { length: 0, hashes: { sha256: '' } }
  const climbing = ['desired/../x.json', 'desired/a/b.json', 'desired/../../../etc/x.json', 'desired/.json', 'x.json']
  const targets = { ...deploy.targets, ...Object.fromEntries(climbing.map((path) => [path, fields])) }
  await workshop.write({ deploy: { ...deploy, targets }, files })
  const asked: string[] = []
  const read = (name: string) => {
    asked.push(name)
    return workshop.read(name)
  }
  expect((await readGroups((await workshop.state()).deploy, read)).map(({ name }) => name)).toEqual(['porch'])
  expect(asked).toEqual([targetFileName('desired/porch.json', fields.hashes.sha256)])
})

test('a role keeps as many keys as have to sign', async () => {
  const workshop = await Workshop.start()
  const state = await workshop.state()
  const id = workshop.keys.timestamp[0]?.signer.id ?? ''
  expect(() => withoutKey(state, { id, roles: ['timestamp'], replacement: undefined })).toThrow('0 keys would be left')
})
