import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { LiveConfig } from '../../../src/config/live-config.ts'
import { parseConfig } from '../../../src/config/load.ts'
import type { JsonObject } from '../../../src/lib/json.ts'
import { tempFolder } from '../../support/temp-folder.ts'

const text = 'camera: { source: synthetic }\ninference: { threshold: 0.5 }\n'
const build = (overlay: JsonObject) => parseConfig(text, 'c.yaml', overlay)
const open = (folder: string) => LiveConfig.open(build, folder)

describe('LiveConfig', () => {
  test('takes a change, keeps it, and goes back to the file with null', async () => {
    const folder = await tempFolder()
    const config = await open(folder)
    expect(await config.patch({ inference: { threshold: 0.7, max_fps: 2 } })).toBe(undefined)
    expect(config.current.inference).toMatchObject({ threshold: 0.7, max_fps: 2 })
    const later = await open(folder)
    expect(later.current.inference).toMatchObject({ threshold: 0.7, max_fps: 2 })
    expect(later.problem).toBe(undefined)
    await later.patch({ inference: { threshold: null } })
    expect((await open(folder)).current.inference).toMatchObject({ threshold: 0.5, max_fps: 2 })
  })

  test('goes back to the file with a whole section', async () => {
    const config = await open(await tempFolder())
    await config.patch({ inference: { threshold: 0.7, max_fps: 2 }, name: 'Porch' })
    await config.patch({ inference: null })
    expect(config.overlay).toEqual({ name: 'Porch' })
  })

  test.each<[string, JsonObject, string]>([
    ['a whole section of others', { camera: null }, "camera: can't be set over MQTT"],
    ['a key that opens a file', { model: { path: '/x' } }, "model.path: can't be set over MQTT"],
    ['another host', { mqtt: { url: 'mqtt://evil' } }, "mqtt.url: can't be set over MQTT"],
    ['where models come from', { ota: { sources: [] } }, "ota.sources: can't be set over MQTT"],
    ['when they may take over', { ota: { window: null } }, "ota.window: can't be set over MQTT"],
    ['pictures', { pictures: { on_request: true } }, "pictures.on_request: can't be set over MQTT"],
    ['a slip of the finger', { inference: { treshold: 1 } }, 'did you mean inference.threshold?'],
    ['a section for a key', { inference: 5 }, "inference: can't be set over MQTT"],
    ['a key of every object', JSON.parse('{"__proto__":{"a":1},"name":"x"}'), "__proto__.a: can't be set over MQTT"],
    [
      'a value that is not allowed',
      { inference: { threshold: 7 } },
      'inference.threshold: found 7, has to be at most 1',
    ],
    ['an event rule that is none', { events: { zones: { door: [] } } }, 'at least 3 points'],
    ['one wrong among right ones', { name: 'Porch', log: { level: 'loud' } }, 'log.level'],
  ])('refuses %s, and changes nothing', async (_, patch, message) => {
    const folder = await tempFolder()
    const config = await open(folder)
    const before = config.current
    await expect(config.patch(patch)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining(message),
    })
    expect(config.current).toBe(before)
    expect((await open(folder)).overlay).toEqual({})
  })

  test('shows what can be set as it is in force, and nothing else', async () => {
    const config = await open(await tempFolder())
    expect(config.settable).toMatchObject({
      inference: { enabled: true, threshold: 0.5 },
      mqtt: { result_rate: 1 },
      motion: { gate: 'auto' },
      home_assistant: { labels: ['person'] },
      log: { level: 'info' },
    })
    expect(Object.keys(config.settable['mqtt'] ?? {})).toEqual(['result_rate'])
    expect(config.settable).not.toHaveProperty('camera')
  })

  test.each(['', '{"inference":{"threshold":7}}', '{"inference":', '[]', '{"model":{"path":"/x"}}'])(
    'falls back to the settings before when the newest are %j, and says so',
    async (broken) => {
      const folder = await tempFolder()
      const config = await open(folder)
      await config.patch({ name: 'first' })
      await config.patch({ name: 'second' })
      await writeFile(join(folder, 'overlay.json'), broken)
      const later = await open(folder)
      expect(later.current.name).toBe('first')
      expect(later.problem).toContain('overlay.json')
    },
  )

  test('does without settings when none can be read', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'overlay.json'), 'x')
    await writeFile(join(folder, 'overlay.previous.json'), 'y')
    const config = await open(folder)
    expect(config.overlay).toEqual({})
    expect(config.problem).toMatch(/overlay\.json.*overlay\.previous\.json/)
  })

  test('holds a change that can not be written down, and says so', async () => {
    const folder = join(await tempFolder(), 'state')
    await mkdir(folder)
    const config = await open(folder)
    await rm(folder, { recursive: true })
    expect(await config.patch({ name: 'Porch' })).toContain('until the next start only')
    expect(config.current.name).toBe('Porch')
  })

  test('writes whole files only', async () => {
    const folder = await tempFolder()
    const config = await open(folder)
    await config.patch({ name: 'Porch' })
    expect(JSON.parse(await readFile(join(folder, 'overlay.json'), 'utf8'))).toEqual({ name: 'Porch' })
  })

  test('many changes at once are all in force, and what is in force is what is written', async () => {
    const folder = await tempFolder()
    const config = await open(folder)
    const changes = Array.from({ length: 20 }, (_, i) =>
      config.patch(i % 2 === 0 ? { inference: { threshold: i / 20 } } : { inference: { max_fps: i } }),
    )
    expect(await Promise.all(changes)).toEqual(changes.map(() => undefined))
    expect(config.overlay).toEqual({ inference: { threshold: 0.9, max_fps: 19 } })
    expect(JSON.parse(await readFile(join(folder, 'overlay.json'), 'utf8'))).toEqual(config.overlay)
    JSON.parse(await readFile(join(folder, 'overlay.previous.json'), 'utf8'))
  })

  test('what changes nothing writes nothing', async () => {
    const folder = await tempFolder()
    const config = await open(folder)
    await config.patch({ name: 'Porch' })
    const before = await stat(join(folder, 'overlay.json'))
    await config.patch({ name: 'Porch' })
    expect((await stat(join(folder, 'overlay.json'))).ino).toBe(before.ino)
  })
})

