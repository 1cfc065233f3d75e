import { chmod, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { tryBroker } from '../../src/cli/broker-trial.ts'
import { noCredentials, storedCredentials } from '../../src/config/credentials.ts'
import { loadConfig } from '../../src/config/load.ts'
import { Authority } from '../support/certificates.ts'
import { runSightd } from '../support/daemon.ts'
import { plugInCamera } from '../support/fake-camera.ts'
import { findProgram, freePort } from '../support/mosquitto.ts'
import { secretFile, startGuardedBroker } from '../support/setup.ts'
import { tempFolder } from '../support/temp-folder.ts'

const modeOf = async (path: string) => ((await stat(path)).mode & 0o777).toString(8)

async function place() {
  const folder = await tempFolder()
  const config = join(folder, 'config.yaml')
  return {
    folder,
    config,
    run: (...args: string[]) => runSightd(['setup', '--config', config, ...args]),
    read: () => readFile(config, 'utf8'),
  }
}

const untried = ['--no-test', '--camera', 'demo', '--broker', 'mqtt://broker.lan']

describe('sightd setup, without a terminal', () => {
  test('lists what is missing and ends with 2; what is configured counts when that is said', async () => {
    const { folder, config, run } = await place()
    const bare = await run()
    expect(bare.code).toBe(2)
    expect(bare.stderr).toMatch(/this is missing:\n {2}--camera WHAT .*\n {2}--broker URL/)
    expect((await run('--yes', '--camera', 'demo')).stderr).toMatch(/missing:\n {2}--broker/)
    expect(await readdir(folder)).toEqual([])

    await writeFile(config, 'camera: { source: synthetic }\nmqtt: { url: mqtt://old }\n')
    expect((await run('--no-test', '--broker', 'new')).code).toBe(2)
    expect((await run('--no-test', '--broker', 'new', '--yes')).code).toBe(0)
    expect((await loadConfig(config)).mqtt.url).toBe('mqtt://new')
  })

  test('names every option that is wrong', async () => {
    const { run, folder } = await place()
    const { code, stderr } = await run('--name', '', '--camera', 'webcam', '--broker', 'mqtt://me:secret@x')
    expect(code).toBe(2)
    expect(stderr).toContain('--name: has to be 1 to 100 characters\n')
    expect(stderr).toContain('--camera: found "webcam", has to be libcamera, /dev/video0')
    expect(stderr).toContain('--broker: found "mqtt://***@x", has to be a URL without user name and password')
    const plain = await run(...untried, '--ca-file', '/nowhere')
    expect([plain.code, plain.stderr]).toEqual([2, expect.stringContaining('mqtt://broker.lan is without TLS')])
    expect(await readdir(folder)).toEqual([])
  })

  test('writes a file that people can read, and says what comes next', async () => {
    const { run, folder, config, read } = await place()
    const { code, stdout } = await run(...untried, '--name', 'Porch', '--no-home-assistant')
    expect(code).toBe(0)
    expect(await read()).toMatch(
      /^# Made by .*\n# .*\n\nname: Porch\n\ncamera:\n {2}source: replay\n {2}path: .*\/deploy\/demo\n\nmqtt:\n {2}url: mqtt:\/\/broker\.lan\n\nhome_assistant:\n {2}enabled: false\n$/,
    )
    expect([await readdir(folder), await modeOf(config)]).toEqual([['config.yaml'], '644'])
    expect(stdout).toContain(`wrote ${config}, mode 0644\n`)
    expect(stdout).toContain(`sightd doctor --config ${config}`)
    expect(stdout).not.toContain('Home Assistant')
  })

  test('changes a file that is there, keeps the one before beside it, and does nothing the second time', async () => {
    const { run, folder, config, read } = await place()
    const before =
      '# Mine.\ncamera:\n  source: v4l2  # by the door\n  device: /dev/video9\n  fps: 4 # slow\nlog: { level: warn }\n'
    await writeFile(config, before)
    await chmod(config, 0o640)
    expect((await run(...untried)).code).toBe(0)
    expect(await read()).toMatch(
      /^# Mine\.\ncamera:\n {2}source: replay {2}# by the door\n {2}fps: 4 # slow\n {2}path: .*demo\nlog: { level: warn }\n\nmqtt:\n {2}url: mqtt:\/\/broker\.lan\n$/,
    )
    expect(await readFile(`${config}.old`, 'utf8')).toBe(before)
    expect([await modeOf(config), await modeOf(`${config}.old`)]).toEqual(['640', '640'])

    const again = await run(...untried)
    expect(again.stdout).toContain('nothing to write')
    expect(await readFile(`${config}.old`, 'utf8')).toBe(before)
    expect((await readdir(folder)).sort()).toEqual(['config.yaml', 'config.yaml.old'])
  })

  test('a file with mistakes is not touched: all of them are told before anything is tried', async () => {
    const { run, folder, config, read } = await place()
    const text = 'camera:\n  source: replay\n  fps: 0\nmqtt:\n  url: nonsense\nodd: 1\n'
    await writeFile(config, text)
    const { code, stderr } = await run('--camera', 'demo', '--broker', 'mqtt://127.0.0.1:1')
    expect(code).toBe(78)
    // The broker's URL is what setup asks for.
    expect(stderr).toMatch(/^sightd: .*:3: camera\.fps: .*\n.*:6: odd: unknown key[^\n]*\n$/)
    expect([await read(), await readdir(folder)]).toEqual([text, ['config.yaml']])
  })

  test('a dry run prints what would be written, without the secret, and writes nothing', async () => {
    const { run, folder } = await place()
    const password = await secretFile('hunter2')
    const args = [...untried, '--username', 'me', '--password-file', password, '--dry-run']
    const { code, stdout } = await run(...args)
    expect(code).toBe(0)
    expect(stdout).toContain(`would write ${folder}/mqtt-password, mode 0600`)
    expect(stdout).toContain('\n  username: me\n  password_file: mqtt-password\n')
    const { stdout: json } = await run(...args, '--json')
    expect(JSON.parse(json)).toMatchObject({
      config: `${folder}/config.yaml`,
      dry_run: true,
      written: [
        { path: `${folder}/mqtt-password`, mode: '0600' },
        { path: `${folder}/config.yaml`, mode: '0644' },
      ],
      removed: [],
      camera: null,
      broker: null,
      text: expect.stringContaining('password_file: mqtt-password'),
    })
    expect(`${stdout}${json}`).not.toContain('hunter2')
    expect(await readdir(folder)).toEqual([])
  })

  test('a camera and a broker that do not work are both told, and nothing is written', async () => {
    const { run, folder } = await place()
    const url = `mqtt://127.0.0.1:${await freePort()}`
    const { code, stdout, stderr } = await run('--camera', '/dev/video77', '--broker', url, '--json')
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      written: [],
      camera: { status: 'problem', found: expect.stringContaining('/dev/video77') },
      broker: { status: 'problem', found: expect.stringContaining('nothing listens there') },
    })
    expect(stderr).toContain('nothing was written')
    expect(await readdir(folder)).toEqual([])
  })

  test.each([
    ['below a file', 'file/config.yaml'],
    ['in the place of a folder', 'folder'],
  ])('%s it can not write, and says so before anything is tried', async (_, name) => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'file'), '')
    await mkdir(join(folder, 'folder'))
    const args = ['--config', join(folder, name), '--camera', 'demo', '--broker', 'mqtt://127.0.0.1:1']
    const { code, stderr } = await runSightd(['setup', ...args])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^sightd: .* can't be read: E[^\n]*\n$/)])
  })

  test('a camera is tried, but for one that sightd.service has, which is no reason to stop', {
    timeout: 60_000,
  }, async () => {
    const camera = await plugInCamera()
    const { run, config } = await place()
    await writeFile(config, 'camera: { source: libcamera }\n')
    const args = ['--yes', '--camera', 'libcamera', '--broker', `127.0.0.1:${await freePort()}`, '--json']
    const statusOf = async () => JSON.parse((await run(...args)).stdout).camera
    expect(await statusOf()).toMatchObject({ status: 'ok', found: expect.stringMatching(/^640x480, /) })
    await camera.setWorld({ fault: 'busy' })
    expect(await statusOf()).toMatchObject({ status: 'problem' })
    const systemctl = join(camera.folder, 'systemctl')
    await writeFile(systemctl, '#!/bin/sh\n[ "$*" = "is-active sightd" ] && echo active\n', { mode: 0o755 })
    expect(await statusOf()).toMatchObject({ status: 'warning', found: 'not tried: sightd.service runs and has it' })
    await writeFile(config, 'camera: { source: synthetic }\n')
    expect(await statusOf()).toMatchObject({ status: 'problem' })
  })
})

