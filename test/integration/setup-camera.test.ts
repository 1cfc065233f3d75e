import { readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { runSightd } from '../support/daemon.ts'
import { findProgram } from '../support/mosquitto.ts'
import { startGuardedCamera } from '../support/network-camera.ts'
import { secretFile } from '../support/setup.ts'
import { tempFolder } from '../support/temp-folder.ts'

async function place(before?: string) {
  const folder = await tempFolder()
  const config = join(folder, 'config.yaml')
  if (before !== undefined) await writeFile(config, before)
  return {
    folder,
    config,
    run: (...args: string[]) => runSightd(['setup', '--config', config, '--yes', ...args]),
    camera: async () => (await loadConfig(config)).camera,
    files: async () => (await readdir(folder)).sort(),
  }
}

const untried = ['--no-test', '--broker', 'mqtt://broker.lan']
const configured = `camera:
  source: url
  url: rtsp://cam.lan/1
  username: 'me'
  password_file: mine # by hand
  fps: 4
mqtt: { url: mqtt://broker.lan }
`

describe('sightd setup and the login of a network camera, without a terminal', () => {
  test('is written beside the configuration, and told without the secret', async () => {
    const { folder, run, camera, files } = await place()
    const login = ['--camera-username', 'me', '--camera-password-file', await secretFile('hunter2')]
    const args = [...untried, '--camera', 'rtsp://cam.lan/1', ...login]
    const dry = await run(...args, '--dry-run', '--json')
    expect(JSON.parse(dry.stdout)).toMatchObject({
      written: [
        { path: `${folder}/camera-password`, mode: '0600' },
        { path: `${folder}/config.yaml`, mode: '0644' },
      ],
      text: expect.stringContaining('  username: me\n  password_file: camera-password\n'),
    })
    expect(await files()).toEqual([])
    const { code, stdout, stderr } = await run(...args)
    expect([code, stdout]).toEqual([0, expect.stringContaining('camera-password, mode 0600 (a secret)\n')])
    expect(`${dry.stdout}${dry.stderr}${stdout}${stderr}`).not.toContain('hunter2')
    const password = join(folder, 'camera-password')
    expect([await readFile(password, 'utf8'), (await stat(password)).mode & 0o777]).toEqual(['hunter2\n', 0o600])
    expect(await camera()).toMatchObject({ url: 'rtsp://cam.lan/1', username: 'me', password_file: password })
  })

  test('stays while the host does, and goes to no other', async () => {
    const { folder, config, run, camera } = await place(configured)
    expect((await run('--no-test')).stdout).toContain('nothing to write')
    expect((await run('--no-test', '--camera', 'rtsp://cam.lan/2')).code).toBe(0)
    expect(await readFile(config, 'utf8')).toBe(configured.replace('lan/1', 'lan/2'))
    const other = await run('--no-test', '--camera', 'rtsp://other.lan/1', '--json')
    expect(JSON.parse(other.stdout).unused).toEqual([`${folder}/mine`])
    expect(await camera()).toMatchObject({ url: 'rtsp://other.lan/1', fps: 4 })
    expect(Object.keys(await camera())).not.toContain('username')
    expect(Object.keys(await camera())).not.toContain('password_file')
  })

  test('another user name there, or another kind of camera, leaves the file of the one before, and names it', async () => {
    const renamed = await place(configured)
    expect((await renamed.run('--no-test', '--camera-username', 'you')).stdout).toContain(
      `${renamed.folder}/mine is not used any more`,
    )
    expect(await readFile(renamed.config, 'utf8')).toBe(
      configured.replace("'me'", 'you').replace(/ {2}password_file.*\n/, ''),
    )
    const { folder, run, camera } = await place(configured)
    expect((await run('--no-test', '--camera', 'demo')).stdout).toContain(`${folder}/mine is not used any more`)
    expect((await camera()).source).toBe('replay')
  })

  test('the same user name at another host is taken, with the password that is given', async () => {
    const { folder, run, camera } = await place(configured)
    const login = ['--camera-username', 'me', '--camera-password-file', await secretFile('new')]
    expect((await run('--no-test', '--camera', 'rtsp://other.lan/', ...login)).code).toBe(0)
    expect(await camera()).toMatchObject({ username: 'me', password_file: `${folder}/camera-password` })
  })

  test.each([
    ['rtsp://me:hunter2@cam.lan/1', [], 'leave them out; setup asks for them, or takes them as options'],
    ['demo', ['--camera-username', 'me'], '--camera-username: for a network camera only'],
    ['rtsp://cam.lan/1', ['--camera-password-file'], '--camera-password-file: without --camera-username'],
  ])('refuses what can not be meant: %s %s', async (camera, flags, words) => {
    const { run, files } = await place()
    const rest = flags.includes('--camera-password-file') ? [await secretFile('hunter2')] : []
    const { code, stderr } = await run(...untried, '--camera', camera, ...flags, ...rest)
    expect([code, stderr]).toEqual([2, expect.stringContaining(words)])
    expect(stderr).not.toContain('hunter2')
    expect(await files()).toEqual([])
  })
})

describe.skipIf(findProgram('ffmpeg') === undefined)(
  'sightd setup at a real network camera (skipped without ffmpeg)',
  () => {
    test('tries the login before it is written, and again when it is kept', { timeout: 60_000 }, async () => {
      const { url } = await startGuardedCamera()
      const { run, files } = await place()
      // Nothing listens at the broker's address: nothing gets written but by --dry-run or --no-test.
      const attempt = async (...args: string[]) => {
        const { stdout, stderr } = await run('--broker', '127.0.0.1:1', '--json', ...args)
        expect(stdout + stderr).not.toMatch(/wr0ng|s3cr3t/)
        return JSON.parse(stdout).camera
      }
      const login = async (password: string) => [
        ...['--camera', url, '--camera-username', 'me'],
        ...['--camera-password-file', await secretFile(password)],
      ]
      expect(await attempt(...(await login('wr0ng')))).toMatchObject({
        status: 'problem',
        found: expect.stringContaining('the camera refuses the login'),
      })
      expect(await files()).toEqual([])
      const right = await login('s3cr3t/@')
      expect(await attempt(...right)).toMatchObject({ status: 'ok', found: expect.stringMatching(/^640x480, /) })
      expect(await files()).toEqual([])
      expect((await run('--no-test', '--broker', 'x', ...right)).code).toBe(0)
      expect(await files()).toEqual(['camera-password', 'config.yaml'])
      expect(await attempt()).toMatchObject({ status: 'ok' })
    })
  },
)
