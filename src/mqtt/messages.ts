import * as v from 'valibot'
import { cameraStateSchema } from '../core/camera-state.ts'
import { metricEntries } from '../core/metrics.ts'
import { updateOutcomeSchema, updateStatusSchema } from '../core/update-status.ts'

/**
 * What goes over MQTT, version 1. Consumers ignore fields they don't know; `v` changes only when one of these breaks.
 * docs/schemas/ is made from the descriptions here.
 */

const unit = v.pipe(v.number(), v.minValue(0), v.maxValue(1))
const count = v.pipe(v.number(), v.integer(), v.minValue(0))
const text = v.pipe(v.string(), v.minLength(1))
const timestamp = v.pipe(v.string(), v.isoTimestamp())
const ms = v.pipe(v.number(), v.minValue(0))

/** A schema with what is to be said of it. */
function about<const S extends v.GenericSchema>(description: string, schema: S) {
  return v.pipe(schema, v.description(description))
}

const version = about('Version of these messages.', v.literal(1))
const sentAt = about('When it was made, UTC.', timestamp)
const boot = about('Names this run of the daemon: new at each of its starts.', text)
const problem = (what: string) => about(`${what}, in words; null while all is well.`, v.nullable(text))

const model = v.strictObject({ name: text, version: text })
const modelOrNull = about('The network; null while none is loaded.', v.nullable(model))

/** `<base>/<id>/status` */
export const statusSchema = v.picklist(['online', 'offline'])

export const infoSchema = about(
  'Who this is. On `<base>/<id>/info`, QoS 1, retained, at each connection and when it changes.',
  v.strictObject({
    v: version,
    id: about('Name of the device in topics.', text),
    name: about('Name of the device for people.', text),
    sw: about('Version of sightd.', text),
    node: about('Version of Node.js.', text),
    ort: about('Version of ONNX Runtime.', text),
    os: about('Name of the operating system; null when the board does not tell.', v.nullable(text)),
    arch: about('Architecture: `arm64` or `x64`.', text),
    board: about('Model of the board; null when it does not tell.', v.nullable(text)),
    serial: about('Serial number of the board; null when it does not tell.', v.nullable(text)),
    boot,
    started: about('When the daemon started, UTC.', timestamp),
    capabilities: about(
      'What it can do: `classification`, `detection`, and `snapshot` where pictures on request are allowed.',
      v.array(text),
    ),
  }),
)

export const stateSchema = about(
  'How it is doing. On `<base>/<id>/state`, QoS 1, retained, on change and every 60 s.',
  v.strictObject({
    v: version,
    ts: sentAt,
    status: about(
      '`paused`: inference is off. `degraded`: it mends itself. `error`: someone has to act.',
      v.picklist(['starting', 'running', 'paused', 'degraded', 'error']),
    ),
    reason: about('Why, in a sentence for people; null while all is well.', v.nullable(text)),
    camera: v.strictObject({
      state: about(
        "`stalled`: frames stopped coming. `absent`: not there. `busy`: another program has it. `denied`: permissions or login. `wedged`: its process can't be ended. `failed`: anything else. `unknown`: nobody looks.",
        v.union([cameraStateSchema, v.literal('unknown')]),
      ),
      source: about('Which kind of camera is configured.', text),
      reason: problem('What is wrong with it'),
      advice: about('What a person can do about it; null for nothing.', v.nullable(text)),
    }),
    model: modelOrNull,
    inference: about('Whether inference is switched on.', v.picklist(['ON', 'OFF'])),
    threshold: about(
      "Score from which a find is reported; null while that is the model's own and none is loaded.",
      v.nullable(unit),
    ),
    max_fps: about('Limit of the inference rate that was set; null for none.', v.nullable(ms)),
    fps: about('Results per second over the last seconds.', ms),
    governor: v.strictObject({
      active: about('Whether the inference rate is halved for the sake of the board.', v.boolean()),
      reason: about('Why it is; null while it is not.', v.nullable(text)),
    }),
    vision: v.strictObject({ restarts: about('Starts of the vision process after the first.', count) }),
    outbox: v.strictObject({
      pending: about('Events that wait for the broker.', count),
      problem: problem("Why they can't be kept on disk"),
    }),
    mqtt: v.strictObject({ problem: problem('What keeps messages from the broker') }),
    settings: v.strictObject({ problem: problem('Which settings made over MQTT are not in force') }),
    results_dropped: about(
      'Messages with QoS 0 that were due while the broker was away or the network too slow, since the start.',
      count,
    ),
  }),
)

