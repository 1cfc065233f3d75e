import type { HomeAssistantDevice } from '../../src/mqtt/home-assistant.ts'

/** A device with all that can be announced, and a message of each topic that its entities read. */

export const device: HomeAssistantDevice = {
  baseTopic: 'sightd',
  id: 'porch-a1b2c3',
  name: 'Porch',
  sw: '0.1.0',
  board: 'Raspberry Pi 4 Model B Rev 1.4',
  serial: '10000000abcdef',
  labels: ['person', 'hot dog'],
  zones: ['door', 'lawn'],
  hasSnapshot: true,
  hasEventSnapshot: true,
  maxFpsOfCamera: 10,
}
export const exampleMessages = {
  current: {
    v: 1,
    ts: '2026-11-25T08:00:03.123Z',
    summary: '2 × person, cat',
    labels: { person: { count: 2, score: 0.88 }, cat: { count: 1, score: 0.7 } },
    zones: { door: { person: { count: 1, score: 0.88 } }, lawn: {} },
  },
  state: {
    v: 1,
    ts: '2026-11-25T08:00:03.123Z',
    status: 'running',
    reason: null,
    camera: { state: 'online', source: 'libcamera', reason: null, advice: null },
    model: { name: 'ssdlite-mobilenet-v2-coco', version: '1' },
    inference: 'ON',
    threshold: 0.5,
    max_fps: null,
    fps: 9.8,
    governor: { active: false, reason: null },
    vision: { restarts: 0 },
    outbox: { pending: 0, problem: null },
    mqtt: { problem: null },
    settings: { problem: null },
    results_dropped: 0,
  },
  metrics: { v: 1, ts: '2026-11-25T08:00:03.123Z', uptime_s: 86400, temp_c: 58.9, throttled: false, fps: 9.8 },
  update: {
    installed_version: '1',
    latest_version: '1',
    title: 'ssdlite-mobilenet-v2-coco',
    in_progress: false,
    update_percentage: null,
  },
}
