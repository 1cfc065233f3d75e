import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { type Fetcher, Updater } from 'tuf-js'
import { DownloadHTTPError } from 'tuf-js/dist/error.js'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { TufClient } from '../../src/ota/client.ts'
import { OtaError } from '../../src/ota/ota-error.ts'
import type { JsonValue } from '../../src/ota/strict-json.ts'
import { storedRoles } from '../../src/ota/trusted-store.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { day, ed25519Signer, MemoryStore, TufRepository, todayMs } from '../support/tuf-repository.ts'

/**
 * Broken repositories, given to our client and to tuf-js 6. Their verdicts have to be the same, but where ours is stricter
 * for a reason in the table below; for the other way round there are two. A case is its number: `CASES=1234-1234` runs
 * one, `CASES=0-9999` takes some two minutes, and both tell how often each reason was one.
 */

const [firstCase = 0, lastCase = 2_999] = (process.env['CASES'] ?? '').split('-').filter(Boolean).map(Number)
const paths = ['models/a.onnx', 'desired/a.json', 'desired/b/c.json', 'nothing']

/** What ours refuses and tuf-js takes: by our reason and words, and why. */
const stricter = [
  { words: /expires: .*has to be a date/, why: 'one form of a date only; tuf-js takes all that Date takes' },
  { words: /version: .*(whole number|at least 1|at most 2147483647)/, why: 'versions are integers in 1..2^31-1' },
  { words: /length: .*(whole number|at least 0|at most)/, why: 'lengths are integers' },
  { words: /threshold: |a threshold of at most/, why: 'a threshold is an integer of at most the number of keys' },
  { words: /hashes/, why: 'a SHA-256 has to be there, in lower case, and no digest that we do not check' },
  { words: /spec_version/, why: 'major 1 and numbers; tuf-js takes "1.0x10" and "1. "' },
  { words: /consistent_snapshot/, why: 'consistent snapshots have to be on' },
  { words: /keys whose ids are their digests/, why: 'key ids are recomputed' },
  { words: /key that can be trusted/, why: 'Ed25519 keys in one form, and none of small order' },
  { words: /keyids|lower-case hexadecimal digits/, why: 'key ids are SHA-256 digests in lower case' },
  { words: /signatures: |one signature of each key/, why: 'at most 32 signatures' },
  { words: /valid signatures.*\[odd signature\]/, why: 'signatures in lower-case digits without anything behind' },
  { words: /twice in one object/, why: 'a key twice in an object; tuf-js takes the last' },
  { words: /__proto__/, why: 'that name is refused' },
  { words: /nested more than/, why: 'at most 16 levels' },
  { words: /the number /, why: 'numbers that a double can not hold' },
  { words: /not Unicode|not valid for encoding/, why: 'bytes and escapes that are no Unicode' },
  { words: /fields that would be lost/, why: 'what is signed is what is read' },
  {
    words: /meta: missing|targets: missing|roles: missing|keys: missing|public: missing/,
    why: 'a part that the specification asks for; tuf-js puts in a default',
  },
  { words: /paths: |succinct_roles|path_hash_prefixes|name of its own/, why: 'delegations by paths only' },
  {
    words: /^("?other"?|\d+\.other\.json): /,
    why: 'of delegated roles only deploy is stored, so that others are always fetched anew',
  },
  {
    words: /^targets: it is not what it should look like: delegations/,
    why: 'the form of delegations is checked before they are used',
  },
  {
    words: /^targets: it is not what it should look like: targets/,
    why: 'the form of targets is checked before they are used',
  },
  {
    words: /^(snapshot|\d+\.snapshot\.json): /,
    why: 'a stored snapshot that does not fit the newest timestamp is fetched anew',
  },
] as const

/**
 * Why ours takes what tuf-js refuses, or takes something newer; undefined when there is no reason. In both, tuf-js goes on
 * with what it has stored, and both are signed by keys that are trusted.
 */
function whyWider(
  { root }: TufRepository,
  before: Uint8Array | undefined,
  after: Uint8Array | undefined,
): string | undefined {
  const keyIds: unknown = root.roles['snapshot']?.keyids
  if (before !== undefined && Array.isArray(keyIds) && !keyIds.includes(ed25519Signer('snapshot').id))
    return '5.3.11: when a key of the snapshot role alone is rotated, the timestamp is forgotten as well'
  if (
    before !== undefined &&
    after !== undefined &&
    versionOf(before) === versionOf(after) &&
    !isDeepStrictEqual(before, after)
  )
    return '5.5.2: a snapshot of the same version, whose digest the newest timestamp names, replaces the stored one'
  return undefined
}