const classId = about("Number of the label in the model's list.", count)
const prediction = { label: text, class_id: classId, score: unit }
const boxEntries = { xmin: unit, ymin: unit, xmax: unit, ymax: unit }
const box = about('In 0 to 1 of the frame, from its upper left corner.', v.strictObject(boxEntries))

const resultHead = {
  v: version,
  ts: about('When the frame was captured, UTC.', timestamp),
  boot,
  seq: about('Counts the results of this boot that were due on this topic; a gap is a result that was lost.', count),
  model: v.strictObject({ ...model.entries, sha256: about("First 12 digits of its file's digest.", text) }),
  frame: v.strictObject({
    id: count,
    width: about('In pixels, as the camera gave it.', count),
    height: count,
    age_ms: about('How old it was when inference began.', ms),
  }),
  timing_ms: v.strictObject({ preprocess: ms, inference: ms, total: ms }),
}

export const resultSchema = about(
  'One inference, with all that scored enough, best first. On `<base>/<id>/result`, QoS 0, not retained, at most `mqtt.result_rate` per second.',
  v.variant('task', [
    v.strictObject({
      task: v.literal('classification'),
      ...resultHead,
      predictions: v.array(v.strictObject(prediction)),
    }),
    v.strictObject({
      task: v.literal('detection'),
      ...resultHead,
      detections: v.array(v.strictObject({ ...prediction, box })),
    }),
  ]),
)

export const eventSchema = about(
  'Something came into view, changed there, or left. On `<base>/<id>/event`, QoS 1, not retained, kept until the broker has it.',
  v.strictObject({
    v: version,
    type: v.picklist(['new', 'update', 'end']),
    event_id: about('The same from `new` to `end`, and of no other event of this device.', text),
    seq: about(
      'Counts the messages of the event from 0; one that comes twice has the same `event_id` and `seq`.',
      count,
    ),
    boot: about('That of the `info` under which it was made: with a new one there, events of others are over.', text),
    ts: about('When the frame was captured that made it known, UTC; for `interrupted`, when that was.', timestamp),
    label: text,
    class_id: classId,
    score: about('Median of its newest scores.', unit),
    top_score: about('Highest that `score` has been.', unit),
    box: about('Where it was seen last; null for a label of the whole frame.', v.nullable(v.strictObject(boxEntries))),
    zones: about('Zones it is in.', v.array(text)),
    entered_zones: about('All zones it has been in.', v.array(text)),
    start: about('When the first frame was captured that showed it, UTC.', timestamp),
    end: about('When the last frame was captured that showed it, UTC; null before `end`.', v.nullable(timestamp)),
    end_reason: about(
      '`interrupted`: camera, model or inference stopped, or the rules changed, so that nobody can tell; null before `end`.',
      v.nullable(v.picklist(['left', 'interrupted'])),
    ),
    hits: about('Results that showed it.', count),
    model: modelOrNull,
    replayed: about('Whether it was made before the connection that carries it, and so may be late.', v.boolean()),
  }),
)

const presence = v.strictObject({ count: about('How many.', count), score: about('Of the best of them.', unit) })

export const currentSchema = about(
  'What is in view now. On `<base>/<id>/current`, QoS 1, retained, whenever labels, counts or zones change.',
  v.strictObject({
    v: version,
    ts: about('When it began to be so, UTC.', timestamp),
    summary: about('For people: `2 × person, cat`, or `nothing`.', text),
    labels: about('Every label in view.', v.record(text, presence)),
    zones: about('Every configured zone, with the labels in it.', v.record(text, v.record(text, presence))),
  }),
)

export const metricsSchema = about(
  'Numbers. On `<base>/<id>/metrics`, QoS 0, not retained, every 60 s.',
  v.strictObject({ v: version, ts: sentAt, ...metricEntries }),
)

const update = updateStatusSchema.entries
const percent = (description: string) =>
  about(description, v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(100))))

