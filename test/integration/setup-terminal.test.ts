import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../src/config/load.ts'
import { Authority } from '../support/certificates.ts'
import { RunningCommand, terminalProgram } from '../support/command.ts'
import { plugInCamera } from '../support/fake-camera.ts'
import { findProgram, freePort } from '../support/mosquitto.ts'
import { startGuardedCamera } from '../support/network-camera.ts'
import { startGuardedBroker } from '../support/setup.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** Someone at a terminal. What was asked and said is looked for from where the last answer was. */
class Person {
  readonly folder: string
  readonly command: RunningCommand
  #seen = 0

  private constructor(folder: string, args: readonly string[]) {
    this.folder = folder
    this.command = new RunningCommand(['setup', '--config', join(folder, 'config.yaml'), ...args], { onTerminal: true })
  }

  static async sitsDown(args: readonly string[] = [], before?: string): Promise<Person> {
    const folder = await tempFolder()
    if (before !== undefined) await writeFile(join(folder, 'config.yaml'), before)
    return new Person(folder, args)
  }

  /** Waits for the question and types the answer; gives what was said up to it. */
  async answer(question: string, keys: string): Promise<string> {
    await this.command.until(({ stdout }) => stdout.indexOf(question, this.#seen) >= 0)
    const { stdout } = this.command
    const end = stdout.indexOf(question, this.#seen) + question.length
    const said = stdout.slice(this.#seen, end)
    this.#seen = end
    this.command.type(keys)
    return said
  }

  get files(): Promise<string[]> {
    return readdir(this.folder).then((names) => names.sort())
  }

  read(name: string): Promise<string> {
    return readFile(join(this.folder, name), 'utf8')
  }
}

const enter = '\r'

describe.skipIf(terminalProgram === undefined || findProgram('mosquitto') === undefined)(
  'sightd setup at a terminal (skipped without util-linux and Mosquitto)',
  () => {
    test('asks, tries, asks again after a wrong password, and writes', { timeout: 60_000 }, async () => {
      const { port } = await startGuardedBroker()
      const person = await Person.sitsDown()
      await person.answer('Name of this device [', `Porch${enter}`)
      expect(await person.answer('Number, /dev/… or URL [', `webcam${enter}`)).toMatch(
        /\d {2}demo pictures, no camera \(demo\)/,
      )
      expect(await person.answer('Number, /dev/… or URL [', `demo${enter}`)).toContain('found "webcam", has to be')
      expect(await person.answer('Broker [mqtt://127.0.0.1:1883]: ', `127.0.0.1:${port}${enter}`)).toContain(
        'camera ok: 640x480',
      )
      await person.answer('User name there, - for none [-]: ', `porch${enter}`)
      await person.answer('Password: ', `hunter2${enter}`)
      expect(await person.answer('k to keep it all the same: ', enter)).toContain(
        'refuses the login: Connection refused: Not authorized',
      )
      await person.answer(`Broker [mqtt://127.0.0.1:${port}]: `, enter)
      await person.answer('User name there, - for none [porch]: ', enter)
      await person.answer('Password, Enter for the one there is: ', `secret${enter}`)
      expect(await person.answer('Show it in Home Assistant? (y/n) [y]: ', `n${enter}`)).toContain('broker ok')
      expect(await person.answer('Write these? (y/n) [y]: ', enter)).toContain(`${person.folder}/mqtt-password`)
      expect(await person.command.exited).toBe(0)
      expect(await person.files).toEqual(['config.yaml', 'mqtt-password'])
      expect(await person.read('mqtt-password')).toBe('secret\n')
      expect(await loadConfig(join(person.folder, 'config.yaml'))).toMatchObject({
        name: 'Porch',
        camera: { source: 'replay' },
        mqtt: { url: `mqtt://127.0.0.1:${port}`, username: 'porch', password_file: `${person.folder}/mqtt-password` },
        home_assistant: { enabled: false },
      })
      expect(person.command.stdout).not.toMatch(/hunter2|secret\r/)
    })

    test.skipIf(findProgram('openssl') === undefined)(
      'asks for the authority of a broker with TLS, and finds its file from where it was started (skipped without openssl)',
      async () => {
        const authority = await Authority.create()
        const { key, cert } = await authority.issue('broker')
        const { url } = await startGuardedBroker(`keyfile ${key}\ncertfile ${cert}\n`)
        const person = await Person.sitsDown(['--name', 'A', '--camera', 'demo', '--username', 'porch'])
        await person.answer('Broker [', `${url}${enter}`)
        await person.answer('for the usual ones [-]: ', enter)
        await person.answer('Password: ', `secret${enter}`)
        expect(await person.answer('k to keep it all the same: ', enter)).toContain('mqtt.ca_file')
        await person.answer(`Broker [${url}]: `, enter)
        await person.answer('for the usual ones [-]: ', `/nowhere.pem${enter}`)
        expect(
          await person.answer('for the usual ones [-]: ', `${relative(process.cwd(), authority.path)}${enter}`),
        ).toContain("/nowhere.pem: can't be read")
        await person.answer('for none [porch]: ', enter)
        await person.answer('Enter for the one there is: ', enter)
        expect(await person.answer('Home Assistant? ', enter)).toContain('accepts us')
        await person.answer('Write these? ', enter)
        expect(await person.command.exited).toBe(0)
        const { mqtt } = await loadConfig(join(person.folder, 'config.yaml'))
        expect(mqtt).toMatchObject({ url, ca_file: authority.path })
      },
    )

    test.skipIf(findProgram('ffmpeg') === undefined)(
      'asks for the login of a network camera, and again after a wrong one (skipped without ffmpeg)',
      async () => {
        const { url } = await startGuardedCamera()
        const person = await Person.sitsDown([
          '--name',
          'A',
          '--broker',
          `127.0.0.1:${await freePort()}`,
          '--username',
          '',
        ])
        await person.answer('URL [', `${url.replace('://', '://me:hunter2@')}${enter}`)
        expect(await person.answer('URL [', `${url}${enter}`)).toContain('leave them out; setup asks for them')
        await person.answer('User name there, - for none [-]: ', `me${enter}`)
        await person.answer('Password: ', `wr0ng${enter}`)
        expect(await person.answer('k to keep it all the same: ', enter)).toContain('the camera refuses the login')
        await person.answer(`URL [${url}]: `, enter)
        await person.answer('for none [me]: ', enter)
        await person.answer('Password, Enter for the one there is: ', `s3cr3t/@${enter}`)
        expect(await person.answer('k to keep it all the same: ', `k${enter}`)).toContain('camera ok: 640x480')
        await person.answer('Home Assistant? ', enter)
        expect(await person.answer('Write these? ', enter)).toContain(`${person.folder}/camera-password`)
        expect(await person.command.exited).toBe(0)
        expect(await person.read('camera-password')).toBe('s3cr3t/@\n')
        expect(person.command.stdout).not.toMatch(/wr0ng|s3cr3t/)
        expect((await loadConfig(join(person.folder, 'config.yaml'))).camera).toMatchObject({
          url,
          username: 'me',
          password_file: `${person.folder}/camera-password`,
        })
      },
    )

    test('Enter keeps what is configured, and what does not work can be kept all the same', async () => {
      const before = `# Mine.\nname: Porch\ncamera: { source: synthetic, fps: 20 }\nmqtt: { url: 'mqtt://127.0.0.1:${await freePort()}' }\n`
      const person = await Person.sitsDown([], before)
      await person.answer('Name of this device [Porch]: ', enter)
      await person.answer('URL [configured: synthetic]: ', enter)
      await person.answer('Broker [mqtt://127', enter)
      await person.answer('for none [-]: ', enter)
      expect(await person.answer('k to keep it all the same: ', `k${enter}`)).toContain('nothing listens there')
      await person.answer('Home Assistant? (y/n) [y]: ', enter)
      expect(await person.command.exited).toBe(0)
      expect(person.command.stdout).toContain('nothing to write')
      expect([await person.files, await person.read('config.yaml')]).toEqual([['config.yaml'], before])
    })

    test('a file with mistakes ends it before anything is asked', async () => {
      const person = await Person.sitsDown([], 'camera: { source: synthetic, fps: 0 }\n')
      expect(await person.command.exited).toBe(78)
      expect(person.command.stdout).toMatch(/^sightd: [^\n]*config.yaml:1: camera\.fps: found 0[^\n]*\n$/)
    })

    test('the cameras that are there can be chosen by number; options are not asked for', async () => {
      const { folder } = await plugInCamera()
      const person = await Person.sitsDown([
        '--name',
        'A',
        '--broker',
        'x',
        '--username',
        '',
        '--no-home-assistant',
        '--no-test',
      ])
      expect(await person.answer('URL [libcamera]: ', `1${enter}`)).toMatch(
        /1 {2}Raspberry Pi camera imx\d+ \(libcamera\)/,
      )
      await person.answer('Write these? (y/n) [y]: ', enter)
      expect(await person.command.exited, folder).toBe(0)
      expect(await person.read('config.yaml')).toContain('camera:\n  source: libcamera\n\nmqtt:\n  url: mqtt://x\n')
    })

    test.each([
      ['at a question', '\x03', 'Name of this device ['],
      ['as the end of what is typed', '\x04', 'Name of this device ['],
      ['while the password is typed', 'pass\x03', 'Password: '],
      ['at the last question', '\x03', 'Write these? '],
    ])('Ctrl-C or Ctrl-D %s leaves everything as it is', async (_, keys, question) => {
      const before = 'camera: { source: synthetic }\n'
      const person = await Person.sitsDown(['--no-test', '--broker', 'mqtt://x'], before)
      const steps: [string, string][] = [
        ['Name of this device [', `Porch${enter}`],
        ['Number, /dev/… or URL [', enter],
        ['User name there', `me${enter}`],
        ['Password: ', `secret${enter}`],
        ['Home Assistant? ', enter],
        ['Write these? ', keys],
      ]
      for (const [asked, typed] of steps) {
        await person.answer(asked, asked === question ? keys : typed)
        if (asked === question) break
      }
      expect(await person.command.exited).toBe(1)
      expect(person.command.stdout).toContain('stopped; nothing was written')
      expect([await person.files, await person.read('config.yaml')]).toEqual([['config.yaml'], before])
    })

    test('Ctrl-C during a trial ends it', async () => {
      const person = await Person.sitsDown(['--name', 'A', '--broker', 'mqtt://x', '--username', ''])
      await person.answer('URL [', `demo${enter}`)
      await person.answer('trying …', '\x03')
      expect(await person.command.exited).toBe(1)
      expect(person.command.stdout).toContain('stopped; nothing was written')
      expect(person.command.stdout).not.toContain('problem')
      expect(await person.files).toEqual([])
    })
  },
)