describe('a file that is read anew', () => {
  const from = (text: string) => (overlay: JsonObject) => parseConfig(text, 'c.yaml', overlay)

  test('what can change does, what is set over MQTT stays on top, and what waits for a restart is named', async () => {
    const config = await open(await tempFolder())
    await config.patch({ inference: { max_fps: 2 } })
    const later = config.reload(
      from(
        'camera: { source: synthetic, fps: 7 }\ninference: { threshold: 0.6, max_fps: 9, threads: 2 }\n' +
          'pictures: { on_request: true }\nmqtt: { url: mqtt://elsewhere, result_rate: 3 }\n',
      ),
    )
    expect(later.toSorted()).toEqual(['camera.fps', 'inference.threads', 'mqtt.url'])
    expect(config.current).toMatchObject({
      camera: { fps: 10 },
      inference: { threshold: 0.6, max_fps: 2 },
      pictures: { on_request: true },
      mqtt: { url: 'mqtt://127.0.0.1:1883', result_rate: 3 },
    })
    expect(config.current.inference.threads).toBe(undefined)
    // Later settings come on top of it, and bring nothing of what waits.
    await config.patch({ inference: { max_fps: null } })
    expect(config.current).toMatchObject({ camera: { fps: 10 }, inference: { threshold: 0.6, max_fps: 9 } })
  })

  test('nothing changes when it does not fit with what was set over MQTT', async () => {
    const config = await open(await tempFolder())
    await config.patch({ name: 'Porch' })
    const before = config.current
    const picky = (overlay: JsonObject) => parseConfig(text.replace('0.5', '7'), 'c.yaml', overlay)
    expect(() => config.reload(picky)).toThrow('inference.threshold')
    expect(config.current).toBe(before)
    expect(config.reload(build)).toEqual([])
  })
})
