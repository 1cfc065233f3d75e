import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { Spool } from '../../src/lib/spool.ts'
import { MqttLink } from '../../src/mqtt/link.ts'
import { Outbox } from '../../src/mqtt/outbox.ts'
import { Publisher } from '../../src/mqtt/publisher.ts'
import { deviceTopics } from '../../src/mqtt/topics.ts'
import { compared, type Measurement } from '../measurement.ts'
import { freePort, lacksMosquitto, launchMosquitto, promptSettings } from '../support/mosquitto.ts'
import { sampleEvent, sampleModel, sampleResult } from '../support/samples.ts'
import { tempFolder } from '../support/temp-folder.ts'

/** Events that wait at once: fewer than make the outbox write to the disk. */
const batch = 40

export const mqtt: Measurement = {
  name: 'mqtt',
  about: 'results (QoS 0) and events (QoS 1, acknowledged) per second to a real Mosquitto, from the object on',
  lacks: lacksMosquitto,
  async run({ rounds }) {
    await using device = await connectedDevice()
    const { link, outbox, publisher } = device
    const settled = () => outbox.emptied(AbortSignal.timeout(60_000))

    return {
      results: compared(
        await bestRate(rounds(4000), async (count) => {
          for (let sent = 0; sent < count; ) {
            const { resultsDropped } = link.counts
            publisher.result(sampleResult, sampleModel, 0.5, Number.POSITIVE_INFINITY)
            // One is dropped where the socket takes no more for now.
            if (link.counts.resultsDropped === resultsDropped) sent++
            else await turn()
            if (sent % 100 === 0) await turn()
          }
          // Behind them all: when the broker has this one, it has those.
          publisher.event(sampleEvent, sampleModel)
          await settled()
        }),
        '/s',
      ),
      events: compared(
        await bestRate(Math.ceil(rounds(2000) / batch) * batch, async (count) => {
          for (let sent = 0; sent < count; sent += batch) {
            for (let i = 0; i < batch; i++) publisher.event(sampleEvent, sampleModel)
            await settled()
          }
        }),
        '/s',
      ),
    }
  },
}

/** How many per second, the best of five times: broker and bench share the machine with others. */
async function bestRate(count: number, send: (count: number) => Promise<void>): Promise<number> {
  let best = 0
  for (let time = 0; time < 5; time++) {
    const startMs = performance.now()
    await send(count)
    best = Math.max(best, (count * 1000) / (performance.now() - startMs))
  }
  return best
}

/** The device's own parts on their way to a Mosquitto of their own, connected. */
async function connectedDevice() {
  await using cleanup = new AsyncDisposableStack()
  const folder = cleanup.use(tempFolder())
  const port = await freePort()
  cleanup.use(await launchMosquitto(port, promptSettings))
  const spool = await Spool.open({ folder: folder.path, maxBytes: 16 * 1024 * 1024, maxAgeMs: 3_600_000 })
  const outbox = cleanup.use(new Outbox({ spool, replayRate: 10_000 }))
  const topics = deviceTopics('sightd', 'bench')
  const connected = new EventTarget()
  const link = new MqttLink({
    settings: async () => ({ url: `mqtt://127.0.0.1:${port}`, clientId: 'sightd-bench' }),
    statusTopic: topics.status,
    subscriptions: [{ filter: `${topics.request}+` }],
    onMessage: () => {},
    eventTopic: topics.event,
    events: outbox,
    onChange: () => {
      if (link.isConnected) connected.dispatchEvent(new Event('connected'))
    },
    log: { info: () => {}, warn: (fields, text) => process.stderr.write(`${text} ${JSON.stringify(fields)}\n`) },
  })
  const stop = new AbortController()
  const isConnected = once(connected, 'connected')
  const ended = link.run(stop.signal)
  cleanup.defer(async () => {
    stop.abort()
    await ended
  })
  await isConnected
  const owned = cleanup.move()
  const publisher = new Publisher({ link, outbox, topics, boot: 'bench' })
  return { link, outbox, publisher, [Symbol.asyncDispose]: () => owned.disposeAsync() }
}
