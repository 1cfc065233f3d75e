import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export type ConfinedOptions = {
  /** The script it runs, and what is passed to it. */
  readonly entry: URL
  readonly args?: readonly string[]
  /** An empty folder to work in, so that a hostile model finds no files beside it. */
  readonly workDir: string
  /** What its heap and private mappings may take (RLIMIT_DATA, less what V8 only reserves). */
  readonly maxMemoryMb: number
  /** How many inference threads it may have at once, beside its main thread. */
  readonly inferenceThreads: number
  /** Processor time after which the kernel ends it, also when nobody is left to do so; undefined: no limit. */
  readonly maxCpuS?: number
  /** What its file descriptor 3 is: Node's channel for messages, or a pipe to read from. */
  readonly channel: 'ipc' | 'pipe'
}

export type ProcessExit = {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  /** The last that it or its native code printed; normally nothing. */
  readonly output: string
}

const maxOutput = 2000

/**
 * V8 lets the space for new objects grow to 16 MiB three times over, in each thread: what lives here for one frame fits
 * into 1 MiB. The rest of the heap is some 10 MiB; a leak should end the process, not fill the board.
 */
export const heapLimits = ['--max-semi-space-size=1', '--max-old-space-size=96']

/**
 * glibc's: two arenas instead of eight per core, since threads here share little and each arena keeps what it once had; and
 * a threshold that is set stays where it is, so that what loading a model takes in large pieces goes back when it is freed.
 */
export const mallocLimits = {
  MALLOC_ARENA_MAX: '2',
  MALLOC_TRIM_THRESHOLD_: '131072',
  // Outputs of a network stay below it: mapped anew at each run they would cost hundreds of page faults.
  MALLOC_MMAP_THRESHOLD_: '1048576',
}

/**
 * V8 reserves address space for machine code that counts as data though it is hardly used: on the main thread 512 MiB on
 * x64, 128 MiB on arm64 (kMaximalCodeRangeSize in its globals.h), and what an inference thread asks for (32 MiB); each
 * thread a little more.
 */
const reservedMb = { main: process.arch === 'x64' ? 576 : 192, inferenceThread: 64 }

/**
 * A process for native code that nobody vouches for: leader of its own process group, with nothing of our environment but
 * the PATH, and limited memory. Killing it kills the group.
 */
export class ConfinedProcess {
  readonly child: ChildProcess
  /** Rejects when it can't be started. */
  readonly exited: Promise<ProcessExit>
  #output = ''

  constructor({ entry, args = [], workDir, maxMemoryMb, inferenceThreads, maxCpuS, channel }: ConfinedOptions) {
    const node = [process.execPath, ...heapLimits, fileURLToPath(entry), ...args]
    const dataMb = reservedMb.main + inferenceThreads * reservedMb.inferenceThread + maxMemoryMb
    const limits = [`--data=${dataMb * 1024 * 1024}`, ...(maxCpuS === undefined ? [] : [`--cpu=${maxCpuS}`])]
    const [command = '', ...rest] = isOnPath('prlimit') ? ['prlimit', ...limits, ...node] : node
    // The folder for temporary files is swept now and then; without the folder nothing would ever start again.
    mkdirSync(workDir, { recursive: true, mode: 0o700 })
    this.child = spawn(command, rest, {
      cwd: workDir,
      detached: true,
      env: { PATH: process.env['PATH'], ...mallocLimits, ORT_DISABLE_TELEMETRY: '1' },
      stdio: ['ignore', 'pipe', 'pipe', channel],
    })
    this.child.stdout?.on('data', (chunk: unknown) => this.note(chunk))
    this.child.stderr?.on('data', (chunk: unknown) => this.note(chunk))
    // After it has started there is nothing to learn from these; its exit tells.
    this.child.on('error', () => {})
    this.exited = once(this.child, 'close').then(([code, signal]) => ({ code, signal, output: this.#output.trim() }))
    // What it left running goes with it (and would keep its pipes open, so that `close` never came).
    this.child.once('exit', () => this.kill())
  }

  get pid(): number | undefined {
    return this.child.pid
  }

  /** Adds to what it printed. */
  note(text: unknown): void {
    this.#output = `${this.#output}${text}`.slice(-maxOutput)
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
