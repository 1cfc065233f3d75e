import * as v from 'valibot'
import { eventOptionsSchema } from '../core/event-options.ts'
import { sourceOptionsSchema } from '../core/source-options.ts'
import { otaSchema } from './ota-schema.ts'

/** The whole configuration. docs/configuration.md is made from the descriptions here. */

const text = v.pipe(v.string(), v.minLength(1))
const unit = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const topicLevel = v.pipe(
  v.string(),
  v.regex(/^[^$+#/\s\0][^+#/\s\0]*(\/[^+#/\s\0]+)*$/, 'MQTT topic levels without +, # and spaces, not starting with $'),
  v.maxLength(100),
)

export const deviceIdSchema = v.pipe(
  v.string(),
  // Topics that speak to every device have these in the place of an id.
  v.regex(
    /^(?!(?:all|update)$)[a-z0-9-]{1,36}$/,
    '1 to 36 lower-case letters, digits and hyphens, other than `all` and `update`',
  ),
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
    v.optional(text),
    v.description(
      'Folder of the model: its manifest.json and the files that names. With `ota.sources`, the one to begin with and to fall back to. Left out: the model that comes with sightd. A relative path starts at the folder of this file.',
    ),
  ),
})

const inferenceSchema = v.strictObject({
  enabled: v.pipe(
    v.optional(v.boolean(), true),
    v.description('`false` pauses inference: the camera runs on, nothing is looked at.'),
  ),
  threads: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64))),
    v.description('Threads of one inference. Left out: one less than the board has cores, at least 1.'),
  ),
  threshold: v.pipe(
    v.optional(unit),
    v.description(
      "Score from which a find is on the `result` topic and can begin an event, 0 to 1; for events, a label's own in `events.labels` counts instead. Left out: the model's own.",
    ),
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

const motionSchema = v.strictObject({
  gate: v.pipe(
    v.optional(v.picklist(['auto', 'on', 'off']), 'auto'),
    v.description('`on` runs no inference while nothing moves; `auto` is `on` except for `replay`.'),
  ),
  sensitivity: v.pipe(
    v.optional(v.picklist(['low', 'medium', 'high']), 'medium'),
    v.description('How little counts as motion.'),
  ),
  idle_s: v.pipe(
    v.optional(v.pipe(v.number(), v.minValue(0.1), v.maxValue(3600)), 5),
    v.description('A still scene is looked at this often all the same, in seconds.'),
  ),
})

const picturesSchema = v.strictObject({
  on_request: v.pipe(
    v.optional(v.boolean(), false),
    v.description('Whether `request/snapshot` publishes a picture of what the camera sees. Off, for privacy.'),
  ),
  of_events: v.pipe(
    v.optional(v.boolean(), false),
    v.description('Whether the best picture of each event is published on `event/snapshot`. Off, for privacy.'),
  ),
  max_kb: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(8), v.maxValue(1024)), 128),
    v.description('A JPEG is made no larger than this, in KiB.'),
  ),
})

const orCredential = 'Left out: the systemd credential of that name, if there is one:'

const mqttSchema = v.pipe(
  v.strictObject({
    url: v.pipe(
      v.optional(brokerUrl, 'mqtt://127.0.0.1:1883'),
      v.description('The broker: `mqtt`, `ws`, or with TLS `mqtts`, `wss`.'),
    ),
    username: v.pipe(v.optional(text), v.description(`User name at the broker. ${orCredential} \`mqtt-username\`.`)),
    password_file: v.pipe(
      v.optional(text),
      v.description(
        `File whose first line is the password. Nobody but its owner may read it. A relative path starts at the folder of this file. ${orCredential} \`mqtt-password\`.`,
      ),
    ),
    ca_file: v.pipe(
      v.optional(text),
      v.description(
        `PEM file of the authorities whose brokers are trusted, instead of the usual ones. ${orCredential} \`mqtt-ca\`.`,
      ),
    ),
    cert_file: v.pipe(
      v.optional(text),
      v.description(`PEM file of our certificate, for a broker that wants one. ${orCredential} \`mqtt-cert\`.`),
    ),
    key_file: v.pipe(
      v.optional(text),
      v.description(
        `PEM file of the certificate's key. Nobody but its owner may read it. ${orCredential} \`mqtt-key\`.`,
      ),
    ),
    keepalive_s: v.pipe(
      v.optional(v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(1200)), 30),
      v.description('A link that is silent for 1.5 times as many seconds is dead.'),
    ),
    session_expiry_s: v.pipe(
      v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(604_800)), 3600),
      v.description('How long the broker keeps commands for us while we are away, in seconds (MQTT 5 only).'),
    ),
    base_topic: v.pipe(v.optional(topicLevel, 'sightd'), v.description('First level of every topic.')),
    result_rate: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(120)), 1),
      v.description('At most this many results per second on the `result` topic; 0 turns it off.'),
    ),
    replay_rate: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(10_000)), 100),
      v.description('Events that waited for the broker are sent at this many per second.'),
    ),
    outbox_max_mb: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(1), v.maxValue(1024)), 16),
      v.description('Room on disk for events that wait for the broker, in MiB; the oldest go first.'),
    ),
    outbox_max_days: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(0.01), v.maxValue(365)), 7),
      v.description(
        'Events that waited longer are dropped. For those that an earlier run left, the time counts from the start of this one.',
      ),
    ),
  }),
  v.forward(
    v.partialCheck(
      [['url'], ['ca_file'], ['cert_file'], ['key_file']],
      ({ url, ca_file, cert_file, key_file }) =>
        /^(mqtts|wss):/.test(url) || (ca_file ?? cert_file ?? key_file) === undefined,
      'mqtts:// or wss://, since certificates are given',
    ),
    ['url'],
  ),
  v.forward(
    v.partialCheck(
      [['cert_file'], ['key_file']],
      ({ cert_file, key_file }) => (cert_file === undefined) === (key_file === undefined),
      'given together with mqtt.cert_file',
    ),
    ['key_file'],
  ),
)

