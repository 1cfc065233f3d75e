import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import * as v from 'valibot'
import { onTestFinished } from 'vitest'
import { findProgram } from '../../support/mosquitto.ts'
import { listProcesses } from '../../support/processes.ts'
import { Following } from './following.ts'
import { until } from './until.ts'

const programs = [
  'apt-get',
  'debootstrap',
  'dpkg',
  'dpkg-deb',
  'flock',
  'nsenter',
  'setpriv',
  'systemd-nspawn',
  'unshare',
]

/** Where systemd may keep its control groups: the second and third where they are of version 1. */
const cgroupRoots = ['/sys/fs/cgroup', '/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified'].filter((folder) =>
  existsSync(join(folder, 'cgroup.procs')),
)

/**
 * As the first process of a namespace, so that all ends with it; in a mount namespace, so that nothing stays mounted; in a
 * control group of its own, since systemd-nspawn makes some of fixed names in the one that it is in. That ends with 133 when
 * the system wants to be started anew.
 */
const start = `
set -e
work=$1 tree=$2 name=$3
shift 3
mount -t tmpfs -o size=1g,mode=755 sightd-test "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay -o "lowerdir=$tree,upperdir=$work/upper,workdir=$work/work" overlay "$work/root"
for root in ${cgroupRoots.join(' ')}; do
  mkdir "$root/$name"
  echo $$ >"$root/$name/cgroup.procs"
done
code=133
while [ "$code" = 133 ]; do
  code=0
  systemd-nspawn --quiet --directory="$work/root" --register=no --keep-unit --console=pipe "$@" || code=$?
done
exit "$code"
`

/**
 * What a machine has and a container has not: systemd refuses devices to a service by a BPF program, and only who may load
 * modules can show that a service may not.
 */
const likeMachine = ['--private-network', '--capability=CAP_BPF,CAP_SYS_MODULE', '--system-call-filter=bpf']

const fence = 'sightd/fence'
const runLimitMs = 240_000
const askLimitMs = 5000

const messageSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.object({
    topic: v.string(),
    payload: v.pipe(
      v.nullable(v.string()),
      v.transform((text) => text ?? ''),
    ),
    retain: v.picklist([0, 1]),
  }),
)
export type Message = v.InferOutput<typeof messageSchema>

/** Why no system can be booted here, undefined where one can. */
export function bootObstacle(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  const missing = programs.filter((name) => findProgram(name) === undefined)
  if (missing.length > 0) return `needs ${missing.join(', ')}`
  try {
    accessSync(join(cgroupRoots[0] ?? '/sys/fs/cgroup', 'cgroup.procs'), constants.W_OK)
    return undefined
  } catch {
    return 'needs control groups that can be written'
  }
}

/** A Debian whose systemd runs, with a broker and without a network. What is written into it goes with it. */
export class BootedSystem implements AsyncDisposable {
  readonly #unshare: ChildProcess
  readonly #work = mkdtempSync(join(tmpdir(), 'sightd-system-'))
  readonly #name = basename(this.#work)
  #said = ''

