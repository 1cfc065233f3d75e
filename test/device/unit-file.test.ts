import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { packageRoot } from '../../src/lib/package.ts'
import { findProgram } from '../support/mosquitto.ts'
import { tempFolder } from '../support/temp-folder.ts'

const unit = join(packageRoot, 'systemd/sightd.service')
const analyze = findProgram('systemd-analyze')
const examples = ['credentials', 'network', 'video-acceleration']
const mostExposure = 2

/** Systemd before 254 doesn't know these; sightd.service says what that means. */
const fromSystemd254 = /Unknown key.*'(RestartSteps|RestartMaxDelaySec)'.*ignoring/

describe.skipIf(analyze === undefined)('sightd.service (needs systemd-analyze)', () => {
  test('is exposed as little as a camera and Node allow', () => {
    expect(exposureOf(unit)).toBeLessThanOrEqual(mostExposure)
  })

  test.each(['', ...examples])('holds no mistake, with drop-in "%s"', async (example) => {
    const folder = await tempFolder()
    // The program is not installed here.
    const text = readFileSync(unit, 'utf8').replace('ExecStart=/usr/bin/sightd', 'ExecStart=/bin/true')
    writeFileSync(join(folder, 'sightd.service'), text)
    if (example !== '') {
      mkdirSync(join(folder, 'sightd.service.d'))
      const from = join(packageRoot, `systemd/sightd.service.d/${example}.conf.example`)
      cpSync(from, join(folder, `sightd.service.d/${example}.conf`))
    }
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', join(folder, 'sightd.service')], {
      encoding: 'utf8',
      env: { ...process.env, SYSTEMD_UNIT_PATH: `${folder}:` },
    })
    const ours = stderr.split('\n').filter((line) => line.includes('sightd') && !fromSystemd254.test(line))
    expect(ours).toEqual([])
    expect(status).toBe(0)
    expect(exposureOf(join(folder, 'sightd.service'))).toBeLessThanOrEqual(mostExposure)
  })
})

describe.skipIf(findProgram('systemd-sysusers') === undefined)(
  'sysusers.d and tmpfiles.d (need systemd-sysusers)',
  () => {
    test.skipIf(process.getuid?.() !== 0)(
      'make the user, its group of cameras and its folders (needs root)',
      async () => {
        const root = await tempFolder()
        mkdirSync(join(root, 'etc'))
        const conf = (kind: string) => join(packageRoot, `systemd/${kind}.d/sightd.conf`)
        for (const _ of [1, 2]) {
          execFileSync('systemd-sysusers', [`--root=${root}`, conf('sysusers')], { stdio: 'pipe' })
          execFileSync('systemd-tmpfiles', [`--root=${root}`, '--create', conf('tmpfiles')], { stdio: 'pipe' })
        }
        expect(readFileSync(join(root, 'etc/passwd'), 'utf8')).toMatch(/^sightd:.*:\/var\/lib\/sightd:\S*\/nologin$/m)
        expect(readFileSync(join(root, 'etc/group'), 'utf8')).toMatch(/^video:.*:sightd$/m)
        const modes = execFileSync('stat', ['--format=%a', 'var/lib/sightd', 'etc/credstore'], {
          cwd: root,
          encoding: 'utf8',
        })
        expect(modes).toBe('750\n700\n')
      },
    )
  },
)

/** 0 (none) to 10 (all), as systemd rates it. */
function exposureOf(path: string): number {
  const { stdout } = spawnSync('systemd-analyze', ['security', '--offline=true', '--no-pager', path], {
    encoding: 'utf8',
  })
  return Number(/Overall exposure level for \S+: ([0-9.]+)/.exec(stdout)?.[1])
}
