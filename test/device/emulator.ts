import { execFile, execFileSync, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { packageRoot } from '../../src/lib/package.ts'

/** The CPUs of Raspberry Pis, by qemu's names. */
export const cpus = [
  { cpu: 'cortex-a53', boards: 'Pi 3, Zero 2 W', hasDotProduct: false },
  { cpu: 'cortex-a72', boards: 'Pi 4', hasDotProduct: false },
  { cpu: 'cortex-a76', boards: 'Pi 5', hasDotProduct: true },
] as const

type Outcome = {
  readonly code: number
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
  /** Every arm64 program that was started meanwhile, by us or by each other, with its arguments. */
  readonly started: readonly string[]
}

const installer = join(packageRoot, 'test/device/install-qemu.sh')

/**
 * Since Linux 6.7 a user namespace has programs of other machines (binfmt_misc) of its own. In there the kernel itself starts
 * the interpreter for each arm64 program, so that what the daemon starts by `process.execPath` runs as on a board; the machine
 * outside notices nothing, and root is not needed.
 */
const inNamespace = [
  ...['unshare', '--user', '--map-root-user', '--mount', 'sh', '-c'],
  `mount -t binfmt_misc none /proc/sys/fs/binfmt_misc &&
    printf %s "$1" >/proc/sys/fs/binfmt_misc/register && shift && exec "$@"`,
  'sh',
] as const

/** Whether arm64 programs can be run here. On arm64 the shell that is to run them would be one of them, in a circle. */
export function canEmulate(): boolean {
  if (process.arch !== 'x64' || !existsSync(emulatorFolder())) return false
  const [command, ...args] = [...inNamespace, registration('/bin/false'), 'true']
  return spawnSync(command, args).status === 0
}

/** Runs arm64 programs on one kind of CPU. */
export class Emulator {
  readonly #interpreter: string
  readonly #started: string

  /** Needs a folder for files of its own. */
  constructor(cpu: string, folder: string) {
    this.#interpreter = join(folder, cpu)
    this.#started = join(folder, `${cpu}.started`)
    const from = emulatorFolder()
    // Not by qemu's environment variables: the daemon starts its processes with none but the PATH.
    const script = `#!/bin/sh
ulimit -c 0
echo "$*" >>${this.#started}
exec ${from}/qemu-aarch64 -cpu ${cpu} -L ${from}/sysroot "$@"
`
    writeFileSync(this.#interpreter, script, { mode: 0o755 })
  }

  /** Runs a program to its end: an arm64 one, or a script that starts one. */
  async run(program: string, ...programArgs: string[]): Promise<Outcome> {
    writeFileSync(this.#started, '')
    const [command, ...args] = [...inNamespace, registration(this.#interpreter), program, ...programArgs]
    return new Promise((resolve) => {
      const child = execFile(command, args, (error, stdout, stderr) => {
        const started = readFileSync(this.#started, 'utf8').split('\n').slice(0, -1)
        resolve({ code: Number(error?.code ?? 0), signal: error?.signal ?? null, stdout, stderr, started })
      })
      onTestFinished(() => {
        child.kill('SIGKILL')
      })
    })
  }
}

/** A program for arm64 whose only deed before it ends with 0 is a dot product of bytes (ARMv8.2's SDOT). */
export function dotProductProgram(): Buffer {
  const code = { sdot: 0x4e829420, takeExitNumber: 0xd2800ba8, take0: 0xd2800000, callKernel: 0xd4000001 }
  const headerBytes = { file: 64, segment: 56 }
  const address = 0x400000
  const start = headerBytes.file + headerBytes.segment
  const bytes = Buffer.alloc(start + 4 * Object.keys(code).length)
  const write = (at: number, length: number, value: number) => bytes.writeUIntLE(value, at, length)
  bytes.write(elfStart, 'latin1')
  write(0x10, 2, elfTypes.program)
  write(0x12, 2, arm64)
  write(0x14, 4, 1)
  write(0x18, 6, address + start)
  write(0x20, 6, headerBytes.file)
  write(0x34, 2, headerBytes.file)
  write(0x36, 2, headerBytes.segment)
  write(0x38, 2, 1)
  const segment = { type: 1, readAndRun: 5 }
  write(0x40, 4, segment.type)
  write(0x44, 4, segment.readAndRun)
  for (const at of [0x50, 0x58]) write(at, 6, address)
  for (const at of [0x60, 0x68]) write(at, 6, bytes.length)
  write(0x70, 6, 0x10000)
  for (const [index, word] of Object.values(code).entries()) write(start + 4 * index, 4, word)
  return bytes
}

const elfStart = '\x7fELF\x02\x01\x01'
const elfTypes = { program: 2, shared: 3 }
const arm64 = 0xb7

/** What binfmt_misc is to be told: the first 20 bytes of the programs that are meant, the bits that count, and who runs them. */
function registration(interpreter: string): string {
  const magic = [...Buffer.from(elfStart.padEnd(16, '\0'), 'latin1'), elfTypes.program, 0, arm64, 0]
  // Programs that lie at no fixed address are shared objects to ELF (2 and 3 differ in a bit); who made the ABI doesn't matter.
  const mask = magic.map((_, at) => ({ 7: 0, 16: 0xff ^ (elfTypes.program ^ elfTypes.shared) })[at] ?? 0xff)
  const hex = (bytes: readonly number[]) => bytes.map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
  return `:sightd-arm64:M::${hex(magic)}:${hex(mask)}:${interpreter}:`
}

function emulatorFolder(): string {
  return execFileSync(installer, ['--folder'], { encoding: 'utf8' }).trim()
}
