import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** The systems that Raspberry Pi OS is made of. */
export const suites = ['bookworm', 'trixie'] as const
export type Suite = (typeof suites)[number]

/** What sightd depends on, since a booted system has no network; a broker, and its clients. */
const packages = ['dbus', 'libgcc-s1', 'libstdc++6', 'mosquitto', 'mosquitto-clients', 'systemd', 'systemd-sysv']

/**
 * A small Debian in a folder that is kept between runs, made with debootstrap from where this machine's apt gets its packages.
 * Nobody writes into it: `BootedSystem` lays a layer over it.
 */
export async function systemTree(suite: Suite): Promise<string> {
  const [{ stdout: arch }, source] = await Promise.all([run('dpkg', ['--print-architecture']), packageSource()])
  const version = createHash('sha256').update(packages.join()).digest('hex').slice(0, 8)
  const cache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'sightd-test')
  const path = join(cache, `${suite}-${arch.trim()}-${version}`)
  if (existsSync(path)) return path
  mkdirSync(cache, { recursive: true })
  const unfinished = `${path}.${process.pid}`
  try {
    const options = ['--variant=minbase', `--include=${packages.join()}`]
    await run('debootstrap', [...options, suite, unfinished, source], { maxBuffer: 1e8 })
    rmSync(join(unfinished, 'var/cache/apt'), { recursive: true })
    renameSync(unfinished, path)
  } finally {
    rmSync(unfinished, { recursive: true, force: true })
  }
  return path
}

/** Where apt gets this machine's Debian from. */
async function packageSource(): Promise<string> {
  const release = readFileSync('/etc/os-release', 'utf8')
  const codename = /^VERSION_CODENAME=(.*)$/m.exec(release)?.[1]
  if (!/^ID=debian$/m.test(release)) throw new Error("this machine's packages are not Debian's")
  const query = ['indextargets', '--format', '$(REPO_URI)', 'Created-By: Packages', `Codename: ${codename}`]
  const { stdout } = await run('apt-get', [...query, 'Component: main'])
  const [first = ''] = stdout.split('\n')
  if (first === '') throw new Error('apt has no package source')
  return first
}
