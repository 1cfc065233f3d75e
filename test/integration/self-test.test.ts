import { readdirSync, readFileSync } from 'node:fs'
import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { gzipSync } from 'node:zlib'
import { describe, expect, test, vi } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { packageRoot } from '../../src/lib/package.ts'
import { runSelfTest, type SelfTestLimits } from '../../src/pipeline/self-test.ts'
import { copyOfBundledModel, editManifest, replaceListedFile } from '../support/models.ts'
import { endlessModel, swellingModel, undefinedModel } from '../support/onnx.ts'
import { isRunning, listProcesses } from '../support/processes.ts'
import { tempFolder } from '../support/temp-folder.ts'

const never = new AbortController().signal

/** A self-test in a folder that has to be empty again when it is over. */
async function selfTest(
  dir: string,
  {
    signal = never,
    manifestSha256 = null,
    ...changes
  }: Partial<SelfTestLimits> & { signal?: AbortSignal; manifestSha256?: string | null } = {},
) {
  const workDir = await tempFolder()
  const limits = { workDir, maxMemoryMb: 512, limitMs: 60_000, threads: 1, ...changes }
  const outcome = await runSelfTest({ dir, manifestSha256 }, limits, signal).catch((error: unknown) => ({ error }))
  expect(readdirSync(workDir)).toEqual([])
  return outcome
}

/** The process of a self-test that is under way. */
async function trialPid(): Promise<number> {
  const find = () =>
    listProcesses().find(({ parent, command }) => parent === process.pid && command.includes('/vision/trial'))?.pid
  await expect.poll(find, { interval: 1, timeout: 5000 }).toBeDefined()
  return find() ?? 0
}

/** A script that does what a model might do that has taken the process over. */
async function takenOver(script: string): Promise<URL> {
  const path = join(await tempFolder(), 'taken-over.mjs')
  await writeFile(path, script)
  return pathToFileURL(path)
}

describe('a self-test', () => {
  test('sightd may lie in a folder with any name', async () => {
    const folder = join(await tempFolder(), '100% mine')
    await symlink(join(packageRoot, 'src'), folder)
    const entry = pathToFileURL(join(folder, 'vision/trial.ts'))
    expect(await selfTest(bundledModel, { entry })).toMatchObject({ passed: true })
  })

  test('passes with the bundled model, and says what it takes', async () => {
    // What this process has in memory is not what the model needs.
    const ballast = Buffer.alloc(400_000_000, 1)
    const outcome = await selfTest(bundledModel)
    expect(ballast.at(-1)).toBe(1)
    expect(outcome).toEqual({
      passed: true,
      loadMs: expect.any(Number),
      inferenceMs: expect.any(Number),
      peakMb: expect.any(Number),
    })
    if (!('passed' in outcome && outcome.passed)) return
    expect(outcome.loadMs).toBeGreaterThan(10)
    expect(outcome.inferenceMs).toBeGreaterThan(1)
    expect(outcome.peakMb).toBeGreaterThan(50)
    expect(outcome.peakMb).toBeLessThan(300)
  })

  test('passes without golden samples', async () => {
    const folder = await copyOfBundledModel()
    await editManifest(folder, (manifest) => (manifest['golden'] = []))
    expect(await selfTest(folder)).toMatchObject({ passed: true, inferenceMs: expect.any(Number) })
  })

  test.each([
    [
      'model_invalid',
      'a truncated network',
      async () => {
        const folder = await copyOfBundledModel()
        await truncate(join(folder, 'model.onnx'), 1000)
        return folder
      },
      /model\.onnx: 1000 bytes, the manifest says \d+/,
    ],
    [
      'golden_mismatch',
      'labels in another order',
      async () => {
        const folder = await copyOfBundledModel()
        await editManifest(folder, (manifest) => {
          const labels = manifest['labels']
          if (Array.isArray(labels))
            manifest['labels'] = labels.map((label) => (label === 'cat' ? 'dog' : label === 'dog' ? 'cat' : label))
        })
        return folder
      },
      /golden\/cat\.rgb\.gz: expected cat 0\.\d+, found dog/,
    ],
    ['bad_output', 'NaN', undefinedModel, /output scores has NaN or infinity/],
    ['memory', 'a tensor of 4 GiB', swellingModel, /Failed to allocate memory/],
  ])('fails with %s on %s', async (fault, _, make, message) => {
    expect(await selfTest(await make())).toEqual({
      passed: false,
      fault,
      message: expect.stringMatching(message),
    })
  })

  test('fails with bad_output, not with golden_mismatch, on NaN from a golden sample', async () => {
    const folder = await undefinedModel()
    await mkdir(join(folder, 'golden'))
    await replaceListedFile(folder, 'golden/black.rgb.gz', gzipSync(new Uint8Array(48)))
    await editManifest(folder, (manifest) => {
      const sample = { input: 'golden/black.rgb.gz', expect: [{ label: 'class 0', score: 0.9 }] }
      manifest['golden'] = Array.from({ length: 5 }, () => sample)
    })
    expect(await selfTest(folder)).toMatchObject({ passed: false, fault: 'bad_output' })
  })

  test('fails on a manifest that is not the one that was meant', async () => {
    expect(await selfTest(bundledModel, { manifestSha256: 'd'.repeat(64) })).toMatchObject({
      fault: 'model_invalid',
      message: expect.stringMatching(/sha256 is [0-9a-f]{64}, has to be d{64}$/),
    })
  })

  test('fails with hung on a model that never comes back, and leaves nothing behind', async () => {
    const testing = selfTest(await endlessModel(), { limitMs: 3000 })
    const pid = await trialPid()
    expect(await testing).toEqual({
      passed: false,
      fault: 'hung',
      message: expect.stringMatching(/the model was not through after 3 s$/),
    })
    expect(isRunning(pid)).toBe(false)
  })

  test.each([
    ['SIGILL', /illegal instruction: this build of ONNX Runtime does not run on this CPU/],
    ['SIGSEGV', /it ended with SIGSEGV/],
    ['SIGKILL', /killed, perhaps for want of memory/],
  ] as const)('fails with died on %s', async (signal, message) => {
    const testing = selfTest(bundledModel)
    process.kill(await trialPid(), signal)
    expect(await testing).toEqual({ passed: false, fault: 'died', message: expect.stringMatching(message) })
  })

  test('that is called off says nothing about the model, and leaves nothing behind', async () => {
    const stop = new AbortController()
    const testing = selfTest(await endlessModel(), { signal: stop.signal })
    const pid = await trialPid()
    stop.abort(new Error('enough'))
    expect(await testing).toEqual({ error: new Error('enough') })
    expect(isRunning(pid)).toBe(false)
    expect(await selfTest(bundledModel, { signal: stop.signal })).toEqual({ error: new Error('enough') })
  })
})

