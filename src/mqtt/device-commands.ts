import * as v from 'valibot'
import { SightdError } from '../core/errors.ts'
import type { UpdateControl, UpdateStatus } from '../core/update-status.ts'
import { isJsonObject, type JsonObject } from '../lib/json.ts'
import { type Command, command, type Property } from './commands.ts'

/** A JPEG and the frame that it shows, or why there is none. */
type Picture =
  | {
      readonly jpeg: Buffer
      readonly frame: {
        readonly id: number
        readonly width: number
        readonly height: number
        readonly capturedAtMs: number
      }
    }
  | { readonly reason: string }

/** What commands do to the device. */
export type CommandedDevice = {
  info(): JsonObject
  /** A picture of what the camera sees now, or why there is none; undefined where none may be shown. */
  takePicture(): Promise<Picture> | undefined
  /** Throws a SightdError when it could not start again. */
  restart(): Promise<void>
  /** Settings in force, and those of them that were made over MQTT. */
  settings(): { readonly config: JsonObject; readonly overlay: JsonObject }
  /** Changes settings; resolves to why they could not be kept, if they could not. Throws a SightdError. */
  change(patch: JsonObject): Promise<string | undefined>
  /** Undefined where there is nowhere to look for models. */
  readonly updates: UpdateControl | undefined
  updateStatus(): UpdateStatus
}

export const broadcastCommands = ['ping', 'info', 'check_update'] as const

const logLevels = ['fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const

/** The commands of `request/<name>`, as docs/mqtt-topics.md lists them. */
export function deviceCommands(
  device: CommandedDevice,
  publishSnapshot: (jpeg: Buffer) => void,
): Readonly<Record<string, Command>> {
  const change = async (patch: JsonObject) => changed(await device.change(patch), { config: device.settings().config })
  const update = (act: (updates: UpdateControl) => Promise<void>) =>
    command({}, async () => {
      if (device.updates === undefined)
        throw new SightdError(
          'turned_off',
          'there is nowhere to look for models; `ota.sources` in the configuration file names where',
        )
      await act(device.updates)
      return { update: device.updateStatus() }
    })
  return {
    ping: command({}, () => ({ pong: true })),
    info: command({}, () => device.info()),
    snapshot: command({}, async () => {
      const picture = await device.takePicture()
      if (picture === undefined)
        throw new SightdError(
          'turned_off',
          'pictures on request are off, for privacy; `pictures.on_request: true` in the configuration file turns them on',
        )
      if ('reason' in picture) throw new SightdError('picture_failed', picture.reason)
      publishSnapshot(picture.jpeg)
      const { id, width, height, capturedAtMs } = picture.frame
      return { bytes: picture.jpeg.length, frame: { id, width, height }, ts: new Date(capturedAtMs).toISOString() }
    }),
    restart: command({}, async () => {
      await device.restart()
      return { restarting: true }
    }),
    get_config: command({}, () => ({ ...device.settings() })),
    set_config: command(
      { config: v.custom<JsonObject>(isJsonObject, 'an object of settings to change') },
      ({ config }) => change(config),
    ),
    log_level: command({ level: v.nullable(v.picklist(logLevels)) }, ({ level }) => change({ log: { level } })),
    check_update: update((updates) => updates.check()),
    install_update: update((updates) => updates.install()),
    cancel_update: update((updates) => updates.cancel()),
    pause_updates: update((updates) => updates.pause()),
    resume_updates: update((updates) => updates.resume()),
    retry_update: update((updates) => updates.retry()),
    rollback_model: update((updates) => updates.rollback()),
  }
}

/** The properties of `<name>/set`: settings that a switch or a slider can make. */
export function deviceProperties(device: CommandedDevice): Readonly<Record<string, Property>> {
  const change = async (key: string, value: unknown) =>
    changed(await device.change({ inference: { [key]: value } }), { value })
  return {
    inference: async (text) => change('enabled', switchOrNull(text)),
    threshold: async (text) => change('threshold', numberOrNull(text)),
    max_fps: async (text) => change('max_fps', numberOrNull(text)),
  }
}

function changed(problem: string | undefined, data: JsonObject): JsonObject {
  return { ...data, ...(problem === undefined ? {} : { warning: problem }) }
}

/** An empty value goes back to what the configuration file says. */
function switchOrNull(text: string): boolean | null {
  if (text === '') return null
  if (!/^(on|off)$/i.test(text))
    throw new SightdError('config_invalid', `found ${JSON.stringify(text)}, has to be ON or OFF`)
  return text.toUpperCase() === 'ON'
}

function numberOrNull(text: string): number | null {
  if (text === '') return null
  const value = Number(text)
  if (!Number.isFinite(value))
    throw new SightdError('config_invalid', `found ${JSON.stringify(text)}, has to be a number`)
  return value
}
