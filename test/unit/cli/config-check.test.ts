import { chmod, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { checkFiles } from '../../../src/cli/config-check.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { bundledModel } from '../../../src/daemon.ts'
import { runSightd } from '../../support/daemon.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const pem = '-----BEGIN CERTIFICATE-----\n'

/** A folder with a configuration and the files that it names: their text and mode. */
async function folderWith(text: string, files: Record<string, [string, number]> = {}) {
  const folder = await tempFolder()
  const config = join(folder, 'config.yaml')
  await writeFile(config, `camera: { source: synthetic }\n${text}\n`)
  for (const [name, [content, mode]] of Object.entries(files)) {
    await writeFile(join(folder, name), content)
    await chmod(join(folder, name), mode)
  }
  return { folder, config, report: async () => checkFiles(await loadConfig(config), bundledModel) }
}

const login = "mqtt: { url: 'mqtts://x', password_file: p, ca_file: ca, cert_file: c, key_file: k }"
const good: Record<string, [string, number]> = {
  p: ['secret', 0o600],
  ca: [pem, 0o644],
  c: [pem, 0o644],
  k: ['key', 0o600],
}

describe('files that a configuration names', () => {
  test('all there: nothing is said', async () => {
    const { report } = await folderWith(login, good)
    expect(await report()).toEqual({ mistakes: [], warnings: [] })
  })

  test('all missing: each is said, by its key', async () => {
    const { report, folder } = await folderWith(login)
    const { mistakes } = await report()
    expect(mistakes).toEqual(
      ['password_file: p', 'ca_file: ca', 'cert_file: c', 'key_file: k'].map((each) => {
        const [key, name = ''] = each.split(': ')
        return expect.stringContaining(`mqtt.${key}: ${join(folder, name)}: can't be read: ENOENT`)
      }),
    )
  })

  test('open to others, or without a certificate', async () => {
    const { report, folder } = await folderWith(login, { ...good, k: ['key', 0o640], p: ['s', 0o604], ca: ['', 0o644] })
    expect((await report()).mistakes).toEqual([
      `mqtt.password_file: ${folder}/p: others can read this secret (mode 604); chmod 600 it`,
      `mqtt.ca_file: ${folder}/ca: holds no certificate (-----BEGIN CERTIFICATE-----)`,
      `mqtt.key_file: ${folder}/k: others can read this secret (mode 640); chmod 600 it`,
    ])
  })

  test('what systemd hands over has to fit too', async () => {
    const { report, folder } = await folderWith("mqtt: { url: 'mqtts://x' }", { 'mqtt-key': ['key', 0o600] })
    vi.stubEnv('CREDENTIALS_DIRECTORY', folder)
    onTestFinished(() => {
      vi.unstubAllEnvs()
    })
    expect((await report()).mistakes).toEqual([expect.stringContaining('go together')])
  })

  test("a network camera's password", async () => {
    const { config, report, folder } = await folderWith('')
    await writeFile(config, "camera: { source: url, url: 'rtsp://x/', password_file: p }\n")
    expect((await report()).mistakes).toEqual([
      expect.stringContaining(`camera.password_file: ${folder}/p: can't be read`),
    ])
  })
})

describe('labels that the model does not know', () => {
  test('each is a warning with its key and the nearest name', async () => {
    const { report } = await folderWith(
      'events: { allow: [persom, cat], deny: [umbrela], labels: { dgo: { threshold: 0.5 } } }\nhome_assistant: { labels: [zebrafish] }',
    )
    expect(await report()).toEqual({
      mistakes: [],
      warnings: [
        'events.allow: the model has no label persom (did you mean person?)',
        'events.deny: the model has no label umbrela (did you mean umbrella?)',
        'events.labels: the model has no label dgo (did you mean dog?)',
        'home_assistant.labels: the model has no label zebrafish (did you mean zebra?)',
      ],
    })
  })

  test('no sensors at Home Assistant, no warning of their labels', async () => {
    const { report } = await folderWith('home_assistant: { enabled: false, labels: [unicorn] }')
    expect((await report()).warnings).toEqual([])
  })

  test('a model that is not there is one', async () => {
    const { config } = await folderWith('')
    const { mistakes, warnings } = await checkFiles(await loadConfig(config), '/nowhere')
    expect([mistakes, warnings]).toEqual([
      [],
      [expect.stringMatching(/^model: \/nowhere\/manifest.json: can't be read/)],
    ])
  })
})

describe('sightd config check', () => {
  test('ends with 78 where run would, with every mistake', async () => {
    const { config, folder } = await folderWith(`${login}\nevents: { deny: [dgo] }`, { ...good, p: ['s', 0o644] })
    expect(await runSightd(['config', 'check', config])).toEqual({
      code: 78,
      stdout: `warning: ${config}: events.deny: the model has no label dgo (did you mean dog?)\n`,
      stderr: `sightd: ${config}: mqtt.password_file: ${folder}/p: others can read this secret (mode 644); chmod 600 it\n`,
    })
  })

  test('warnings change nothing of the exit code', async () => {
    const { config } = await folderWith('events: { deny: [dgo] }')
    expect(await runSightd(['config', 'check', config])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^warning: .*dgo.*\n.* is right\n$/),
    })
  })

  test.skipIf(process.getuid?.() !== 0)(
    'as a user who may not read a secret, it warns (skipped but for root)',
    async () => {
      const { folder, report } = await folderWith(login, good)
      await chmod(folder, 0o755)
      process.seteuid?.(65534)
      try {
        const { mistakes, warnings } = await report()
        expect(mistakes).toEqual([])
        expect(warnings).toEqual([
          expect.stringMatching(
            /^mqtt\.password_file: .*EACCES.*; not checked, run this as the user that runs sightd$/,
          ),
          expect.stringMatching(/^mqtt\.key_file: .*EACCES/),
        ])
      } finally {
        process.seteuid?.(0)
      }
    },
  )
})