describe.skipIf(findProgram('mosquitto') === undefined)(
  'sightd setup at a real Mosquitto (skipped where it is not installed)',
  () => {
    test('logs in with the password and writes it beside the configuration, for its owner alone', async () => {
      const { url } = await startGuardedBroker()
      const { run, folder, config } = await place()
      const password = await secretFile('secret')
      const args = ['--camera', 'demo', '--broker', url, '--username', 'porch', '--json']
      const { code, stdout, stderr } = await run(...args, '--password-file', password)
      expect(code, stderr).toBe(0)
      expect(JSON.parse(stdout)).toMatchObject({
        camera: { status: 'ok', found: expect.stringMatching(/^640x480, \d/) },
        broker: { status: 'ok', found: `${url} accepts us, MQTT 5` },
      })
      expect(await readFile(join(folder, 'mqtt-password'), 'utf8')).toBe('secret\n')
      expect(await modeOf(join(folder, 'mqtt-password'))).toBe('600')
      const { mqtt } = await loadConfig(config)
      expect(await tryBroker(mqtt, noCredentials)).toMatchObject({ status: 'ok' })

      // The password there is goes on being used, and no further than to this host.
      expect((await run(...args)).code).toBe(0)
      const elsewhere = await run('--camera', 'demo', '--broker', url.replace('127.0.0.1', 'localhost'), '--json')
      expect(JSON.parse(elsewhere.stdout).broker).toMatchObject({ status: 'problem' })
    })

    test('a wrong password is told in words and not written, unless nothing is to be tried', async () => {
      const { url } = await startGuardedBroker()
      const { run, folder } = await place()
      const password = await secretFile('wrong')
      const args = ['--camera', 'demo', '--broker', url, '--username', 'porch', '--password-file', password]
      const { code, stderr } = await run(...args)
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining('refuses the login: Connection refused: Not authorized'),
      ])
      expect(await readdir(folder)).toEqual([])
      expect((await run(...args, '--no-test')).code).toBe(0)
      expect((await readdir(folder)).sort()).toEqual(['config.yaml', 'mqtt-password'])
    })

    test.skipIf(findProgram('openssl') === undefined)(
      'for the service, password and authority go into the store, and the configuration names neither (skipped without openssl)',
      async () => {
        const authority = await Authority.create()
        const { key, cert } = await authority.issue('broker')
        const { url } = await startGuardedBroker(`keyfile ${key}\ncertfile ${cert}\n`)
        const { run, folder, config, read } = await place()
        const store = join(folder, 'credstore')
        const other = await secretFile('other')
        await writeFile(config, `camera: { source: synthetic }\nmqtt:\n  password_file: ${other} # lies elsewhere\n`)
        const args = [
          '--credentials',
          store,
          '--yes',
          '--broker',
          url,
          '--username',
          'porch',
          '--ca-file',
          authority.path,
        ]
        const password = await secretFile('secret')
        const { code, stderr, stdout } = await run(...args, '--password-file', password)
        expect(code, stderr).toBe(0)
        expect(stdout).toContain('sudo systemctl restart sightd')
        expect(await read()).toBe(`camera: { source: synthetic }\nmqtt:\n  url: ${url}\n  username: porch\n`)
        expect(await readFile(join(store, 'sightd.mqtt-password'), 'utf8')).toBe('secret\n')
        expect(await readFile(join(store, 'sightd.mqtt-ca'))).toEqual(await authority.read())
        expect((await readdir(store)).sort()).toEqual(['sightd.mqtt-ca', 'sightd.mqtt-password'])
        expect(
          await Promise.all(['.', 'sightd.mqtt-ca', 'sightd.mqtt-password'].map((name) => modeOf(join(store, name)))),
        ).toEqual(['700', '600', '600'])
        const { mqtt } = await loadConfig(config)
        const { found } = await tryBroker(mqtt, storedCredentials(store))
        expect(found).toContain(`${url} accepts us`)

        // What is there is kept, and a broker without TLS or login gets nothing of it: it could not be reached else.
        expect((await run('--credentials', store, '--yes')).stdout).toContain('nothing to write')
        const plain = await run('--credentials', store, '--yes', '--no-test', '--broker', 'mqtt://x', '--username', '')
        expect(plain.stdout).toContain(`removed ${store}/sightd.mqtt-ca\n`)
        expect(await readdir(store)).toEqual([])
        expect(await read()).toBe('camera: { source: synthetic }\nmqtt:\n  url: mqtt://x\n')
      },
    )
  },
)
