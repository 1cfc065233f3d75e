import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { connectAsync } from 'mqtt'
import { packageRoot } from '../../src/lib/package.ts'

/** The program to measure; `bin/sightd` of this checkout, or that of a package. */
export const ownProgram = join(packageRoot, 'bin/sightd')

export type DaemonUnderTest = AsyncDisposable & {
  readonly control: number
  /** Of the vision process, once it has given a result. */
  readonly vision: number
  /** From the start of the program to the first result at a subscriber. */
  readonly firstResultMs: number
  /** Resolves when this many results, the first included, have come; rejects when the daemon ends. */
  results(count: number): Promise<void>
}

/** Starts the daemon as a user does, on the demo's photos and with a real Mosquitto; resolves at the first result. */
export async function startDaemon({
  program = ownProgram,
  settings = {},
  env = {},
}: {
  readonly program?: string
  /** Sections of the configuration, over those of the demo. */
  readonly settings?: Readonly<Record<string, object>>
  readonly env?: NodeJS.ProcessEnv
}): Promise<DaemonUnderTest> {
  await using cleanup = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'sightd-bench-'))
  cleanup.defer(() => rmSync(folder, { recursive: true, force: true }))
  const url = await startMosquitto(folder, cleanup)
  const config = join(folder, 'config.yaml')
  const demo = { source: 'replay', path: join(packageRoot, 'deploy/demo') }
  writeFileSync(config, JSON.stringify({ camera: demo, mqtt: { url, result_rate: 120 }, ...settings }))

  let seen = 0
  let wake = Promise.withResolvers<void>()
  const subscriber = await connectAsync(url)
  cleanup.defer(() => subscriber.endAsync(true))
  subscriber.on('message', () => {
    seen++
    wake.resolve()
    wake = Promise.withResolvers()
  })
  await subscriber.subscribeAsync('sightd/+/result')

  const startMs = performance.now()
  const child = spawn(program, ['run', '--config', config], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { ...process.env, STATE_DIRECTORY: join(folder, 'state'), ...env },
  })
  let complaints = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaints += text
  })
  const ended = once(child, 'exit').then(([code, signal]): never => {
    throw new Error(`${program} ended (${signal ?? `exit code ${code}`}): ${complaints}`)
  })
  ended.catch(() => {})
  cleanup.defer(async () => {
    child.kill('SIGTERM')
    await ended.catch(() => {})
  })
  const results = async (count: number) => {
    while (seen < count) await Promise.race([wake.promise, ended])
  }
  await results(1)
  const firstResultMs = performance.now() - startMs
  const control = child.pid ?? 0
  const owned = cleanup.move()
  return {
    control,
    vision: visionOf(control),
    firstResultMs,
    results,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

async function startMosquitto(folder: string, cleanup: AsyncDisposableStack): Promise<string> {
  const port = await freePort()
  const settings = join(folder, 'mosquitto.conf')
  writeFileSync(settings, `listener ${port} 127.0.0.1\nallow_anonymous true\n`)
  const broker = spawn(findMosquitto(), ['-v', '-c', settings], { stdio: ['ignore', 'ignore', 'pipe'] })
  cleanup.defer(() => end(broker))
  const lines = createInterface(broker.stderr)
  for await (const line of lines) if (/mosquitto version .* running/.test(line)) break
  lines.close()
  broker.stderr.resume()
  return `mqtt://127.0.0.1:${port}`
}

/** Debian keeps it where an ordinary user's PATH doesn't look. */
function findMosquitto(): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin']
  const path = folders.map((each) => join(each, 'mosquitto')).find((each) => existsSync(each))
  if (path === undefined) throw new Error('mosquitto is not there: apt-get install mosquitto')
  return path
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  if (address === null || typeof address === 'string') throw new Error('no port')
  return address.port
}

function visionOf(control: number): number {
  const children = readFileSync(`/proc/${control}/task/${control}/children`, 'utf8').trim().split(' ')
  const vision = children.find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/vision/main'))
  if (vision === undefined) throw new Error('the daemon has no vision process')
  return Number(vision)
}
