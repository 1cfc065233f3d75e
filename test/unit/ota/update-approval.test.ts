import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { targetFileName } from '../../../src/ota/repository.ts'
import type { Transport } from '../../../src/ota/transport.ts'
import { sha256Of, tinyModel } from '../../support/tiny-model.ts'
import { type Json, TufRepository } from '../../support/tuf-repository.ts'
import { AskingDevice } from '../../support/update-sources.ts'

const path = 'models/tiny/2/manifest.json'
const custom = { name: 'tiny', version: '2', sha256: '0'.repeat(64) }

/** A repository whose signers sign anything. */
class SigningRepository implements Transport {
  readonly where = 'memory'
  readonly tuf = new TufRepository()
  readonly #files = new Map<string, Buffer>()
  readonly asked: string[] = []

  constructor() {
    this.tuf.delegate('deploy', ['desired/*.json', 'models/*/*/*', 'models/*/*/golden/*'])
    this.add('desired/porch.json', {
      content: JSON.stringify({ model: path, percent: 100, salt: 'a', from: '2020-01-01T00:00:00Z' }),
    })
  }

  /** A target, signed by `deploy` unless it is said by whom. */
  add(name: string, { content = 'x', by = 'deploy', ...fields }: Json & { content?: string; by?: string }): void {
    const bytes = Buffer.from(content)
    const sha256 = sha256Of(bytes)
    const role = by === 'targets' ? this.tuf.targets : this.tuf.delegated.get(by)
    if (role !== undefined) role.targets[name] = { length: bytes.length, hashes: { sha256 }, ...fields }
    this.#files.set(targetFileName(name, sha256), bytes)
    this.tuf.release()
  }

  /** A model, each file of which is signed by whom it is said. */
  async addModel(by: (name: string) => string, fields: Json = { custom }, manifest: object = {}): Promise<void> {
    const folder = await tinyModel('2', { manifest })
    for (const name of ['manifest.json', 'model.onnx', 'golden/a.gz']) {
      const content = await readFile(join(folder, name), 'utf8')
      this.add(`models/tiny/2/${name}`, { content, by: by(name), ...(name === 'manifest.json' ? fields : {}) })
    }
  }

  async device(): Promise<AskingDevice> {
    return AskingDevice.start(this.tuf.firstRoot, [this])
  }

  async metadata(name: string): Promise<Uint8Array | undefined> {
    return this.tuf.metadata(name.replace('metadata/', ''))
  }

  async openTarget({ path }: { readonly path: string }) {
    this.asked.push(path.replace(/^targets\/|[0-9a-f]{64}\./g, ''))
    const bytes = this.#files.get(path) ?? Buffer.of()
    return {
      where: path,
      startByte: 0,
      validator: undefined,
      isEndCertain: true,
      chunks: once(bytes),
      [Symbol.asyncDispose]: async () => {},
    }
  }
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array, void> {
  yield bytes
}

describe('a model', () => {
  test('that targets has signed, and a role that it delegates to has chosen, is taken', async () => {
    const repository = new SigningRepository()
    await repository.addModel(() => 'targets')
    const device = await repository.device()
    const wanted = await device.fetch()
    expect(wanted).toMatchObject({ name: 'tiny', version: '2', rollbackIndex: 0, folder: 'models/tiny/2' })
    expect(await device.store.ready(wanted)).toMatchObject({ manifestSha256: wanted.sha256 })
  })

  test('row 40: that only the role which chooses models has signed is not taken', async () => {
    const repository = new SigningRepository()
    await repository.addModel(() => 'deploy')
    const device = await repository.device()
    await expect(device.look()).rejects.toMatchObject({
      reason: 'revoked',
      what: path,
      message: expect.stringMatching(/targets has not signed it/),
    })
    expect(repository.asked).toEqual(['desired/porch.json'])
  })

  test.each(['model.onnx', 'golden/a.gz'])(
    'row 40: whose %s only that role has signed is not fetched',
    async (file) => {
      const repository = new SigningRepository()
      await repository.addModel((name) => (name === file ? 'deploy' : 'targets'))
      const device = await repository.device()
      await expect(device.fetch()).rejects.toMatchObject({ reason: 'revoked', what: `models/tiny/2/${file}` })
      expect(repository.asked).toEqual(['desired/porch.json', path])
    },
  )

  test.each<[string, Json]>([
    ['another name', { custom: { ...custom, name: 'other' } }],
    ['another version', { custom: { ...custom, version: '3' } }],
    ['a way up as its version', { custom: { ...custom, version: '..' } }],
    ['no name', { custom: { version: '2', sha256: custom.sha256 } }],
    ['a rollback index below 0', { custom: { ...custom, rollback_index: -1 } }],
    ['a rollback index that is none', { custom: { ...custom, rollback_index: '7' } }],
    ['a rollback index beyond all', { custom: { ...custom, rollback_index: 2 ** 31 } }],
    ['nothing at all', {}],
  ])('with which %s is signed is not taken', async (_, fields) => {
    const repository = new SigningRepository()
    await repository.addModel(() => 'targets', fields)
    const device = await repository.device()
    await expect(device.look()).rejects.toMatchObject({ reason: 'malformed', what: path })
    expect(repository.asked).toEqual(['desired/porch.json'])
  })

  test.each([{ name: 'other' }, { version: '3' }])('whose manifest says %j is not fetched', async (manifest) => {
    const repository = new SigningRepository()
    await repository.addModel(() => 'targets', { custom }, manifest)
    const device = await repository.device()
    await expect(device.fetch()).rejects.toMatchObject({ reason: 'malformed', what: path })
    expect(repository.asked).toEqual(['desired/porch.json', path])
  })

  test.each(['models/tiny/../manifest.json', 'models/../../manifest.json', 'models/tiny/%2e%2e/manifest.json'])(
    'row 36: at %s is not taken',
    async (path) => {
      const repository = new SigningRepository()
      const desired = { model: path, percent: 100, salt: 'a', from: '2020-01-01T00:00:00Z' }
      repository.add('desired/porch.json', { content: JSON.stringify(desired) })
      repository.add(path, { by: 'targets', custom: { ...custom, version: '..' } })
      const device = await repository.device()
      await expect(device.look()).rejects.toMatchObject({ reason: 'malformed', what: path })
      expect((await readdir(device.store.folder)).sort()).toEqual(['blobs', 'part', 'tuf'])
    },
  )

  test('row 41: of a group is asked for by no document of another one', async () => {
    const repository = new SigningRepository()
    await repository.addModel(() => 'targets')
    const device = await AskingDevice.start(repository.tuf.firstRoot, [repository], { group: 'garden' })
    expect(await device.look()).toEqual({})
    expect(repository.asked).toEqual([])
  })

  test.each([
    ['not JSON', 'x'],
    ['without a model', JSON.stringify({ percent: 100, salt: 'a', from: '2020-01-01T00:00:00Z' })],
    [
      'with another path',
      JSON.stringify({ model: '/etc/passwd', percent: 100, salt: 'a', from: '2020-01-01T00:00:00Z' }),
    ],
    ['too long', ' '.repeat(5000)],
    ['much too long', ' '.repeat(70_000)],
  ])('is not asked for by a document that is %s', async (_, content) => {
    const repository = new SigningRepository()
    await repository.addModel(() => 'targets')
    repository.add('desired/porch.json', { content })
    const device = await repository.device()
    await expect(device.look()).rejects.toMatchObject({ reason: expect.stringMatching(/malformed|too_large/) })
  })
})