type Verdict = {
  /** Whether the refresh went to its end, and how not. */
  readonly refresh: string
  readonly targets: readonly string[]
  readonly versions: { readonly [role: string]: number }
}

/** mulberry32: the same numbers in each run. */
class Dice {
  #state: number

  constructor(seed: number) {
    this.#state = seed * 2654435761 + 1
  }

  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % bound
  }

  of<T>(all: readonly T[]): T {
    const one = all[this.below(all.length)]
    if (one === undefined) throw new Error('nothing to choose from')
    return one
  }
}

const strange: readonly JsonValue[] = [
  0,
  -1,
  1,
  2,
  3,
  4,
  1.5,
  2 ** 31,
  1e21,
  '',
  '1',
  'never',
  'x',
  null,
  true,
  false,
  [],
  {},
  [1],
  { a: 1 },
  'ab'.repeat(32),
  'AB'.repeat(32),
  day(-1),
  day(400),
  '2030-07-01',
  '+012030-07-01T00:00:00Z',
  '1.0',
  '2.0.0',
  'rsa',
  'ecdsa',
  '../x',
  '*',
]

/** One change somewhere in a tree of JSON. */
function disturb(tree: JsonValue, dice: Dice): void {
  if (typeof tree !== 'object' || tree === null) return
  const list = Array.isArray(tree)
  const keys = Object.keys(tree)
  const key = keys.length === 0 ? 'new' : dice.of(keys)
  const child: JsonValue = list ? (tree[Number(key)] ?? null) : (tree[key] ?? null)
  if (typeof child === 'object' && child !== null && dice.below(4) > 0) {
    disturb(child, dice)
    return
  }
  const put = (value: JsonValue) => (list ? tree.splice(Number(key), 1, value) : Object.assign(tree, { [key]: value }))
  const kind = dice.below(6)
  if (kind === 0 && !list) delete tree[key]
  else if (kind === 0 && list) tree.splice(Number(key), 1)
  else if (kind === 1 && list) tree.push(child)
  else if (kind === 1 && !list) Object.assign(tree, { [`${key}x`]: child })
  else if (kind === 2 && typeof child === 'number') put(child + dice.of([1, -1, 0.5]))
  else if (kind === 3 && typeof child === 'string')
    put(dice.of([child.toUpperCase(), `${child}0`, child.slice(1), `${child} `]))
  else put(dice.of(strange))
}

/** One change to the bytes of a file. */
function disturbBytes(bytes: Uint8Array, dice: Dice): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1')
  const at = dice.below(text.length)
  const replaced = (pattern: string, by: string) => Buffer.from(text.replace(pattern, by), 'latin1')
  return dice.of([
    () => Buffer.from(text.slice(0, at), 'latin1'),
    () => Buffer.from(text.slice(0, at) + String.fromCharCode(dice.below(256)) + text.slice(at + 1), 'latin1'),
    () => Buffer.from(`${text} `, 'latin1'),
    () => Buffer.from(`${text}${text}`, 'latin1'),
    () => replaced('"version":', '"version" : '),
    () => replaced('"version":', '"version":7,"version":'),
    () => replaced('"spec_version"', '"__proto__":{},"spec_version"'),
    () => replaced('"expires"', '"\\u0065xpires"'),
    () => replaced('"signatures":[', '"signatures":[{"keyid":"x","sig":""},'),
    () => replaced('"sig":"', '"sig":"00'),
    () =>
      Buffer.from(
        text.replace(/"sig":"([0-9a-f]*)"/, (_, sig) => `"sig":"${String(sig).toUpperCase()}"`),
        'latin1',
      ),
    () => Buffer.from(text.replace(/"sig":"([0-9a-f]*)"/, '"sig":"$1zz"'), 'latin1'),
    () => Buffer.from(text.replace(/"signatures":\[(.*)\]/, '"signatures":[$1,$1]'), 'latin1'),
    () => Buffer.from(text.replace(/"version":(\d+)/, '"version":$1.0'), 'latin1'),
    () => Buffer.of(),
  ])()
}

const parts = ['root', 'timestamp', 'snapshot', 'targets'] as const