  private constructor(tree: string, args: readonly string[]) {
    const namespaces = ['--mount', '--propagation=private', '--pid', '--mount-proc', '--fork', '--kill-child=KILL']
    const script = ['sh', '-c', start, 'sh', this.#work, tree, this.#name]
    const machine = [`--machine=${this.#name}`, ...likeMachine, ...args]
    this.#unshare = spawn('setpriv', ['--pdeathsig=KILL', 'unshare', ...namespaces, ...script, ...machine], {
      stdio: ['ignore', 'pipe', 'pipe'],
      // The control groups of Raspberry Pi OS, and the only ones that Debian 13 takes, whichever this machine has.
      env: { PATH: process.env['PATH'], SYSTEMD_NSPAWN_UNIFIED_HIERARCHY: '1' },
    })
    for (const stream of [this.#unshare.stdout, this.#unshare.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.#said += text
      })
  }

  /** Throws with what systemd-nspawn says when it can't do its part here at all. */
  static async tryOut(tree: string): Promise<void> {
    await using system = new BootedSystem(tree, ['/bin/true'])
    const [code] = await once(system.#unshare, 'close')
    if (code !== 0) throw new Error(system.#said)
  }

  /** With folders or files of this machine to be read in it, by where they are there. */
  static async boot(tree: string, shared: Readonly<Record<string, string>>): Promise<BootedSystem> {
    const binds = Object.entries(shared).map(([there, here]) => `--bind-ro=${here}:${there}`)
    const system = new BootedSystem(tree, ['--boot', ...binds])
    try {
      await system.isUp()
    } catch (error) {
      await system[Symbol.asyncDispose]()
      throw new Error(`it does not boot: ${system.#said}`, { cause: error })
    }
    return system
  }

  /** Resolves when it has booted, to what names this boot. */
  async isUp(): Promise<string> {
    // One that goes down stops all that runs in it for a moment, and nsenter never goes on after that.
    const ask = (...command: readonly string[]) => this.#run(command, askLimitMs)
    return until(async () => {
      const state = await ask('sh', '-c', 'systemctl is-system-running --wait || true')
      if (!['running', 'degraded'].includes(state)) throw new Error(`its systemd is ${state}`)
      await ask('mosquitto_pub', '-h', '127.0.0.1', '-r', '-t', fence, '-m', 'up')
      return ask('cat', '/proc/sys/kernel/random/boot_id')
    })
  }

  /** As `systemctl reboot` does it; resolves when it is up again. */
  async reboot(...options: readonly string[]): Promise<void> {
    const before = await this.isUp()
    // The command may go down with it.
    await this.#run(['systemctl', 'reboot', ...options], askLimitMs).catch(() => {})
    await until(async () => {
      if ((await this.isUp()) === before) throw new Error('it does not go down')
    })
  }

  /** Runs a program in it; resolves to what that prints, and throws with what it says when it fails. */
  async run(...command: readonly string[]): Promise<string> {
    return this.#run(command, runLimitMs)
  }

  /** A line for its shell. */
  async shell(line: string): Promise<string> {
    return this.run('sh', '-c', line)
  }

  async write(path: string, text: string): Promise<void> {
    await this.run('sh', '-c', 'mkdir -p "$(dirname "$1")" && printf %s "$2" >"$1"', 'sh', path, text)
  }

  /** The journal of sightd, and what systemd says of it, from now until the test is over. */
  journal(): Following<string> {
    const options = ['--unit=sightd', '--follow', '--no-tail', `--since=@${Date.now() / 1000}`, '--output=cat']
    return new Following(this.#follow(['journalctl', ...options]), (line) => line)
  }

  /** What is retained below `sightd/`, and all that comes, until the test is over. */
  async listen(): Promise<Following<Message>> {
    const options = ['-h', '127.0.0.1', '-q', '1', '-F', '%j', '-t', 'sightd/#']
    const heard = new Following(this.#follow(['mosquitto_sub', ...options]), (line) => v.parse(messageSchema, line))
    await heard.next(({ topic }) => topic === fence)
    return heard
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#unshare.exitCode === null && this.#unshare.signalCode === null) {
      this.#unshare.kill('SIGKILL')
      await once(this.#unshare, 'close')
    }
    // Its processes end after it.
    const removeGroups = () => {
      for (const root of cgroupRoots) removeGroup(join(root, this.#name))
    }
    await until(removeGroups, 10_000)
    rmSync(this.#work, { recursive: true, force: true })
  }

  async #run(command: readonly string[], limitMs: number): Promise<string> {
    const limits = { timeout: limitMs, killSignal: 'SIGKILL', maxBuffer: 1e8 } as const
    const { stdout } = await promisify(execFile)('nsenter', this.#inside(command), { env: environment, ...limits })
    return stdout.trim()
  }

  #follow(command: readonly string[]): ChildProcess {
    const child = spawn('nsenter', this.#inside(command), {
      stdio: ['ignore', 'pipe', 'ignore'],
      env: environment,
    })
    onTestFinished(() => {
      child.kill()
    })
    return child
  }

  #inside(command: readonly string[]): string[] {
    const processes = listProcesses()
    const childOf = (pid: number | undefined, name = '') =>
      processes.find(({ parent, command }) => parent === pid && command.includes(name))?.pid
    const init = childOf(childOf(childOf(this.#unshare.pid), 'systemd-nspawn'))
    if (init === undefined || !isInit(init)) throw new Error(`it does not run: ${this.#said}`)
    // nsenter waits for a child of its own, which would outlive it.
    return [`--target=${init}`, '--all', 'setpriv', '--pdeathsig=KILL', ...command]
  }
}

const environment = {
  PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',
  LC_ALL: 'C',
  DEBIAN_FRONTEND: 'noninteractive',
}

/** The first of a namespace of processes. */
function isInit(pid: number): boolean {
  return /^NSpid:.*\t1$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
}

function removeGroup(folder: string): void {
  if (!existsSync(folder)) return
  for (const entry of readdirSync(folder, { withFileTypes: true }))
    if (entry.isDirectory()) removeGroup(join(folder, entry.name))
  rmdirSync(folder)
}
