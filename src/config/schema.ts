import * as v from 'valibot'
import { sourceOptionsSchema } from '../core/source-options.ts'

/** The whole configuration. docs/configuration.md is made from the descriptions here. */

const unit = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const topicLevel = v.pipe(
  v.string(),
  v.regex(/^[^+#/\s\0]+(\/[^+#/\s\0]+)*$/, 'MQTT topic levels without +, # and spaces'),
  v.maxLength(100),
)

export const deviceIdSchema = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9-]{1,36}$/, '1 to 36 lower-case letters, digits and hyphens'),
)

const brokerUrl = v.pipe(
  v.string(),
  v.check((text) => {
    const url = URL.parse(text)
    return url !== null && ['mqtt:', 'mqtts:', 'ws:', 'wss:'].includes(url.protocol) && url.host !== ''
  }, 'a URL such as mqtt://192.168.1.10:1883 (mqtt, mqtts, ws or wss)'),
  v.check(
    (text) => `${URL.parse(text)?.username ?? ''}${URL.parse(text)?.password ?? ''}` === '',
    'a URL without user name and password: use mqtt.username and mqtt.password_file',
  ),
)

const modelSchema = v.strictObject({
  path: v.pipe(
    v.optional(v.pipe(v.string(), v.minLength(1))),
    v.description(
      'Folder of the model: its manifest.json and the files that names. Left out: the model that comes with sightd. A relative path starts at the folder of this file.',
    ),
  ),
})

const inferenceSchema = v.strictObject({
  threads: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64))),
    v.description('Threads of one inference. Left out: one less than the board has cores, at least 1.'),
  ),
  threshold: v.pipe(
    v.optional(unit),
    v.description("Score from which a find is reported, 0 to 1. Left out: the model's own."),
  ),
  max_fps: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(120))),
    v.description('Frames beyond this rate are skipped. Left out: as many as the model can take.'),
  ),
  max_memory_mb: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(64), v.maxValue(65536)), 512),
    v.description('Data memory (RLIMIT_DATA) that the vision process may take, in MiB.'),
  ),
})

const mqttSchema = v.strictObject({
  url: v.pipe(v.optional(brokerUrl, 'mqtt://127.0.0.1:1883'), v.description('The broker.')),
  username: v.pipe(v.optional(v.pipe(v.string(), v.minLength(1))), v.description('User name at the broker.')),
  password_file: v.pipe(
    v.optional(v.pipe(v.string(), v.minLength(1))),
    v.description(
      'File whose first line is the password. Nobody but its owner may read it. A relative path starts at the folder of this file.',
    ),
  ),
  base_topic: v.pipe(v.optional(topicLevel, 'sightd'), v.description('First level of every topic.')),
  result_rate: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(120)), 1),
    v.description('At most this many results per second on the `result` topic; 0 turns it off.'),
  ),
})

const logSchema = v.strictObject({
  level: v.pipe(
    v.optional(v.picklist(['fatal', 'error', 'warn', 'info', 'debug', 'trace']), 'info'),
    v.description('Least severe level that is logged.'),
  ),
})

export const configSchema = v.strictObject({
  id: v.pipe(
    v.optional(deviceIdSchema),
    v.description(
      "Name of this device in topics: 1 to 36 lower-case letters, digits and hyphens. Left out: host name and the end of the board's serial number.",
    ),
  ),
  name: v.pipe(
    v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(100))),
    v.description('Name of this device for people. Left out: its id.'),
  ),
  camera: v.pipe(
    sourceOptionsSchema,
    v.description(
      'Where frames come from: `libcamera` (a Raspberry Pi camera), `v4l2` (a USB camera), `url` (a network camera), `file` (a video), `replay` (pictures) or `synthetic` (a moving pattern).',
    ),
  ),
  model: v.pipe(v.optional(modelSchema, {}), v.description('The network.')),
  inference: v.pipe(v.optional(inferenceSchema, {}), v.description('How the network is run.')),
  mqtt: v.pipe(v.optional(mqttSchema, {}), v.description('Where results go.')),
  log: v.pipe(v.optional(logSchema, {}), v.description('What is logged.')),
})

export type Config = v.InferOutput<typeof configSchema>
