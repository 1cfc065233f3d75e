import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { packageRoot } from '../../src/lib/package.ts'
import { commandOf, descendants } from './processes.ts'

export type RunningSightd = AsyncDisposable & {
  readonly control: number
  /** Of the vision process; undefined while there is none. */
  readonly vision: () => number | undefined
  /** Rejects with what it said when it ends by itself. */
  readonly ended: Promise<never>
}

/** The daemon as a user starts it, named `bench`, with its state in a folder that goes with it. */
export function startSightd(config: object, env: NodeJS.ProcessEnv = {}): RunningSightd {
  const folder = mkdtempSync(join(tmpdir(), 'sightd-bench-'))
  const path = join(folder, 'config.yaml')
  writeFileSync(path, JSON.stringify({ id: 'bench', ...config }))
  const child = spawn(join(packageRoot, 'bin/sightd'), ['run', '--config', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, STATE_DIRECTORY: join(folder, 'state'), ...env },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000)
    })
  const closed = once(child, 'close')
  const ended = closed.then(([code]): never => {
    throw new Error(`sightd ended with exit code ${code}:\n${said}`)
  })
  // Whoever waits for something hears of it; nobody has to.
  ended.catch(() => {})
  const control = child.pid ?? 0
  return {
    control,
    vision: () => descendants(control).find((pid) => commandOf(pid).includes('/vision/main')),
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await closed
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
