import { readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { targetFileName } from '../../../src/ota/repository.ts'
import { candidateIn, tinyModel } from '../../support/tiny-model.ts'
import { UpdateRepository } from '../../support/update-repository.ts'
import { AskingDevice } from '../../support/update-sources.ts'

const dayMs = 86_400_000
const path = 'models/tiny/2/manifest.json'

/** A repository that offers the group a model. */
async function offering(options: Parameters<UpdateRepository['offer']>[1] = {}) {
  const repository = await UpdateRepository.create()
  const modelFolder = await tinyModel('2')
  await repository.offer(modelFolder, options)
  return { repository, model: await candidateIn(modelFolder) }
}

describe('what a device should run', () => {
  test('is what its group should run', async () => {
    const { repository, model } = await offering({ rollbackIndex: 7 })
    const device = await AskingDevice.of(repository)
    expect(device.source.versions).toBe(null)
    expect(await device.look()).toEqual({
      rollout: 'yes',
      wanted: { ...model, folder: 'models/tiny/2', rollbackIndex: 7 },
      signedPastMs: expect.toSatisfy((ms) => ms <= Date.now() && ms > Date.now() - 60_000),
      blob: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(device.source.versions).toEqual({ root: 1, timestamp: 2, snapshot: 2, targets: 2 })
  })

  test('is nothing when nobody says anything of its group', async () => {
    const { repository } = await offering({ group: 'garden' })
    expect(await (await AskingDevice.of(repository)).look()).toEqual({})
  })

  test.each([
    ['held', { hold: true }],
    ['not_in_percent', { percent: 0 }],
    ['not_yet', { fromMs: Date.now() + dayMs }],
  ])('row 72: is nothing while the rollout says %s', async (rollout, options) => {
    const { repository } = await offering(options)
    const device = await AskingDevice.of(repository)
    const found = await device.look()
    expect(found).toMatchObject({ rollout, blob: expect.any(String) })
    expect(found.wanted).toBe(undefined)
    // A time to come was not signed in the past.
    expect(found.signedPastMs === undefined).toBe(rollout === 'not_yet')
    await repository.desire('porch', path)
    await repository.desire('porch', path, { fromMs: Date.now() - 1000 })
    expect(await device.wanted()).toMatchObject({ version: '2' })
  })

  test('is another model as soon as it is signed', async () => {
    const { repository } = await offering()
    const device = await AskingDevice.of(repository)
    await device.wanted()
    await repository.offer(await tinyModel('3'))
    expect(await device.wanted()).toMatchObject({ version: '3' })
    expect(device.source.versions).toEqual({ root: 1, timestamp: 3, snapshot: 3, targets: 3 })
  })

  test('row 21: is what it should run by the earliest time that it can be, when the clock is wrong', async () => {
    const { repository } = await offering({ fromMs: Date.now() + dayMs })
    let floorMs = 0
    const device = await AskingDevice.of(repository, { floorMs: () => floorMs })
    expect(await device.look()).toMatchObject({ rollout: 'not_yet' })
    floorMs = Date.now() + 2 * dayMs
    expect(await device.look()).toMatchObject({ rollout: 'yes' })
    floorMs = Date.now() + 9 * dayMs
    expect(await device.look()).toEqual({ stale: expect.stringMatching(/^timestamp: .*expired/) })
  })
})

describe('row 19: metadata that has expired', () => {
  test('lets nothing new in, and the next that is fresh does', async () => {
    const repository = await UpdateRepository.create()
    const longAgo = { nowMs: Date.now() - 8 * dayMs }
    await repository.offer(await tinyModel('2'), longAgo)
    const device = await AskingDevice.of(repository)
    expect(await device.look()).toEqual({ stale: expect.stringMatching(/^timestamp: .*expired/) })
    await repository.refresh()
    expect(await device.wanted()).toMatchObject({ version: '2' })
  })

  test('does so as well when it is only that of the role that chooses models', async () => {
    const repository = await UpdateRepository.create()
    await repository.offer(await tinyModel('2'), { nowMs: Date.now() - 31 * dayMs })
    await repository.refresh()
    const device = await AskingDevice.of(repository)
    expect(await device.look()).toEqual({ stale: expect.stringMatching(/^deploy: .*expired/) })
    await repository.desire('porch', path)
    expect(await device.wanted()).toMatchObject({ version: '2' })
  })
})

describe('row 44: a model that is revoked', () => {
  test('is no longer approved, and its group is held', async () => {
    const { repository, model } = await offering()
    const device = await AskingDevice.of(repository)
    expect(await device.source.isApproved(model)).toBe(true)
    await device.look()
    expect(await device.source.isApproved(model)).toBe(true)
    await repository.revoke(path)
    const found = await device.look()
    expect(found).toMatchObject({ rollout: 'held' })
    expect(found.wanted).toBe(undefined)
    expect(await device.source.isApproved(model)).toBe(false)
  })

  test('is not approved after a start either, before anybody is asked', async () => {
    const { repository, model } = await offering()
    await repository.revoke(path)
    const device = await AskingDevice.of(repository)
    await device.look()
    await rm(repository.repo, { recursive: true })
    device.restart()
    expect(await device.source.isApproved(model)).toBe(false)
  })

  test('is not approved under its name with other bytes', async () => {
    const { repository, model } = await offering()
    const device = await AskingDevice.of(repository)
    await device.look()
    expect(await device.source.isApproved({ ...model, sha256: '0'.repeat(64) })).toBe(false)
    expect(await device.source.isApproved({ ...model, version: '3' })).toBe(false)
  })

  test('is not taken, whoever asks for it', async () => {
    const { repository } = await offering()
    await repository.revoke(path)
    await repository.desire('porch', path)
    const device = await AskingDevice.of(repository)
    await expect(device.look()).rejects.toMatchObject({ reason: 'revoked', what: path })
    expect(await readdir(join(device.store.folder, 'blobs'))).toHaveLength(1)
  })
})

describe('the files of a model', () => {
  test('are fetched, the manifest first, and only once', async () => {
    const { repository } = await offering()
    const server = await repository.serve()
    const device = await AskingDevice.of(repository, { sources: [server.url] })
    const wanted = await device.fetch()
    const asked = server.requests.map(({ path }) => path).filter((path) => path.startsWith('/targets/models'))
    expect(asked).toEqual([
      expect.stringMatching(/manifest\.json$/),
      expect.stringMatching(/model\.onnx$/),
      expect.stringMatching(/a\.gz$/),
    ])
    expect(device.percents.at(-1)).toBe(100)
    expect(device.percents).toEqual(device.percents.toSorted((a, b) => a - b))
    expect(await device.store.ready(wanted)).toMatchObject({ manifestSha256: wanted.sha256 })
    const before = server.requests.length
    await device.fetch()
    // To see that there is nothing newer.
    expect(server.requests.slice(before).map(({ path }) => path)).toEqual([
      '/metadata/2.root.json',
      '/metadata/timestamp.json',
    ])
  })

  test('row 45: are not fetched when this sightd can not use it', async () => {
    const repository = await UpdateRepository.create()
    await repository.offer(await tinyModel('2', { manifest: { format: 2 } }))
    const server = await repository.serve()
    const device = await AskingDevice.of(repository, { sources: [server.url] })
    await expect(device.fetch()).rejects.toMatchObject({
      reason: 'incompatible',
      message: expect.stringMatching(/format/),
    })
    expect(server.bytesOf(/manifest\.json$/)).toBeGreaterThan(0)
    expect(server.requests.filter(({ path }) => /onnx|gz/.test(path))).toEqual([])
  })

  const bytes = 1000
  const sha256 = '0'.repeat(64)
  test.each([
    ['another network than is signed', { 'model.onnx': { bytes, sha256 } }, 'digest_mismatch'],
    ['a file that nobody has signed', { 'other.onnx': { bytes, sha256 } }, 'revoked'],
  ])('are not fetched when the manifest names %s', async (_, files, reason) => {
    const repository = await UpdateRepository.create()
    const [model = ''] = Object.keys(files)
    await repository.offer(await tinyModel('2', { manifest: { files, model, golden: [] } }))
    const server = await repository.serve()
    const device = await AskingDevice.of(repository, { sources: [server.url] })
    await expect(device.fetch()).rejects.toMatchObject({ reason, what: `models/tiny/2/${model}` })
    expect(server.requests.filter(({ path }) => /onnx|gz/.test(path))).toEqual([])
  })

  test.each([
    ['in all', 3000, 1],
    ['by its manifest alone', 500, 0],
  ])('are not fetched when it is too large %s', async (_, maxModelBytes, manifests) => {
    const repository = await UpdateRepository.create()
    await repository.offer(await tinyModel('2', { bytes: 2950 }))
    const server = await repository.serve()
    const device = await AskingDevice.of(repository, { sources: [server.url], maxModelBytes })
    await expect(device.fetch()).rejects.toMatchObject({ reason: 'too_large' })
    const asked = server.requests.filter(({ path }) => path.startsWith('/targets/models'))
    expect(asked).toHaveLength(manifests)
  })

  test('row 33: are not taken when they are not what was signed', async () => {
    const { repository, model } = await offering()
    const name = targetFileName(path, model.sha256)
    const manifest = await readFile(join(repository.repo, name))
    await writeFile(join(repository.repo, name), manifest.toString().replace('a test', 'a tort'))
    const device = await AskingDevice.of(repository)
    await expect(device.fetch()).rejects.toMatchObject({ reason: 'digest' })
    expect(await device.store.manifest(model)).toBe(undefined)
  })
})
