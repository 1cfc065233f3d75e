import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageRoot } from '../../src/lib/package.ts'
import { commandOf, descendants } from './processes.ts'
import { tempFolder } from './temp-folder.ts'

export type RunningSightd = AsyncDisposable & {
  readonly control: number
  /** Of the vision process; throws while there is none. */
  readonly vision: () => number
  /** Rejects with what it said when it ends by itself. */
  readonly ended: Promise<never>
}

// Whoever reads a report may go before its end (`| head`): that must not keep us from ending what is started here.
process.stdout.on('error', () => {})

/** Of this checkout. That of a package can be measured as well. */
export const ownProgram = join(packageRoot, 'bin/sightd')

/** The daemon as a user starts it, named `bench`, with its state in a folder that goes with it. */
export function startSightd(
  config: object,
  { program = ownProgram, env = {} }: { readonly program?: string; readonly env?: NodeJS.ProcessEnv } = {},
): RunningSightd {
  const folder = tempFolder()
  const path = join(folder.path, 'config.yaml')
  writeFileSync(path, JSON.stringify({ id: 'bench', ...config }))
  const child = spawn(program, ['run', '--config', path], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, STATE_DIRECTORY: join(folder.path, 'state'), ...env },
  })
  let said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-4000)
    })
  const closed = once(child, 'close')
  const ended = closed.then(([code, signal]): never => {
    throw new Error(`${program} ended (${signal ?? `exit code ${code}`}):\n${said}`)
  })
  // Whoever waits for something hears of it; nobody has to.
  ended.catch(() => {})
  const control = child.pid ?? 0
  return {
    control,
    vision() {
      const vision = descendants(control).find((pid) => commandOf(pid).includes('/vision/main'))
      if (vision === undefined) throw new Error('sightd has no vision process')
      return vision
    },
    ended,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended.catch(() => {})
      folder[Symbol.dispose]()
    },
  }
}
