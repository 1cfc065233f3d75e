import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, onTestFinished, test } from 'vitest'
import { packageRoot } from '../../src/lib/package.ts'
import { hostArch } from './packages.ts'
import { BootedSystem } from './support/booted-system.ts'
import { isNew, isOf, Service } from './support/service.ts'
import { bootableSystems } from './support/system-tree.ts'
import { until } from './support/until.ts'

const deb = hostArch && inject('packages')[hostArch]
const probe = '/opt/sandbox-probe.pl'

const checkout = '/opt/checkout'

const startLimitMs = 15_000
const stopLimitMs = 5000

for (const { suite, tree, problem } of await bootableSystems(deb))
  describe.skipIf(problem !== '')(`the service on a booted ${suite}${problem}`, () => {
    let system: BootedSystem
    let service: Service

    beforeAll(async () => {
      system = await BootedSystem.boot(tree, {
        '/opt/sightd.deb': deb ?? '',
        [probe]: join(packageRoot, 'test/device/support/sandbox-probe.pl'),
        [`${checkout}/test/fixtures`]: join(packageRoot, 'test/fixtures'),
      })
      service = new Service(system)
      await service.install('/opt/sightd.deb')
    })
    afterAll(() => system[Symbol.asyncDispose]())
    beforeEach(() => service.settle())

    test('is up in time, and its results are on the broker', async () => {
      const heard = await system.listen()
      const startedMs = performance.now()
      await service.systemctl('restart')
      expect(performance.now() - startedMs).toBeLessThan(startLimitMs)
      const { StatusText, ...shown } = await service.show('ActiveState', 'UnitFileState', 'User', 'StatusText')
      expect(shown).toEqual({ ActiveState: 'active', UnitFileState: 'enabled', User: 'sightd' })
      expect(StatusText).toMatch(/^running · /)
      const result = await heard.next(isOf('result'), heard.seen.length)
      expect(JSON.parse(result.payload)).toMatchObject({ task: 'detection', detections: expect.anything() })
      expect((await heard.next(isOf('status'))).payload).toBe('online')
    })

    test('outlives its vision process', async () => {
      const heard = await system.listen()
      const before = await service.mainPid()
      await system.shell(`kill -s KILL ${await service.visionPid()}`)
      await heard.next((message) => isNew('state')(message) && /"restarts":1\b/.test(message.payload))
      await heard.next(isOf('result'), heard.seen.length)
      expect(await service.mainPid()).toBe(before)
      expect(heard.seen.filter(isNew('status'))).toEqual([])
    })

    test('is started anew when it was killed, and says so', async () => {
      const heard = await system.listen()
      const vision = await service.visionPid()
      await service.systemctl('kill', '--signal=KILL', '--kill-whom=main')
      const crash = await heard.next(isNew('crash'))
      expect(JSON.parse(crash.payload)).toMatchObject({ reason: 'ended by KILL (signal)' })
      await heard.next(isOf('result'), heard.seen.length)
      expect(await service.show('NRestarts')).toEqual({ NRestarts: '1' })
      expect([...(await service.processes()).keys()]).not.toContain(vision)
      expect(heard.seen.filter(isOf('status')).map(({ payload }) => payload)).not.toContain('offline')
      const warnings = await system.run('journalctl', '--unit=sightd', '--priority=warning', '--output=cat')
      expect(warnings).toContain('the run before ended without an end in good order')
    })

    test('is killed by the watchdog when it hangs, and says so', async () => {
      await service.override('WatchdogSec=6')
      await service.systemctl('restart')
      const heard = await system.listen()
      await service.systemctl('kill', '--signal=STOP', '--kill-whom=main')
      const crash = await heard.next(isNew('crash'))
      expect(JSON.parse(crash.payload)).toMatchObject({ reason: expect.stringContaining('watchdog') })
      await heard.next(isOf('result'), heard.seen.length)
    })

    test('stops at once, says so, and leaves nothing behind', async () => {
      const heard = await system.listen()
      const startedMs = performance.now()
      await service.systemctl('stop')
      expect(performance.now() - startedMs).toBeLessThan(stopLimitMs)
      await heard.next((message) => isNew('status')(message) && message.payload === 'offline')
      const again = await system.listen()
      expect(await again.next(isOf('status'))).toMatchObject({ payload: 'offline', retain: 1 })
      expect(await service.show('ActiveState', 'Result')).toEqual({ ActiveState: 'inactive', Result: 'success' })
      await until(async () => expect(await service.processes()).toEqual(new Map()))
      const left = await system.shell('ls -d /run/sightd /tmp/*sightd* /dev/shm/* /run/credentials/sightd* || true')
      expect(left).toBe('')
      expect(await system.shell("stat --format='%U %n' /proc/[0-9]* | grep ^sightd || true")).toBe('')
    })

    test('may do no more than it needs', async () => {
      const places = 'mkdir -p /etc/open /usr/open /home/someone && chmod 777 /etc/open /usr/open /home/someone'
      await system.shell(`${places}; [ -e /dev/probe ] || mknod --mode=666 /dev/probe c 10 229`)
      await service.override(`ExecStartPre=/usr/bin/perl ${probe} /var/lib/sightd/tries /var/lib/sightd`)
      await service.systemctl('restart')
      expect(await triesIn('/var/lib/sightd/tries')).toEqual({
        'write to /etc': 'EROFS',
        'write to /usr': 'EROFS',
        'look into a home': 'EACCES',
        'see processes of others': 'ENOENT',
        'run a file of its state': 'EACCES',
        'run a file in /tmp': 'EACCES',
        'run a file in /dev/shm': 'EACCES',
        'make a file setuid': 'EPERM',
        'listen to a network device': 'EAFNOSUPPORT',
        'speak to the host of a virtual machine': 'EAFNOSUPPORT',
        'speak to the network': 'done',
        'speak to the kernel of devices': 'done',
        'open a device': 'EPERM',
        'load a module': 'EPERM',
        'make a namespace': 'EPERM',
      })
      // The same user can do all of it elsewhere, given the capabilities; modules only where the kernel has any.
      const caps = '-all,+net_raw,+sys_module'
      const user = [
        '--reuid=sightd',
        '--regid=sightd',
        '--clear-groups',
        `--inh-caps=${caps}`,
        `--ambient-caps=${caps}`,
      ]
      await system.run('setpriv', ...user, 'perl', probe, '/tmp/tries', '/tmp')
      const { 'load a module': module, ...others } = await triesIn('/tmp/tries')
      expect(module).toMatch(/^(EBADF|ENOSYS)$/)
      expect(new Set(Object.values(others))).toEqual(new Set(['done']))

      const status = await system.run('cat', `/proc/${await service.mainPid()}/status`)
      for (const line of [/^NoNewPrivs:\t1$/m, /^Seccomp:\t2$/m, /^CapEff:\t0+$/m, /^CapBnd:\t0+$/m])
        expect(status).toMatch(line)
      const rating = await system.run('systemd-analyze', 'security', '--no-pager', 'sightd')
      expect(Number(/Overall exposure level for \S+ ([0-9.]+)/.exec(rating)?.[1])).toBeLessThanOrEqual(2)
    })

    test('outlives every watchdog without a camera, and sees as soon as there is one', async () => {
      await service.override('WatchdogSec=4')
      await service.configure('', 'camera: { source: libcamera, width: 320, height: 240, fps: 10 }')
      await service.systemctl('restart')
      const heard = await system.listen()
      await heard.next((message) => isOf('state')(message) && message.payload.includes('"camera":{"state":"absent"'))
      await until(async () => {
        const { NRestarts, ...times } = await service.show(
          'NRestarts',
          'ActiveEnterTimestampMonotonic',
          'WatchdogTimestampMonotonic',
        )
        expect(NRestarts).toBe('0')
        const [started, fed] = Object.values(times).map(Number)
        expect((fed ?? 0) - (started ?? 0)).toBeGreaterThan(10e6)
      })
      // The stand-in for rpicam-vid, which needs a Node, sharp and photos.
      await system.run('ln', '-s', '/usr/lib/sightd/node/bin/node', '/usr/local/bin/node')
      await system.run('ln', '-s', '/usr/lib/sightd/node_modules', '/usr/lib/sightd/deploy', checkout)
      await system.run('ln', '-s', `${checkout}/test/fixtures/bin/rpicam-vid`, '/usr/bin/rpicam-vid')
      onTestFinished(async () => {
        await system.run('rm', '/usr/local/bin/node', '/usr/bin/rpicam-vid')
      })
      await heard.next(isNew('result'))
      await heard.next((message) => isOf('state')(message) && message.payload.includes('"camera":{"state":"online"'))
      expect([...(await service.processes()).values()].join()).toContain('rpicam-vid')
      await service.systemctl('stop')
      await until(async () => expect(await service.processes()).toEqual(new Map()))
    })

    test('reads its configuration anew on reload, and stays connected', async () => {
      const heard = await system.listen()
      const before = await service.mainPid()
      await service.configure('name: Front porch\n')
      await service.systemctl('reload')
      await heard.next((message) => isNew('info')(message) && message.payload.includes('Front porch'))
      await heard.next(isOf('result'), heard.seen.length)
      expect(await service.mainPid()).toBe(before)
      expect(heard.seen.filter(isOf('status')).map(({ payload }) => payload)).toEqual(['online'])
    })

    test('gives up on a wrong configuration, says where it is wrong, and starts when it is mended', async () => {
      const journal = system.journal()
      await service.configure('mqtt: { ulr: mqtt://127.0.0.1 }\n')
      await expect(service.systemctl('restart')).rejects.toThrow(/failed/)
      await journal.next((line) =>
        /^sightd: \/etc\/sightd\/config\.yaml:3: mqtt\.ulr: unknown key \(did you mean url\?\)/.test(line),
      )
      const properties = ['ActiveState', 'SubState', 'Result', 'ExecMainStatus', 'NRestarts'] as const
      expect(await service.show(...properties)).toEqual({
        ActiveState: 'failed',
        SubState: 'failed',
        Result: 'exit-code',
        ExecMainStatus: '78',
        NRestarts: '0',
      })
      expect(await system.run('systemctl', 'list-jobs')).toContain('No jobs running')
      await service.configure()
      await service.systemctl('start')
      expect(await service.show('ActiveState')).toEqual({ ActiveState: 'active' })
    })

    test('says how it ended though the start after that failed', async () => {
      await service.configure('mqtt: { ulr: mqtt://127.0.0.1 }\n')
      await service.systemctl('kill', '--signal=KILL', '--kill-whom=main')
      await until(async () =>
        expect(await service.show('ActiveState', 'Result')).toEqual({ ActiveState: 'failed', Result: 'exit-code' }),
      )
      await service.configure()
      const heard = await system.listen()
      await service.systemctl('start')
      const crash = await heard.next(isNew('crash'))
      expect(JSON.parse(crash.payload)).toMatchObject({ reason: 'ended by KILL (signal)' })
    })

    test('goes on while its disk is full, and says so', async () => {
      await service.systemctl('stop')
      const mount = 'mount -t tmpfs -o size=1m,mode=750,uid=$(id -u sightd),gid=$(id -g sightd) tmpfs /var/lib/sightd'
      await system.shell(`${mount} && ! head -c 2M /dev/zero 2>/dev/null >/var/lib/sightd/full`)
      onTestFinished(async () => {
        await system.shell('systemctl kill -s CONT mosquitto; systemctl stop sightd; umount /var/lib/sightd')
      })
      const journal = system.journal()
      await service.systemctl('start')
      const heard = await system.listen()
      await heard.next(isOf('event'))
      // A broker that takes nothing, so that events have to be stored.
      await system.run('systemctl', 'kill', '--signal=STOP', 'mosquitto')
      await journal.next((line) => /the disk is full.*events are kept in memory only/.test(line))
      await system.run('systemctl', 'kill', '--signal=CONT', 'mosquitto')
      await heard.next((message) => isOf('state')(message) && /"problem":"[^"]*the disk is full/.test(message.payload))
      await system.run('rm', '/var/lib/sightd/full')
      await journal.next((line) => line.includes('events can be stored again'))
      expect(await service.show('ActiveState', 'NRestarts')).toEqual({ ActiveState: 'active', NRestarts: '0' })
    })

    test('is given its password by systemd, and nobody else is', async () => {
      await system.run('mosquitto_passwd', '-c', '-b', '/etc/mosquitto/passwords', 'porch', 'open sesame')
      const login = 'listener 1884 127.0.0.1\nallow_anonymous false\npassword_file /etc/mosquitto/passwords\n'
      const settings = `per_listener_settings true\nlistener 1883 127.0.0.1\nallow_anonymous true\n${login}`
      await system.write('/etc/mosquitto/conf.d/login.conf', settings)
      await system.shell('chown mosquitto /etc/mosquitto/passwords; systemctl restart mosquitto')
      await system.shell('install -D -m 600 /dev/stdin /etc/credstore/sightd.mqtt-password <<E\nopen sesame\nE')
      onTestFinished(async () => {
        await system.run('rm', '/etc/credstore/sightd.mqtt-password')
      })
      await service.configure('mqtt: { url: mqtt://127.0.0.1:1884, username: porch }\n')
      await system.isUp()
      const heard = await system.listen()
      await service.systemctl('restart')
      await heard.next((message) => isNew('status')(message) && message.payload === 'online')
      const asSightd = 'setpriv --reuid=sightd --regid=sightd --clear-groups'
      await expect(system.shell(`${asSightd} cat /etc/credstore/sightd.mqtt-password`)).rejects.toThrow(/denied/)
    })

    test('is heard by systemd, whatever it says', async () => {
      const lost = "journalctl _PID=1 --output=cat | grep 'notify message' || true"
      expect(await system.shell(lost)).toBe('')
    })

    test('takes leave of the broker before that is gone when the board is shut down, and comes back with it', async () => {
      await system.reboot()
      const log = await system.shell("grep -E 'sightd-porch|terminating' /var/log/mosquitto/mosquitto.log")
      expect(log).toMatch(/Client sightd-porch disconnected\.\n.*terminating/)
      const heard = await system.listen()
      await heard.next(isOf('result'))
      expect(await system.run('journalctl', '--boot', '--unit=sightd', '--output=cat')).not.toContain('the run before')
    })

    test('comes back with the board after its power was cut, and says so', async () => {
      await system.reboot('--force', '--force')
      const heard = await system.listen()
      // In a container, the /proc that Debian 12 gives to the unit has the same boot's number as before.
      const reason = /"reason":"(killed"|the power was lost)/
      await heard.next((message) => isOf('crash')(message) && reason.test(message.payload))
      await heard.next(isOf('result'))
    })

    async function triesIn(path: string): Promise<Record<string, string>> {
      const text = await system.run('cat', path)
      return Object.fromEntries(text.split('\n').map((line) => line.split('=')))
    }
  })