export const updateSchema = about(
  'The model that runs, and how its replacement goes. On `<base>/<id>/update`, QoS 1, retained, on change; numbers alone at most once a second.',
  v.strictObject({
    v: version,
    ts: sentAt,
    installed_version: about('Of the model that runs; null while none does.', v.nullable(text)),
    latest_version: about(
      'Of the one that comes next, or else of the one that runs; null for neither.',
      v.nullable(text),
    ),
    title: about('Name of the model that runs; null while none does.', v.nullable(text)),
    in_progress: about('Whether another is being loaded, proved or on probation.', v.boolean()),
    update_percentage: percent('`percent` while that is so; else null.'),
    enabled: about('Whether there is anywhere to look for models.', update.enabled),
    phase: about(
      '`waiting`: for the time of day, or for somebody. `self_test`: its golden samples. `shadow`: it sees what the other one sees. `trial`: it is in charge, on probation.',
      update.phase,
    ),
    active: about('The model that counts: the one to go back to while another is on probation.', update.active),
    previous: about('What `rollback_model` would go back to; null for none.', update.previous),
    candidate: about('The one that is to replace it; null for none.', update.candidate),
    percent: percent('What the phase has done of itself; null where that is not known.'),
    reason: about('What it waits for, or what went wrong, in words; null for nothing.', update.reason),
    paused: about('Whether `pause_updates` has stopped it.', update.paused),
    needs_consent: about('Whether the candidate waits for `install_update`.', update.needs_consent),
    group: about('Whose models it runs; null where it takes none.', update.group),
    rollout: about("Whether the group's rollout is for this device; null while nobody knows.", update.rollout),
    metadata: about('Versions of the signed metadata that is trusted; null before there is any.', update.metadata),
    stale: about('Why nothing new may be installed: metadata has expired; else null.', update.stale),
    shadow: about('What it has seen of both, side by side; null before that.', update.shadow),
    last: about('How the newest update ended; null before one did.', update.last),
    checked: about('When it last reached the repository, UTC; null for never.', update.checked),
  }),
)

export const updateEventSchema = about(
  'How an update ended. On `<base>/<id>/update/event`, QoS 1, not retained, kept until the broker has it.',
  v.strictObject({
    v: version,
    type: about('The only one that there is.', v.literal('outcome')),
    boot,
    ...updateOutcomeSchema.entries,
    replayed: about('Whether it was made before the connection that carries it, and so may be late.', v.boolean()),
  }),
)

export const crashSchema = about(
  'How the run before this one ended, if not in good order. On `<base>/<id>/crash`, QoS 1, retained, at the start after it; stays until the next.',
  v.strictObject({
    v: version,
    ts: about('When it ended or, where nobody knows, when it had begun, UTC.', timestamp),
    reason: about('In words.', text),
    log: about('Its last log lines, oldest first; empty when it was killed.', v.array(v.string())),
  }),
)

export const responseSchema = about(
  'What became of a request. On `<base>/<id>/response/<command>`, QoS 1, not retained.',
  v.strictObject({
    status: v.picklist(['ok', 'error']),
    data: about('What the command answers; null when there is nothing.', v.nullable(v.record(v.string(), v.unknown()))),
    error: v.optional(v.strictObject({ code: text, message: about('For people.', text) })),
    transaction: about('That of the request, if it had one.', v.optional(v.union([v.string(), v.number()]))),
  }),
)

export const requestSchema = about(
  'What every request may hold, beside what its command wants. On `<base>/<id>/request/<command>`; an empty message holds nothing.',
  v.looseObject({
    transaction: about(
      'Comes back with the answer; of two requests with the same one, one is carried out.',
      v.optional(v.union([v.pipe(v.string(), v.maxLength(64)), v.pipe(v.number(), v.safeInteger())])),
    ),
    expires: about(
      'After this time nobody wants it carried out any more.',
      v.optional(v.pipe(v.string(), v.isoTimestamp('a time such as 2026-11-25T08:00:00Z'))),
    ),
  }),
)

export type Info = v.InferOutput<typeof infoSchema>
export type State = v.InferOutput<typeof stateSchema>
export type Result = v.InferOutput<typeof resultSchema>
export type EventMessage = v.InferOutput<typeof eventSchema>
export type CurrentMessage = v.InferOutput<typeof currentSchema>
export type UpdateMessage = v.InferOutput<typeof updateSchema>
export type UpdateEventMessage = v.InferOutput<typeof updateEventSchema>

/** The payload of a message; throws if it is not what the schema promises to subscribers. */
export function encodeMessage<S extends v.GenericSchema>(schema: S, message: v.InferInput<S>): string {
  return JSON.stringify(v.parse(schema, message))
}
