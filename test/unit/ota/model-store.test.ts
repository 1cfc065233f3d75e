import { execFileSync } from 'node:child_process'
import { appendFile, lstat, mkdir, readdir, readFile, rm, symlink, truncate, unlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Candidate } from '../../../src/ota/model-slots.ts'
import { ModelStore } from '../../../src/ota/model-store.ts'
import { failOpening } from '../../support/failing-open.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { candidateIn, sha256Of, shelve, tinyModel } from '../../support/tiny-model.ts'

const names = ['manifest.json', 'model.onnx', 'golden/a.gz']

/** A store with one model in it. */
async function stored({ manifest = {} } = {}) {
  const folder = join(await tempFolder(), 'ota')
  const modelFolder = await tinyModel('1', { manifest })
  const model = await shelve(folder, modelFolder)
  const store = await ModelStore.open(folder)
  const dir = join(folder, 'models', model.sha256)
  const blobOf = async (name: string) => join(folder, 'blobs', sha256Of(await readFile(join(modelFolder, name))))
  const expectWhole = async () => {
    expect(await store.ready(model)).toEqual({ dir, manifestSha256: model.sha256 })
    for (const name of names) expect(await readFile(join(dir, name))).toEqual(await readFile(join(modelFolder, name)))
    expect(await Promise.all([folder, join(folder, 'models'), dir, join(dir, 'golden')].map(isFolder))).not.toContain(
      false,
    )
  }
  return { folder, store, model, dir, blobOf, expectWhole }
}

const isFolder = async (path: string) => (await lstat(path)).isDirectory()

/** A folder of someone else's, which no one may touch. */
async function victimFolder() {
  const folder = await tempFolder()
  for (const name of ['a.gz', 'manifest.json', 'model.onnx', 'x']) await writeFile(join(folder, name), 'mine')
  return {
    folder,
    expectUntouched: async () => {
      expect(await readdir(folder)).toEqual(['a.gz', 'manifest.json', 'model.onnx', 'x'])
      for (const name of await readdir(folder)) expect(await readFile(join(folder, name), 'utf8')).toBe('mine')
    },
  }
}

describe('a model in the store', () => {
  test('is a folder that can be loaded', async () => {
    const { store, model, expectWhole } = await stored()
    expect(await store.manifest(model)).toMatchObject({ name: 'tiny', version: '1', model: 'model.onnx' })
    await expectWhole()
    await expectWhole()
  })

  const damages: readonly [string, (path: string) => Promise<unknown>][] = [
    ['gone', (path) => unlink(path)],
    ['cut off', (path) => truncate(path, 50)],
    ['longer', (path) => appendFile(path, 'x')],
    [
      'changed in one bit',
      async (path) => {
        const bytes = await readFile(path)
        bytes[30] = (bytes[30] ?? 0) ^ 4
        await writeFile(path, bytes)
      },
    ],
    [
      'a link to the very bytes',
      async (path) => {
        await writeFile(`${path}.new`, await readFile(path))
        await unlink(path)
        await symlink(`${path}.new`, path)
      },
    ],
  ]

  test.each(names.flatMap((name) => damages.map(([what, damage]) => ({ name, what, damage }))))(
    'row 53: of which $name is $what: not ready',
    async ({ name, damage }) => {
      const { store, model, blobOf } = await stored()
      await store.ready(model)
      await damage(await blobOf(name))
      expect(await store.ready(model)).toBe(undefined)
      if (name === 'manifest.json') expect(await store.manifest(model)).toBe(undefined)
    },
  )

  test('row 45: that this sightd can not use: not ready, and it says why', async () => {
    const { store, model } = await stored({ manifest: { format: 2, task: 'segmentation' } })
    expect(await store.ready(model)).toBe(undefined)
    await expect(store.manifest(model)).rejects.toMatchObject({
      reason: 'incompatible',
      message: expect.stringMatching(/task/),
    })
  })

  test('on a disk that fails: that is no damage', async () => {
    const { store, model, expectWhole } = await stored()
    const heal = failOpening(model.sha256, 'EMFILE')
    await expect(store.ready(model)).rejects.toMatchObject({ reason: 'storage' })
    heal()
    await expectWhole()
  })
})

describe('row 37: in place of a link to a file', () => {
  const kinds: readonly [string, (path: string, victim: string) => Promise<unknown>][] = [
    ['nothing', async () => {}],
    ['another link', (path, victim) => symlink(join(victim, 'x'), path)],
    ['a link to nothing', (path, victim) => symlink(join(victim, 'none'), path)],
    ['a file', (path) => writeFile(path, 'planted')],
    ['a FIFO', async (path) => execFileSync('mkfifo', [path])],
    ['a folder with something in it', (path) => mkdir(join(path, 'a'), { recursive: true })],
  ]

  test.each(kinds)('%s: mended', async (_, plant) => {
    const { store, model, dir, expectWhole } = await stored()
    await store.ready(model)
    const victim = await victimFolder()
    for (const name of names) {
      await unlink(join(dir, name))
      await plant(join(dir, name), victim.folder)
    }
    await expectWhole()
    await victim.expectUntouched()
  })

  test.each(['models', 'models/SHA', 'models/SHA/golden'])(
    'a link in place of the folder %s: not followed',
    async (name) => {
      const { store, folder, model, expectWhole } = await stored()
      await store.ready(model)
      const victim = await victimFolder()
      const path = join(folder, name.replace('SHA', model.sha256))
      await rm(path, { recursive: true })
      await symlink(victim.folder, path)
      await expectWhole()
      await victim.expectUntouched()
    },
  )
})