const homeAssistantSchema = v.strictObject({
  enabled: v.pipe(
    v.optional(v.boolean(), true),
    v.description('Whether the device announces itself to Home Assistant; `false` takes it away there.'),
  ),
  prefix: v.pipe(v.optional(topicLevel, 'homeassistant'), v.description("Home Assistant's discovery prefix.")),
  labels: v.pipe(
    v.optional(v.pipe(v.array(v.pipe(text, v.maxLength(100))), v.maxLength(50)), ['person']),
    v.description('Each of these labels gets a binary sensor: is it in view?'),
  ),
})

const governorSchema = v.pipe(
  v.strictObject({
    enabled: v.pipe(
      v.optional(v.boolean(), true),
      v.description('Whether the inference rate is halved while the board is throttled or too hot.'),
    ),
    hot_c: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(40), v.maxValue(110)), 80),
      v.description('Too hot from this temperature of the CPU on, in °C.'),
    ),
    cool_c: v.pipe(
      v.optional(v.pipe(v.number(), v.minValue(30), v.maxValue(105)), 75),
      v.description('Cool enough again below this.'),
    ),
  }),
  v.forward(
    v.partialCheck([['hot_c'], ['cool_c']], ({ hot_c, cool_c }) => cool_c < hot_c, 'below governor.hot_c'),
    ['cool_c'],
  ),
)

const webSchema = v.strictObject({
  port: v.pipe(
    v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535))),
    v.description(
      'Port on 127.0.0.1 for `/metrics` (Prometheus), `/healthz` and `/readyz`. Left out: nothing listens.',
    ),
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
  state_dir: v.pipe(
    v.optional(text),
    v.description(
      'Folder for what has to survive: events that wait for the broker, settings made over MQTT. A relative path starts at the folder of this file. Left out: where systemd says, `/var/lib/sightd` for root, `~/.local/state/sightd` for others.',
    ),
  ),
  camera: v.pipe(
    sourceOptionsSchema,
    v.description(
      'Where frames come from: `libcamera` (a Raspberry Pi camera), `v4l2` (a USB camera), `url` (a network camera), `file` (a video), `replay` (pictures) or `synthetic` (a moving pattern).',
    ),
  ),
  model: v.pipe(v.optional(modelSchema, {}), v.description('The network.')),
  inference: v.pipe(v.optional(inferenceSchema, {}), v.description('How the network is run.')),
  events: v.pipe(v.optional(eventOptionsSchema, {}), v.description('When something seen becomes an event.')),
  motion: v.pipe(v.optional(motionSchema, {}), v.description('Inference only while something moves.')),
  pictures: v.pipe(v.optional(picturesSchema, {}), v.description('Pictures over MQTT.')),
  mqtt: v.pipe(v.optional(mqttSchema, {}), v.description('Where results go.')),
  home_assistant: v.pipe(v.optional(homeAssistantSchema, {}), v.description('Home Assistant discovery.')),
  ota: v.pipe(v.optional(otaSchema, {}), v.description('New models from a repository; ota.md tells how.')),
  governor: v.pipe(v.optional(governorSchema, {}), v.description('Slower rather than hotter.')),
  web: v.pipe(v.optional(webSchema, {}), v.description('A page for machines: metrics and health.')),
  log: v.pipe(v.optional(logSchema, {}), v.description('What is logged.')),
})

export type Config = v.InferOutput<typeof configSchema>
