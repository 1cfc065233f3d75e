import * as v from 'valibot'

/** Numbers on how the device is doing, for MQTT's `metrics` topic and for Prometheus alike; `_total` counts since the start. */

const count = (help: string) => v.pipe(v.number(), v.integer(), v.minValue(0), v.description(help))
const amount = (help: string) => v.pipe(v.number(), v.minValue(0), v.description(help))
const maybe = (help: string) => v.pipe(v.nullable(v.number()), v.description(help))
const flag = (help: string) => v.pipe(v.nullable(v.boolean()), v.description(help))

export const metricEntries = {
  uptime_s: amount('Seconds since the daemon started.'),
  control_rss_mb: amount('Resident memory of the control process in MB.'),
  vision_rss_mb: maybe('Resident memory of the vision process in MB; null while there is none.'),
  temp_c: maybe('Temperature of the CPU in °C; null when the board does not tell.'),
  throttled: flag('Whether the firmware slows the CPU down now; null when the board does not tell.'),
  undervoltage: flag('Whether the supply voltage is too low now; null when the board does not tell.'),
  governor_active: v.pipe(
    v.boolean(),
    v.description('Whether the inference rate is halved for the sake of the board.'),
  ),
  camera_online: v.pipe(v.boolean(), v.description('Whether the camera gives frames.')),
  fps: amount('Results per second over the last seconds.'),
  inference_ms_p50: maybe('Median time of a run of the model in ms; null before the first.'),
  inference_ms_p95: maybe('95th percentile of the same.'),
  frame_age_ms_p95: maybe('95th percentile of how old a frame is when inference begins, in ms.'),
  frames_captured_total: count('Frames that the camera gave: inferred + dropped + skipped + at most 2 under way.'),
  frames_inferred_total: count('Frames that the model has seen.'),
  frames_dropped_total: count('Frames that a newer one overtook.'),
  frames_skipped_total: count('Frames left out on purpose: rate limit, pause, stale, still.'),
  frames_still_total: count('Of the skipped ones, those left out since nothing moved.'),
  vision_restarts_total: count('Starts of the vision process after the first.'),
  mqtt_connected: v.pipe(v.boolean(), v.description('Whether there is a connection to the broker.')),
  mqtt_connections_total: count('Connections to the broker.'),
  mqtt_refused_total: count('Messages that the broker would not take: not allowed, or longer than it takes.'),
  results_dropped_total: count('Results and metrics that were due while the broker was away or the network too slow.'),
  events_total: count('Event messages made.'),
  events_sent_total: count('Event messages that the broker acknowledged.'),
  events_replayed_total: count('Of those, the ones made before the connection that carried them.'),
  events_refused_total: count('Event messages that the broker would not take.'),
  events_dropped_total: count('Event messages lost to the bounds of the outbox, oldest first.'),
  events_expired_total: count('Event messages that waited too long.'),
  events_corrupt_total: count('Event messages lost to damage on the disk.'),
  events_pending: count('Event messages that wait for the broker.'),
  outbox_bytes: count('Room on disk that they take.'),
  commands_total: count('Commands and properties that were answered.'),
  commands_refused_total: count('Those that were not: retained, expired, or not to be understood at all.'),
  answers_dropped_total: count('Answers that could not be sent, since too many waited for the broker.'),
}

const metricsSchema = v.strictObject(metricEntries)

export type Metrics = v.InferOutput<typeof metricsSchema>
