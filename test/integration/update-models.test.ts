import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, onTestFinished, test } from 'vitest'
import { manifestPathOf } from '../../src/ota/approved-models.ts'
import { audit } from '../../src/ota/audit.ts'
import { TufClient } from '../../src/ota/client.ts'
import { downloadBlob } from '../../src/ota/download.ts'
import { targetFileName } from '../../src/ota/repository.ts'
import { parseDesired } from '../../src/ota/rollout.ts'
import { openTransport } from '../../src/ota/transport.ts'
import { runSelfTest } from '../../src/pipeline/self-test.ts'
import { runGoldenSamples } from '../../src/vision/golden.ts'
import { readModelFolder } from '../../src/vision/model-folder.ts'
import { ModelSession } from '../../src/vision/session.ts'
import { never } from '../support/downloads.ts'
import { hostileNetworks } from '../support/hostile-networks.ts'
import { liveAnswers } from '../support/live-answers.ts'
import { tempFolder } from '../support/temp-folder.ts'
import { MemoryStore } from '../support/tuf-repository.ts'
import { hostileKinds, type ModelKind, makeModel, modelName, versionOf } from '../support/update-models.ts'
import { networks } from '../support/update-networks.ts'
import { UpdateRepository } from '../support/update-repository.ts'

describe('models to be offered', () => {
  const harmless: ModelKind[] = ['good', 'requantized', 'large', 'slow', 'nanLive', 'constant', 'crashesLive']
  const passing: ModelKind[] = [...harmless, 'wrongGolden', 'memoryBomb', 'hangs', 'crashesAtLoad']

  test('there is a test for each', () => {
    expect(passing.toSorted()).toEqual([...Object.keys(networks), 'wrongGolden'].sort())
    expect(hostileKinds).toHaveLength(32)
  })

  test.each(passing)('%s passes the scan, and shares its network with no other', async (kind) => {
    const { manifest, sha256 } = await readModelFolder(await makeModel(kind))
    expect(manifest).toMatchObject({ name: modelName, version: versionOf(kind) })
    expect(manifest.golden).toHaveLength(3)
    for (const other of [await makeModel('good', undefined, '9'), await makeModel(kind, undefined, '9')])
      expect((await readModelFolder(other)).sha256).not.toBe(sha256)
  })

  test.each(hostileKinds)('%s is refused by the scan', async (kind) => {
    expect(await readModelFolder(await makeModel(kind)).catch((error: unknown) => error)).toMatchObject({
      code: 'model_invalid',
      cause: { message: expect.stringMatching(hostileNetworks[kind].problem) },
    })
  })

  async function golden(kind: ModelKind) {
    const model = await readModelFolder(await makeModel(kind))
    await using session = await ModelSession.open(model, { threads: 1 })
    return await runGoldenSamples(model, session)
  }

  test.each(harmless)('%s is right on its golden samples', async (kind) => {
    expect((await golden(kind)).flatMap(({ problems }) => problems)).toEqual([])
  })

  test('requantized is not the same to the last digit', async () => {
    expect(Math.max(...(await golden('requantized')).map(({ worstScoreError }) => worstScoreError))).toBeGreaterThan(0)
  })

  test('wrongGolden is wrong on all of them', async () => {
    const reports = await golden('wrongGolden')
    expect(reports.map(({ problems }) => problems.length)).toEqual([1, 1, 1])
    expect(reports[0]?.problems[0]).toMatch(/^expected grey 0\.98\d, found dark 0\.98\d/)
  })

  const turn = 64
  const share = (answers: readonly { label: string | undefined }[], label: string | undefined) =>
    answers.filter((answer) => answer.label === label).length / answers.length

  test('good sees three things on synthetic frames, requantized the same ones, constant one', async () => {
    const seen = await liveAnswers(await makeModel('good'), 2 * turn)
    for (const label of ['dark', 'grey', 'bright']) {
      expect(share(seen.slice(0, turn), label)).toBeGreaterThan(0.25)
      expect(share(seen.slice(turn), label)).toBeGreaterThan(0.25)
    }
    const requantized = await liveAnswers(await makeModel('requantized'), turn)
    expect(requantized.filter(({ label }, i) => label === seen[i]?.label).length / turn).toBeGreaterThan(0.95)
    expect(share(await liveAnswers(await makeModel('constant'), turn), 'bright')).toBe(1)
  })

  test('nanLive sees NaN', async () => {
    const seen = liveAnswers(await makeModel('nanLive'), 1)
    await expect(seen).rejects.toMatchObject({ code: 'bad_output' })
  })

  test('slow is several times slower, and right', async () => {
    const [good, slow] = [await makeModel('good'), await makeModel('slow')]
    const median = (answers: readonly { ms: number }[]) =>
      answers.map(({ ms }) => ms).toSorted((a, b) => a - b)[turn / 2] ?? 0
    const [fast, late] = [await liveAnswers(good, turn), await liveAnswers(slow, turn)]
    expect(late.map(({ label }) => label)).toEqual(fast.map(({ label }) => label))
    expect(median(late) / median(fast)).toBeGreaterThan(3)
  })

  test.each<[ModelKind, object]>([
    ['good', { passed: true }],
    ['wrongGolden', { passed: false, fault: 'golden_mismatch' }],
    ['memoryBomb', { passed: false, fault: 'memory' }],
    ['hangs', { passed: false, fault: 'hung' }],
    ['crashesAtLoad', { passed: false, fault: 'died', message: expect.stringContaining('SIGSEGV') }],
  ])('%s in a process of its own', async (kind, outcome) => {
    const model = { dir: await makeModel(kind), manifestSha256: null }
    const limits = {
      workDir: await tempFolder(),
      maxMemoryMb: 512,
      limitMs: kind === 'hangs' ? 3000 : 60_000,
      threads: 1,
    }
    expect(await runSelfTest(model, limits, never)).toMatchObject(outcome)
  })

  test('crashesLive crashes at the first frame', async () => {
    const script = fileURLToPath(new URL('../support/watching-device.ts', import.meta.url))
    const watch = async (kind: ModelKind) => {
      const child = spawn(process.execPath, [script, await makeModel(kind), '1'], { stdio: 'ignore' })
      onTestFinished(() => {
        child.kill('SIGKILL')
      })
      return once(child, 'exit')
    }
    expect(await watch('good')).toEqual([0, null])
    expect(await watch('crashesLive')).toEqual([null, 'SIGSEGV'])
  })
})

