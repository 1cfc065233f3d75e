import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { BootedSystem, bootObstacle } from './booted-system.ts'

const run = promisify(execFile)

/** The systems that Raspberry Pi OS is made of. */
const suites = ['bookworm', 'trixie'] as const
type Suite = (typeof suites)[number]

/** What sightd depends on, since a booted system has no network; a broker, and its clients. */
const packages = ['dbus', 'libgcc-s1', 'libstdc++6', 'mosquitto', 'mosquitto-clients', 'systemd', 'systemd-sysv']

/** A system to boot; or why that can't be done, in brackets. */
export type System = { readonly suite: Suite; readonly tree: string; readonly problem: string }

/** In a mount namespace, since debootstrap mounts in the folder, and may be killed. */
const make = `
[ ! -e "$1" ] || exit 0
rm -rf "$1.part"
debootstrap --variant=minbase --include="$2" "$3" "$1.part" "$4"
rm -r "$1.part/var/cache/apt"
mv "$1.part" "$1"
`

/** Those that can be booted here, each with a package of sightd for it. */
export async function bootableSystems(deb: string | undefined): Promise<System[]> {
  const obstacle = deb === undefined ? 'needs a package for this machine' : bootObstacle()
  const withProblem = (suite: Suite, text: string) => ({ suite, tree: '', problem: ` (${text.split('\n').pop()})` })
  const systems = suites.map(async (suite): Promise<System> => {
    if (obstacle !== undefined) return withProblem(suite, obstacle)
    try {
      const tree = await systemTree(suite)
      await BootedSystem.tryOut(tree)
      return { suite, tree, problem: '' }
    } catch (error) {
      return withProblem(suite, error instanceof Error ? error.message.trim() : String(error))
    }
  })
  return Promise.all(systems)
}

/**
 * A small Debian in a folder that is kept between runs, made with debootstrap from where this machine's apt gets its packages.
 * Nobody writes into it: `BootedSystem` lays a layer over it. Who comes while another makes it waits.
 */
async function systemTree(suite: Suite): Promise<string> {
  const [{ stdout: arch }, source] = await Promise.all([run('dpkg', ['--print-architecture']), packageSource()])
  const version = createHash('sha256').update(packages.join()).digest('hex').slice(0, 8)
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sightd-test')
  const path = join(cache, `${suite}-${arch.trim()}-${version}`)
  if (existsSync(path)) return path
  mkdirSync(cache, { recursive: true })
  const command = ['unshare', '--mount', 'sh', '-ec', make, 'sh', path, packages.join(), suite, source]
  await run('flock', [`${path}.lock`, ...command], { maxBuffer: 1e8 })
  return path
}

/** Where apt gets this machine's Debian from. */
async function packageSource(): Promise<string> {
  const release = readFileSync('/etc/os-release', 'utf8')
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(release)?.[1]
  if (!/^ID=debian$/m.test(release)) throw new Error("this machine's packages are not Debian's")
  const query = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages', `Codename: ${codename}`]
  const { stdout } = await run('apt-get', [...query, 'Origin: Debian', 'Component: main'])
  const [first = ''] = stdout.split('\n')
  if (first === '') throw new Error('needs apt-get update: apt knows no source of packages')
  return first
}
