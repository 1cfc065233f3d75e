import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import * as v from 'valibot'
import { describeError } from '../core/errors.ts'
import { type VisionCommand, type VisionReport, visionReportSchema } from '../core/vision-protocol.ts'

export type VisionProcessOptions = {
  /** The script it runs. */
  readonly entry: URL
  /** An empty folder to work in, so that a hostile model finds no files beside it. */
  readonly workDir: string
  /** What its heap and private mappings may take (RLIMIT_DATA, less what V8 only reserves). */
  readonly maxMemoryMb: number
  readonly onReport: (report: VisionReport) => void
}

export type VisionExit = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The last that it or its native code printed; normally nothing. */
  readonly output: string
}

const maxOutput = 2000

/**
 * V8 reserves address space for machine code that counts as data though it is hardly used: 512 MiB on x64, 128 MiB on
 * arm64 (kMaximalCodeRangeSize in its globals.h), and a little more. The main thread and the inference thread have one each.
 */
const reservedMb = 2 * (process.arch === 'x64' ? 576 : 192)

/**
 * One vision process, leader of its own process group, with nothing of our environment but the PATH. Killing it kills the
 * group, a camera child included.
 */
export class VisionProcess {
  readonly #child: ChildProcess
  readonly exited: Promise<VisionExit>

  constructor({ entry, workDir, maxMemoryMb, onReport }: VisionProcessOptions) {
    const node = [process.execPath, entry.pathname]
    const [command = '', ...args] = isOnPath('prlimit')
      ? ['prlimit', `--data=${(reservedMb + maxMemoryMb) * 1024 * 1024}`, ...node]
      : node
    // The folder for temporary files is swept now and then; without the folder nothing would ever start again.
    mkdirSync(workDir, { recursive: true, mode: 0o700 })
    this.#child = spawn(command, args, {
      cwd: workDir,
      detached: true,
      // Two malloc arenas instead of eight per core: threads here share little, and each arena keeps what it once had.
      env: { PATH: process.env['PATH'], MALLOC_ARENA_MAX: '2', ORT_DISABLE_TELEMETRY: '1' },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    })
    let output = ''
    const note = (chunk: unknown) => {
      output = `${output}${chunk}`.slice(-maxOutput)
    }
    this.#child.stdout?.on('data', note)
    this.#child.stderr?.on('data', note)
    this.#child.on('message', (message) => {
      try {
        onReport(v.parse(visionReportSchema, message))
      } catch (error) {
        // Memory gone bad, or something else that speaks for it: nothing it says can be trusted any more.
        note(`not a usable report, so it was killed: ${describeError(error)}`)
        this.kill()
      }
    })
    // After it has started there is nothing to learn from these; its exit tells.
    this.#child.on('error', () => {})
    this.exited = once(this.#child, 'close').then(([code, signal]) => ({ code, signal, output: output.trim() }))
    // What it left running goes with it (and would keep its pipes open, so that `close` never came).
    this.#child.once('exit', () => this.kill())
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** A command to a process that has just gone is no error: its exit is what matters. */
  send(command: VisionCommand): void {
    if (this.#child.connected) this.#child.send(command, () => {})
  }

  kill(): void {
    if (this.pid === undefined) return
    try {
      process.kill(-this.pid, 'SIGKILL')
    } catch (error) {
      // ESRCH: it is gone. EPERM: its number is someone else's by now. Neither is a reason to fall over.
      if (!(error instanceof Error && 'code' in error)) throw error
    }
  }
}

function isOnPath(name: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