/** A repository of two releases, the second of which is broken; `devicesKnowFirst` says whether devices have seen the first. */
function brokenRepository(dice: Dice): {
  repository: TufRepository
  first: Map<string, Uint8Array> | undefined
  root: Uint8Array
} {
  const repository = new TufRepository()
  repository.tellsHashes = dice.below(2) === 0
  repository.delegate('deploy', ['desired/*.json'], { terminating: dice.below(2) === 0 })
  repository.delegate('other', ['desired/*', 'desired/*/*.json'])
  repository.addTarget('models/a.onnx', 'a')
  repository.addTarget('desired/a.json', 'b', { role: 'deploy' })
  repository.addTarget('desired/b/c.json', 'c', { role: 'other' })
  if (dice.below(3) === 0) repository.setRole('root', ['r1', 'r2', 'r3'].map(ed25519Signer), 2)
  repository.publishRoot()
  const root = repository.firstRoot
  repository.release()
  const first = dice.below(2) === 0 ? new Map(repository.files) : undefined
  const changes = 1 + dice.below(2)
  try {
    for (let i = 0; i < changes; i++) change(repository, dice)
  } catch {
    // What the first change broke the builder could not build on: it stays as it is.
  }
  return { repository, first, root }
}

function change(repository: TufRepository, dice: Dice): void {
  const part = dice.of(parts)
  dice.of([
    () => disturbPart(repository, part, dice),
    () => disturbPart(repository, part, dice),
    () => disturbPart(repository, part, dice),
    () => repository.release(() => disturb(repository.delegated.get(dice.of(['deploy', 'other'])) ?? null, dice)),
    () => {
      const name = dice.of([...repository.files.keys()])
      repository.files.set(name, disturbBytes(repository.file(name), dice))
    },
    () => repository.files.delete(dice.of([...repository.files.keys()])),
    () => {
      const [to, from] = [dice.of([...repository.files.keys()]), dice.of([...repository.files.keys()])]
      repository.files.set(to, repository.file(from))
    },
    () => {
      const signers = dice.of([[], ['stranger'], [part, 'stranger'], ['r1', 'r2']]).map(ed25519Signer)
      if (part === 'root') {
        repository.root.version++
        repository.publishRoot(signers)
      } else {
        repository.signers[part] = signers
        repository.release()
      }
    },
    () => repository.rotateRoot(() => repository.setRole(part, ['n1', 'n2'].map(ed25519Signer), 1 + dice.below(2))),
    () => {
      repository[part].version = Math.max(1, repository[part].version + dice.of([-1, -2, 1, 2, 100]))
      if (part === 'root') repository.publishRoot()
      else repository.publish()
    },
    () => {
      repository[part].expires = dice.of([day(-1), day(0), day(1)])
      if (part === 'root') repository.rotateRoot()
      else repository.release()
    },
  ])()
}

/** A signed part that is wrong in itself, signed as it should be and told by the others as it is. */
function disturbPart(repository: TufRepository, part: (typeof parts)[number], dice: Dice): void {
  if (part === 'root') {
    repository.rotateRoot(() => disturb(repository.root, dice))
    return
  }
  repository.release(() => disturb(repository[part], dice))
  if (part === 'targets') return
  // These are made anew by a release.
  disturb(repository[part], dice)
  if (part === 'snapshot') repository.publishSnapshot()
  else repository.publishTimestamp()
}

async function ours(repository: TufRepository, store: MemoryStore): Promise<Verdict> {
  const { signal } = new AbortController()
  const refused = (error: unknown) => {
    if (error instanceof OtaError) return error.message
    throw error
  }
  const client = await TufClient.open({ store, transport: repository })
  const refresh = await client
    .refresh(signal)
    .then((end) => (end.state === 'stale' ? end.error.message : 'fresh'), refused)
  const targets: string[] = []
  for (const path of refresh === 'fresh' ? paths : []) {
    const found = client.target(path, signal)
    targets.push(
      await found.then((target) => (target === undefined ? 'nobody' : `${target.length} ${target.sha256}`), refused),
    )
  }
  return { refresh, targets, versions: store.versions }
}

