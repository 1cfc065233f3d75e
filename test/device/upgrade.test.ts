import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { packageVersions } from '../../src/lib/package.ts'
import { hostArch } from './packages.ts'
import { BootedSystem } from './support/booted-system.ts'
import { repack } from './support/repack.ts'
import { isOf, Service } from './support/service.ts'
import { bootableSystems } from './support/system-tree.ts'
import { until } from './support/until.ts'

const deb = hostArch && inject('packages')[hostArch]
const folder = mkdtempSync(join(tmpdir(), 'sightd-test-'))
const [older, newer] = ['/opt/older.deb', '/opt/newer.deb']
const newVersion = '99.0.0'

/** What a person, or an update of the model, has put there. */
const kept = {
  '/etc/credstore/sightd.mqtt-username': 'porch\n',
  '/var/lib/sightd/models/mine/manifest.json': '{}\n',
}

beforeAll(() => {
  if (deb !== undefined) repack(deb, join(folder, 'newer.deb'), newVersion)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

for (const { suite, tree, problem } of await bootableSystems(deb))
  describe.skipIf(problem !== '')(`the package on a booted ${suite}${problem}`, () => {
    let system: BootedSystem
    let service: Service

    beforeAll(async () => {
      system = await BootedSystem.boot(tree, { [older]: deb ?? '', [newer]: join(folder, 'newer.deb') })
      service = new Service(system)
    })
    afterAll(() => system[Symbol.asyncDispose]())

    test('is installed by apt alone: the service is there, and says what it lacks', async () => {
      await service.install(older)
      const { StatusText, ...shown } = await service.show('ActiveState', 'UnitFileState', 'StatusText')
      expect(shown).toEqual({ ActiveState: 'active', UnitFileState: 'enabled' })
      expect(StatusText).toMatch(/^degraded: camera: the camera program is not installed/)
      expect(await system.run('sightd', '--version')).toBe(packageVersions().own)
      expect(await system.run('sightd', 'config', 'check')).toContain('/etc/sightd/config.yaml')
    })

    test('keeps all that is not its own in an upgrade, what waits for the broker too', async () => {
      for (const [path, text] of Object.entries(kept)) await system.write(path, text)
      await service.configure('name: Porch\n')
      await service.systemctl('restart')
      const heard = await system.listen()
      const event = JSON.parse((await heard.next(isOf('event'))).payload)
      await system.run('systemctl', 'stop', 'mosquitto')
      await until(() => system.shell('grep --quiet event_id /var/lib/sightd/spool/*.log'))
      const before = await service.mainPid()
      await service.install(newer)
      expect(await service.mainPid()).not.toBe(before)
      await isAsItWas()

      await system.run('systemctl', 'start', 'mosquitto')
      await system.isUp()
      const again = await system.listen()
      const replayed = await again.next((message) => isOf('event')(message) && message.payload.includes(event.boot))
      expect(JSON.parse(replayed.payload)).toMatchObject({ boot: event.boot, replayed: true })
      await again.next((message) => isOf('info')(message) && message.payload.includes(newVersion))
      await again.next(isOf('result'))
      expect(again.seen.filter(isOf('crash'))).toEqual([])
    })

    test('keeps it in a downgrade', async () => {
      await service.install(older, '--allow-downgrades')
      const heard = await system.listen()
      const { own } = packageVersions()
      await heard.next((message) => isOf('info')(message) && message.payload.includes(`"sw":"${own}"`))
      await heard.next(isOf('result'))
      expect(heard.seen.filter(isOf('crash'))).toEqual([])
      await isAsItWas()
    })

    test('does not start in an upgrade what was switched off', async () => {
      await service.systemctl('disable', '--now')
      await service.install(newer)
      expect(await service.show('ActiveState', 'UnitFileState')).toEqual({
        ActiveState: 'inactive',
        UnitFileState: 'disabled',
      })
      await service.systemctl('enable', '--now')
    })

    test('stops the service when it is removed, and leaves what is not its own', async () => {
      const heard = await system.listen()
      await system.run('apt-get', 'remove', '--yes', 'sightd')
      await heard.next((message) => isOf('status')(message) && message.payload === 'offline')
      expect(await service.show('LoadState', 'ActiveState')).toEqual({
        LoadState: 'not-found',
        ActiveState: 'inactive',
      })
      expect(await system.shell('ls -d /usr/lib/sightd /run/sightd 2>/dev/null || true')).toBe('')
      await isAsItWas()
    })

    test('finds it when it comes back, and leaves nothing when it is purged', async () => {
      await service.install(older)
      const heard = await system.listen()
      await heard.next(isOf('result'))
      await isAsItWas()
      await system.run('apt-get', 'purge', '--yes', 'sightd')
      const places = "find / /run /tmp -xdev -name '*sightd*' -not -path '/opt/*' -not -path '/var/lib/dpkg/*'"
      expect(await system.shell(places)).toBe('')
      expect(await service.show('LoadState')).toEqual({ LoadState: 'not-found' })
      // Files of its number elsewhere must not become those of the next user.
      expect(await system.run('getent', 'passwd', 'sightd')).toContain('/nologin')
    })

    async function isAsItWas(): Promise<void> {
      for (const [path, text] of Object.entries(kept)) expect(await system.run('cat', path)).toBe(text.trim())
      expect(await system.run('cat', '/etc/sightd/config.yaml')).toMatch(/name: Porch$/)
      const runs = await system.shell('cat /var/lib/sightd/boots.json')
      expect(JSON.parse(runs).length).toBeGreaterThan(1)
    }
  })
