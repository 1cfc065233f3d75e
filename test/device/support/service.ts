import type { BootedSystem, Message } from './booted-system.ts'

const config = '/etc/sightd/config.yaml'
const dropIns = '/etc/systemd/system/sightd.service.d'
const cgroup = '/sys/fs/cgroup/system.slice/sightd.service'

/** Photos instead of a camera. */
const photos = 'camera: { source: replay, path: /usr/lib/sightd/deploy/demo, fps: 5 }'
const replay = `id: porch\n${photos}\n`

/** Whether a message is on that topic of the device. */
export const isOf = (topic: string) => (message: Message) => message.topic === `sightd/porch/${topic}`

/** Nor was it there before we listened. */
export const isNew = (topic: string) => (message: Message) => isOf(topic)(message) && message.retain === 0

/** sightd as systemd runs it, in a system that was booted. */
export class Service {
  readonly #system: BootedSystem

  constructor(system: BootedSystem) {
    this.#system = system
  }

  async install(deb: string, ...options: readonly string[]): Promise<void> {
    // What is only recommended would have to come over a network. A configuration that was changed stays, as whoever is
    // asked is told to answer.
    const answers = ['--yes', '--no-install-recommends', '-o', 'Dpkg::Options::=--force-confold']
    await this.#system.run('apt-get', 'install', ...answers, ...options, deb)
  }

  async configure(more = '', camera = photos): Promise<void> {
    await this.#system.write(config, `id: porch\n${camera}\n${more}`)
  }

  /** Lays lines over the section [Service] of the unit; in force from its next start on. */
  async override(lines: string): Promise<void> {
    await this.#system.write(`${dropIns}/test.conf`, `[Service]\n${lines}\n`)
    await this.systemctl('daemon-reload')
  }

  /** It runs as it was configured first, whatever a test before has made of it. */
  async settle(): Promise<void> {
    const isSettled = `[ ! -e ${dropIns} ] && [ "$(cat ${config})" = "$1" ]`
    await this.#system.run('sh', '-c', isSettled, 'sh', replay.trim()).catch(async () => {
      await this.configure()
      await this.#system.run('rm', '-rf', dropIns)
      await this.systemctl('daemon-reload')
      await this.systemctl('stop')
    })
    await this.#system.shell('systemctl reset-failed sightd; systemctl start sightd')
  }

  /** As `systemctl` does it: returns when it is done. */
  async systemctl(command: string, ...options: readonly string[]): Promise<void> {
    await this.#system.run('systemctl', command, ...options, ...(command === 'daemon-reload' ? [] : ['sightd']))
  }

  /** What the manual page of `systemctl show` calls properties. */
  async show<const Name extends string>(...names: readonly Name[]): Promise<Partial<Record<Name, string>>> {
    const text = await this.#system.run('systemctl', 'show', 'sightd', `--property=${names.join()}`)
    const lines = new Map(text.split('\n').map((line) => split(line, '=')))
    const shown: Partial<Record<Name, string>> = {}
    for (const name of names) shown[name] = lines.get(name) ?? ''
    return shown
  }

  async mainPid(): Promise<string> {
    return (await this.show('MainPID')).MainPID ?? ''
  }

  /** What runs in its control group, by number. */
  async processes(): Promise<Map<string, string>> {
    const line = `for p in $(cat ${cgroup}/cgroup.procs); do echo "$p $(tr '\\0' ' ' </proc/$p/cmdline)"; done`
    const text = await this.#system.shell(`[ ! -e ${cgroup} ] || { ${line}; }`)
    return new Map(text === '' ? [] : text.split('\n').map((each) => split(each, ' ')))
  }

  async visionPid(): Promise<string> {
    const found = [...(await this.processes())].find(([, command]) => command.includes('/vision/main'))
    if (found === undefined) throw new Error('it has no vision process')
    return found[0]
  }
}

function split(line: string, separator: string): [string, string] {
  const at = line.indexOf(separator)
  return [line.slice(0, at), line.slice(at + 1)]
}
