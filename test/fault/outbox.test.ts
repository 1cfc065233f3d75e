import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { Spool } from '../../src/lib/spool.ts'
import { Outbox } from '../../src/mqtt/outbox.ts'
import { eventPayload } from '../support/event-payload.ts'
import { FlakyProxy } from '../support/flaky-proxy.ts'
import { startLink } from '../support/link.ts'
import { megabytesInUse } from '../support/memory.ts'
import { findProgram, freePort, startMosquitto } from '../support/mosquitto.ts'
import { subscribe } from '../support/subscriber.ts'
import { tempFolder } from '../support/temp-folder.ts'

const events = 200_000
const maxBytes = 16 * 1024 * 1024

describe.skipIf(findProgram('mosquitto') === undefined)(
  'the outbox with a real Mosquitto (skipped where it is not installed)',
  () => {
    test('200,000 events while the broker is away: memory flat, the disk at its bound, and all that fits arrives once, in order', async () => {
      let nowMs = Date.UTC(2026, 0, 1)
      const spool = await Spool.open({
        folder: join(await tempFolder(), 'spool'),
        maxBytes,
        maxAgeMs: 7 * 24 * 3600 * 1000,
        now: () => nowMs,
      })
      await using outbox = new Outbox({ spool, replayRate: 10_000 })
      const port = await freePort()
      const { link, line, connected } = startLink({ url: `mqtt://127.0.0.1:${port}` }, { events: outbox })
      await line('broker not reachable')

      const memory: number[] = []
      for (let i = 0; i < events; i++) {
        outbox.add(eventPayload('1764016140.123-7f3a1c', i, nowMs))
        nowMs += 10
        if (i % 50 === 49) await spool.flush()
        if (i % 20_000 === 19_999) memory.push(megabytesInUse())
      }
      const { dropped, pending, bytes } = outbox.stored
      console.info(
        `MB in use after each 20,000 events: ${memory.map((mb) => mb.toFixed(1)).join(' ')}; ${dropped} dropped, ${pending} kept in ${bytes} bytes`,
      )
      expect(Math.max(...memory) - Math.min(...memory)).toBeLessThan(4)
      expect(bytes).toBeLessThanOrEqual(maxBytes)
      expect(bytes).toBeGreaterThan(maxBytes * 0.95)
      expect(dropped + pending).toBe(events)

      await startMosquitto(port, 'allow_anonymous true\nmax_queued_messages 0')
      const subscriber = await subscribe(port)
      await connected()
      await outbox.emptied(AbortSignal.timeout(100_000))
      await subscriber.fence()
      const arrived = subscriber.received
        .filter(({ topic }) => topic.endsWith('/event'))
        .map(({ text }) => JSON.parse(text))
      expect(arrived.map(({ seq }) => seq)).toEqual(Array.from({ length: pending }, (_, i) => dropped + i))
      expect(
        arrived.every(
          ({ replayed, ts }, i) => replayed && Date.parse(ts) === Date.UTC(2026, 0, 1) + (dropped + i) * 10,
        ),
      ).toBe(true)
      // Segments go behind our back.
      await spool.flush()
      expect(outbox.counts).toEqual({ sent: 0, replayed: pending, refused: 0 })
      expect(outbox.stored).toMatchObject({
        appended: events,
        acked: pending,
        dropped,
        expired: 0,
        corrupt: 0,
        pending: 0,
        bytes: 0,
      })

      outbox.add(eventPayload('1764016140.123-7f3a1c', events, nowMs))
      const live = await subscriber.message(({ text }) => text.includes(`"seq":${events},`))
      expect(JSON.parse(live.text).replayed).toBe(false)
      expect(link.counts.connections).toBe(1)
    }, 180_000)

    test('a connection that breaks in the middle of a replay loses nothing and keeps the order of first arrivals', async () => {
      const spool = await Spool.open({ folder: join(await tempFolder(), 'spool'), maxBytes, maxAgeMs: 1e9 })
      await using outbox = new Outbox({ spool, replayRate: 10_000 })
      for (let i = 0; i < 2000; i++) outbox.add(eventPayload('a', i))
      const port = await freePort()
      await startMosquitto(port, 'allow_anonymous true\nmax_queued_messages 0')
      const subscriber = await subscribe(port)
      const proxy = await FlakyProxy.to(port)
      const { link, until } = startLink({ url: `mqtt://127.0.0.1:${proxy.port}` }, { events: outbox })
      for (let cut = 1; cut <= 5; cut++) {
        const seen = subscriber.received.length
        await subscriber.message(({ topic }) => topic.endsWith('/event'), seen)
        proxy.cut()
        await until(() => link.counts.connections > cut)
      }
      await outbox.emptied(AbortSignal.timeout(20_000))
      await subscriber.fence()
      const seqs = subscriber.received
        .filter(({ topic }) => topic.endsWith('/event'))
        .map(({ text }) => JSON.parse(text).seq)
      expect([...new Set(seqs)]).toEqual(Array.from({ length: 2000 }, (_, i) => i))
      // At most what was in flight comes twice.
      expect(seqs.length - 2000).toBeLessThanOrEqual(5 * 20)
    })
  },
)
