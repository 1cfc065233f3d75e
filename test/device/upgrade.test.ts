import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { bundledModel } from '../../src/daemon.ts'
import { packageVersions } from '../../src/lib/package.ts'
import { UpdateRepository } from '../support/update-repository.ts'
import { hostArch } from './packages.ts'
import { BootedSystem, type Message } from './support/booted-system.ts'
import { repack } from './support/repack.ts'
import { isNew, isOf, Service } from './support/service.ts'
import { bootableSystems } from './support/system-tree.ts'
import { until } from './support/until.ts'

const deb = hostArch && inject('packages')[hostArch]
const folder = mkdtempSync(join(tmpdir(), 'sightd-test-'))
const [older, newer] = ['/opt/older.deb', '/opt/newer.deb']
const newVersion = '99.0.0'

/** A repository of models, as on a USB stick. */
const stick = '/opt/stick'
const otaVersion = 'of-the-stick'
const ota = {
  sources: [`${stick}/repository`],
  root_file: `${stick}/repository/metadata/1.root.json`,
  group: 'porch',
  shadow_s: 1,
  probation_min: 0.1,
  probation_results: 20,
  // Two systems at a time share this machine.
  max_slowdown: 10,
}

/** What a person, or an update of the model, has put there. */
const kept = {
  '/etc/credstore/sightd.mqtt-username': 'porch\n',
  '/var/lib/sightd/models/mine/manifest.json': '{}\n',
}

beforeAll(async () => {
  if (deb === undefined) return
  repack(deb, join(folder, 'newer.deb'), newVersion)
  const model = join(folder, 'model')
  cpSync(bundledModel, model, { recursive: true })
  const manifest = readFileSync(join(model, 'manifest.json'), 'utf8')
  writeFileSync(join(model, 'manifest.json'), JSON.stringify({ ...JSON.parse(manifest), version: otaVersion }))
  const repository = await UpdateRepository.create(join(folder, 'stick'))
  await repository.offer(model)
  // The service is another user.
  for (const path of [folder, join(folder, 'stick')]) chmodSync(path, 0o755)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

for (const { suite, tree, problem } of await bootableSystems(deb))
  describe.skipIf(problem !== '')(`the package on a booted ${suite}${problem}`, () => {
    let system: BootedSystem
    let service: Service

    beforeAll(async () => {
      system = await BootedSystem.boot(tree, {
        [older]: deb ?? '',
        [newer]: join(folder, 'newer.deb'),
        [stick]: join(folder, 'stick'),
      })
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

    test('keeps a model that came over the air, and has its own for when that fails', async () => {
      await service.configure(`ota: ${JSON.stringify(ota)}\nname: Porch\n`)
      await service.systemctl('restart')
      const heard = await system.listen()
      await heard.next((message) => isOf('update')(message) && message.payload.includes('"outcome":"committed"'))
      await service.install(newer)
      const after = await system.listen()
      await after.next((message) => isOf('info')(message) && message.payload.includes(newVersion))
      await after.next(isNew('result'))
      await service.systemctl('restart')
      await after.next(isNew('result'), after.seen.length)
      expect(modelsIn(after.seen)).toEqual([otaVersion])

      await service.systemctl('stop')
      await system.shell('for file in /var/lib/sightd/ota/blobs/*; do echo damaged >"$file"; done')
      const mended = await system.listen()
      await service.systemctl('start')
      await mended.next((message) => isNew('result')(message) && message.payload.includes(otaVersion))
      expect(modelsIn(mended.seen)).toEqual([newVersion, otaVersion])
      await service.install(older, '--allow-downgrades')
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

    /** Versions, each once. */
    function modelsIn(messages: readonly Message[]): string[] {
      return [...new Set(messages.filter(isNew('result')).map(({ payload }) => JSON.parse(payload).model.version))]
    }

    async function isAsItWas(): Promise<void> {
      for (const [path, text] of Object.entries(kept)) expect(await system.run('cat', path)).toBe(text.trim())
      expect(await system.run('cat', '/etc/sightd/config.yaml')).toMatch(/name: Porch$/)
      const runs = await system.shell('cat /var/lib/sightd/boots.json')
      expect(JSON.parse(runs).length).toBeGreaterThan(1)
    }
  })