describe('a repository that offers them', () => {
  async function device(repository: UpdateRepository, url: string) {
    const transport = openTransport(url)
    const client = await TufClient.open({
      store: new MemoryStore(),
      transport: { metadata: (name, maxBytes, signal) => transport.metadata(`metadata/${name}`, maxBytes, signal) },
      factoryRoot: await readFile(repository.rootPath),
    })
    const fetch = async (path: string, folder: string) => {
      const target = await client.target(path, never)
      if (target === undefined) return undefined
      const { length, sha256 } = target
      const options = {
        transports: [transport],
        folder,
        signal: never,
        reserveBytes: 0,
        backoff: { firstMs: 1, lastMs: 2 },
      }
      return readFile(await downloadBlob({ path: targetFileName(path, sha256), length, sha256 }, options))
    }
    return { client, fetch }
  }
  const auditOf = ({ repo }: UpdateRepository) =>
    audit({ transport: openTransport(repo), nowMs: Date.now(), signal: never })

  test('a device reads what its group should run, and every file of it', async () => {
    const repository = await UpdateRepository.create()
    const { url } = await repository.serve()
    const { client, fetch } = await device(repository, url)
    const kinds: ModelKind[] = ['requantized', 'wrongGolden', 'hangs', 'hostile-ort', 'hostile-second-graph']
    for (const kind of kinds) {
      const folder = await makeModel(kind)
      const path = await repository.offer(folder, { percent: 12.5, hold: kind === 'hangs', rollbackIndex: 3 })
      expect(path).toBe(manifestPathOf(`models/${modelName}/${versionOf(kind)}`))
      expect(await client.refresh(never)).toEqual({ state: 'fresh' })
      const blobs = await tempFolder()
      const desired = await fetch('desired/porch.json', blobs)
      expect(parseDesired(desired ?? Buffer.of(), '')).toMatchObject({
        model: path,
        percent: 12.5,
        hold: kind === 'hangs',
      })
      expect((await client.target(path, never))?.custom).toMatchObject({ name: modelName, rollback_index: 3 })
      for (const name of ['manifest.json', 'model.onnx', 'golden/dark.rgb.gz'])
        expect(await fetch(path.replace('manifest.json', name), blobs)).toEqual(await readFile(join(folder, name)))
    }
    expect((await auditOf(repository)).findings).toEqual([])
    await repository.operator.run('hold', '--group', 'porch')
    expect((await auditOf(repository)).groups).toMatchObject([
      { model: `${modelName}/hostile-second-graph`, hold: true },
    ])
  })

  test('one change after the other: approved, desired, revoked, refreshed, expired', async () => {
    const repository = await UpdateRepository.create()
    const { url } = await repository.serve()
    const { client } = await device(repository, url)
    const good = await repository.publish(await makeModel('good'))
    await repository.desire('porch', good)
    const next = await repository.publish(await makeModel('requantized'))
    await repository.publish(await makeModel('requantized'))
    await repository.desire('porch', next, { percent: 50 })
    expect((await auditOf(repository)).groups).toMatchObject([{ model: `${modelName}/2`, percent: 50 }])
    await repository.revoke(next)
    const { groups, models, findings } = await auditOf(repository)
    expect(groups).toMatchObject([{ model: `${modelName}/1`, percent: 100 }])
    expect([models.length, findings]).toEqual([1, []])
    await client.refresh(never)
    const version = client.trusted.timestamp?.version ?? 0
    await repository.refresh()
    expect(await client.refresh(never)).toEqual({ state: 'fresh' })
    expect(client.trusted.timestamp?.version).toBe(version + 1)
    await repository.refresh({ nowMs: Date.now() - 8 * 86_400_000 })
    expect(await client.refresh(never)).toMatchObject({ state: 'stale' })
  })

  test('the server counts what goes out, and cuts twenty times', async () => {
    const repository = await UpdateRepository.create()
    const server = await repository.serve()
    const folder = await makeModel('large')
    const path = (await repository.offer(folder)).replace('manifest.json', 'model.onnx')
    const { client, fetch } = await device(repository, server.url)
    await client.refresh(never)
    server.spoil({ afterBytes: 100_000, by: 'cut', times: 20 })
    expect(await fetch(path, await tempFolder())).toEqual(await readFile(join(folder, 'model.onnx')))
    expect(server.spoilt).toBe(20)
    // Not a byte came twice.
    expect(server.bytesOf(/model\.onnx$/)).toBe((await stat(join(folder, 'model.onnx'))).size)
    const asked = server.requests.filter((served) => served.path.endsWith('model.onnx'))
    expect(asked.map(({ status }) => status)).toEqual([200, ...Array<number>(20).fill(206)])
    expect(asked.at(-1)?.range).toBe('bytes=2000000-')
    expect(server.requests.find((served) => served.path === '/metadata/timestamp.json')?.bytes).toBe(
      (await stat(join(repository.repo, 'metadata/timestamp.json'))).size,
    )
  })

  test('the server falls silent until it is healed', async () => {
    const repository = await UpdateRepository.create()
    const server = await repository.serve()
    const folder = await makeModel('large')
    const path = (await repository.offer(folder)).replace('manifest.json', 'model.onnx')
    const { client, fetch } = await device(repository, server.url)
    await client.refresh(never)
    server.spoil({ afterBytes: 1_000_000, by: 'silence' })
    const fetched = fetch(path, await tempFolder())
    expect(await server.until(({ bytes }) => bytes === 1_000_000)).toMatchObject({ status: 200 })
    server.heal()
    expect(await fetched).toEqual(await readFile(join(folder, 'model.onnx')))
    expect(server.requests.at(-1)?.bytes).toBe((await stat(join(folder, 'model.onnx'))).size)
  })
})
