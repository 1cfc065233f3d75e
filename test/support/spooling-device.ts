import { writeSync } from 'node:fs'
import { Spool } from '../../src/lib/spool.ts'
import { MqttLink } from '../../src/mqtt/link.ts'
import { Outbox } from '../../src/mqtt/outbox.ts'
import { eventPayload } from './event-payload.ts'

/**
 * A process that makes events as fast as it can and is killed: spool, outbox and link as the daemon has them. Arguments:
 * folder, port, name of this run, and how many events to make a second (0: only send what is there, and end). Prints
 * `first <seq>`, then `stored <seq>` whenever more is known to be on the disk, and `empty` when nothing is left.
 */
const [folder = '', port = '', run = '', rate = ''] = process.argv.slice(2)
const say = (text: string) => writeSync(1, `${text}\n`)

const spool = await Spool.open({ folder, maxBytes: 64 * 1024 * 1024, maxAgeMs: 1e9 })
const outbox = new Outbox({ spool, replayRate: 10_000 })
const link = new MqttLink({
  settings: async () => ({ url: `mqtt://127.0.0.1:${port}`, clientId: 'sightd-porch', sessionExpiryS: 60 }),
  statusTopic: 'sightd/porch/status',
  subscriptions: [],
  onMessage: () => {},
  eventTopic: 'sightd/porch/event',
  events: outbox,
  onChange: () => {},
  log: { info: () => {}, warn: () => {} },
})
const stop = new AbortController()
const running = link.run(stop.signal)
say(`first ${spool.nextSeq}`)

let stored = 0
const report = () => {
  if (outbox.stored.stored === stored) return
  stored = outbox.stored.stored
  say(`stored ${stored}`)
}
if (rate === '0') {
  await outbox.emptied(AbortSignal.timeout(60_000))
  say(outbox.stored.pending === 0 ? 'empty' : `left ${outbox.stored.pending}`)
  stop.abort()
  await running
  await outbox[Symbol.asyncDispose]()
} else {
  setInterval(() => {
    for (let i = 0; i < Number(rate) / 200; i++) outbox.add(eventPayload(run, spool.nextSeq))
    report()
  }, 5)
}