async function theirs(repository: TufRepository, folder: string): Promise<Verdict> {
  const fetcher: Fetcher = {
    downloadFile: () => Promise.reject(new Error('not used')),
    downloadBytes: async (url, maxBytes) => {
      const bytes = repository.files.get(url.replace(/^.*\//, ''))
      if (bytes === undefined) throw new DownloadHTTPError('not found', 404)
      if (bytes.length > maxBytes) throw new Error('too long')
      return Buffer.from(bytes)
    },
  }
  const refused = (error: unknown) => `refused: ${String(error)}`
  const updater = new Updater({ metadataDir: folder, metadataBaseUrl: 'http://repository', fetcher })
  const refresh = await updater.refresh().then(() => 'fresh', refused)
  const targets: string[] = []
  for (const path of refresh === 'fresh' ? paths : []) {
    const found = updater.getTargetInfo(path)
    targets.push(
      await found.then(
        (target) => (target === undefined ? 'nobody' : `${target.length} ${target.hashes['sha256']}`),
        refused,
      ),
    )
  }
  return { refresh, targets, versions: versionsIn(folder) }
}

function versionsIn(folder: string): { [role: string]: number } {
  const version = (name: string) => versionOf(readFileSync(join(folder, name)))
  return Object.fromEntries(readdirSync(folder).map((name) => [name.replace('.json', ''), version(name)]))
}

function versionOf(bytes: Uint8Array): number {
  return JSON.parse(Buffer.from(bytes).toString()).signed.version
}

function hasOddSignature({ files }: TufRepository): boolean {
  return [...files.values()].some((bytes) => /"sig":"[^"]*[^0-9a-f"]/.test(Buffer.from(bytes).toString('latin1')))
}

describe('the differential with tuf-js', () => {
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['Date'], now: todayMs })
  })
  afterEach(() => {
    vi.useRealTimers()
  })

  test('row 73: the same verdict on broken repositories, or a stricter one that is listed', {
    timeout: 180_000,
  }, async () => {
    const folder = await tempFolder()
    const counts = { both: 0, neither: 0, stricter: 0, wider: 0 }
    const reasons = new Map<string, number>()
    const wrong: string[] = []
    for (let number = firstCase; number <= lastCase; number++) {
      const { repository, first, root } = brokenRepository(new Dice(number))
      const store = new MemoryStore()
      const theirFolder = join(folder, 'tuf')
      mkdirSync(theirFolder)
      await store.write('root', root)
      writeFileSync(join(theirFolder, 'root.json'), root)
      if (first !== undefined) {
        const released = new Map(repository.files)
        repository.files.clear()
        for (const [name, bytes] of first) repository.files.set(name, bytes)
        await ours(repository, store)
        await theirs(repository, theirFolder)
        repository.files.clear()
        for (const [name, bytes] of released) repository.files.set(name, bytes)
      }
      const before = store.files.get('snapshot')
      const us = await ours(repository, store)
      const them = await theirs(repository, theirFolder)
      rmSync(theirFolder, { recursive: true })
      const difference = compare(us, them)
      if (difference === undefined) {
        if (us.refresh === 'fresh') counts.both++
        else counts.neither++
        continue
      }
      const said = `${difference.ours}${hasOddSignature(repository) ? ' [odd signature]' : ''}`
      const why = difference.isStricter
        ? stricter.find(({ words }) => words.test(said))?.why
        : whyWider(repository, before, store.files.get('snapshot'))
      if (difference.isStricter) counts.stricter++
      else counts.wider++
      if (why === undefined) wrong.push(`case ${number}: ours: ${said}; tuf-js: ${difference.theirs}`)
      else reasons.set(why, (reasons.get(why) ?? 0) + 1)
    }
    if (process.env['CASES'] !== undefined) console.log(counts, reasons)
    expect(wrong).toEqual([])
  })
})

type Difference = { readonly ours: string; readonly theirs: string; readonly isStricter: boolean }

function compare(us: Verdict, them: Verdict): Difference | undefined {
  const isRefused = (verdict: Verdict) => verdict.refresh !== 'fresh'
  if (isRefused(us) !== isRefused(them)) return { ours: us.refresh, theirs: them.refresh, isStricter: isRefused(us) }
  // Nothing is stored that they would not have stored.
  for (const role of storedRoles)
    if ((us.versions[role] ?? 0) > (them.versions[role] ?? 0))
      return { ours: `stored ${role} ${us.versions[role]}`, theirs: `${them.versions[role]}`, isStricter: false }
  for (const [i, target] of us.targets.entries()) {
    const other = them.targets[i] ?? ''
    const isOther = other.startsWith('refused')
    const isOurs = !/^(nobody|\d+ [0-9a-f]+)$/.test(target)
    if (isOurs !== isOther || (!isOurs && target !== other))
      return { ours: target, theirs: other, isStricter: isOurs && !isOther }
  }
  return undefined
}
