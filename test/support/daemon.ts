import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'

const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

export type LogLine = { readonly level: string; readonly msg: string; readonly [field: string]: unknown }

/** A real sightd process; killed when the test is over, if it is still there. */
export class RunningSightd {
  readonly child: ChildProcess
  readonly log: LogLine[] = []
  /** Everything on stdout and stderr. */
  output = ''
  readonly exited: Promise<number | null>
  #rest = ''
  #waiting = new Set<() => void>()

  /** What it keeps goes into `stateFolder`, or a new one of its own. */
  constructor(
    args: readonly string[],
    { main = entry, stateFolder, env = {} }: { main?: string; stateFolder?: string; env?: NodeJS.ProcessEnv } = {},
  ) {
    const state = stateFolder ?? mkdtempSync(join(tmpdir(), 'sightd-state-'))
    this.child = spawn(process.execPath, [main, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, STATE_DIRECTORY: state, ...env },
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take(text))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.output += text
    })
    this.exited = once(this.child, 'close').then(([code]) => {
      for (const wake of this.#waiting) wake()
      return code
    })
    onTestFinished(async () => {
      this.child.kill('SIGKILL')
      await this.exited
      if (stateFolder === undefined) rmSync(state, { recursive: true, force: true })
    })
  }

  /** The first log line, from now on or before, that fits; throws when the process ends without it. */
  async line(fits: (line: LogLine) => boolean, from = 0): Promise<LogLine> {
    for (;;) {
      const found = this.log.slice(from).find(fits)
      if (found !== undefined) return found
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`sightd ended without that line:\n${this.output}`)
      await new Promise<void>((resolve) => {
        const wake = () => {
          this.#waiting.delete(wake)
          resolve()
        }
        this.#waiting.add(wake)
      })
    }
  }

  /** The port of the demo's broker. */
  async brokerPort(): Promise<number> {
    const line = await this.line(({ msg }) => msg.startsWith('MQTT broker of the demo'))
    return Number(/-p (\d+)/.exec(String(line['try']))?.[1])
  }

  #take(text: string): void {
    this.output += text
    const lines = `${this.#rest}${text}`.split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) {
      // The journal's priority may come before it.
      const json = line.replace(/^<\d>/, '')
      if (json.startsWith('{')) this.log.push(JSON.parse(json))
    }
    for (const wake of [...this.#waiting]) wake()
  }
}

/** Runs sightd to its end. */
export async function runSightd(
  args: readonly string[],
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const outcome = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    outcome.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    outcome.stderr += text
  })
  const [code] = await once(child, 'close')
  return { code, ...outcome }
}
