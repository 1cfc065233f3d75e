import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import { findProgram } from './mosquitto.ts'

const entry = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

/** A program that lends a command a terminal (util-linux). */
export const terminalProgram = findProgram('script')

/** A running sightd whose output is waited for; killed when the test is over, if it is still there. */
export class RunningCommand {
  readonly child: ChildProcess
  stdout = ''
  stderr = ''
  readonly exited: Promise<number | null>
  #isOver = false
  #waiting = new Set<() => void>()

  constructor(
    args: readonly string[],
    { onTerminal = false, env = {} }: { onTerminal?: boolean; env?: NodeJS.ProcessEnv } = {},
  ) {
    const command = [process.execPath, entry, ...args]
    // On a terminal both outputs are one.
    const [program = '', ...rest] = onTerminal
      ? [
          terminalProgram ?? '',
          '--quiet',
          '--return',
          '--command',
          // Without exec some shells stay between, and end of Ctrl-C themselves.
          `exec ${command.map((word) => `'${word}'`).join(' ')}`,
          '/dev/null',
        ]
      : command
    this.child = spawn(program, rest, {
      stdio: [onTerminal ? 'pipe' : 'ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    })
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#wake(() => (this.stdout += text)))
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#wake(() => (this.stderr += text)))
    this.exited = once(this.child, 'close').then(([code]) => {
      this.#wake(() => (this.#isOver = true))
      return code
    })
    onTestFinished(() => {
      this.child.kill('SIGKILL')
    })
  }

  get lines(): string[] {
    return this.stdout.split('\n').slice(0, -1)
  }

  type(keys: string): void {
    this.child.stdin?.write(keys)
  }

  /** Resolves when the output fits; throws when the command ends before. */
  async until(fits: (command: this) => boolean): Promise<void> {
    while (!fits(this)) {
      if (this.#isOver) throw new Error(`it ended without that:\n${this.stdout}\n${this.stderr}`)
      await new Promise<void>((resolve) => {
        this.#waiting.add(resolve)
      })
    }
  }

  #wake(change: () => void): void {
    change()
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }
}