describe('row 36: a manifest with a file called', () => {
  const entry = { bytes: 1, sha256: '0'.repeat(64) }

  async function problemOf(name: string): Promise<unknown> {
    const { store, model, folder } = await stored({ manifest: { files: { [name]: entry }, model: name, golden: [] } })
    expect(await store.ready(model)).toBe(undefined)
    expect(await readdir(folder)).toEqual(['blobs'])
    return store.manifest(model).catch((error: unknown) => error)
  }

  test.each(['../x', '..', '/etc/x', 'a/../../x', 'a/..', './x', 'a/b/c', '.x', 'a\0b', 'a//b', 'a\\b', 'ä', ''])(
    '%j: not taken',
    async (name) => {
      expect(await problemOf(name)).toMatchObject({ reason: 'incompatible' })
    },
  )

  test('anything with a way up in it: not taken', async () => {
    const part = fc.constantFrom('..', '.', 'a', '', '/')
    await fc.assert(
      fc.asyncProperty(fc.array(part), fc.array(part), async (before, after) => {
        expect(await problemOf([...before, '..', ...after].join('/'))).toMatchObject({ reason: 'incompatible' })
      }),
      { numRuns: 30 },
    )
  })
})

describe('a store that is cleaned', () => {
  /** Three models, of which the first two are there with all that belongs to them. */
  async function full() {
    const folder = join(await tempFolder(), 'ota')
    const store = await ModelStore.open(folder)
    const models: Candidate[] = []
    for (const version of ['1', '2', '3']) {
      const model = await shelve(folder, await tinyModel(version))
      models.push(model)
      await store.ready(model)
    }
    for (const name of ['part', 'tuf']) await mkdir(join(folder, name))
    for (const name of ['part/old', 'part/wanted', 'blobs/desired', 'tuf/root.json', 'record.0'])
      await writeFile(join(folder, name), 'x')
    const [one, two, three] = models
    if (one === undefined || two === undefined || three === undefined) throw new Error('there are three')
    return { folder, store, one, two, three }
  }

  test('keeps these models and blobs, and what is not its own', async () => {
    const { folder, store, one, two, three } = await full()
    await store.keepOnly([one, two], ['desired', 'wanted'])
    expect((await readdir(folder)).sort()).toEqual(['blobs', 'models', 'part', 'record.0', 'tuf'])
    expect((await readdir(join(folder, 'models'))).sort()).toEqual([one.sha256, two.sha256].sort())
    expect(await readdir(join(folder, 'blobs'))).toHaveLength(2 * names.length + 1)
    expect(await readdir(join(folder, 'part'))).toEqual(['wanted'])
    expect(await readdir(join(folder, 'tuf'))).toEqual(['root.json'])
    for (const model of [one, two]) expect(await store.ready(model)).toMatchObject({ manifestSha256: model.sha256 })
    expect(await store.ready(three)).toBe(undefined)
  })

  test('is empty when no model has a place there, and may be cleaned before anything was in it', async () => {
    const { folder, store } = await full()
    await store.keepOnly([])
    for (const name of ['blobs', 'part', 'models']) expect(await readdir(join(folder, name))).toEqual([])
    const other = await ModelStore.open(join(folder, 'other'))
    await other.keepOnly([])
    expect(await readdir(join(folder, 'other'))).toEqual([])
  })

  test('loses nothing when it can not be told what belongs to a model', async () => {
    const { folder, store, one, two } = await full()
    const heal = failOpening(one.sha256, 'EMFILE')
    await expect(store.keepOnly([one, two])).rejects.toMatchObject({ reason: 'storage' })
    heal()
    expect(await readdir(join(folder, 'blobs'))).toHaveLength(3 * names.length + 1)
    expect(await store.ready(one)).toMatchObject({ manifestSha256: one.sha256 })
  })

  test.each(['models', 'blobs', 'part'])('row 37: leaves alone what a link in place of %s leads to', async (name) => {
    const { folder, store, one } = await full()
    const victim = await victimFolder()
    await rm(join(folder, name), { recursive: true })
    await symlink(victim.folder, join(folder, name))
    await store.keepOnly([one])
    await victim.expectUntouched()
  })
})

test('the model that a device came with is known by its manifest, if there is one that can be read', async () => {
  const modelFolder = await tinyModel('1')
  const { name, version, sha256 } = await candidateIn(modelFolder)
  expect(await ModelStore.factory(modelFolder)).toEqual({ name, version, sha256 })
  await writeFile(join(modelFolder, 'manifest.json'), '{}')
  expect(await ModelStore.factory(modelFolder)).toBe(undefined)
  expect(await ModelStore.factory(join(modelFolder, 'none'))).toBe(undefined)
})
