import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadConfig, parseConfig } from '../../../src/config/load.ts'
import { SightdError } from '../../../src/core/errors.ts'
import { tempFolder } from '../../support/temp-folder.ts'

/** The messages for a text that has to be refused; `c.yaml` is its name. */
function messagesFor(text: string): string[] {
  try {
    parseConfig(text, 'c.yaml')
  } catch (error) {
    if (error instanceof SightdError && error.code === 'config_invalid') return error.message.split('\n')
    throw error
  }
  throw new Error('the text was accepted')
}

const camera = 'camera:\n  source: replay\n  path: photos\n'

describe('parseConfig', () => {
  test('fills in what is left out', () => {
    expect(parseConfig(camera, 'c.yaml')).toEqual({
      camera: { source: 'replay', path: 'photos', width: 640, height: 480, fps: 10 },
      model: {},
      inference: { enabled: true, max_memory_mb: 512 },
      events: {
        deny: [],
        labels: {},
        min_size: 0,
        keep_ratio: 0.6,
        confirm_hits: 3,
        confirm_of: 5,
        leave_s: 1.5,
        update_interval_s: 2,
        cooldown_s: 0,
        zones: {},
      },
      motion: { gate: 'auto', sensitivity: 'medium', idle_s: 5 },
      pictures: { on_request: false, of_events: false, max_kb: 128 },
      mqtt: {
        url: 'mqtt://127.0.0.1:1883',
        keepalive_s: 30,
        session_expiry_s: 3600,
        base_topic: 'sightd',
        result_rate: 1,
        replay_rate: 100,
        outbox_max_mb: 16,
        outbox_max_days: 7,
      },
      home_assistant: { enabled: true, prefix: 'homeassistant', labels: ['person'] },
      ota: {
        sources: [],
        group: 'default',
        redirect_hosts: [],
        poll_h: 6,
        install: 'auto',
        self_test_s: 120,
        shadow_s: 60,
        probation_min: 10,
        probation_results: 500,
        max_slowdown: 1.5,
        max_model_mb: 256,
      },
      governor: { enabled: true, hot_c: 80, cool_c: 75 },
      web: {},
      log: { level: 'info' },
    })
  })

  test.each([
    ['an unknown key, and the nearest name', `${camera}  fsp: 3\n`, /^c\.yaml:4: camera\.fsp: .*did you mean fps\?/],
    ['an unknown section', `${camera}mqt:\n  url: x\n`, /^c\.yaml:4: mqt: unknown key \(did you mean mqtt\?\)/],
    ['what is known where a key is not', `${camera}  umbrella: 3\n`, /known here: source, width, height, fps, path$/],
    [
      'a missing key, at its section',
      'id: a\ncamera:\n  source: replay\n',
      /^c\.yaml:2: camera\.path: missing; has to be text$/,
    ],
    [
      'a camera without its source',
      'camera:\n  path: x\n',
      /^c\.yaml:1: camera\.source: missing; has to be "libcamera" or/,
    ],
    ['a missing section', 'id: a\n', /^c\.yaml: camera: missing/],
    ['a wrong type', `${camera}  fps: fast\n`, /^c\.yaml:4: camera\.fps: found "fast", has to be number$/],
    [
      'a list instead of text',
      'camera:\n  source: file\n  path: [a, b]\n',
      /^c\.yaml:3: camera\.path: found \["a","b"\]/,
    ],
    ['a section without keys', `${camera}mqtt:\n`, /^c\.yaml:4: mqtt: found null/],
    ['too much', `${camera}  fps: 500\n`, /^c\.yaml:4: camera\.fps: found 500, has to be at most 120$/],
    ['too little', `${camera}  width: 8\n`, /^c\.yaml:4: camera\.width: found 8, has to be at least 32$/],
    ['an odd width', `${camera}  width: 641\n`, /^c\.yaml:4: camera\.width: found 641, has to be an even number$/],
    ['a misspelt choice', `${camera}log:\n  level: wran\n`, /^c\.yaml:5: log\.level: .*did you mean warn\?/],
    ['a broker that is no URL', `${camera}mqtt:\n  url: localhost\n`, /^c\.yaml:5: mqtt\.url: .*mqtt:\/\/192\.168/],
    ['a wildcard in a topic', `${camera}mqtt:\n  base_topic: a/#\n`, /^c\.yaml:5: mqtt\.base_topic: .*without \+, #/],
    ['a device id in capitals', `${camera}id: Cam-1\n`, /^c\.yaml:4: id: found "Cam-1", has to be 1 to 36 lower-case/],
    ['a bracket that is not closed', `${camera}  fps: [1\nid: a\n`, /^c\.yaml:5: /],
    ['a tab', 'camera:\n\tpath: photos\n', /^c\.yaml:2: Tabs are not allowed/],
    ['a key that is there twice', `${camera}id: a\nid: b\n`, /^c\.yaml:5: Map keys must be unique$/],
    ['a second document', `${camera}---\nid: a\n`, /^c\.yaml:4: .*multiple documents/],
    ['an alias', 'camera: &a\n  path: x\nmodel: *a\n', /^c\.yaml:3: aliases \(\*\) are not supported$/],
    [
      'certificates without TLS',
      `${camera}mqtt:\n  ca_file: ca.pem\n`,
      /^c\.yaml:4: mqtt\.url: found "mqtt:\/\/127\.0\.0\.1:1883", has to be mqtts:\/\/ or wss:\/\//,
    ],
    [
      'a certificate without its key',
      `${camera}mqtt: { url: 'mqtts://host', cert_file: c.pem }\n`,
      /^c\.yaml:4: mqtt\.key_file: found nothing, has to be given together with mqtt\.cert_file$/,
    ],
    [
      'a zone that is a line',
      `${camera}events:\n  zones:\n    door: [[0, 0], [1, 1]]\n`,
      /^c\.yaml:6: events\.zones\.door: .*at least 3 points/,
    ],
    [
      'a source of models without a root to trust',
      `${camera}ota: { sources: [/mnt/stick] }\n`,
      /^c\.yaml:4: ota\.root_file: found nothing, has to be given together with ota\.sources$/,
    ],
    [
      'a source of models that is none',
      `${camera}ota:\n  root_file: r\n  sources:\n    - stick\n    - ftp://a\n`,
      /^c\.yaml:6: ota\.sources\[1\]: found "ftp:\/\/a", has to be https:\/\/…, http:\/\/… or a folder$/,
    ],
    [
      'too many of them',
      `${camera}ota:\n  root_file: r\n  sources: [a, b, c, d, e, f, g, h, i]\n`,
      /^c\.yaml:6: ota\.sources: found \[.*\], has to be at most 8 of them$/,
    ],
    [
      'authorities for a source without TLS',
      `${camera}ota: { sources: ['http://a'], root_file: r, ca_file: ca.pem }\n`,
      /^c\.yaml:4: ota\.ca_file: found "ca\.pem", has to be left out, since no ota\.sources begins with https:/,
    ],
    [
      'hosts that a folder can not redirect to',
      `${camera}ota: { sources: [a], root_file: r, redirect_hosts: [b] }\n`,
      /^c\.yaml:4: ota\.redirect_hosts: found \["b"\], has to be left out, since no ota\.sources is a URL$/,
    ],
    [
      'a window that is none',
      `${camera}ota:\n  window: 22:00\n`,
      /^c\.yaml:5: ota\.window: found "22:00", has to be two times of day such as 02:00-04:30$/,
    ],
    ['an alias that merges', 'camera: &a\n  path: x\nmodel:\n  <<: *a\n', /^c\.yaml:4: aliases/],
    ['an alias inside itself', 'camera: &a [*a]\n', /^c\.yaml:1: aliases/],
    ['a scalar for a document', 'hello\n', /^c\.yaml:1: has to be keys with values/],
    ['a list for a document', '- camera\n', /^c\.yaml:1: has to be keys with values/],
    ['a tag that means nothing', `${camera}id: !foo a\n`, /^c\.yaml:4: Unresolved tag: !foo$/],
  ])('names %s', (_, text, message) => {
    expect(messagesFor(text)).toEqual([expect.stringMatching(message)])
  })

  test.each(['', '# nothing\n'])('refuses %j, which has no keys', (text) => {
    expect(messagesFor(text)).toContain('c.yaml: camera: missing')
  })

  test('names every mistake at once, each with its line, in the order of the file', () => {
    const text =
      'log:\n  level: loud\ncamera:\n  source: file\n  path: photos\n  fps: 0\n  widht: 3\nmqtt:\n  url: http://a\nid: Cam\n'
    expect(messagesFor(text).map((message) => message.split(': ', 2).join(': '))).toEqual([
      'c.yaml:2: log.level',
      'c.yaml:6: camera.fps',
      'c.yaml:7: camera.widht',
      'c.yaml:9: mqtt.url',
      'c.yaml:10: id',
    ])
  })

  test('names aliases and broken YAML in the order of the file', () => {
    const text = 'camera: &a\n  path: x\nmodel: *a\nid: a\nid: b\n'
    expect(messagesFor(text)).toEqual([expect.stringMatching(/^c\.yaml:3: /), expect.stringMatching(/^c\.yaml:5: /)])
  })

  test.each([
    'mqtt://user:hunter2@host',
    'mqtt://:hunter2@host',
    'mqtt:user:hunter2@host',
    'http://user:hunter2@host:80/path',
    'mqtt://user:with/hunter2@host',
    'mqtt://user@host',
  ])('refuses a user name in the URL, without repeating it: %s', (url) => {
    const messages = messagesFor(`${camera}mqtt:\n  url: ${url}\n`).join('\n')
    expect(messages).toContain('***@host')
    expect(messages).not.toMatch(/hunter2|user[:@]/)
  })

  test('refuses one in a source of models, without repeating it', () => {
    const text = `${camera}ota: { root_file: r, sources: ['https://user:hunter2@host'] }\n`
    expect(messagesFor(text)).toEqual([
      'c.yaml:4: ota.sources[0]: found "https://***@host", has to be a URL without user name and password',
    ])
  })

  test('reads back any configuration that is written as YAML', () => {
    fc.assert(
      fc.property(config, (written) => {
        expect(parseConfig(stringify(written, { aliasDuplicateObjects: false }), 'c.yaml')).toMatchObject(written)
      }),
    )
  })
})

const text = fc.string({ minLength: 1, maxLength: 100 })
const even = fc.integer({ min: 16, max: 2048 }).map((half) => half * 2)
const rate = (min: number) => fc.double({ min, max: 120, noNaN: true }).map((number) => number + 0)

const config = fc.record(
  {
    id: fc.stringMatching(/^[a-z0-9-]{1,36}$/),
    name: text,
    camera: fc.record({
      source: fc.constant('replay' as const),
      path: text,
      width: even,
      height: even,
      fps: rate(0.1),
    }),
    model: fc.record({ path: text }, { requiredKeys: [] }),
    inference: fc.record(
      {
        threads: fc.integer({ min: 1, max: 64 }),
        threshold: fc.integer({ min: 0, max: 100 }).map((percent) => percent / 100),
        max_fps: rate(0.01),
        max_memory_mb: fc.integer({ min: 64, max: 65536 }),
      },
      { requiredKeys: ['max_memory_mb'] },
    ),
    mqtt: fc.record(
      {
        url: fc.constantFrom('mqtt://10.0.0.1', 'mqtts://broker.example:8883', 'ws://host/mqtt', 'wss://[::1]:443/'),
        username: text,
        password_file: text,
        base_topic: fc.stringMatching(/^[a-zA-Z0-9_]{1,20}(\/[a-zA-Z0-9_]{1,20}){0,3}$/),
        result_rate: rate(0),
      },
      { requiredKeys: ['url', 'base_topic', 'result_rate'] },
    ),
    log: fc.record({ level: fc.constantFrom('fatal', 'error', 'warn', 'info', 'debug', 'trace') }),
  },
  { requiredKeys: ['camera', 'model', 'inference', 'mqtt', 'log'] },
)

describe('an overlay', () => {
  test('is laid over the text before it is checked', () => {
    const text = `${camera}inference: { threshold: 0.5, threads: 2 }\n`
    const { inference } = parseConfig(text, 'c.yaml', { inference: { threshold: 0.7, max_fps: 3 } })
    expect(inference).toEqual({ enabled: true, threshold: 0.7, threads: 2, max_fps: 3, max_memory_mb: 512 })
  })

  test('is checked with it', () => {
    expect(() => parseConfig(camera, 'c.yaml', { inference: { threshold: 7 } })).toThrow(
      'inference.threshold: found 7, has to be at most 1',
    )
  })
})

describe('loadConfig', () => {
  async function configFile(content: string): Promise<string> {
    const path = join(await tempFolder(), 'etc', 'config.yaml')
    await mkdir(dirname(path))
    await writeFile(path, content)
    return path
  }

  test('takes relative paths from the folder of the file', async () => {
    const path = await configFile(
      'camera:\n  source: replay\n  path: ../photos\nmodel:\n  path: model\nmqtt:\n  password_file: /run/secret\n',
    )
    const folder = dirname(path)
    expect(await loadConfig(path)).toMatchObject({
      camera: { path: join(folder, '../photos') },
      model: { path: join(folder, 'model') },
      mqtt: { password_file: '/run/secret' },
    })
  })

  test('takes folders of models from there too, and leaves URLs as they are', async () => {
    const path = await configFile(
      `${camera}ota: { sources: ['https://a/b', ../stick, /mnt/c], root_file: 1.root.json, ca_file: tls/ca.pem }\n`,
    )
    const folder = dirname(path)
    expect((await loadConfig(path)).ota).toMatchObject({
      sources: ['https://a/b', join(folder, '../stick'), '/mnt/c'],
      root_file: join(folder, '1.root.json'),
      ca_file: join(folder, 'tls/ca.pem'),
    })
  })

  test('leaves out the paths that the file leaves out', async () => {
    const { model, mqtt } = await loadConfig(await configFile(camera))
    expect([model.path, mqtt.password_file]).toEqual([undefined, undefined])
  })

  test('names the file in each message', async () => {
    const path = await configFile('camera:\n  source: synthetic\n  fps: 0\n')
    await expect(loadConfig(path)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(`${path}:3: camera.fps: found 0`),
    })
  })

  test('says which file is not there, and why', async () => {
    await expect(loadConfig('/nowhere/c.yaml')).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(/^\/nowhere\/c\.yaml: can't be read/),
      cause: { code: 'ENOENT' },
    })
  })

  test('refuses a file of more than 256 KiB', async () => {
    const path = await configFile(`${camera}#${' '.repeat(256 * 1024)}`)
    await expect(loadConfig(path)).rejects.toThrow(/characters, at most 262144 are allowed/)
  })
})