describe('a process that was taken over', () => {
  test.each([
    ['nothing', '', /no usable report: /],
    ['nonsense', `writeFileSync(3, 'hello')`, /no usable report: .*hello/],
    ['another message', `writeFileSync(3, '{"type":"install","path":"/"}')`, /no usable report: /],
    ['more than it should', `writeFileSync(3, JSON.stringify({ ...done, key: 'x' }))`, /no usable report: .*key/],
    ['two reports', `writeFileSync(3, JSON.stringify(done).repeat(2))`, /no usable report: /],
    ['a good report, and then dies', `writeFileSync(3, JSON.stringify(done)); process.exit(3)`, /exit code 3/],
    ['more and more', `for (;;) writeFileSync(3, 'x'.repeat(65_536))`, /a report that is too long/],
  ])('and says %s fails the test', async (_, script, message) => {
    const done = { type: 'done', loadMs: 1, golden: [], inferenceMs: 1, peakMb: 1 }
    const entry = await takenOver(`import { writeFileSync } from 'node:fs'
      const done = ${JSON.stringify(done)}
      ${script}`)
    expect(await selfTest(bundledModel, { entry })).toEqual({
      passed: false,
      fault: 'died',
      message: expect.stringMatching(message),
    })
  })

  test('finds no secret, no file, and little memory; what it started goes with it', async () => {
    vi.stubEnv('SECRET', 'swordfish')
    const seen = join(await tempFolder(), 'seen.json')
    const entry = await takenOver(`import { spawn } from 'node:child_process'
      import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
      const child = spawn('sleep', ['1000'], { stdio: 'inherit' })
      writeFileSync(${JSON.stringify(seen)}, JSON.stringify({
        child: child.pid,
        env: process.env,
        files: readdirSync('.'),
        args: process.argv.slice(2),
        limits: readFileSync('/proc/self/limits', 'utf8'),
      }))
      setInterval(() => {}, 1000)`)
    const manifestSha256 = 'a'.repeat(64)
    expect(await selfTest(bundledModel, { entry, limitMs: 2000, threads: 3, manifestSha256 })).toMatchObject({
      fault: 'hung',
    })
    vi.unstubAllEnvs()
    const { child, env, files, args, limits } = JSON.parse(readFileSync(seen, 'utf8'))
    expect(isRunning(child)).toBe(false)
    const malloc = { MALLOC_ARENA_MAX: '2', MALLOC_TRIM_THRESHOLD_: '131072', MALLOC_MMAP_THRESHOLD_: '1048576' }
    expect(env).toEqual({ PATH: process.env['PATH'], ...malloc, ORT_DISABLE_TELEMETRY: '1' })
    expect(files).toEqual([])
    expect(args).toEqual([bundledModel, '3', manifestSha256])
    expect(Number(/Max data size +(\d+)/.exec(limits)?.[1]) / 1024 ** 2).toBeLessThan(512 + 600)
    // So that one whose daemon is gone comes to an end too.
    expect(/Max cpu time +(\d+)/.exec(limits)?.[1]).toBe('10')
  })
})
