import { eventMessage } from '../../src/mqtt/event-message.ts'
import { encodeMessage, eventSchema } from '../../src/mqtt/messages.ts'

/** An event message as the daemon makes it, about 440 bytes; `eventId` and `seq` tell it from others. */
export function eventPayload(eventId: string, seq: number, atMs = Date.now()): string {
  const box = { xmin: 0.1123, ymin: 0.2234, xmax: 0.4345, ymax: 0.9456 }
  return encodeMessage(
    eventSchema,
    eventMessage(
      {
        type: 'update',
        eventId,
        seq,
        label: 'person',
        classId: 1,
        atMs,
        startMs: atMs - 1000,
        endMs: null,
        score: 0.8123,
        topScore: 0.9321,
        hits: 12,
        box,
        zones: ['door'],
        enteredZones: ['door', 'lawn'],
        endReason: null,
      },
      { name: 'ssdlite-mobilenet-v2-coco', version: '1', sha256: '0'.repeat(64), task: 'detection', threshold: 0.5 },
      'b7c1d2e3',
    ),
  )
}
