import { execFileSync, spawnSync } from 'node:child_process'
import {
  appendFileSync,
  existsSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { findProgram } from '../support/mosquitto.ts'
import { hostArch, packagePath } from './packages.ts'

const deb = hostArch && inject('packages')[hostArch]
const tools = ['dpkg', 'deb-systemd-helper', 'systemd-sysusers'].every((name) => findProgram(name) !== undefined)

/** dpkg works in a folder as if it were `/`, and hands that to the maintainer scripts (DPKG_ROOT). */
describe.skipIf(deb === undefined || hostArch === undefined || !tools || process.getuid?.() !== 0)(
  'dpkg and the maintainer scripts (need root, deb-systemd-helper, systemd-sysusers)',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'sightd-test-'))
    const root = join(folder, 'root')
    const at = (path: string) => join(root, path)
    const read = (path: string) => readFileSync(at(path), 'utf8')
    const newer = hostArch === undefined ? '' : packagePath(folder, hostArch, '2')
    const dpkg = (...args: string[]) => {
      const options = ['--force-script-chrootless', '--force-depends', '--force-confold', '--force-unsafe-io']
      const { status, stdout, stderr } = spawnSync('dpkg', [`--root=${root}`, ...options, ...args], {
        encoding: 'utf8',
      })
      if (status !== 0) throw new Error(`dpkg ${args.join(' ')}: ${stdout}${stderr}`)
    }
    const version = () => /^Version: (.*)$/m.exec(read('var/lib/dpkg/status'))?.[1]
    const enabled = 'etc/systemd/system/multi-user.target.wants/sightd.service'
    const models = 'var/lib/sightd/models/mine'
    const password = 'etc/credstore/sightd.mqtt-password'

    beforeAll(() => {
      for (const path of ['info', 'updates', 'triggers']) mkdirSync(at(`var/lib/dpkg/${path}`), { recursive: true })
      mkdirSync(at('etc'))
      writeFileSync(at('var/lib/dpkg/status'), '')
      // The next package: another version, and another configuration that it comes with.
      const changed = join(folder, 'changed')
      execFileSync('dpkg-deb', ['--raw-extract', deb ?? '', changed])
      const control = readFileSync(join(changed, 'DEBIAN/control'), 'utf8')
      writeFileSync(join(changed, 'DEBIAN/control'), control.replace(/^(Version: .*)-1$/m, '$1-2'))
      appendFileSync(join(changed, 'etc/sightd/config.yaml'), '# new\n')
      execFileSync('dpkg-deb', ['-Znone', '--root-owner-group', '--build', changed, newer])
    })
    afterAll(() => rmSync(folder, { recursive: true, force: true }))

    test('a first install makes the user and its folders, and enables the service', () => {
      dpkg('--install', deb ?? '')
      expect(read('etc/passwd')).toMatch(/^sightd:/m)
      expect(existsSync(at('var/lib/sightd'))).toBe(true)
      expect(readlinkSync(at(enabled))).toMatch(/\/systemd\/system\/sightd\.service$/)
    })

    test('an upgrade keeps configuration, models, secrets and what the operator disabled', () => {
      mkdirSync(at(models), { recursive: true })
      writeFileSync(at(password), 'secret\n')
      appendFileSync(at('etc/sightd/config.yaml'), 'name: Porch\n')
      rmSync(at(enabled))
      dpkg('--install', newer)
      expect(version()).toMatch(/-2$/)
      expect(read('etc/sightd/config.yaml')).toMatch(/name: Porch\n$/)
      expect(read('etc/sightd/config.yaml.dpkg-dist')).toMatch(/# new\n$/)
      expect(existsSync(at(models))).toBe(true)
      expect(read(password)).toBe('secret\n')
      expect(existsSync(at(enabled))).toBe(false)
    })

    test('so does a downgrade', () => {
      dpkg('--install', deb ?? '')
      expect(version()).toMatch(/-1$/)
      expect(read('etc/sightd/config.yaml')).toMatch(/name: Porch\n$/)
      expect(existsSync(at(models))).toBe(true)
    })

    test('removal leaves data and configuration, and a package that comes back finds them', () => {
      dpkg('--remove', 'sightd')
      expect(existsSync(at('usr/lib/sightd'))).toBe(false)
      expect(existsSync(at(models))).toBe(true)
      expect(read('etc/sightd/config.yaml')).toMatch(/name: Porch\n$/)
      dpkg('--install', deb ?? '')
      expect(read('etc/sightd/config.yaml')).toMatch(/name: Porch\n$/)
    })

    test('purge leaves nothing but the user', () => {
      mkdirSync(at('etc/systemd/system/sightd.service.d'))
      dpkg('--purge', 'sightd')
      const left = globSync('**/*sightd*', { cwd: root }).filter((path) => !path.startsWith('var/lib/dpkg/'))
      expect(left).toEqual([])
      expect(read('etc/passwd')).toMatch(/^sightd:/m)
    })
  },
)
