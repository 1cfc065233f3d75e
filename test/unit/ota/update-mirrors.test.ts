import { cp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { HostileServer } from '../../support/hostile-server.ts'
import { tempFolder } from '../../support/temp-folder.ts'
import { tinyModel } from '../../support/tiny-model.ts'
import { UpdateRepository } from '../../support/update-repository.ts'
import { AskingDevice } from '../../support/update-sources.ts'

const dayMs = 86_400_000

describe('of several mirrors', () => {
  async function offering() {
    const repository = await UpdateRepository.create()
    await repository.offer(await tinyModel('2'))
    return { repository }
  }

  /** A repository, and a copy of it of eight days ago. */
  async function aged() {
    const repository = await UpdateRepository.create()
    await repository.offer(await tinyModel('1'), { nowMs: Date.now() - 8 * dayMs })
    const expired = join(await tempFolder(), 'expired')
    await cp(repository.repo, expired, { recursive: true })
    await repository.offer(await tinyModel('2'))
    return { repository, expired }
  }

  async function refusing(status: number): Promise<string> {
    const server = await HostileServer.start((response) => response.writeHead(status).end('no'))
    return server.url
  }

  test('one that is down, refuses, or has nothing of it: the next one is asked', async () => {
    const { repository } = await offering()
    for (const first of [
      'http://127.0.0.1:1',
      await refusing(500),
      await refusing(404),
      join(await tempFolder(), 'no'),
    ]) {
      const device = await AskingDevice.of(repository, { sources: [first, repository.repo] })
      expect(await device.wanted(), first).toMatchObject({ version: '2' })
    }
    const device = await AskingDevice.of(repository, { sources: ['http://127.0.0.1:1', repository.repo] })
    const wanted = await device.fetch()
    expect(await device.store.ready(wanted)).toMatchObject({ manifestSha256: wanted.sha256 })
  })

  test('one whose metadata has expired: the next one is asked', async () => {
    const { repository, expired } = await aged()
    const device = await AskingDevice.of(repository, { sources: [expired, repository.repo] })
    expect(await device.wanted()).toMatchObject({ version: '2' })
    const stale = await AskingDevice.of(repository, { sources: [expired, expired] })
    expect(await stale.look()).toEqual({ stale: expect.stringMatching(/expired/) })
  })

  test('one that has not got what is newest: what the device has seen it does not go behind', async () => {
    const { repository } = await offering()
    const old = join(await tempFolder(), 'old')
    await cp(repository.repo, old, { recursive: true })
    await repository.offer(await tinyModel('3'))
    const folder = join(await tempFolder(), 'now')
    await cp(repository.repo, folder, { recursive: true })
    const device = await AskingDevice.of(repository, { sources: [folder, old] })
    expect(await device.wanted()).toMatchObject({ version: '3' })
    await rm(folder, { recursive: true })
    await expect(device.look()).rejects.toMatchObject({ reason: 'rollback' })
  })

  test('one that was tampered with: the next one is asked', async () => {
    const { repository } = await offering()
    const bad = join(await tempFolder(), 'bad')
    await cp(repository.repo, bad, { recursive: true })
    for (const file of ['timestamp.json', '2.snapshot.json', '2.targets.json', '2.deploy.json']) {
      const text = await readFile(join(repository.repo, 'metadata', file), 'utf8')
      await writeFile(join(bad, 'metadata', file), text.replace('"version":2', '"version":3'))
      const device = await AskingDevice.of(repository, { sources: [bad, repository.repo] })
      expect(await device.wanted(), file).toMatchObject({ version: '2' })
      await writeFile(join(bad, 'metadata', file), text)
    }
  })

  test('none can be reached, or there is none: it says so', async () => {
    const { repository } = await offering()
    const device = await AskingDevice.of(repository, { sources: ['http://127.0.0.1:1', 'http://127.0.0.1:1'] })
    await expect(device.look()).rejects.toMatchObject({ reason: 'network' })
    const lonely = await AskingDevice.of(repository, { sources: [] })
    await expect(lonely.look()).rejects.toMatchObject({
      reason: 'not_found',
      message: expect.stringMatching(/no source/),
    })
  })

  test('a device that is told to stop asks no further', async () => {
    const { repository } = await offering()
    const server = await repository.serve()
    const device = await AskingDevice.of(repository, { sources: [server.url, server.url] })
    const stop = new AbortController()
    stop.abort(new Error('enough'))
    await expect(device.source.look(stop.signal)).rejects.toThrow('enough')
    expect(server.requests).toEqual([])
  })
})
