import { execFile, spawnSync } from 'node:child_process'
import { chmod, chown, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { findProgram } from '../support/mosquitto.ts'
import { secretFile, startGuardedBroker } from '../support/setup.ts'
import { tempFolder } from '../support/temp-folder.ts'

const sightd = fileURLToPath(new URL('../../bin/sightd', import.meta.url))
const canMount = spawnSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt']).status === 0
const hasTools = ['mosquitto', 'setpriv'].every((name) => findProgram(name) !== undefined)

/** A machine with an /etc and a /var/lib of its own, a user for the service, and so much of a systemd. */
async function machine(systemdVersion: number) {
  const etc = await tempFolder()
  const programs = await tempFolder()
  for (const folder of [etc, programs]) await chmod(folder, 0o755)
  await writeFile(join(etc, 'passwd'), 'root:x:0:0::/root:/bin/sh\nsightd:x:4711:4712::/:/bin/false\n')
  await writeFile(join(etc, 'group'), 'root:x:0:\nsightd:x:4712:\n')
  await mkdir(join(etc, 'credstore'), { mode: 0o700 })
  await writeFile(join(programs, 'systemctl'), `#!/bin/sh\necho 'systemd ${systemdVersion} (test)'\n`, { mode: 0o755 })
  /** Runs sightd there, as root or as someone else; what is printed, and how it ended. */
  const run = async (args: readonly string[], user: 'root' | 'nobody' = 'root') => {
    const as = user === 'root' ? '' : 'setpriv --reuid 65534 --regid 65534 --clear-groups '
    const script = `mount --bind '${etc}' /etc && mount -t tmpfs tmpfs /var/lib && mkdir -m 750 /var/lib/sightd && umask 077 && exec ${as}"$0" "$@"`
    const env = { ...process.env, PATH: `${programs}${delimiter}${process.env['PATH']}` }
    return promisify(execFile)('unshare', ['-m', 'sh', '-c', script, sightd, ...args], { env }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (error: { code: number; stdout: string; stderr: string }) => error,
    )
  }
  return { etc, run }
}

const broker = async (run: Awaited<ReturnType<typeof machine>>['run'], user?: 'nobody') => {
  const findings: { check: string }[] = JSON.parse((await run(['doctor', '--json'], user)).stdout)
  return findings.find(({ check }) => check === 'broker')
}

describe.skipIf(!canMount || !hasTools)(
  'sightd setup for the service (skipped without Mosquitto, and where nothing can be mounted)',
  () => {
    test('puts the password where systemd looks, and doctor takes it from there, for root', {
      timeout: 60_000,
    }, async () => {
      const { url } = await startGuardedBroker()
      const { etc, run } = await machine(252)
      const login = ['--username', 'porch', '--password-file', await secretFile('secret')]
      const { code, stderr } = await run(['setup', '--camera', 'demo', '--broker', url, '--no-test', ...login])
      expect(code, stderr).toBe(0)
      expect(await readdir(join(etc, 'sightd'))).toEqual(['config.yaml'])
      expect(await readFile(join(etc, 'credstore/sightd.mqtt-password'), 'utf8')).toBe('secret\n')
      // Another user reads the configuration, whatever the umask of this one.
      expect((await stat(join(etc, 'sightd'))).mode & 0o777).toBe(0o755)
      expect((await stat(join(etc, 'sightd/config.yaml'))).mode & 0o777).toBe(0o644)
      expect(await broker(run)).toMatchObject({ status: 'ok' })
      expect(await broker(run, 'nobody')).toMatchObject({
        status: 'problem',
        advice: expect.stringContaining('Run this as root'),
      })
    })

    test('where systemd does not look there, the password is a file of the user that runs the service', async () => {
      const { etc, run } = await machine(249)
      const login = ['--username', 'porch', '--password-file', await secretFile('secret')]
      expect((await run(['setup', '--camera', 'demo', '--broker', 'b', '--no-test', ...login])).code).toBe(0)
      expect(await readdir(join(etc, 'credstore'))).toEqual([])
      const password = await stat(join(etc, 'sightd/mqtt-password'))
      expect([password.uid, password.gid, password.mode & 0o777]).toEqual([4711, 4712, 0o600])
    })

    test("a network camera's password is that user's file even with a store, and is mended when it is not", async () => {
      const { etc, run } = await machine(252)
      const password = join(etc, 'sightd/camera-password')
      const login = ['--camera-username', 'me', '--camera-password-file', await secretFile('secret')]
      const args = ['setup', '--camera', 'rtsp://cam.lan/', '--broker', 'b', '--no-test', ...login]
      const check = async () => {
        const { code, stderr } = await run(args)
        expect(code, stderr).toBe(0)
        const { uid, gid, mode } = await stat(password)
        expect([uid, gid, mode & 0o777]).toEqual([4711, 4712, 0o600])
      }
      await check()
      expect(await readdir(join(etc, 'credstore'))).toEqual([])
      // As someone leaves it who wrote it by hand.
      await chown(password, 0, 0)
      await check()
    })

    test("doctor looks at the service's folder, also as another user", async () => {
      const { etc, run } = await machine(252)
      await mkdir(join(etc, 'sightd'))
      await writeFile(join(etc, 'sightd/config.yaml'), 'camera: { source: synthetic }\n', { mode: 0o644 })
      await chmod(join(etc, 'sightd'), 0o755)
      const { stdout } = await run(['doctor', '--json'], 'nobody')
      expect(stdout).toContain('"disk /var/lib/sightd"')
    })

    test('whoever may not write there is told how to', async () => {
      const { run } = await machine(252)
      const { code, stderr } = await run(['setup', '--camera', 'demo', '--broker', 'b', '--no-test'], 'nobody')
      expect([code, stderr]).toEqual([1, expect.stringContaining('run it as root (sudo sightd setup), or name a file')])
    })
  },
)
